"""Whether metadata survive, by ExifTool's listing: kept, or said to be lost where the new format has no place for them."""

import io
import json
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

import judge
import metadata_cases
import peers
import program
import rewritten

# How pixels are stored, and what ExifTool derives from other tags or adds itself: not metadata of the photo.
STRUCTURE = set(
    """ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation StripOffsets StripByteCounts RowsPerStrip
    SamplesPerPixel PlanarConfiguration Predictor ExtraSamples SampleFormat SubfileType TileWidth TileLength TileOffsets
    TileByteCounts YCbCrPositioning YCbCrSubSampling ExifImageWidth ExifImageHeight ExifVersion FlashpixVersion ColorSpace
    ComponentsConfiguration GPSVersionID XMPToolkit ThumbnailOffset ThumbnailLength XResolution YResolution ResolutionUnit
    CodedCharacterSet ApplicationRecordVersion EnvelopeRecordVersion FillOrder""".split()
)

# Groups of ExifTool's that make a kind of metadata, and whether it has a place in every format; the note where not.
KINDS = {
    "EXIF": (r"IFD0|ExifIFD|GPS|InteropIFD", None),
    "XMP": (r"XMP-.*", None),
    "IPTC": (r"IPTC", "IPTC"),
    "comment": (r"File:Comment", "comment"),
    "texts": (r"PNG", "text"),
}


NAMES = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WebP"}


def run(trainer, folder):
    """Writes files with metadata, has each restored as each format, and judges what is left: (name, kind, route, verdict)."""
    files = folder / "tagged"
    tagged = metadata_cases.write(files)
    before = listing(files)
    verdicts = []
    for target in metadata_cases.FORMATS:
        out = folder / "as" / target
        said = {}
        for same in (False, True):
            group = [str(files / one.name) for one in tagged if one.name.endswith(f".{target}") == same]
            # Names that differ in their extension only would meet in one folder.
            by_source = defaultdict(list)
            for path in group:
                by_source[Path(path).suffix[1:]].append(path)
            for source, paths in by_source.items():
                strength = rewritten.ALMOST_NOTHING if same else "0"
                said |= program.restore(trainer, paths, out / source, "--strength", strength, "--format", target)
        for source in metadata_cases.FORMATS:
            after = listing(out / source)
            for one in tagged:
                if not one.name.endswith(f".{source}"):
                    continue
                result = (out / source / one.name).with_suffix(f".{target}")
                route = (source, target)
                if not result.exists():
                    verdicts.append((one.name, "file", route, judge.Verdict(judge.FAILED, f"refused: {said[one.name]}")))
                    continue
                found = judge_tags(before[one.name], after[result.name], source == target, said[one.name])
                found |= judge_file(one, files / one.name, result, said[one.name])
                verdicts += [(one.name, kind, route, verdict) for kind, verdict in found.items()]
    return verdicts


def listing(folder):
    """All that ExifTool finds in the files of a folder, by their names."""
    command = ["exiftool", "-j", "-G1", "-a", "-n", "-charset", "iptc=UTF8", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    return {Path(found["SourceFile"]).name: found for found in json.loads(done.stdout or "[]")}


def judge_file(tagged, before, after, said):
    """Verdicts on what is compared as it is: pixels, the profile's bytes, a thumbnail."""
    verdicts = {}
    lossy = after.suffix == ".jpg" or before.suffix == ".jpg"
    pictures = [peers.upright_samples(path.read_bytes()) for path in (after, before)]
    if after.suffix == ".webp" and pictures[1].shape[2] == 1:
        # WebP stores grey as colours.
        pictures[1] = np.repeat(pictures[1], 3, axis=2)
    worst, why = judge.difference(*pictures)
    fine = not why and worst <= (8 if after.suffix == ".jpg" else 4 if lossy else 0)
    verdicts["pixels"] = judge.Verdict(judge.EQUAL) if fine else judge.Verdict(judge.FAILED, why or f"differ by {worst}")
    wanted, found = (Image.open(io.BytesIO(path.read_bytes())).info.get("icc_profile") for path in (before, after))
    if wanted:
        fits = (wanted[16:20] == b"GRAY") == (pictures[0].shape[2] < 3)
        if fits and wanted == found:
            verdicts["profile"] = judge.Verdict(judge.EQUAL)
        elif not fits and not found and any("profile" in line for line in said):
            verdicts["profile"] = judge.Verdict(judge.REFUSED)
        else:
            verdicts["profile"] = judge.Verdict(judge.FAILED, "the profile is another, or gone, or for other channels")
    if tagged.outdated:
        stale = tagged.outdated in after.read_bytes()
        verdicts["thumbnail"] = judge.Verdict(judge.FAILED, "the old thumbnail is still there") if stale else judge.Verdict(judge.EQUAL)
    return verdicts


def judge_tags(before, after, same_format, said):
    """A verdict on each kind of metadata that was there."""
    verdicts = {}
    for kind, (groups, note) in KINDS.items():
        there = _tags(before, groups)
        if not there:
            continue
        now = _tags(after, groups)
        lost = sorted(tag for tag, value in there.items() if now.get(tag) != value)
        if not lost:
            verdicts[kind] = judge.Verdict(judge.EQUAL)
        elif note and not same_format and any(re.search(note, line, re.IGNORECASE) for line in said):
            verdicts[kind] = judge.Verdict(judge.REFUSED, "lost, and said")
        else:
            changes = ", ".join(f"{tag} {there[tag]!r} -> {now.get(tag)!r}" for tag in lost[:3])
            verdicts[kind] = judge.Verdict(judge.FAILED, f"{len(lost)} of {len(there)} lost without a note: {changes}")
    warning = after.get("ExifTool:Warning")
    if warning != before.get("ExifTool:Warning"):
        verdicts["soundness"] = judge.Verdict(judge.FAILED, f"ExifTool warns: {warning}")
    wanted, found = _resolution(before), _resolution(after)
    if wanted:
        kept = found and all(abs(one - other) <= 0.5 for one, other in zip(wanted, found))
        outcome = judge.Verdict(judge.EQUAL) if kept else judge.Verdict(judge.FAILED, f"{wanted} -> {found} dots per inch")
        verdicts["resolution"] = outcome
    return verdicts


def _tags(found, groups):
    tags = {}
    for key, value in found.items():
        group, _, name = key.partition(":")
        if (re.fullmatch(groups, group) or re.fullmatch(groups, key)) and name not in STRUCTURE:
            if group == "PNG" and name not in ("Title", "Author", "Software", "Description"):
                continue
            tags[key] = value
    return tags


def _resolution(found):
    """Dots per inch, from wherever a format says them; None where it says nothing."""
    if found.get("PNG-pHYs:PixelUnits") == 1:
        return tuple(found[f"PNG-pHYs:PixelsPerUnit{axis}"] * 0.0254 for axis in "XY")
    for group, inch, centimetre in (("JFIF", 1, 2), ("IFD0", 2, 3)):
        unit = found.get(f"{group}:ResolutionUnit")
        x, y = found.get(f"{group}:XResolution"), found.get(f"{group}:YResolution")
        if unit in (inch, centimetre) and x:
            scale = 2.54 if unit == centimetre else 1
            return (x * scale, y * scale)
    return None


def table(verdicts):
    """What is kept on each way from format to format, in Markdown."""
    kinds = list(dict.fromkeys(kind for _, kind, _, _ in verdicts))
    rows = defaultdict(Counter)
    for _, kind, (source, target), verdict in verdicts:
        rows[kind, "the same format" if source == target else f"another format, {NAMES[target]}"][verdict.outcome] += 1
    routes = ["the same format"] + [f"another format, {name}" for name in NAMES.values()]
    lines = ["| what | " + " | ".join(routes) + " |", "| --- |" + " --- |" * len(routes)]
    words = {judge.EQUAL: "kept", judge.REFUSED: "lost, and said", judge.FAILED: "FAILED"}
    for kind in kinds:
        cells = [", ".join(f"{count} {words[outcome]}" for outcome, count in rows[kind, route].items()) or "-" for route in routes]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
