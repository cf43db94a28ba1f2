"""Writes the fixtures, or with --check compares new ones with those that are committed."""

import argparse
import json
import pathlib
import struct
import sys

import torch
from safetensors.torch import load

from cases import CASES

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"


def config(data):
    """The metadata's configuration, from a file's header."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(json.loads(data[8:8 + length])["__metadata__"]["config"])


def difference(old, new):
    """What differs between two files, or None. Rounding may differ between processors."""
    if config(old) != config(new):
        return "config"
    old, new = load(old), load(new)
    if old.keys() != new.keys():
        return f"names {sorted(old.keys() ^ new.keys())}"
    for name in old:
        if old[name].shape != new[name].shape:
            return f"shape of {name}"
        if not torch.allclose(old[name], new[name], rtol=1e-5, atol=1e-6):
            return f"{name}: {(old[name] - new[name]).abs().max():.1e}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases; all when none is named")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    failed = False
    for name in arguments.names or CASES:
        data = CASES[name]()
        path = FIXTURES / f"{name}.safetensors"
        if arguments.check:
            found = difference(path.read_bytes(), data)
            failed |= found is not None
            print(name, found or "same")
        else:
            FIXTURES.mkdir(exist_ok=True)
            path.write_bytes(data)
            print(f"{name}: {len(data)} bytes")
    sys.exit(failed)


if __name__ == "__main__":
    main()
