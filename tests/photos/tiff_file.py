"""Writes TIFF files of any layout: what writers of photos do, and what the format allows beside that."""

import io
import struct
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
from PIL import Image

NONE, RLE, FAX3, FAX4, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 2, 3, 4, 5, 7, 8, 32773, 32946
LZMA, ZSTD, WEBP = 34925, 50000, 50001
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
UNSIGNED, SIGNED, FLOAT = 1, 2, 3

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16


@dataclass
class Page:
    """One picture of a file: samples as they are stored, and how."""

    # Height x width x samples, unsigned whole numbers of `bits` bits or floats.
    samples: np.ndarray
    photometric: int
    bits: int = 8
    compression: int = NONE
    predictor: int = 1
    planar: int = 1
    # Side of a tile, or None: strips.
    tile: int | None = None
    rows: int = 11
    fill_order: int = 1
    extra: tuple = ()
    colours: np.ndarray | None = None
    sample_format: int = UNSIGNED
    subfile: int | None = None
    # More entries: (tag, type, values).
    tags: list = field(default_factory=list)
    # Pages that only this one points to.
    below: list = field(default_factory=list)
    # Tags that are not written.
    without: tuple = ()
    # Type of the offsets of strips and tiles, where not the usual one.
    offset_kind: int | None = None


def write(pages, order="<", big=False):
    """The bytes of a file with these pages."""
    out = bytearray(b"II" if order == "<" else b"MM")
    if big:
        out += struct.pack(order + "HHHQ", 43, 8, 0, 0)
    else:
        out += struct.pack(order + "HL", 42, 0)
    link = len(out) - (8 if big else 4)
    for page in pages:
        link = _directory(out, page, order, big, link)
    return bytes(out)


def _directory(out, page, order, big, link):
    """Appends a page; returns where its link to the next one is."""
    offset_kind = page.offset_kind or (LONG8 if big else LONG)
    height, width, count = page.samples.shape
    offsets, sizes = [], []
    for block in _blocks(page):
        data = _encode(page, block, order)
        if len(out) % 2:
            out += b"\0"
        offsets.append(len(out))
        sizes.append(len(data))
        out += data
    entries = {
        256: (LONG, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [page.bits] * count),
        259: (SHORT, [page.compression]),
        262: (SHORT, [page.photometric]),
        277: (SHORT, [count]),
        284: (SHORT, [page.planar]),
    }
    if page.tile:
        entries |= {322: (SHORT, [page.tile]), 323: (SHORT, [page.tile])}
        entries |= {324: (offset_kind, offsets), 325: (offset_kind, sizes)}
    else:
        entries |= {273: (offset_kind, offsets), 278: (LONG, [page.rows]), 279: (LONG, sizes)}
    if page.predictor != 1:
        entries[317] = (SHORT, [page.predictor])
    if page.fill_order != 1:
        entries[266] = (SHORT, [page.fill_order])
    if page.extra:
        entries[338] = (SHORT, list(page.extra))
    if page.colours is not None:
        entries[320] = (SHORT, page.colours.T.ravel().tolist())
    if page.sample_format != UNSIGNED:
        entries[339] = (SHORT, [page.sample_format] * count)
    if page.subfile is not None:
        entries[254] = (LONG, [page.subfile])
    for tag, kind, values in page.tags:
        entries[tag] = (kind, values)
    if page.below:
        # Where they are is written here once they are.
        entries[330] = (LONG8 if big else LONG, [0] * len(page.below))
    for tag in page.without:
        del entries[tag]
    return _entries(out, entries, page, order, big, link)


def _entries(out, entries, page, order, big, link):
    word = "Q" if big else "L"
    room = struct.calcsize(order + word)
    if len(out) % 2:
        out += b"\0"
    start = len(out)
    struct.pack_into(order + word, out, link, start)
    out += struct.pack(order + ("Q" if big else "H"), len(entries))
    table = len(out)
    step = 20 if big else 12
    out += bytes(step * len(entries) + room)
    children = 0
    for index, (tag, (kind, values)) in enumerate(sorted(entries.items())):
        data = values if isinstance(values, bytes) else _values(kind, values, order)
        number = len(data) // {BYTE: 1, ASCII: 1, UNDEFINED: 1, SHORT: 2, LONG: 4, RATIONAL: 8, LONG8: 8}[kind]
        at = table + step * index
        struct.pack_into(order + "HH" + word, out, at, tag, kind, number)
        at += 4 + room
        if len(data) > room:
            if len(out) % 2:
                out += b"\0"
            struct.pack_into(order + word, out, at, len(out))
            at = len(out)
            out += data
        else:
            out[at : at + len(data)] = data
        if tag == 330:
            children = at
    for index, child in enumerate(page.below):
        _directory(out, child, order, big, children + room * index)
    return table + step * len(entries)


def _values(kind, values, order):
    if kind == RATIONAL:
        values = [part for value in values for part in value]
    return struct.pack(order + {BYTE: "B", SHORT: "H", LONG: "L", RATIONAL: "L", LONG8: "Q"}[kind] * len(values), *values)


def _blocks(page):
    """Strips or tiles in file order, height x width x samples each."""
    height, width, count = page.samples.shape
    planes = [page.samples] if page.planar == 1 else [page.samples[..., [sample]] for sample in range(count)]
    for plane in planes:
        if not page.tile:
            for top in range(0, height, page.rows):
                yield plane[top : top + page.rows]
            continue
        side = page.tile
        for top in range(0, height, side):
            for left in range(0, width, side):
                block = plane[top : top + side, left : left + side]
                # What reaches past the edge holds something that shows where it is taken for the picture.
                past = (plane.max() - block[-1:, -1:]).astype(plane.dtype)
                whole = np.broadcast_to(past, (side, side, block.shape[2])).copy()
                whole[: block.shape[0], : block.shape[1]] = block
                if page.compression == JPEG:
                    whole = np.pad(block, ((0, side - block.shape[0]), (0, side - block.shape[1]), (0, 0)), mode="edge")
                yield whole


def _encode(page, block, order):
    data = _compress(page, block, order)
    if page.fill_order == 2 and page.compression != JPEG:
        data = imagecodecs.bitorder_encode(data)
    return data


def _compress(page, block, order):
    if page.compression == JPEG:
        return _jpeg(page, block)
    raw = _raw(page, block, order)
    match page.compression:
        case 1:
            return raw
        case 2 | 3 | 4:
            return _fax(page, block)
        case 5:
            return imagecodecs.lzw_encode(raw)
        case 8 | 32946:
            return imagecodecs.zlib_encode(raw)
        case 32773:
            return _packbits(block, raw)
        case 34925:
            return imagecodecs.lzma_encode(raw)
        case 50000:
            return imagecodecs.zstd_encode(raw)
        case 50001:
            return imagecodecs.webp_encode(block, lossless=True)
    raise ValueError(page.compression)


def _packbits(block, raw):
    """PackBits row by row, as the format wants it."""
    step = len(raw) // block.shape[0]
    rows = [raw[at : at + step] for at in range(0, len(raw), step)]
    return b"".join(imagecodecs.packbits_encode(row) for row in rows)


def _fax(page, block):
    """A strip by libtiff, taken out of a file of its own."""
    file = io.BytesIO()
    scheme = {RLE: "tiff_ccitt", FAX3: "group3", FAX4: "group4"}[page.compression]
    Image.fromarray(block[..., 0] > 0).save(file, "TIFF", compression=scheme, strip_size=1 << 20)
    with Image.open(file) as image:
        offsets, sizes = image.tag_v2[273], image.tag_v2[279]
    assert len(offsets) == 1
    return file.getvalue()[offsets[0] : offsets[0] + sizes[0]]


def _jpeg(page, block):
    block = np.ascontiguousarray(block[..., 0] if block.shape[2] == 1 else block)
    options = {}
    if page.photometric == YCBCR and block.ndim == 3:
        options = dict(colorspace="RGB", outcolorspace="YCBCR", subsampling="420" if (530, SHORT, [2, 2]) in page.tags else "444")
    elif page.photometric == RGB and block.ndim == 3:
        options = dict(colorspace="RGB", outcolorspace="RGB", subsampling="444")
    elif page.photometric == CMYK and block.ndim == 3:
        options = dict(colorspace="CMYK", outcolorspace="CMYK")
    return imagecodecs.jpeg8_encode(block, level=95, **options)


def _raw(page, block, order):
    """The bytes of a block before they are compressed."""
    if page.predictor == 2:
        before = np.pad(block, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        block = (block - before).astype(block.dtype)
    if page.predictor == 3:
        return _float_predicted(block)
    if page.bits in (8, 16, 32, 64):
        return block.astype(block.dtype.newbyteorder(order)).tobytes()
    # Samples side by side, most significant bit first; each row begins a byte.
    rows = block.reshape(block.shape[0], -1)
    bits = (rows[..., None] >> np.arange(page.bits - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(rows.shape[0], -1).astype(np.uint8), axis=1).tobytes()


def _float_predicted(block):
    """Technical note 3: the bytes of a row by significance, then differences between them."""
    height, width, count = block.shape
    wide = block.astype(block.dtype.newbyteorder(">"))
    size = wide.dtype.itemsize
    planes = wide.reshape(height, width * count).view(np.uint8).reshape(height, width * count, size)
    row = planes.transpose(0, 2, 1).reshape(height, -1)
    row = row.reshape(height, -1, count)
    before = np.pad(row, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return (row - before).astype(np.uint8).tobytes()
