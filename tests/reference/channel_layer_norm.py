"""Layer norm over the channels of each pixel (Restormer's norm)."""

import torch
from torch import nn

EPS = 1e-5


class ChannelLayerNorm(nn.Module):
    """[N, C, H, W] -> the same. `bias=False` is the BiasFree kind: it divides by the standard
    deviation about the mean, but does not subtract the mean."""

    def __init__(self, channels, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x):
        mean = x.mean(dim=1, keepdim=True)
        variance = (x - mean).square().mean(dim=1, keepdim=True)
        deviation = torch.sqrt(variance + EPS)
        weight = self.weight.view(1, -1, 1, 1)
        if self.bias is None:
            return x / deviation * weight
        return (x - mean) / deviation * weight + self.bias.view(1, -1, 1, 1)
