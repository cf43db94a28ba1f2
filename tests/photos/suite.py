"""The differential suite: thousands of files, restored at strength 0, against what other decoders make of them.

Usage: tests/photos/suite [--trainer PROGRAM] [--table] [--keep FOLDER] [--only PATTERN]
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import bmp_cases
import jpeg_cases
import judge
import metadata
import other_cases
import png_cases
import program
import rewritten
import self_test
import tiff_cases
from refusals import REFUSALS

# A result of the input's own format is the input itself at strength 0: to see what was decoded, another one is asked for.
CONVERTED = {".png": "tif"}
TABLES = Path(__file__).parents[2] / "docs" / "FORMATS.md"
HEADING = "## What the differential suite says\n"


def main():
    arguments = argparse.ArgumentParser(usage=__doc__.splitlines()[2])
    arguments.add_argument("--trainer", required=True, help="the program under test")
    arguments.add_argument("--table", action="store_true", help="write the tables into docs/FORMATS.md")
    arguments.add_argument("--keep", type=Path, help="work in this folder, which is new, and leave it")
    arguments.add_argument("--only", help="only files whose name this regular expression finds; no metadata")
    arguments = arguments.parse_args()

    started = time.monotonic()
    modules = (tiff_cases, jpeg_cases, png_cases, bmp_cases, other_cases)
    cases = [case for module in modules for case in module.cases() if re.search(arguments.only or "", case.name)]
    print(f"suite: {len(cases)} files made in {time.monotonic() - started:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.keep or Path(folder)
        results = pixels(arguments.trainer, cases, folder)
        verdicts = [(case, judge.judge(case, result, said)) for case, result, said in results]
        again = rewritten.run(arguments.trainer, cases, folder)
        tagged = [] if arguments.only else metadata.run(arguments.trainer, folder)
        failed = [f"{case.name}: {verdict.reason}" for case, verdict in verdicts if verdict.outcome == judge.FAILED]
        failed += [f"{case.name} again: {verdict.reason}" for case, verdict in again if verdict.outcome == judge.FAILED]
        failed += [
            f"{name} to {route[1]}: {kind}: {verdict.reason}"
            for name, kind, route, verdict in tagged
            if verdict.outcome == judge.FAILED
        ]
        if not arguments.only:
            reasons = {verdict.reason for _, verdict in verdicts}
            failed += [f"refusals.py: nothing was refused for {one.reason!r}" for one in REFUSALS if one.reason not in reasons]
        failed += [f"self-test: {line}" for line in self_test.run(results, verdicts)]
    text = tables(verdicts, again, tagged)
    for line in failed:
        print(f"FAILED {line}")
    print(text)
    if arguments.table and not arguments.only:
        before = TABLES.read_text().split(HEADING)[0] if TABLES.exists() else "# Formats\n\n"
        TABLES.write_text(before + HEADING + "\n" + text + "\n")
    print(f"suite: {time.monotonic() - started:.0f} s")
    print(f"suite: {len(verdicts) + len(again) + len(tagged) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def pixels(trainer, cases, folder):
    """Has all cases decoded by the program: (case, path of its result, what was said of it)."""
    files, out = folder / "files", folder / "out"
    files.mkdir(parents=True)
    groups = defaultdict(list)
    for case in cases:
        (files / case.name).write_bytes(case.data)
        groups[CONVERTED.get(Path(case.name).suffix, "png")].append(case)
    results = []
    for kind, group in groups.items():
        paths = [str(files / case.name) for case in group]
        said = program.restore(trainer, paths, out / kind, "--strength", "0", "--format", kind)
        for case in group:
            results.append((case, str((out / kind / case.name).with_suffix(f".{kind}")), said[case.name]))
    return results


def tables(verdicts, again, tagged):
    """All outcomes in Markdown."""
    text = (
        "Made by `tests/photos/suite --table`. Pixels are compared with those of tifffile and imagecodecs (TIFF),\n"
        "libjpeg-turbo's djpeg (JPEG), libpng (PNG), libjxl (JPEG XL) and Pillow (the others). Within tolerance: JPEG by\n"
        "1 of 255, also inside of TIFF, which its standard allows for the rounding of the cosine transform; Lab by 4 of Little CMS, which takes it through a table;\n"
        "lossy WebP by 1 and JPEG XL by 2; colours that were divided by alpha or made of ink by 1; floats and samples of\n"
        "12 and 32 bits by half a step of 16 bits, from rounding. A refusal counts only with a reason from the list in\n"
        "`tests/photos/refusals.py`.\n\n"
        + outcomes([(case.kind, verdict) for case, verdict in verdicts])
    )
    if again:
        text += "\n\nWritten again in the same format after almost no restoration:\n\n"
        text += outcomes([(case.kind, verdict) for case, verdict in again])
    if tagged:
        text += "\n\nMetadata, by ExifTool's listing of a file and of its result:\n\n" + metadata.table(tagged)
    return text


def outcomes(verdicts):
    """The outcomes by kind of file."""
    rows, reasons = defaultdict(Counter), defaultdict(Counter)
    for kind, verdict in verdicts:
        rows[kind][verdict.outcome] += 1
        if verdict.outcome == judge.REFUSED:
            reasons[kind][verdict.reason] += 1
    lines = ["| kind | files | equal | within tolerance | refused | failed |", "| --- | ---: | ---: | ---: | --- | ---: |"]
    for kind, counts in rows.items():
        why = ", ".join(f"{count}: {reason}" for reason, count in reasons[kind].items()) or "0"
        lines.append(f"| {kind} | {_numbers(counts, why)} |")
    total = sum(rows.values(), Counter())
    lines.append(f"| all | {_numbers(total, total[judge.REFUSED])} |")
    return "\n".join(lines)


def _numbers(counts, refused):
    return " | ".join(map(str, (counts.total(), counts[judge.EQUAL], counts[judge.CLOSE], refused, counts[judge.FAILED])))


if __name__ == "__main__":
    sys.exit(main())
