"""What became of a case: equal, within tolerance, refused with a listed reason; anything else is a failure."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import peers
import refusals

EQUAL, CLOSE, REFUSED, FAILED = "equal", "within tolerance", "refused", "failed"
# No file may make the program stumble, whatever it says about that.
STUMBLES = r"panick|error in the program|decoder failed|cannot handle|report it"


@dataclass(frozen=True)
class Verdict:
    """How a case ended, and why."""

    outcome: str
    reason: str = ""


def judge(case, result, said):
    """Judges a case by its result's path, which may not exist, and by what was said of it on standard error."""
    exists = Path(result).exists()
    for line in said:
        if re.search(STUMBLES, line):
            return Verdict(FAILED, f"the program stumbled: {line}")
    if not exists:
        # Notes may stand before the reason.
        reason = next(filter(None, (refusals.reason(case.name, line) for line in said)), None)
        if reason:
            return Verdict(REFUSED, reason)
        return Verdict(FAILED, f"refused: {said[-1]}" if said else "no result, and no word why")
    if case.expected is None:
        return Verdict(FAILED, "a result where nothing can be known of the picture")
    try:
        samples = peers.result(result)
    except peers.Unreadable as error:
        return Verdict(FAILED, f"the result cannot be read: {error}")
    worst, why = difference(samples, case.expected)
    if why:
        return Verdict(FAILED, why)
    if worst > case.tolerance:
        return Verdict(FAILED, f"differs by {worst:.3g} of 255, allowed {case.tolerance:.3g}")
    if case.note and not any(re.search(case.note, line, re.IGNORECASE) for line in said):
        return Verdict(FAILED, f"nothing was said of /{case.note}/; said: {said}")
    return Verdict(EQUAL if worst == 0 else CLOSE)


def difference(ours, theirs):
    """The largest difference in steps of 8 bits, and what makes the two no match at all."""
    if ours.shape != theirs.shape:
        return None, f"is {_shape(ours)}, not {_shape(theirs)}"
    if ours.dtype != theirs.dtype:
        return None, f"has samples of {ours.dtype}, not {theirs.dtype}"
    ours, theirs, top = ours.astype(np.float64), theirs.astype(np.float64), np.iinfo(ours.dtype).max
    if ours.shape[2] in (2, 4):
        # What cannot be seen need not agree.
        hidden = (theirs[..., -1:] == 0) & (ours[..., -1:] == 0)
        ours, theirs = np.where(hidden, 0, ours), np.where(hidden, 0, theirs)
    return float(np.abs(ours - theirs).max(initial=0) / (top / 255)), None


def _shape(samples):
    height, width, channels = samples.shape
    return f"{width} x {height} of {channels} channels"
