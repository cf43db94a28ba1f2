"""The GEGL operation dino-ir:restore on pixels of any format, driven through GEGL's own library.

usage: operation.py FOLDER
For each case it writes NAME.in and NAME.out: the pixels that went in and came out, R'G'B'A floats.
"""

import ctypes
import random
import resource
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_void_p
from pathlib import Path

FOLDER = Path(sys.argv[1])
#       name           width height format
CASES = [
    ("point", 1, 1, b"RGBA float"),
    ("line", 37, 1, b"R'G'B' u8"),
    ("grey", 50, 40, b"Y' u8"),
    ("grey-alpha", 40, 50, b"Y'A u16"),
    ("half", 64, 48, b"RGBA half"),
    ("premultiplied", 48, 64, b"RaGaBaA float"),
    ("linear", 70, 45, b"RGB float"),
    ("wide", 60, 60, b"R'G'B' float"),
]


class Rectangle(ctypes.Structure):
    _fields_ = [(name, c_int) for name in ("x", "y", "width", "height")]


gegl = ctypes.CDLL("libgegl-0.4.so.0", mode=ctypes.RTLD_GLOBAL)
babl = ctypes.CDLL("libbabl-0.1.so.0", mode=ctypes.RTLD_GLOBAL)
gobject = ctypes.CDLL("libgobject-2.0.so.0", mode=ctypes.RTLD_GLOBAL)
for function in (
    gegl.gegl_node_new, gegl.gegl_node_new_child, gegl.gegl_buffer_new, gegl.gegl_node_new_processor,
    babl.babl_format, babl.babl_format_with_space, babl.babl_space, babl.babl_space_get_icc,
):
    function.restype = c_void_p


def fmt(name, space=None):
    if space is None:
        return c_void_p(babl.babl_format(name))
    return c_void_p(babl.babl_format_with_space(name, space))


def child(graph, operation, *properties):
    return c_void_p(gegl.gegl_node_new_child(graph, b"operation", operation, *properties, None))


class Restored:
    """The operation on a node that gives pixels."""

    def __init__(self, operation, *properties):
        self.graph = c_void_p(gegl.gegl_node_new())
        self.source = child(self.graph, operation, *properties)
        self.node = child(self.graph, b"dino-ir:restore")
        gegl.gegl_node_connect_to(self.source, b"output", self.node, b"input")

    def pixels(self, area, space=None, strength=1.0):
        gegl.gegl_node_set(self.node, b"strength", c_double(strength), None)
        samples = (c_float * (area.width * area.height * 4))()
        form = fmt(b"R'G'B'A float", space)
        gegl.gegl_node_blit(self.node, c_double(1.0), byref(area), form, samples, c_int(0), c_int(0))
        return samples


def buffer(width, height, form, space=None):
    """A noisy slope, with alpha where the format has some."""
    random.seed(width)
    area = Rectangle(0, 0, width, height)
    samples = (c_float * (width * height * 4))()
    for at in range(width * height):
        x, y = at % width, at // width
        base = 0.2 + 0.4 * x / width + 0.2 * y / height
        for channel in range(3):
            samples[4 * at + channel] = base + 0.1 * random.random()
        samples[4 * at + 3] = 0.0 if x < width // 8 else 0.8
    made = c_void_p(gegl.gegl_buffer_new(byref(area), form))
    gegl.gegl_buffer_set(made, byref(area), c_int(0), fmt(b"R'G'B'A float", space), samples, c_int(0))
    return made, area


def read(made, area, space):
    samples = (c_float * (area.width * area.height * 4))()
    form = fmt(b"R'G'B'A float", space)
    gegl.gegl_buffer_get(made, byref(area), c_double(1.0), form, samples, c_int(0), c_int(0))
    return samples


def keep(name, samples):
    (FOLDER / name).write_bytes(bytes(samples))


def note(name, value):
    print(f"{name} {value}", flush=True)


gegl.gegl_init(None, None)

for name, width, height, form in CASES:
    space = c_void_p(babl.babl_space(b"ProPhoto")) if name == "wide" else None
    made, area = buffer(width, height, fmt(form, space), space)
    restored = Restored(b"gegl:buffer-source", b"buffer", made)
    keep(f"{name}.in", read(made, area, space))
    keep(f"{name}.out", restored.pixels(area, space))
    if space:
        length = c_int(0)
        icc = babl.babl_space_get_icc(space, byref(length))
        keep(f"{name}.icc", ctypes.string_at(icc, length.value))

# Another strength needs no run of the network.
made, area = buffer(320, 240, fmt(b"R'G'B' float"))
restored = Restored(b"gegl:buffer-source", b"buffer", made)
start = time.process_time()
whole = restored.pixels(area)
note("first", time.process_time() - start)
start = time.process_time()
restored.pixels(area, strength=0.5)
note("strength", time.process_time() - start)

# Given up after its first step, as GIMP does on Cancel: the next run gives the whole result.
made, area = buffer(321, 240, fmt(b"R'G'B' float"))
undisturbed = bytes(Restored(b"gegl:buffer-source", b"buffer", made).pixels(area))
made, area = buffer(321, 240, fmt(b"R'G'B' float"))
cancelled = Restored(b"gegl:buffer-source", b"buffer", made)
processor = c_void_p(gegl.gegl_node_new_processor(cancelled.node, byref(area)))
progress = c_double(0.0)
note("goes-on", gegl.gegl_processor_work(processor, byref(progress)))
gobject.g_object_unref(processor)
note("same", bytes(cancelled.pixels(area)) == undisturbed)

# Too large: not a pixel of it is changed, and nothing computed for it.
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
checks = Restored(b"gegl:checkerboard", b"x", c_int(8), b"y", c_int(8))
crop = child(checks.graph, b"gegl:crop", b"width", c_double(9000.0), b"height", c_double(8000.0))
gegl.gegl_node_connect_to(checks.source, b"output", crop, b"input")
gegl.gegl_node_connect_to(crop, b"output", checks.node, b"input")
part = Rectangle(4000, 3000, 40, 30)
plain = (c_float * (part.width * part.height * 4))()
gegl.gegl_node_blit(crop, c_double(1.0), byref(part), fmt(b"R'G'B'A float"), plain, c_int(0), c_int(0))
note("untouched", bytes(checks.pixels(part)) == bytes(plain))
checks.pixels(Rectangle(10, 10, 40, 30))
note("grown", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
