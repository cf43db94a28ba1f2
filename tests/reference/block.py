"""One Restormer block: two residual branches, each behind its norm."""

from torch import nn

from channel_layer_norm import ChannelLayerNorm
from gdfn import Gdfn
from mdta import Mdta


class Block(nn.Module):
    def __init__(self, channels, heads, expansion=2.66, bias=True):
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels, bias)
        self.attn = Mdta(channels, heads)
        self.norm2 = ChannelLayerNorm(channels, bias)
        self.ffn = Gdfn(channels, expansion)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


def level(channels, heads, count, expansion, bias):
    """`count` blocks in a row."""
    return nn.Sequential(*(Block(channels, heads, expansion, bias) for _ in range(count)))
