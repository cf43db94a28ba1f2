"""Blind photo restoration for NumPy arrays."""

from difflib import get_close_matches
from functools import lru_cache

import numpy as np

from . import _native

__all__ = ["Restorer", "Cancelled", "diagnose", "restore", "restore_with_uncertainty", "__version__"]
__version__ = _native.__version__
Cancelled = _native.Cancelled

_FAULTS = ("noise", "blur", "rain", "haze", "jpeg")
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

    def restore(
        self,
        array,
        strength=1.0,
        progress=None,
        *,
        tile=None,
        memory=None,
        self_ensemble=False,
        only=None,
        removal=None,
        icc=None,
    ):
        """The restored photo, of the shape and type of `array`.

        array: uint8, uint16 or float32 (0 to 1), (height, width) or (height, width, channels), 1 to 4 channels,
            sRGB-encoded unless icc says otherwise, alpha last and not multiplied in.
        strength: 0 (as it was) to 1.
        progress: called with (done, total) as the work goes on; False cancels.
        tile: side of the tiles in pixels. memory: bytes that a restoration may take, 1 GiB unless given.
        self_ensemble: the mean over 8 flips and rotations; better, and 8 times slower.
        only: the faults to remove, such as ["haze"]; all others stay. All are removed unless given.
        removal: how much of a fault to remove, 0 (it stays) to 1, such as {"noise": 0.6}; all of those not named.
            The faults: "noise", "blur", "rain", "haze", "jpeg".
        icc: the bytes of the photo's ICC profile, such as Pillow's image.info.get("icc_profile"); the result is in the same.
            Curves and a matrix, as of Adobe RGB or Display P3, or one curve for grey; ValueError for any other.
        """
        shares = _shares(only, removal or {})
        return self._restored(array, None, strength, progress, tile, memory, self_ensemble, shares, icc)

    def restore_with_uncertainty(
        self,
        array,
        strength=1.0,
        progress=None,
        *,
        tile=None,
        memory=None,
        self_ensemble=False,
        only=None,
        removal=None,
        icc=None,
    ):
        """The restored photo, and how far off each of its pixels may be: (photo, errors).

        errors: float32 of shape (height, width): the expected absolute error of the pixel, mean over red, green and blue, of a
            range of 0 to 1 whatever the type of `array` (0.02 is about five of 255); 0 where alpha hides the pixel. They are
            those of the network's own result: strength, only and removal do not change them.
        All else is as restore has it. ValueError if nothing is to be restored, or the weights cannot tell.
        """
        shares = _shares(only, removal or {})
        array = _checked(array)
        errors = np.empty(array.shape[:2], np.float32)
        result = self._restored(array, errors, strength, progress, tile, memory, self_ensemble, shares, icc)
        return result, errors

    def _restored(self, array, errors, strength, progress, tile, memory, self_ensemble, shares, icc):
        array = _checked(array)
        result = np.empty_like(array)
        self._native.restore(
            array.reshape(-1).view(np.uint8),
            result.reshape(-1).view(np.uint8),
            _shape(array),
            strength,
            progress,
            tile,
            memory,
            self_ensemble,
            shares,
            icc,
            None if errors is None else errors.reshape(-1),
        )
        return result

    def diagnose(self, array, *, icc=None):
        """What is wrong with a photo, nothing restored: {"faults": {...}, "confidence": {...}, "fine": bool}.

        faults: "noise" (sigma of 0 to 255), "blur" (sigma in pixels), "rain" and "haze" (0 to 1), "jpeg" (quality, 100: none).
        confidence: the chance, 0 to 1, that each is about right. fine: nothing is wrong that would be worth a restoration.
        """
        array = _checked(array)
        faults, confidence, fine = self._native.diagnose(array.reshape(-1).view(np.uint8), _shape(array), icc)
        return {"faults": faults, "confidence": confidence, "fine": fine}


def _shares(only, removal):
    """How much of each fault is removed."""
    only = [only] if isinstance(only, str) else list(_FAULTS if only is None else only)
    for name in [*only, *removal]:
        if name not in _FAULTS:
            near = get_close_matches(str(name), _FAULTS, 1)
            raise ValueError(f"no fault {name!r}: " + (f"did you mean {near[0]!r}?" if near else f"use {', '.join(_FAULTS)}"))
    kept = [name for name in removal if name not in only]
    if kept:
        raise ValueError(f"only keeps {kept[0]!r}, removal takes it away: leave one of them out")
    return [float(removal.get(name, 1.0)) if name in only else 0.0 for name in _FAULTS]


def _checked(array):
    """The array as the native side takes it."""
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
    return array


def _shape(array):
    height, width = array.shape[:2]
    return width, height, array.shape[2] if array.ndim == 3 else 1, array.itemsize


@lru_cache(maxsize=2)
def _restorer(weights, device):
    return Restorer(weights, device)


def restore(array, strength=1.0, device="auto", progress=None, *, weights=None, **options):
    """`Restorer(weights, device).restore(array, strength, progress, **options)`; the network is kept for the next call."""
    return _restorer(None if weights is None else str(weights), device).restore(
        array, strength, progress, **options
    )


def restore_with_uncertainty(array, strength=1.0, device="auto", progress=None, *, weights=None, **options):
    """`Restorer(weights, device).restore_with_uncertainty(array, strength, progress, **options)`; the network is kept for the
    next call."""
    return _restorer(None if weights is None else str(weights), device).restore_with_uncertainty(
        array, strength, progress, **options
    )


def diagnose(array, device="auto", *, weights=None, icc=None):
    """`Restorer(weights, device).diagnose(array, icc=icc)`; the network is kept for the next call."""
    return _restorer(None if weights is None else str(weights), device).diagnose(array, icc=icc)
