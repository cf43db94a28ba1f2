"""DINO-Restore adaption and fusion, equation 5."""

import math

import torch
from torch import nn

from resize import bilinear


class DrFusion(nn.Module):
    """Fused DINO features [N, E, h, w] and a stage's features [N, C, H, W] -> [N, C, H, W].
    `pixel_mean` divides the product over pixels by their number, so that the map does not sharpen
    with the size of the image; without it the equation is taken to the letter."""

    def __init__(self, source, channels, pixel_mean=True):
        super().__init__()
        self.adapt = nn.Conv2d(source, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.pixel_mean = pixel_mean

    def map(self, fused, x):
        """[N, C, C], rows sum to 1: row = channel of the DINO side, column = channel of the stage."""
        n, c, h, w = x.shape
        adapted = bilinear(self.adapt(fused), (h, w))
        scale = math.sqrt(c) * (h * w if self.pixel_mean else 1)
        product = torch.einsum("ncp,ndp->ncd", self.key(adapted).flatten(2), self.query(x).flatten(2))
        return torch.softmax(product / scale, dim=-1)

    def forward(self, fused, x):
        return torch.einsum("ncd,ndhw->nchw", self.map(fused, x), x) + x
