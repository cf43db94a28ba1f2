"""Writes PNG files of any colour type, depth and order of rows."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# Adam7: first row and column of each pass, and the steps between.
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def write(samples, colour, depth, interlaced=False, before=(), after=(), palette=None, transparent=None, level=6, piece=1 << 20):
    """The bytes of a file; `before` and `after` the pixels stand more chunks, (type, data)."""
    height, width, _ = samples.shape
    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), *before]
    if palette is not None:
        chunks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
    if transparent is not None:
        chunks.append((b"tRNS", transparent))
    passes = PASSES if interlaced else [(0, 0, 1, 1)]
    rows = b"".join(_filtered(samples[top::down, left::across], depth) for top, left, down, across in passes)
    packed = zlib.compress(rows, level)
    chunks += [(b"IDAT", packed[at : at + piece]) for at in range(0, len(packed), piece)]
    chunks += [*after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def chunk(kind, data):
    """A chunk with its length and its checksum."""
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _filtered(samples, depth):
    """Rows as bytes, each by the next of the five filters."""
    height, width, count = samples.shape
    if not width:
        return b""
    out, above = b"", None
    step = max(1, depth * count // 8)
    for y in range(height):
        row = _packed(samples[y].ravel(), depth).astype(np.int32)
        above = np.zeros_like(row) if above is None else above
        left = np.concatenate([np.zeros(step, np.int32), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, np.int32), above])[: len(row)]
        guess = [0, left, above, (left + above) // 2, _paeth(left, above, corner)][y % 5]
        out += bytes([y % 5]) + ((row - guess) & 255).astype(np.uint8).tobytes()
        above = row
    return out


def _paeth(left, above, corner):
    slope = left + above - corner
    to_left, to_above, to_corner = abs(slope - left), abs(slope - above), abs(slope - corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner))


def _packed(samples, depth):
    if depth == 16:
        return np.frombuffer(samples.astype(">u2").tobytes(), np.uint8)
    if depth == 8:
        return samples.astype(np.uint8)
    bits = (samples[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.ravel().astype(np.uint8))
