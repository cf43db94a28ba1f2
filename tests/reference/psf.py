"""Pixel-semantic fusion, equations 1 to 4."""

import torch
from torch import nn
from torch.nn import functional as F


class Expert(nn.Module):
    """[N, D, h, w] -> [N, E, h, w]"""

    def __init__(self, dim, out):
        super().__init__()
        self.project_in = nn.Conv2d(dim, out, 1)
        self.dwconv = nn.Conv2d(out, out, 3, padding=1, groups=out)
        self.project_out = nn.Conv2d(out, out, 1)

    def forward(self, x):
        y = self.project_in(x)
        return y + self.project_out(F.gelu(self.dwconv(y)))


class Psf(nn.Module):
    def __init__(self, dim, hidden, out):
        super().__init__()
        self.gate = nn.ModuleList([nn.Linear(3 * dim, hidden), nn.Linear(hidden, 3)])
        self.experts = nn.ModuleList(Expert(dim, out) for _ in range(3))

    def scores(self, features):
        """Shares of shallow, medium and deep: [N, 3], sum 1."""
        pooled = torch.cat(features, dim=1).mean(dim=(2, 3))
        return torch.softmax(self.gate[1](F.gelu(self.gate[0](pooled))), dim=-1)

    def forward(self, features):
        scores = self.scores(features)
        return sum(
            expert(x) * scores[:, i].view(-1, 1, 1, 1) for i, (expert, x) in enumerate(zip(self.experts, features))
        )
