"""Restores a PPM photo with libdino_ir through ctypes; nothing but Python is needed.

    python3 restore.py noisy.ppm restored.ppm [STRENGTH]

The library is looked for where DINO_IR_LIBRARY says, else where the system looks for libraries.
"""

import ctypes as c
import os
import re
import sys

ABI_VERSION = 1
SAMPLE_U8 = 0


class Image(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("data", c.c_void_p),
        ("stride", c.c_size_t),
        ("width", c.c_uint32),
        ("height", c.c_uint32),
        ("channels", c.c_uint32),
        ("sample", c.c_uint32),
    ]


class Options(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("memory", c.c_uint64),
        ("strength", c.c_float),
        ("tile", c.c_uint32),
        ("overlap", c.c_uint32),
        ("self_ensemble", c.c_uint32),
    ]


Progress = c.CFUNCTYPE(c.c_int, c.c_uint32, c.c_uint32, c.c_void_p)


def load():
    library = c.CDLL(os.environ.get("DINO_IR_LIBRARY", "libdino_ir.so"))
    library.dino_ir_open.restype = c.c_void_p
    library.dino_ir_open.argtypes = [c.c_char_p, c.c_char_p]
    library.dino_ir_restore.argtypes = [
        c.c_void_p, c.POINTER(Image), c.POINTER(Image), c.POINTER(Options), Progress, c.c_void_p,
    ]
    library.dino_ir_last_error.restype = c.c_char_p
    library.dino_ir_close.argtypes = [c.c_void_p]
    if library.dino_ir_abi_version() != ABI_VERSION:
        sys.exit("this libdino_ir has another interface than this program")
    return library


def image(pixels, width, height):
    return Image(c.sizeof(Image), c.addressof(pixels), width * 3, width, height, 3, SAMPLE_U8)


def restore(library, pixels, width, height, strength):
    """Interleaved 8-bit RGB to the same."""
    before = c.create_string_buffer(pixels, width * height * 3)
    after = c.create_string_buffer(width * height * 3)
    options = Options(c.sizeof(Options), strength=strength)

    @Progress
    def show(done, total, _user):
        print(f"\rtile {done} of {total}", end="", file=sys.stderr, flush=True)
        return 0

    restorer = library.dino_ir_open(None, b"auto")
    if not restorer:
        sys.exit(library.dino_ir_last_error().decode())
    source, result = image(before, width, height), image(after, width, height)
    status = library.dino_ir_restore(restorer, source, result, options, show, None)
    message = library.dino_ir_last_error().decode()
    library.dino_ir_close(restorer)
    print(file=sys.stderr)
    if status != 0:
        sys.exit(message)
    return after.raw


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    if not header:
        sys.exit(f"{sys.argv[1]}: not a binary 8-bit PPM")
    width, height = int(header[1]), int(header[2])
    pixels = data[header.end():]
    if len(pixels) != width * height * 3:
        sys.exit(f"{sys.argv[1]}: cut short")
    strength = float(sys.argv[3]) if len(sys.argv) == 4 else 1.0
    restored = restore(load(), pixels, width, height, strength)
    with open(sys.argv[2], "wb") as file:
        file.write(b"P6\n%d %d\n255\n" % (width, height) + restored)


if __name__ == "__main__":
    main()
