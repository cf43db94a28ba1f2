"""Losses, equations 6 and 7."""

from resize import dino_resize, imagenet_normalize

EPS = 1e-6


def l1(a, b):
    return (a - b).abs().mean()


def dpc(backbone, blocks, weights, restored, clean, degraded):
    """DINO perception contrastive loss. Images [N, 3, H, W] in 0..1; blocks count from 1; the
    distance is the mean absolute difference over patch tokens of the whole batch."""
    v, positive, negative = (backbone.layers(imagenet_normalize(dino_resize(x))) for x in (restored, clean, degraded))
    first = 1 + backbone.registers
    total = 0.0
    for block, weight in zip(blocks, weights):
        a, p, n = (x[block - 1][:, first:] for x in (v, positive, negative))
        total = total + weight * l1(a, p) / (l1(a, n) + EPS)
    return total
