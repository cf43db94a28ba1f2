"""Blind photo restoration for NumPy arrays."""

from functools import lru_cache

import numpy as np

from . import _native

__all__ = ["Restorer", "Cancelled", "restore", "__version__"]
__version__ = _native.__version__
Cancelled = _native.Cancelled

_TYPES = (np.uint8, np.uint16, np.float32)


class Restorer:
    """A network on a device, ready to restore many photos.

    weights: a weights file; None for those inside this package.
    device: "auto", "cpu", "wgpu", "cuda" or "cuda:N".
    """

    def __init__(self, weights=None, device="auto"):
        self._native = _native.Restorer(None if weights is None else str(weights), device)

    @property
    def device(self):
        """The device that computes: what "auto" came down to."""
        return self._native.device

    def restore(self, array, strength=1.0, progress=None, *, tile=None, memory=None, self_ensemble=False):
        """The restored photo, of the shape and type of `array`.

        array: uint8, uint16 or float32 (0 to 1), (height, width) or (height, width, channels), 1 to 4 channels,
            sRGB-encoded, alpha last and not multiplied in.
        strength: 0 (as it was) to 1.
        progress: called with (done, total) as the work goes on; False cancels.
        tile: side of the tiles in pixels. memory: bytes that the network may take, 1 GiB unless given.
        self_ensemble: the mean over 8 flips and rotations; better, and 8 times slower.
        """
        array = np.asarray(array)
        dtype = array.dtype.newbyteorder("=")
        if dtype not in _TYPES:
            raise ValueError(f"dtype {array.dtype}: use uint8, uint16 or float32")
        if array.ndim not in (2, 3) or array.ndim == 3 and not 1 <= array.shape[2] <= 4:
            raise ValueError(
                f"shape {array.shape}: use (height, width) or (height, width, channels) with 1 to 4 channels"
            )
        if array.size == 0:
            raise ValueError(f"shape {array.shape} has no pixels")
        if dtype == np.float32 and not np.isfinite(array).all():
            raise ValueError("the array has values that are not finite")
        # The machine's byte order, rows without gaps.
        array = np.ascontiguousarray(array, dtype=dtype)
        result = np.empty_like(array)
        height, width = array.shape[:2]
        channels = array.shape[2] if array.ndim == 3 else 1
        self._native.restore(
            array.reshape(-1).view(np.uint8),
            result.reshape(-1).view(np.uint8),
            (width, height, channels, array.itemsize),
            strength,
            progress,
            tile,
            memory,
            self_ensemble,
        )
        return result


@lru_cache(maxsize=2)
def _restorer(weights, device):
    return Restorer(weights, device)


def restore(array, strength=1.0, device="auto", progress=None, *, weights=None, **options):
    """`Restorer(weights, device).restore(array, strength, progress, **options)`; the network is kept for the next call."""
    return _restorer(None if weights is None else str(weights), device).restore(
        array, strength, progress, **options
    )
