"""From a file's stored samples to the picture that must come out: the program's stated rules, written a second time.

Whole numbers are scaled over their range: up to 8 bits to 8, more to 16. Floats are clamped to [0, 1] and become 16 bits.
"""

import numpy as np


def scaled(samples, bits):
    """Whole numbers of `bits` bits, or floats, as 8 or 16 bits."""
    if np.issubdtype(samples.dtype, np.floating):
        return np.rint(np.clip(np.nan_to_num(samples.astype(np.float64)), 0, 1) * 65535).astype(np.uint16)
    if bits in (8, 16):
        return samples.astype(np.uint8 if bits == 8 else np.uint16)
    top, kind = (255, np.uint8) if bits < 8 else (65535, np.uint16)
    return np.rint(samples.astype(np.float64) * top / (2**bits - 1)).astype(kind)


def inverted(samples):
    """Where 0 is white."""
    return np.iinfo(samples.dtype).max - samples


def looked_up(indices, colours):
    """A palette of 16-bit colours, count x 3, as 8 bits."""
    return (colours >> 8).astype(np.uint8)[indices[..., 0].astype(int)]


def from_ink(samples):
    """CMYK without a profile: each colour is what the ink and the black let through."""
    top = float(np.iinfo(samples.dtype).max)
    ink = samples.astype(np.float64) / top
    return np.rint((1 - ink[..., :3]) * (1 - ink[..., 3:4]) * top).astype(samples.dtype)


def from_ycbcr(samples):
    """YCbCr of full range with the weights of Rec. 601."""
    luma, blue, red = np.moveaxis(samples.astype(np.float64), -1, 0)
    blue, red = blue - 128, red - 128
    colours = [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue]
    return np.clip(np.rint(np.stack(colours, axis=-1)), 0, 255).astype(np.uint8)


def divided(samples):
    """Premultiplied colours as they are without their alpha; nothing where that is 0."""
    top = np.iinfo(samples.dtype).max
    colours, alpha = samples[..., :-1].astype(np.float64), samples[..., -1:].astype(np.float64)
    plain = np.minimum(np.rint(colours * top / np.maximum(alpha, 1)), top)
    plain[np.broadcast_to(alpha == 0, plain.shape)] = 0
    return np.concatenate([plain.astype(samples.dtype), samples[..., -1:]], axis=-1)


def multiplied(samples):
    """The other way."""
    top = np.iinfo(samples.dtype).max
    colours = np.rint(samples[..., :-1].astype(np.float64) * samples[..., -1:] / top)
    return np.concatenate([colours.astype(samples.dtype), samples[..., -1:]], axis=-1)
