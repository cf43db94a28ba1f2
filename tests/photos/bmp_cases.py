"""BMP: bits, palettes, run lengths, headers, rows from the bottom and from the top."""

import itertools
import struct

import numpy as np

import peers
import rules
from case import Case
from pictures import cut_out, grain, integers

SIZES = [(37, 29), (1, 1), (16, 16), (5, 50), (64, 33)]
PLAIN, RLE8, BITFIELDS = 0, 1, 3


def cases():
    """All of them."""
    for bits, size, downwards in itertools.product((1, 4, 8), SIZES, (False, True)):
        colours = np.random.default_rng(bits).integers(0, 256, (2**bits, 3)).astype(np.uint8)
        indices = integers(grain(*size, 1), bits)[..., 0]
        data = _file(_rows(indices, bits), size, bits, PLAIN, downwards, colours)
        yield _case(f"palette-{bits}", size, downwards, data, colours[indices])
    for size in SIZES:
        colours = np.random.default_rng(8).integers(0, 256, (256, 3)).astype(np.uint8)
        indices = integers(grain(*size, 1), 8)[..., 0] // 64
        data = _file(_run_lengths(indices[::-1]), size, 8, RLE8, False, colours)
        yield _case("run-lengths", size, False, data, colours[indices])
    for (name, widths), size, downwards in itertools.product({"555": (5, 5, 5), "565": (5, 6, 5)}.items(), SIZES, (False, True)):
        parts = [integers(grain(*size, 3), width)[..., at].astype(np.uint16) for at, width in enumerate(widths)]
        red, green, blue = parts
        pixels = (red << (widths[1] + 5)) | (green << 5) | blue
        masks = None if name == "555" else struct.pack("<3L", 0xF800, 0x07E0, 0x001F)
        rows = [row.astype("<u2").tobytes() for row in pixels]
        data = _file(rows, size, 16, PLAIN if masks is None else BITFIELDS, downwards, masks=masks)
        # 5 and 6 bits are spread over 8; some repeat the upper bits, which is the same within 1.
        expected = np.stack([rules.scaled(part, width) for part, width in zip(parts, widths)], axis=-1)
        yield _case(f"16-{name}", size, downwards, data, expected, 1)
    for bits, size, downwards in itertools.product((24, 32), SIZES, (False, True)):
        picture = integers(grain(*size, 3), 8)
        stored = picture[..., ::-1]
        if bits == 32:
            # The fourth byte means nothing here.
            stored = np.concatenate([stored, np.zeros_like(stored[..., :1])], axis=-1)
        data = _file([row.tobytes() for row in stored], size, bits, PLAIN, downwards)
        yield _case(str(bits), size, downwards, data, picture)
    for size in SIZES:
        picture = integers(cut_out(grain(*size, 4)), 8)
        masks = struct.pack("<4L", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
        rows = [row.tobytes() for row in picture[..., [2, 1, 0, 3]]]
        yield _case("alpha", size, False, _file(rows, size, 32, BITFIELDS, False, masks=masks, header=108), picture)


def _case(name, size, downwards, data, expected, tolerance=0):
    theirs = peers.pillow_samples(data, "RGBA" if expected.shape[2] == 4 else "RGB")
    if np.abs(theirs.astype(int) - expected).max() > (8 if tolerance else 0):
        raise AssertionError(f"bmp {name} {size}: Pillow reads another picture than was written")
    name = f"bmp-{name}-{size[0]}x{size[1]}{'-downwards' if downwards else ''}.bmp"
    return Case(name, "BMP", data, expected, tolerance)


def _file(rows, size, bits, compression, downwards, colours=None, masks=b"", header=40):
    masks = masks or b""
    if isinstance(rows, bytes):
        pixels = rows
    else:
        rows = [row + bytes(-len(row) % 4) for row in rows]
        pixels = b"".join(rows if downwards else rows[::-1])
    table = b"" if colours is None else np.pad(colours[:, ::-1], ((0, 0), (0, 1))).tobytes()
    width, height = size
    head = struct.pack("<LllHHLLllLL", header, width, -height if downwards else height, 1, bits, compression, len(pixels), 2835, 2835, 0, 0)
    start = 14 + len(head) + len(masks) + len(table)
    return b"BM" + struct.pack("<LLL", start + len(pixels), 0, start) + head + masks + table + pixels


def _rows(indices, bits):
    taken = (indices[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in taken]


def _run_lengths(indices):
    """Runs of one index, and stretches of many that are padded to whole words."""
    out = b""
    for y, row in enumerate(indices):
        at = 0
        while at < len(row):
            run = 1
            while at + run < len(row) and run < 255 and row[at + run] == row[at]:
                run += 1
            stretch = row[at : at + 5]
            if run == 1 and len(stretch) >= 3:
                out += bytes([0, len(stretch)]) + stretch.tobytes() + bytes(len(stretch) % 2)
                at += len(stretch)
            else:
                out += bytes([run, row[at]])
                at += run
        out += b"\0\0" if y < len(indices) - 1 else b"\0\1"
    return out
