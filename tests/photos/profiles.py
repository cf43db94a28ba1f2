"""Colour profiles to put into files."""

import struct

from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def grey():
    """A profile for grey of gamma 2.2, from the tables of the ICC's specification."""
    curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(2.2 * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3l", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    text = b"text" + bytes(4) + b"public domain\0"
    text += bytes(-len(text) % 4)
    name = b"desc" + bytes(4) + struct.pack(">L", 9) + b"grey 2.2\0" + bytes(78)
    name += bytes(-len(name) % 4)
    parts = [(b"desc", name), (b"cprt", text), (b"wtpt", white), (b"kTRC", curve)]
    table, data = struct.pack(">L", len(parts)), b""
    start = 128 + 4 + 12 * len(parts)
    for tag, part in parts:
        table += tag + struct.pack(">LL", start + len(data), len(part))
        data += part
    size = start + len(data)
    header = struct.pack(">L4sL4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white[8:]
    return header + bytes(128 - len(header)) + table + data


def enlarged(profile, size):
    """A profile with a tag of its maker's that nobody reads, so large: in JPEG it takes several segments."""
    count = struct.unpack_from(">L", profile, 128)[0]
    table = bytearray(profile[132 : 132 + 12 * count])
    for entry in range(count):
        offset = struct.unpack_from(">L", table, 12 * entry + 4)[0]
        struct.pack_into(">L", table, 12 * entry + 4, offset + 12)
    body = profile[132 + 12 * count :]
    body += bytes(-len(body) % 4)
    extra = b"data" + bytes(4) + bytes(range(256)) * (size // 256)
    start = 128 + 4 + 12 * (count + 1) + len(body)
    table += b"priv" + struct.pack(">LL", start, len(extra))
    whole = profile[:128] + struct.pack(">L", count + 1) + bytes(table) + body + extra
    return struct.pack(">L", len(whole)) + whole[4:]
