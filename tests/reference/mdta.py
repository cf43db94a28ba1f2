"""Multi-Dconv head transposed attention: attention between channels."""

import torch
from torch import nn
from torch.nn import functional as F


def channel_attention(qkv, temperature):
    """qkv [N, 3C, H, W] (q, then k, then v), temperature [heads, 1, 1] -> [N, C, H, W].
    Head h owns the channels h*C/heads .. (h+1)*C/heads of each of q, k and v."""
    n, c3, h, w = qkv.shape
    heads = temperature.shape[0]
    q, k, v = (t.reshape(n, heads, c3 // 3 // heads, h * w) for t in qkv.split(c3 // 3, dim=1))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)  # L2 along pixels, eps 1e-12
    attention = torch.softmax(torch.einsum("nhcp,nhdp->nhcd", q, k) * temperature, dim=-1)
    return torch.einsum("nhcd,nhdp->nhcp", attention, v).reshape(n, c3 // 3, h, w)


class Mdta(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def mixed(self, x):
        """q, k and v side by side, as `channel_attention` takes them."""
        return self.qkv_dwconv(self.qkv(x))

    def forward(self, x):
        return self.project_out(channel_attention(self.mixed(x), self.temperature))
