"""That the suite can fail: results that passed are tampered with, and must not pass any more."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

import judge
import metadata
import peers


def run(results, verdicts):
    """Tampers with one result of each kind of outcome; returns what went unnoticed, a line each."""
    unnoticed, tried = [], 0
    first = {}
    for (case, result, said), (_, verdict) in zip(results, verdicts):
        first.setdefault((verdict.outcome, Path(result).suffix), (case, result, said, verdict))
    with tempfile.TemporaryDirectory() as folder:
        for case, result, said, verdict in first.values():
            for name, *tampered in _tampered(case, result, said, verdict, Path(folder)):
                tried += 1
                if judge.judge(*tampered).outcome != judge.FAILED:
                    unnoticed.append(f"{case.name}: {name} passes")
    return unnoticed + _metadata() + ([] if tried else ["nothing was tampered with"])


def _tampered(case, result, said, verdict, folder):
    """(what was done, case, result, what was said)."""
    if verdict.outcome == judge.REFUSED:
        yield "a crash", case, result, ["damaged in a way the program cannot handle; take another file"]
        yield "an unknown reason", case, result, ["no"]
        yield "silence", case, result, []
    if verdict.outcome in (judge.EQUAL, judge.CLOSE):
        samples = peers.result(result).copy()
        # One sample of the corner: alpha where there is one, since what cannot be seen is not compared.
        samples[-1, -1, -1] ^= np.iinfo(samples.dtype).max // 2 + 1
        other = folder / Path(result).name
        if other.suffix == ".png":
            other.write_bytes(imagecodecs.png_encode(samples))
        else:
            tifffile.imwrite(other, samples)
        yield "another pixel", case, str(other), said
        shutil.copy(result, other)
        yield "another size", replace(case, expected=case.expected[:, :-1]), str(other), said
        yield "no result", case, str(folder / "missing.png"), []
        yield "a lost note", replace(case, note="never said"), result, said
        other.write_bytes(Path(result).read_bytes()[:40])
        yield "half a result", case, str(other), said


def _metadata():
    """Each kind of metadata, lost."""
    before = {
        "IFD0:Orientation": 6,
        "XMP-dc:Title": "x",
        "IPTC:City": "Paris",
        "File:Comment": "x",
        "PNG:Title": "x",
        "JFIF:ResolutionUnit": 2,
        "JFIF:XResolution": 300,
        "JFIF:YResolution": 300,
    }
    verdicts = metadata.judge_tags(before, {}, False, [])
    passed = [kind for kind, verdict in verdicts.items() if verdict.outcome != judge.FAILED]
    fine = metadata.judge_tags(before, before, True, [])
    failed = [kind for kind, verdict in fine.items() if verdict.outcome == judge.FAILED]
    return [f"lost {kind} passes" for kind in passed] + [f"kept {kind} fails" for kind in failed]
