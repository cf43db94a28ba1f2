"""WebP, GIF, and formats that are refused by name."""

import io
import itertools

import imagecodecs
import numpy as np
from PIL import Image

import peers
from case import Case
from pictures import cut_out, grain, integers, waves

SIZES = [(37, 29), (1, 1), (16, 16), (5, 50), (64, 33)]


def cases():
    """All of them."""
    yield from _webp()
    yield from _gif()
    yield from _others()


def _saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _webp():
    for size, alpha, (name, options) in itertools.product(
        SIZES,
        (False, True),
        {
            "lossless": dict(lossless=True, exact=True),
            "lossless-slow": dict(lossless=True, exact=True, method=6, quality=100),
            "lossless-fast": dict(lossless=True, exact=True, method=0, quality=0),
            "lossy-90": dict(quality=90),
            "lossy-50": dict(quality=50),
            "lossy-5": dict(quality=5),
            "lossy-100-slow": dict(quality=100, method=6),
        }.items(),
    ):
        lossless = "lossless" in name
        base = (grain if lossless else waves)(*size, 4 if alpha else 3)
        picture = integers(cut_out(base) if alpha else base, 8)
        data = _saved(Image.fromarray(picture), "WEBP", **options)
        theirs = peers.pillow_samples(data)
        name = f"webp-{name}-{'alpha-' if alpha else ''}{size[0]}x{size[1]}.webp"
        yield Case(name, "WebP lossless" if lossless else "WebP lossy", data, theirs, 0 if lossless else 1)
    for name, colours in {"two": 2, "four": 4, "sixteen": 16, "many": 200}.items():
        few = integers(waves(), 8) // (256 // min(colours, 16)) * (256 // min(colours, 16))
        few[..., 1:] = few[..., :1]
        data = _saved(Image.fromarray(few), "WEBP", lossless=True)
        yield Case(f"webp-lossless-{name}-colours.webp", "WebP lossless", data, peers.pillow_samples(data, "RGB"), 0)
    frames = [Image.fromarray(integers(waves(channels=3) * part, 8)) for part in (1, 0.5)]
    animated = _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)
    whole = _saved(frames[0], "WEBP", quality=90)
    yield Case("webp-refused-animated.webp", "WebP damaged or animated", animated, None)
    yield Case("webp-refused-cut.webp", "WebP damaged or animated", whole[: len(whole) // 2], None)


def _gif():
    for mode, size, interlaced in itertools.product(("L", "P"), SIZES, (False, True)):
        image = Image.fromarray(integers(grain(*size, 3), 8)).convert(mode)
        data = _saved(image, "GIF", interlace=interlaced)
        name = f"gif-{mode}-{size[0]}x{size[1]}{'-interlaced' if interlaced else ''}.gif"
        yield Case(name, "GIF", data, peers.pillow_samples(data, "RGB"))
    # A frame that is smaller than its ground, which is transparent as browsers show it.
    ground = Image.fromarray(integers(grain(), 8)).convert("P")
    whole = bytearray(_saved(ground, "GIF"))
    whole[6:10] = (45).to_bytes(2, "little") + (31).to_bytes(2, "little")
    theirs = peers.pillow_samples(bytes(whole), "RGBA").copy()
    theirs[29:] = theirs[:, 37:] = 0
    yield Case("gif-small-frame.gif", "GIF", bytes(whole), theirs)
    frames = [Image.fromarray(integers(grain(seed=seed), 8)).convert("P") for seed in (1, 2)]
    data = _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield Case("gif-animated.gif", "GIF", data, peers.pillow_samples(data, "RGB"), 0, "frame|animation")
    image = frames[0].copy()
    used = image.getpixel((5, 5))
    data = _saved(image, "GIF", transparency=used)
    yield Case("gif-transparent.gif", "GIF", data, peers.pillow_samples(data, "RGBA"))


def _others():
    """Each is read as its peer reads it, or refused."""
    picture = integers(waves(), 8)
    for channels, bits, distance, container in itertools.product((1, 2, 3, 4), (8, 16), (0, 1), (False, True)):
        base = (waves if distance else grain)(channels=channels)
        samples = integers(cut_out(base) if channels in (2, 4) else base, bits)
        options = dict(distance=distance) if distance else dict(lossless=True)
        data = imagecodecs.jpegxl_encode(samples[..., 0] if channels == 1 else samples, usecontainer=container, **options)
        theirs = imagecodecs.jpegxl_decode(data)
        theirs = theirs if theirs.ndim == 3 else theirs[..., None]
        name = f"jxl-{channels}-{bits}-{'lossy' if distance else 'lossless'}{'-container' if container else ''}.jxl"
        yield Case(name, "JPEG XL", data, theirs, 2 if distance else 0)
    avif = imagecodecs.avif_encode(picture, level=90)
    yield Case("avif-lossy.avif", "AVIF", avif, imagecodecs.avif_decode(avif), 2)
    names = {
        "jp2": ("JPEG 2000", imagecodecs.jpeg2k_encode(picture)),
        "heic": ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        "cr2": ("camera raw", b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + bytes(300)),
        "cr3": ("camera raw", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(200)),
        "raf": ("camera raw", b"FUJIFILMCCD-RAW 0201" + bytes(300)),
        "psd": ("Photoshop", b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x1d\0\0\0\x25\0\x08\0\3" + bytes(100)),
        "exr": ("OpenEXR", b"\x76\x2f\x31\x01\2\0\0\0" + bytes(100)),
        "hdr": ("Radiance", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes(16)),
        "txt": ("no picture", b"not a picture at all\n" * 9),
        "pdf": ("no picture", b"%PDF-1.4\n" + bytes(100)),
    }
    for extension, (kind, data) in names.items():
        yield Case(f"other-{extension}.{extension}", kind, data, None)
    yield Case("other-empty.png", "no picture", b"", None)
    misnamed = peers.cjpeg(picture, "-quality", "92")
    yield Case("other-jpeg-called-png.png", "misnamed", misnamed, peers.djpeg(misnamed), 4)
    misnamed = _saved(Image.fromarray(picture), "PNG")
    yield Case("other-png-called-jpeg.jpg", "misnamed", misnamed, picture, 0)
