"""TIFF: every way to lay samples out, times every way to pack them."""

import io
import itertools
from dataclasses import dataclass, replace

import numpy as np
import tifffile
from PIL import Image

import peers
import rules
import tiff_file as tiff
from case import Case
from pictures import cut_out, grain, integers, waves

MORE_CHANNELS = "channel"
ORDERS = {"<": "le", ">": "be"}
PACKINGS = {
    "none": (tiff.NONE, 1),
    "lzw": (tiff.LZW, 1),
    "lzw-predicted": (tiff.LZW, 2),
    "deflate": (tiff.DEFLATE, 1),
    "deflate-predicted": (tiff.DEFLATE, 2),
    "packbits": (tiff.PACKBITS, 1),
    "zstd": (tiff.ZSTD, 1),
    "zstd-predicted": (tiff.ZSTD, 2),
}


@dataclass(frozen=True)
class Layout:
    """What the samples of a pixel mean."""

    name: str
    photometric: int
    # Samples of a pixel without extra ones.
    colours: int
    extra: tuple = ()

    @property
    def kind(self):
        return f"TIFF {self.name}"

    @property
    def alpha(self):
        """Which of the samples is alpha, and whether colours are multiplied by it."""
        for at, meaning in enumerate(self.extra):
            if meaning != tiff.UNSPECIFIED:
                return self.colours + at, meaning == tiff.ASSOCIATED
        return None, False

    @property
    def note(self):
        """Samples beside colours and one alpha are left out, and that is said."""
        spare = len(self.extra) - (self.alpha[0] is not None)
        return MORE_CHANNELS if spare else None

    def picture(self, base):
        """A picture with all its samples, in [0, 1]: alpha a cut-out, colours multiplied where they are so."""
        at, multiply = self.alpha
        if at is None:
            return base
        shape = cut_out(base[..., [at]])
        base = base.copy()
        base[..., [at]] = shape
        if multiply:
            base[..., : self.colours] *= shape
        return base

    def expected(self, samples, bits):
        """The photo that these samples are."""
        samples = rules.scaled(samples, bits)
        colours = samples[..., : self.colours]
        if self.photometric == tiff.WHITE_IS_ZERO:
            colours = rules.inverted(colours)
        if self.photometric == tiff.CMYK:
            colours = rules.from_ink(colours)
        at, multiplied = self.alpha
        if at is None:
            return colours
        photo = np.concatenate([colours, samples[..., [at]]], axis=-1)
        return rules.divided(photo) if multiplied else photo


LAYOUTS = [
    Layout("grey", tiff.BLACK_IS_ZERO, 1),
    Layout("grey, white is 0", tiff.WHITE_IS_ZERO, 1),
    Layout("grey + alpha", tiff.BLACK_IS_ZERO, 1, (tiff.UNASSOCIATED,)),
    Layout("grey + premultiplied alpha", tiff.BLACK_IS_ZERO, 1, (tiff.ASSOCIATED,)),
    Layout("RGB", tiff.RGB, 3),
    Layout("RGB + alpha", tiff.RGB, 3, (tiff.UNASSOCIATED,)),
    Layout("RGB + premultiplied alpha", tiff.RGB, 3, (tiff.ASSOCIATED,)),
    Layout("RGB + mask", tiff.RGB, 3, (tiff.UNSPECIFIED,)),
    Layout("RGB + 2 masks", tiff.RGB, 3, (tiff.UNSPECIFIED, tiff.UNSPECIFIED)),
    Layout("RGB + alpha + mask", tiff.RGB, 3, (tiff.UNASSOCIATED, tiff.UNSPECIFIED)),
    Layout("CMYK", tiff.CMYK, 4),
    Layout("CMYK + spot colour", tiff.CMYK, 4, (tiff.UNSPECIFIED,)),
]
BY_NAME = {layout.name: layout for layout in LAYOUTS}


def cases():
    """All of them."""
    yield from _packed()
    yield from _few_bits()
    yield from _floats()
    yield from _palettes()
    yield from _fax()
    yield from _jpeg()
    yield from _filled_backwards()
    yield from _pages()
    yield from _by_libraries()
    yield from _sparing()
    yield from _uncommon()


def _case(layout, name, page, order="<", big=False, **more):
    """A case of one page, its samples checked against tifffile's."""
    data = tiff.write([page], order, big)
    return _checked(layout, name, page, data, **more)


def _checked(layout, name, page, data, tolerance=None, note=None, at=0):
    theirs = peers.tifffile_samples(data, at)
    lossy = page.compression == tiff.JPEG
    if not lossy and not np.array_equal(theirs, page.samples):
        raise AssertionError(f"{name}: tifffile reads other samples than were written")
    if tolerance is None:
        # Rounding of a division by alpha, of ink's product, of floats.
        exact = not (layout.alpha[1] or layout.photometric == tiff.CMYK or page.sample_format == tiff.FLOAT)
        tolerance = 0 if exact else 1
        if lossy:
            tolerance = 1
    slug = f"{layout.name}-{name}".replace(" + ", "+").replace(", ", "-").replace(" ", "-")
    return Case(f"tiff-{slug}.tif", layout.kind, data, layout.expected(theirs, page.bits), tolerance, note or layout.note)


def _page(layout, bits, **more):
    base = layout.picture(grain(channels=layout.colours + len(layout.extra)))
    samples = integers(base, bits)
    if layout.alpha[1]:
        # Rounded colours may not be above their alpha.
        samples[..., : layout.colours] = np.minimum(samples[..., : layout.colours], samples[..., [layout.alpha[0]]])
    return tiff.Page(samples, layout.photometric, bits, extra=layout.extra, **more)


def _packed():
    """8 and 16 bits: the full product."""
    for layout, bits, packing, planar, tile, order in itertools.product(LAYOUTS, (8, 16), PACKINGS, (1, 2), (None, 16), "<>"):
        if planar == 2 and layout.colours + len(layout.extra) == 1:
            continue
        compression, predictor = PACKINGS[packing]
        page = _page(layout, bits, compression=compression, predictor=predictor, planar=planar, tile=tile)
        name = f"{bits}-{packing}-{'planar' if planar == 2 else 'pixels'}-{'tiles' if tile else 'strips'}-{ORDERS[order]}"
        # BigTIFF in half of them, so that each value of every other choice comes with it.
        big = (bits == 16) != (order == ">") != bool(tile) != (planar == 2)
        yield _case(layout, name + ("-big" if big else ""), page, order, big)


def _few_bits():
    for bits, name, packing, tile in itertools.product(
        (1, 2, 4, 12, 32), ("grey", "grey, white is 0", "RGB"), ("none", "lzw", "deflate", "packbits", "zstd"), (None, 16)
    ):
        page = _page(BY_NAME[name], bits, compression=PACKINGS[packing][0], tile=tile)
        yield _case(BY_NAME[name], f"{bits}-{packing}-{'tiles' if tile else 'strips'}", page, tolerance=0 if bits < 12 else 1 / 128)
    for bits, planar in itertools.product((4, 12), (1, 2)):
        page = _page(BY_NAME["RGB + alpha"], bits, compression=tiff.LZW, planar=planar)
        yield _case(BY_NAME["RGB + alpha"], f"{bits}-lzw-planar{planar}", page, tolerance=1 / 128)


def _floats():
    for name, kind, (packing, predictor), planar, tile, order in itertools.product(
        ("grey", "RGB", "RGB + alpha"),
        (np.float16, np.float32, np.float64),
        ((tiff.NONE, 1), (tiff.LZW, 1), (tiff.LZW, 3), (tiff.DEFLATE, 3), (tiff.ZSTD, 3)),
        (1, 2),
        (None, 16),
        "<>",
    ):
        layout = BY_NAME[name]
        if planar == 2 and name == "grey":
            continue
        samples = layout.picture(grain(channels=layout.colours + len(layout.extra))).astype(kind)
        page = tiff.Page(
            samples,
            layout.photometric,
            8 * samples.itemsize,
            packing,
            predictor,
            planar,
            tile,
            extra=layout.extra,
            sample_format=tiff.FLOAT,
        )
        name = f"float{page.bits}-{packing}-predictor{predictor}-planar{planar}-{'tiles' if tile else 'strips'}-{ORDERS[order]}"
        yield _case(replace(layout, name=layout.name), name, page, order, tolerance=1 / 128)
    # Values a little outside [0, 1] are clamped, and that is said; values of another range have no meaning.
    for name, samples in {"beyond": grain(channels=3) * 1.2 - 0.1, "far-beyond": grain(channels=3) * 4000 - 100}.items():
        page = tiff.Page(samples.astype(np.float32), tiff.RGB, 32, sample_format=tiff.FLOAT)
        yield _case(BY_NAME["RGB"], f"float32-{name}", page, tolerance=1 / 128, note="clip")


def _palettes():
    layout = Layout("palette", tiff.PALETTE, 1)
    for bits, packing, tile, order, short in itertools.product(
        (1, 2, 4, 8), ("none", "lzw", "lzw-predicted", "deflate", "packbits", "zstd"), (None, 16), "<>", (False, True)
    ):
        if bits < 8 and "predicted" in packing:
            continue
        colours = np.random.default_rng(bits).integers(0, 256, (2**bits, 3)).astype(np.uint16)
        # Some writers put 8-bit values where 16-bit ones belong.
        stored = colours if short else colours * 257
        compression, predictor = PACKINGS[packing]
        samples = integers(grain(channels=1), bits)
        page = tiff.Page(samples, tiff.PALETTE, bits, compression, predictor, 1, tile, colours=stored)
        name = f"{bits}-{packing}-{'tiles' if tile else 'strips'}-{ORDERS[order]}{'-short' if short else ''}"
        data = tiff.write([page], order)
        theirs = peers.tifffile_samples(data)
        assert np.array_equal(theirs, samples), name
        yield Case(f"tiff-palette-{name}.tif", layout.kind, data, rules.looked_up(theirs, colours * 257), 0)


def _fax():
    schemes = {"rle": tiff.RLE, "group3": tiff.FAX3, "group4": tiff.FAX4}
    for scheme, name, fill_order, tile in itertools.product(schemes, ("grey", "grey, white is 0"), (1, 2), (None, 16)):
        page = _page(BY_NAME[name], 1, compression=schemes[scheme], fill_order=fill_order, tile=tile)
        case = _case(BY_NAME[name], f"fax-{scheme}-fill{fill_order}-{'tiles' if tile else 'strips'}", page)
        yield replace(case, kind="TIFF fax")


def _jpeg():
    """JPEG inside of TIFF: each strip or tile a JPEG of its own."""
    layouts = [
        (BY_NAME["grey"], []),
        (BY_NAME["RGB"], []),
        (BY_NAME["CMYK"], []),
        (Layout("YCbCr", tiff.YCBCR, 3), [(530, tiff.SHORT, [1, 1])]),
        (Layout("YCbCr 4:2:0", tiff.YCBCR, 3), [(530, tiff.SHORT, [2, 2])]),
    ]
    for (layout, tags), tile, order, planar in itertools.product(layouts, (None, 16), "<>", (1, 2)):
        if planar == 2 and (layout.colours == 1 or tags):
            continue
        samples = integers(waves(channels=layout.colours), 8)
        page = tiff.Page(samples, layout.photometric, 8, tiff.JPEG, 1, planar, tile, rows=16, tags=tags)
        name = f"jpeg-{'planar-' if planar == 2 else ''}{'tiles' if tile else 'strips'}-{ORDERS[order]}"
        yield replace(_case(layout, name, page, order), kind="TIFF JPEG")


def _filled_backwards():
    """FillOrder 2: the bits of each byte from the lowest on."""
    for bits, name, packing, tile in itertools.product(
        (1, 4, 8, 16), ("grey", "RGB"), ("none", "lzw", "deflate", "packbits", "deflate-predicted"), (None, 16)
    ):
        compression, predictor = PACKINGS[packing]
        if predictor == 2 and bits < 8:
            continue
        page = _page(BY_NAME[name], bits, compression=compression, predictor=predictor, tile=tile, fill_order=2)
        case = _case(BY_NAME[name], f"fill2-{bits}-{packing}-{'tiles' if tile else 'strips'}", page)
        yield replace(case, kind="TIFF FillOrder 2")


def _pages():
    """Several pictures in a file: the photo is the first that is no thumbnail and no mask."""
    rgb = BY_NAME["RGB"]
    photo = _page(rgb, 8, compression=tiff.LZW)
    small = tiff.Page(integers(waves(12, 9), 8), tiff.RGB, subfile=1)
    other = tiff.Page(integers(waves(31, 40), 8), tiff.RGB)
    mask = tiff.Page(integers(waves(37, 29, 1), 1), tiff.MASK, 1, subfile=4)
    files = {
        "two-pages": ([photo, other], 0, "pages"),
        "three-pages": ([photo, other, other], 0, "pages"),
        "mask-after": ([photo, mask], 0, None),
        "thumbnail-after": ([photo, small], 0, None),
        "thumbnail-first": ([small, photo], 1, None),
        "two-thumbnails-first": ([small, small, photo], 2, None),
        "thumbnail-above": ([replace(small, below=[photo])], None, None),
        "thumbnail-below": ([replace(photo, below=[small])], 0, None),
        "layers-below": ([replace(photo, below=[small, replace(small)])], 0, None),
        "subfile-zero": ([replace(photo, subfile=0)], 0, None),
    }
    for (name, (pages, at, note)), order, big in itertools.product(files.items(), "<>", (False, True)):
        data = tiff.write(pages, order, big)
        if at is not None:
            assert np.array_equal(peers.tifffile_samples(data, at), photo.samples), name
        case = Case(f"tiff-pages-{name}-{ORDERS[order]}{'-big' if big else ''}.tif", "TIFF pages", data, photo.samples, 0, note)
        yield case


def _by_libraries():
    """As libtiff (through Pillow) and tifffile write them: shared JPEG tables, two-dimensional fax, their own choice of strips."""
    picture = integers(waves(), 8)
    pillow = {
        "jpeg": dict(compression="jpeg", quality=95),
        "jpeg-420": dict(compression="jpeg", quality=95, tiffinfo={530: (2, 2)}),
        "jpeg-ycbcr": dict(compression="jpeg", quality=95, mode="YCbCr"),
        "jpeg-grey": dict(compression="jpeg", quality=95, mode="L"),
        "jpeg-cmyk": dict(compression="jpeg", quality=95, mode="CMYK"),
        "lzw": dict(compression="tiff_lzw", tiffinfo={317: 2}),
        "deflate-rgba": dict(compression="tiff_adobe_deflate", mode="RGBA"),
        "palette": dict(compression="tiff_lzw", mode="P"),
        "fax-1": dict(compression="group3", mode="1"),
        "fax-2": dict(compression="group3", mode="1", tiffinfo={292: 1}),
        "fax-2-filled": dict(compression="group3", mode="1", tiffinfo={292: 5}),
        "fax-4": dict(compression="group4", mode="1"),
        "float": dict(compression="tiff_lzw", mode="F", tiffinfo={317: 3}),
        "16": dict(compression="tiff_lzw", mode="I;16", tiffinfo={317: 2}),
        "big": dict(compression="tiff_lzw", big_tiff=True),
    }
    for name, options in pillow.items():
        data, mode = _by_pillow(picture, **options)
        yield Case(f"tiff-pillow-{name}.tif", "TIFF by libtiff", data, *_as_photo(data, mode, "jpeg" in name))
    for name, samples, options in [
        ("plain", picture, {}),
        ("pages", np.stack([picture] * 3), dict(photometric="rgb")),
        ("tiles", picture, dict(tile=(16, 32), compression="zlib", predictor=True)),
        ("planar", np.moveaxis(picture, -1, 0), dict(planarconfig="separate", photometric="rgb", compression="lzw")),
        ("jpeg", picture, dict(compression="jpeg", compressionargs=dict(level=95))),
        ("jpeg-ycbcr", picture, dict(photometric="ycbcr", compression="jpeg", subsampling=(2, 2), compressionargs=dict(level=95))),
        ("webp", picture, dict(compression="webp", compressionargs=dict(lossless=True))),
        ("zstd-16", integers(waves(), 16), dict(compression="zstd", predictor=True, bigtiff=True)),
        ("float", waves(channels=1)[..., 0].astype(np.float32), dict(compression="zlib", predictor=3)),
        ("mask", np.concatenate([picture, picture[..., :1]], axis=-1), dict(extrasamples=["unspecified"])),
        ("white-is-0", picture[..., 0], dict(photometric="miniswhite")),
        ("bits", picture[..., 0] > 128, dict(photometric="minisblack")),
    ]:
        out = io.BytesIO()
        tifffile.imwrite(out, samples, **{"photometric": "rgb" if samples.ndim == 3 else "minisblack"} | options)
        data = out.getvalue()
        theirs = peers.tifffile_samples(data)
        expected = rules.scaled(theirs, 1 if theirs.dtype == bool else 8 * theirs.itemsize)
        expected = rules.inverted(expected) if name == "white-is-0" else expected[..., :3]
        note = {"mask": MORE_CHANNELS, "pages": "pages"}.get(name)
        tolerance = 1 if "jpeg" in name else 1 / 128 if name == "float" else 0
        yield Case(f"tiff-tifffile-{name}.tif", "TIFF by tifffile", data, expected, tolerance, note)


def _by_pillow(picture, mode="RGB", **options):
    image = Image.fromarray(picture)
    if mode == "F":
        image = Image.fromarray(picture[..., 0].astype(np.float32) / 255)
    elif mode == "I;16":
        image = Image.fromarray(picture[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    out = io.BytesIO()
    image.save(out, "TIFF", **options)
    return out.getvalue(), mode


def _as_photo(data, mode, lossy):
    """The photo and the tolerance."""
    theirs = peers.pillow_samples(data, {"P": "RGB", "YCbCr": "RGB", "1": "L"}.get(mode))
    if mode == "CMYK":
        theirs = rules.from_ink(theirs)
    if mode == "F":
        theirs = rules.scaled(theirs, 32)
    return theirs, 4 if lossy else 1 / 128 if mode == "F" else 0


def _sparing():
    """Files that leave out what has a default, or say it in another way."""
    rgb, grey = BY_NAME["RGB"], BY_NAME["grey"]
    white = integers(grain(channels=1), 1)
    bilevel = tiff.Page(white, tiff.WHITE_IS_ZERO, 1, rows=29)
    photo = _page(rgb, 8, rows=29)
    for name, page, missing, expected in [
        ("no-bits", bilevel, [258], rules.inverted(rules.scaled(white, 1))),
        ("no-samples-count", bilevel, [277], rules.inverted(rules.scaled(white, 1))),
        ("no-compression", photo, [259], photo.samples),
        ("no-rows-per-strip", photo, [278], photo.samples),
        ("no-planes", photo, [284], photo.samples),
        ("no-sizes", photo, [279], photo.samples),
        ("bare", bilevel, [258, 259, 277, 278, 284], rules.inverted(rules.scaled(white, 1))),
    ]:
        for order in "<>":
            data = tiff.write([replace(page, without=tuple(missing))], order)
            yield Case(f"tiff-sparing-{name}-{ORDERS[order]}.tif", "TIFF with defaults", data, expected)
    for kind, order in itertools.product((tiff.SHORT, tiff.LONG), "<>"):
        page = _page(grey, 8, compression=tiff.LZW, offset_kind=kind)
        yield replace(_case(grey, f"offsets-{kind}-{ORDERS[order]}", page, order), kind="TIFF with defaults")


def _uncommon():
    """What is refused, or read as any peer does."""
    rgb = BY_NAME["RGB"]
    for name, page in {
        "lzma": _page(rgb, 8, compression=tiff.LZMA),
        "old-deflate": _page(rgb, 8, compression=tiff.OLD_DEFLATE, predictor=2),
        "webp": _page(rgb, 8, compression=tiff.WEBP),
        "one-strip": _page(rgb, 8, compression=tiff.LZW, rows=2**31),
        "strip-per-row": _page(rgb, 8, compression=tiff.DEFLATE, predictor=2, rows=1),
        "tiles-64": _page(rgb, 8, compression=tiff.LZW, predictor=2, tile=64),
        "planar-tiles-64": _page(rgb, 16, compression=tiff.LZW, predictor=2, tile=64, planar=2),
        "predicted-32": _page(rgb, 32, compression=tiff.LZW, predictor=2),
    }.items():
        yield replace(_case(rgb, name, page, tolerance=1 / 128 if page.bits == 32 else 0), kind="TIFF uncommon")
    samples = integers(grain(), 8)
    signed = tiff.Page(samples, tiff.RGB, 8, sample_format=tiff.SIGNED)
    ycbcr = tiff.write([tiff.Page(samples, tiff.YCBCR, 8, tags=[(530, tiff.SHORT, [1, 1])])])
    yield Case("tiff-uncommon-ycbcr-unpacked.tif", "TIFF uncommon", ycbcr, rules.from_ycbcr(samples), 1)
    # Colours that sRGB has: lightness, then two axes around 0 that are stored as signed bytes. Little CMS takes 8-bit Lab
    # through a table; the exact formula is within 4 of it.
    axes = np.concatenate([samples[..., :1] // 2 + 80, (samples[..., 1:] // 6).astype(np.int16) - 20], axis=-1)
    lab = tiff.write([tiff.Page(axes.astype(np.uint8), tiff.LAB, 8)])
    yield Case("tiff-uncommon-lab.tif", "TIFF uncommon", lab, peers.lab_to_srgb(axes), 4)
    truncated = tiff.write([_page(rgb, 8, compression=tiff.LZW)])
    for name, data in {
        "signed": tiff.write([signed]),
        "cut": truncated[: len(truncated) // 2],
        "no-data": truncated[:8] + bytes(len(truncated) - 300) + truncated[-292:],
    }.items():
        yield Case(f"tiff-uncommon-{name}.tif", "TIFF uncommon", data, None)
