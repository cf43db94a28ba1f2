"""Gated-Dconv feed-forward network."""

from torch import nn
from torch.nn import functional as F


def gated_gelu(x):
    """[N, 2C, H, W] -> [N, C, H, W]: exact GELU of the first half times the second half."""
    gate, value = x.chunk(2, dim=1)
    return F.gelu(gate) * value


class Gdfn(nn.Module):
    def __init__(self, channels, expansion=2.66):
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x):
        return self.project_out(gated_gelu(self.dwconv(self.project_in(x))))
