"""Runs the program on many files in few processes."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# One for each core of the smallest machine that the tests run on.
PROCESSES = 2


def restore(trainer, files, out, *options):
    """Restores files into a folder; returns what was said of each, by the file's name, without that name."""
    groups = [files[start::PROCESSES] for start in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = list(pool.map(lambda group: _run(trainer, group, out, options), groups))
    said = {Path(file).name: [] for file in files}
    for run in runs:
        for line in run.splitlines():
            found = re.match(r"(?:trainer: )?(.+?\.\w+): (.*)", line)
            name = Path(found[1]).name if found else None
            if name in said:
                said[name].append(found[2])
            elif not line.startswith("device: "):
                raise RuntimeError(f"the program said something of no file: {line}")
    return said


def _run(trainer, files, out, options):
    if not files:
        return ""
    # With a trace asked for, a panic says more than its line.
    quiet = {name: value for name, value in os.environ.items() if name != "RUST_BACKTRACE"}
    command = [trainer, "restore", *files, "-o", f"{out}/", *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=quiet)
    # 1 where a file failed, which is said with the program's name in front; any other end is a fault of its own.
    failed = any(line.startswith("trainer: ") for line in done.stderr.splitlines())
    if done.returncode != int(failed):
        raise RuntimeError(f"the program ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stderr
