"""The whole four-level restoration network."""

import torch
from torch import nn
from torch.nn import functional as F

from block import level
from sampling import Downsample, Upsample


class Restormer(nn.Module):
    def __init__(self, dim, blocks, heads, refinement, expansion=2.66, bias=True, unshuffle=1):
        super().__init__()
        self.unshuffle = unshuffle
        colours = 3 * unshuffle**2
        widths = [dim, 2 * dim, 4 * dim, 8 * dim]

        def stage(width, i, count=None):
            return level(width, heads[i], blocks[i] if count is None else count, expansion, bias)

        self.patch_embed = nn.Conv2d(colours, dim, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(stage(widths[i], i) for i in range(3))
        self.down = nn.ModuleList(Downsample(widths[i]) for i in range(3))
        self.latent = stage(widths[3], 3)
        self.up = nn.ModuleList(Upsample(widths[i]) for i in (3, 2, 1))
        # Levels 3 and 2 halve the concatenation; level 1 goes on with 2*dim.
        self.reduce = nn.ModuleList(nn.Conv2d(2 * widths[i], widths[i], 1, bias=False) for i in (2, 1))
        self.decoder = nn.ModuleList([stage(widths[2], 2), stage(widths[1], 1), stage(widths[1], 0)])
        self.refinement = stage(widths[1], 0, refinement)
        self.output = nn.Conv2d(widths[1], colours, 3, padding=1, bias=False)

    def forward(self, image, guide=lambda stage, x: x):
        """[N, 3, H, W], sides multiples of 8 `unshuffle`. `guide(stage, x)` may replace what leaves encoder
        level 1, 2 or 3 or the latent (stage 4); the skip connection carries the replaced one."""
        x = self.patch_embed(F.pixel_unshuffle(image, self.unshuffle))
        skips = []
        for i in range(3):
            x = guide(i + 1, self.encoder[i](x))
            skips.append(x)
            x = self.down[i](x)
        x = guide(4, self.latent(x))
        for i in range(3):
            x = torch.cat([self.up[i](x), skips.pop()], dim=1)
            if i < 2:
                x = self.reduce[i](x)
            x = self.decoder[i](x)
        return F.pixel_shuffle(self.output(self.refinement(x)), self.unshuffle) + image
