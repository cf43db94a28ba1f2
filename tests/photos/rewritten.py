"""Whether pixels come out of the program's own writers as they went in: the same format, restored by almost nothing."""

import re
from pathlib import Path

import numpy as np

import judge
import peers
import program
import rules

# Nothing that can be seen, and yet no strength of 0, at which the result is a copy of the file.
ALMOST_NOTHING = "0.000001"
# One file of each kind of pixel that a format can hold.
CHOSEN = re.compile(
    r"^png-\d-\d+(-transparent)?-37x29\.png"
    r"|^webp-lossless-(alpha-)?37x29\.webp"
    r"|^tiff-(?!CMYK).*-(8|16)-lzw-predicted-planar-tiles-(le|be)"
    r"|^tiff-grey.*-(8|16)-lzw-predicted-pixels-tiles-(le|be)"
    r"|^tiff-.*-float(16|32)-5-predictor3-planar1-tiles-le"
)


def run(trainer, cases, folder):
    """(case, path of the result, what was said of it, verdict) of each."""
    chosen = [case for case in cases if CHOSEN.search(case.name)]
    files, out = folder / "files", folder / "again"
    said = program.restore(trainer, [str(files / case.name) for case in chosen], out, "--strength", ALMOST_NOTHING)
    return [(case, _judge(case, out / case.name, said[case.name])) for case in chosen]


def _judge(case, result, said):
    if not result.exists():
        return judge.Verdict(judge.FAILED, f"no result: {said}")
    # TIFF stays as it was stored: with its extra channels, multiplied by alpha.
    wanted = peers.tifffile_samples(case.data) if result.suffix == ".tif" else case.expected
    if "white-is-0" in case.name:
        # The one thing that is written otherwise: black is 0.
        wanted = rules.inverted(wanted)
    found = peers.result(result)
    if np.issubdtype(found.dtype, np.floating):
        worst = 255 * float(np.abs(found.astype(np.float64) - wanted).max())
        why = f"is {found.shape}, not {wanted.shape}" if found.shape != wanted.shape else None
    else:
        worst, why = judge.difference(found, wanted)
    # Divided by alpha and multiplied again; a millionth of a restoration moves floats, and may turn a 16-bit number.
    allowed = 1 if "premultiplied" in case.name else 1 / 128
    if why or worst > allowed:
        return judge.Verdict(judge.FAILED, why or f"differs by {worst:.3g} of 255")
    return judge.Verdict(judge.EQUAL if worst == 0 else judge.CLOSE)
