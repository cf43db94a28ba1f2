"""Resizes, each as PyTorch's operator and as the matrix [out, in] that it applies to one axis."""

import math

import torch
from torch.nn import functional as F

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PATCH = 14
GRID = 37


def dino_side(length):
    """The nearest positive multiple of 14; a tie goes up."""
    return max(1, math.floor(length / PATCH + 0.5)) * PATCH


def dino_resize(image):
    """[N, 3, H, W] -> sides that are multiples of 14, still 0..1."""
    size = [dino_side(s) for s in image.shape[-2:]]
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)


def imagenet_normalize(image):
    mean = image.new_tensor(MEAN).view(1, 3, 1, 1)
    std = image.new_tensor(STD).view(1, 3, 1, 1)
    return (image - mean) / std


def bilinear(x, size):
    """Without antialias: what lifts DINO features to a stage."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def position_resize(grid, rows, columns, registers):
    """[1, D, 37, 37] -> [1, D, rows, columns] as Meta's models do it. Plain models give a scale
    factor with 0.1 added to the wanted size, which the sampling positions keep; register models give
    the size itself, with antialias. Only a grid of exactly 37x37 is left alone."""
    if (rows, columns) == (GRID, GRID):
        return grid
    if registers:
        return F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    scale = ((rows + 0.1) / GRID, (columns + 0.1) / GRID)
    return F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)


def _triangle(t):
    return max(0.0, 1.0 - abs(t))


def _cubic(t, a):
    t = abs(t)
    if t < 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    if t < 2:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return 0.0


def _matrix(out, source, ratio, kernel, reach, antialias):
    """`ratio`: source pixels per output pixel. Without antialias, samples beyond the edge count for
    the edge pixel; with it, the kernel widens when shrinking and is cut at the edge and renormalised."""
    matrix = torch.zeros(out, source, dtype=torch.float64)
    for row in range(out):
        centre = (row + 0.5) * ratio
        if antialias:
            stretch = max(ratio, 1.0)
            first = max(int(centre - reach * stretch + 0.5), 0)
            last = min(int(centre + reach * stretch + 0.5), source)
            for column in range(first, last):
                matrix[row, column] = kernel((column + 0.5 - centre) / stretch)
            matrix[row] /= matrix[row].sum()
        else:
            centre -= 0.5
            for column in range(math.floor(centre) - reach + 1, math.floor(centre) + reach + 1):
                matrix[row, min(max(column, 0), source - 1)] += kernel(column - centre)
    return matrix


def bilinear_matrix(out, source, antialias=False):
    return _matrix(out, source, source / out, _triangle, 1, antialias)


def position_matrix(out, registers):
    """Note the two cubic coefficients: -0.75 without antialias, -0.5 with it."""
    if registers:
        return _matrix(out, GRID, GRID / out, lambda t: _cubic(t, -0.5), 2, True)
    return _matrix(out, GRID, GRID / (out + 0.1), lambda t: _cubic(t, -0.75), 2, False)
