"""JPEG: every way to sample, to scan and to mark a picture."""

import itertools
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import imagecodecs
import numpy as np

import peers
import rules
from case import Case
from pictures import WIDTH, HEIGHT, grain, integers, waves

# Decoders may round their cosine transforms each in its own way: the JPEG standard allows one step. Ours fills in subsampled
# colours as libjpeg-turbo does.
TOLERANCE = 1

SAMPLINGS = {"444": "1x1", "422": "2x1", "420": "2x2", "440": "1x2", "411": "4x1", "410": "4x2", "mixed": "2x2,2x1,1x2"}

# Scan scripts of cjpeg: components, first and last coefficient, bits left out before and now.
PLAIN = "0: 0-0, 0, 0; 1: 0-0, 0, 0; 2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;"
SUCCESSIVE = (
    "0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 6-63, 0, 2;"
    "0: 1-63, 2, 1; 0,1,2: 0-0, 1, 0; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;"
)
MODES = {
    "baseline": [],
    "optimized": ["-optimize"],
    "progressive": ["-progressive"],
    "three-scans": ["-scans", "0; 1; 2;"],
    "two-scans": ["-scans", "0; 1 2;"],
    "two-scans-colour-first": ["-scans", "1 2; 0;"],
    "progressive-plain": ["-progressive", "-scans", PLAIN],
    "progressive-successive": ["-progressive", "-scans", SUCCESSIVE],
    "arithmetic": ["-arithmetic"],
    "arithmetic-progressive": ["-arithmetic", "-progressive"],
}
RESTARTS = {"": [], "-restart-block": ["-restart", "1B"], "-restart-row": ["-restart", "1"]}
SIZES = [(1, 1), (7, 3), (8, 8), (16, 16), (17, 33), (3, 50), (50, 3), (64, 48), (129, 65)]


def cases():
    """All of them."""
    # cjpeg and djpeg are programs of their own: two at a time.
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda make: make(), [*_scanned(), *_sized(), *_grey(), *_colours(), *_edited()])
    yield from _refused()


def _case(name, kind, data, **more):
    return Case(f"jpeg-{name}.jpg", f"JPEG {kind}", data, peers.djpeg(data), TOLERANCE, **more)


def _scanned():
    """The product of sampling, scans and restart intervals."""
    picture = integers(waves(61, 43), 8)
    for (sampling, factors), (mode, options), (restart, interval) in itertools.product(
        SAMPLINGS.items(), MODES.items(), RESTARTS.items()
    ):
        name, all_options = f"{sampling}-{mode}{restart}", ["-quality", "92", "-sample", factors, *options, *interval]
        yield lambda name=name, mode=mode, options=all_options: _case(name, mode, peers.cjpeg(picture, *options))


def _sized():
    """Pictures that end inside of a block."""
    for (width, height), sampling, mode in itertools.product(SIZES, SAMPLINGS, ("baseline", "progressive", "three-scans")):
        picture = integers(waves(width, height), 8)
        options = ["-quality", "92", "-sample", SAMPLINGS[sampling], *MODES[mode]]
        yield lambda name=f"{width}x{height}-{sampling}-{mode}", picture=picture, options=options: _case(
            name, "odd sizes", peers.cjpeg(picture, *options)
        )
    for quality, mode in itertools.product((5, 30, 75, 100), ("baseline", "progressive")):
        options = ["-quality", str(quality), "-sample", "1x1", *MODES[mode]]
        yield lambda name=f"quality-{quality}-{mode}", options=options: _case(
            name, "qualities", peers.cjpeg(integers(waves(), 8), *options)
        )


def _grey():
    for (width, height), mode, factors in itertools.product(
        [(WIDTH, HEIGHT), (8, 8), (1, 1), (50, 17)], ("baseline", "optimized", "progressive", "arithmetic"), ("1x1", "2x2", "2x1")
    ):
        picture = integers(waves(width, height, 1), 8)
        options = ["-quality", "92", "-grayscale", "-sample", factors, *MODES[mode]]
        yield lambda name=f"grey-{width}x{height}-{mode}-{factors}", picture=picture, options=options: _case(
            name, "grey", peers.cjpeg(picture, *options)
        )


def _colours():
    """RGB as it is, CMYK, YCCK, and colours that only a marker or the components' names tell."""
    picture = integers(waves(), 8)
    for mode in ("baseline", "progressive", "three-scans"):
        yield lambda mode=mode: _case(f"rgb-{mode}", "RGB", peers.cjpeg(picture, "-rgb", "-quality", "92", *MODES[mode]))
    rgb = peers.cjpeg(picture, "-rgb", "-quality", "92")
    yield lambda: _case("rgb-named-components", "RGB", without(rgb, 0xEE))
    ycc = peers.cjpeg(picture, "-quality", "92")
    yield lambda: _case("no-jfif", "markers", without(ycc, 0xE0))
    yield lambda: _case("no-jfif-adobe", "markers", adobe(without(ycc, 0xE0), 1))
    yield lambda: _case("adobe-beside-jfif", "markers", adobe(ycc, 1))
    yield lambda: _case("adobe-says-rgb", "RGB", adobe(without(ycc, 0xE0), 0))
    grey = peers.cjpeg(picture[..., :1], "-quality", "92")
    yield lambda: _case("grey-adobe", "grey", adobe(grey, 0))
    ink = integers(waves(channels=4), 8)
    for space, subsampling in itertools.product(("CMYK", "YCCK"), ("444", "420", "422")):
        if space == "CMYK" and subsampling != "444":
            continue
        yield lambda space=space, subsampling=subsampling: _ink(space, subsampling, ink)


def _ink(space, subsampling, ink):
    """CMYK as Adobe stores it: inverted. Its marker says so."""
    data = imagecodecs.jpeg8_encode(
        255 - ink, level=92, colorspace="CMYK", outcolorspace=space, subsampling=None if space == "CMYK" else subsampling
    )
    stored = imagecodecs.jpeg8_decode(data, outcolorspace="CMYK")
    return Case(f"jpeg-{space.lower()}-{subsampling}.jpg", f"JPEG {space}", data, rules.from_ink(255 - stored), TOLERANCE, "CMYK")


def _edited():
    """Files that are not as the standard wants them, and that every viewer shows."""
    picture = integers(waves(61, 43), 8)
    for mode, sampling in itertools.product(("baseline", "progressive", "three-scans"), ("444", "420")):
        data = peers.cjpeg(picture, "-quality", "92", "-sample", SAMPLINGS[sampling], *MODES[mode])
        scan = data.index(b"\xff\xda")
        files = {
            "no-end": (data[:-2], "end"),
            "no-end-zeros": (data[:-2] + bytes(64), None),
            "trailing-zeros": (data + bytes(1000), None),
            "trailing-text": (data + b"made by a camera", None),
            "trailing-jpeg": (data + peers.cjpeg(picture[:16, :16]), None),
            "trailing-half-marker": (data + b"\xff", None),
            "fill-bytes": (data[:scan] + b"\xff\xff\xff" + data[scan:], None),
            "fill-bytes-at-end": (data[:-2] + b"\xff\xff" + data[-2:], None),
            "comment-late": (data[:scan] + segment(0xFE, b"late") + data[scan:], None),
            "unknown-segments": (insert(data, 0xE5, b"x" * 70) + b"", None),
            "empty-segment": (insert(data, 0xEB, b""), None),
            "large-segment": (insert(data, 0xE8, bytes(65533)), None),
        }
        for name, (bytes_, note) in files.items():
            yield lambda name=f"{name}-{mode}-{sampling}", data=bytes_, note=note: _case(name, "markers", data, note=note)


def _refused():
    """What no photo is left of, or what no decoder of ours knows."""
    picture = integers(grain(61, 43), 8)
    data = peers.cjpeg(picture, "-quality", "92")
    scan = data.index(b"\xff\xda")
    frame = data.index(b"\xff\xc0")
    no_height = data[: frame + 5] + b"\0\0" + data[frame + 7 :]
    wide = integers(waves(), 12).astype(np.uint16)
    files = {
        "cut-in-scan": data[: (scan + len(data)) // 2],
        "cut-before-scan": data[:scan],
        "cut-after-start": data[:2],
        "lossless": imagecodecs.ljpeg_encode(integers(waves(channels=1), 8)[..., 0]),
        "12-bit": imagecodecs.jpeg8_encode(wide, level=92, bitspersample=12),
        "no-height": no_height,
        "no-tables": without(data, 0xDB),
    }
    for name, bytes_ in files.items():
        yield Case(f"jpeg-refused-{name}.jpg", "JPEG damaged or rare", bytes_, None)


def segment(marker, data):
    """A marker and what it holds."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def insert(data, marker, contents):
    """The file with a segment after its start."""
    return data[:2] + segment(marker, contents) + data[2:]


def without(data, unwanted):
    """The file without the segments of a marker, up to its scan."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] != unwanted:
            out += data[at:end]
        at = end
    return out + data[at:]


def adobe(data, transform):
    """The file with Adobe's marker: 0 RGB or CMYK, 1 YCbCr, 2 YCCK."""
    return insert(without(data, 0xEE), 0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
