"""Moving between levels: a 3x3 convolution and a shuffle of pixels against channels.
The shuffles are PyTorch's: channel c*4 + dy*2 + dx of the small image is pixel (dy, dx) of channel c."""

from torch import nn
from torch.nn import functional as F


class Downsample(nn.Conv2d):
    """[N, C, H, W] -> [N, 2C, H/2, W/2]"""

    def __init__(self, channels):
        super().__init__(channels, channels // 2, 3, padding=1, bias=False)

    def forward(self, x):
        return F.pixel_unshuffle(super().forward(x), 2)


class Upsample(nn.Conv2d):
    """[N, C, H, W] -> [N, C/2, 2H, 2W]"""

    def __init__(self, channels):
        super().__init__(channels, 2 * channels, 3, padding=1, bias=False)

    def forward(self, x):
        return F.pixel_shuffle(super().forward(x), 2)
