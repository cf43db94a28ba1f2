"""PNG: every colour type and depth, plain and interlaced, with and without transparency, and what chunks say of colour."""

import itertools
import struct
import zlib

import numpy as np

import peers
import png_file as png
import profiles
import rules
from case import Case
from pictures import cut_out, grain, integers

NAMES = {png.GREY: "grey", png.RGB: "RGB", png.PALETTE: "palette", png.GREY_ALPHA: "grey + alpha", png.RGBA: "RGB + alpha"}
SIZES = [(37, 29), (1, 1), (5, 3), (8, 8), (3, 17)]
CHROMATICITIES = struct.pack(">8L", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
COLOURS = {
    "gamma": [(b"gAMA", struct.pack(">L", 45455))],
    "gamma-linear": [(b"gAMA", struct.pack(">L", 100000))],
    "gamma-primaries": [(b"gAMA", struct.pack(">L", 45455)), (b"cHRM", CHROMATICITIES)],
    "primaries": [(b"cHRM", CHROMATICITIES)],
    "srgb": [(b"sRGB", b"\0")],
    "srgb-gamma": [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">L", 45455))],
    "profile": [(b"iCCP", b"sRGB\0\0" + zlib.compress(profiles.SRGB))],
    "code-points": [(b"cICP", bytes([1, 13, 0, 1]))],
    "significant-bits": [(b"sBIT", None)],
}
ALL = [(colour, depth) for colour, depths in png.DEPTHS.items() for depth in depths]


def cases():
    """All of them."""
    for (colour, depth), interlaced, size, cut in itertools.product(ALL, (False, True), SIZES, (False, True)):
        if cut and colour in (png.GREY_ALPHA, png.RGBA):
            continue
        name = f"{colour}-{depth}{'-interlaced' if interlaced else ''}{'-transparent' if cut else ''}-{size[0]}x{size[1]}"
        yield _case(name, colour, depth, size, cut, interlaced=interlaced)
    for (colour, depth), (name, chunks) in itertools.product(ALL, COLOURS.items()):
        yield _case(f"{colour}-{depth}-{name}", colour, depth, before=[_sized(chunk, colour, depth) for chunk in chunks])
    for (colour, depth), (level, piece) in itertools.product(ALL, [(0, 100), (1, 1), (9, 1 << 20)]):
        yield _case(f"{colour}-{depth}-level{level}-pieces{piece}", colour, depth, level=level, piece=piece)
    yield from _refused()


def _case(name, colour, depth, size=(37, 29), cut=False, **options):
    data, expected = picture(colour, depth, size, cut, **options)
    if not np.array_equal(peers.libpng_samples(data), expected):
        raise AssertionError(f"{name}: libpng reads another picture than was written")
    return Case(f"png-{name}.png", f"PNG {NAMES[colour]}", data, expected)


def picture(colour, depth, size=(37, 29), cut=False, **options):
    """A file and its picture; `cut`: with a transparent colour, or with transparency in its palette."""
    base = grain(*size, png.CHANNELS[colour])
    if colour in (png.GREY_ALPHA, png.RGBA):
        base = cut_out(base)
    samples = integers(base, depth)
    expected = rules.scaled(samples, depth)
    if colour == png.PALETTE:
        colours = np.random.default_rng(depth).integers(0, 256, (2**depth, 3))
        expected = colours[samples[..., 0]].astype(np.uint8)
        options["palette"] = colours
        if cut:
            # Shorter than the palette: the rest is opaque.
            alphas = np.linspace(0, 250, 2 ** (depth - 1)).astype(np.uint8)
            every = np.concatenate([alphas, np.full(2**depth - len(alphas), 255, np.uint8)])
            expected = np.concatenate([expected, every[samples]], axis=-1)
            options["transparent"] = alphas.tobytes()
    elif cut:
        middle = samples[size[1] // 2, size[0] // 2]
        options["transparent"] = struct.pack(f">{len(middle)}H", *middle)
        top = np.iinfo(expected.dtype).max
        alpha = np.where((samples == middle).all(axis=-1, keepdims=True), 0, top).astype(expected.dtype)
        expected = np.concatenate([expected, alpha], axis=-1)
    return png.write(samples, colour, depth, **options), expected


def _sized(chunk, colour, depth):
    """Chunks whose length follows the colour type."""
    kind, data = chunk
    if kind == b"sBIT":
        data = bytes([min(depth, 5)]) * (3 if colour == png.PALETTE else png.CHANNELS[colour])
    if kind == b"iCCP" and colour in (png.GREY, png.GREY_ALPHA):
        data = b"grey\0\0" + zlib.compress(profiles.grey())
    return kind, data


def _refused():
    data, _ = picture(png.RGB, 8)
    body = data.index(b"IDAT") + 20
    control = struct.pack(">LL", 2, 0)
    animated, _ = picture(png.RGB, 8, before=[(b"acTL", control), (b"fcTL", struct.pack(">5LHHBB", 0, 37, 29, 0, 0, 1, 10, 0, 0))])
    for name, bytes_ in {
        "cut": data[: len(data) // 2],
        "bit-flipped": data[:body] + bytes([data[body] ^ 16]) + data[body + 1 :],
        "no-pixels": data[: data.index(b"IDAT") - 4],
        "animated": animated,
    }.items():
        yield Case(f"png-refused-{name}.png", "PNG damaged or animated", bytes_, None)
