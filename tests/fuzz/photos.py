#!/usr/bin/env python3
"""Adds photos in kinds that the program reads and does not write to the corpus.

    pip install numpy pillow tifffile imagecodecs
    tests/fuzz/photos.py tests/fuzz/corpus/photo
"""

import os
import sys

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

os.chdir(sys.argv[1])
y, x = np.mgrid[0:9, 0:13]
five = np.stack([x * 19, y * 28, x * y * 2, x * 5 + y * 9, 255 - x * 19], -1).astype("u1")
rgb = five[..., :3]


def tiff(name, samples, **layout):
    tifffile.imwrite(f"{name}.tif", samples, metadata=None, software=False, **layout)


tiff("lzw_mask", five[..., :4], photometric="rgb", extrasamples=(0,), compression="lzw", predictor=2)
tiff("cmyk_spot_tiles", five, photometric="separated", extrasamples=(0,), compression="zlib", predictor=2, tile=(16, 16))
deep = np.moveaxis(rgb, -1, 0).astype(">u2") * 257
tiff("planar_tiles", deep, photometric="rgb", planarconfig="separate", tile=(16, 16), compression="zstd", byteorder=">")
floats = (five[..., :4] / 255).astype("f4")
tiff("float_rgba", floats, photometric="rgb", extrasamples=(1,), compression="zlib", predictor=3)
tiff("grey12", five[..., 0].astype("u2") * 16, photometric="minisblack", bitspersample=12)
tiff("ycbcr", rgb, photometric="ycbcr", compression="jpeg", subsampling=(2, 2))
tiff("webp", rgb, photometric="rgb", compression="webp")
with tifffile.TiffWriter("thumbnail.tif") as pages:
    pages.write(rgb[::3, ::3], photometric="rgb", subfiletype=1, metadata=None, software=False, subifds=1)
    pages.write(rgb, photometric="rgb", metadata=None, software=False)
for compression in ("group3", "group4", "tiff_ccitt"):
    Image.fromarray(five[..., 2] > 90).save(f"fax_{compression}.tif", compression=compression)

image = Image.fromarray(rgb)
palette = image.quantize(16)
palette.save("palette.tif", compression="packbits")
palette.save("palette.bmp")
palette.save("frames.gif", save_all=True, append_images=[image.rotate(180).quantize(16)])
image.save("rgb8.bmp")
for name, data in (
    ("rgb8", imagecodecs.jpegxl_encode(rgb, lossless=True)),
    ("lossy", imagecodecs.jpegxl_encode(five[..., :4], level=80)),
):
    with open(f"{name}.jxl", "wb") as file:
        file.write(data)
