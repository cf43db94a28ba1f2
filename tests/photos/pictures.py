"""The pictures that the files hold: smooth enough for JPEG, no two samples of a neighbourhood alike."""

import numpy as np

WIDTH, HEIGHT = 37, 29


def waves(width=WIDTH, height=HEIGHT, channels=3):
    """A picture in [0, 1], height x width x channels: broad waves, another one in each channel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [
        0.5
        + 0.28 * np.sin(x / (5.0 + 1.7 * channel) + channel)
        + 0.2 * np.cos(y / (4.0 + 1.1 * channel) - 2 * channel)
        for channel in range(channels)
    ]
    return np.clip(np.stack(planes, axis=-1), 0, 1)


def grain(width=WIDTH, height=HEIGHT, channels=3, seed=1):
    """The waves under noise: what a lossless file must keep exactly."""
    noise = np.random.default_rng(seed).normal(0, 0.05, (height, width, channels))
    return np.clip(waves(width, height, channels) + noise, 0, 1)


def integers(picture, bits):
    """A picture in whole numbers of so many bits."""
    kind = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return np.rint(picture * (2**bits - 1)).astype(kind)


def cut_out(picture):
    """Gives the last channel the shape of a cut-out: nothing, everything, and edges between."""
    height, width, _ = picture.shape
    y, x = np.mgrid[0:height, 0:width]
    picture = picture.copy()
    picture[..., -1] = np.clip(1.4 - np.hypot(x - width / 2, y - height / 2) / (width / 3), 0, 1)
    return picture
