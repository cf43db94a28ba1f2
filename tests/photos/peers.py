"""What other decoders make of a file."""

import io
import os
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageOps

# Of tags that a file was given on purpose.
warnings.filterwarnings("ignore", module="PIL")


class Unreadable(Exception):
    """A peer does not know this kind of file."""


def tifffile_samples(data, page=0):
    """The stored samples of a page, height x width x samples, by tifffile."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            found = file.pages[page]
            samples = found.asarray()
            separate = found.planarconfig == 2 and found.samplesperpixel > 1
    except Exception as error:
        raise Unreadable(f"tifffile: {error}") from error
    if separate:
        samples = np.moveaxis(samples, 0, -1)
    return samples if samples.ndim == 3 else samples[..., None]


def pillow_samples(data, mode=None):
    """The first frame by Pillow; `mode` says what of it is wanted."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if mode and image.mode != mode:
                image = image.convert(mode)
            samples = np.asarray(image)
    except Exception as error:
        raise Unreadable(f"Pillow: {error}") from error
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    return samples if samples.ndim == 3 else samples[..., None]


def lab_to_srgb(axes):
    """8-bit CIELAB of D50, lightness in 255ths and axes around 0, as sRGB by Little CMS."""
    image = Image.frombytes("LAB", axes.shape[1::-1], axes.astype(np.uint8).tobytes())
    lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
    return np.asarray(ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))


def libpng_samples(data):
    """The picture by libpng."""
    try:
        with _hushed():
            samples = imagecodecs.png_decode(data)
    except Exception as error:
        raise Unreadable(f"libpng: {error}") from error
    return samples if samples.ndim == 3 else samples[..., None]


@contextmanager
def _hushed():
    """libpng writes its warnings to the process's standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def upright_samples(data):
    """The picture as Pillow shows it: turned as its metadata say, grey where it is stored so."""
    with Image.open(io.BytesIO(data)) as image:
        samples = np.asarray(ImageOps.exif_transpose(image))
    return samples if samples.ndim == 3 else samples[..., None]


def djpeg(data):
    """The picture by libjpeg-turbo's own program, grey or RGB."""
    done = subprocess.run(["djpeg", "-pnm"], input=data, capture_output=True)
    if done.returncode not in (0, 2) or not done.stdout:
        raise Unreadable(f"djpeg: {done.stderr.decode().strip()}")
    kind, width, height, _, pixels = _netpbm(done.stdout)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3 if kind == b"P6" else 1)


def _netpbm(data):
    fields, at = [], 0
    while len(fields) < 4:
        while data[at : at + 1].isspace():
            at += 1
        end = at
        while not data[end : end + 1].isspace():
            end += 1
        fields.append(data[at:end])
        at = end
    return fields[0], int(fields[1]), int(fields[2]), int(fields[3]), data[at + 1 :]


def cjpeg(picture, *options):
    """A JPEG of an 8-bit picture by libjpeg-turbo's own program."""
    height, width, channels = picture.shape
    header = b"P%d %d %d 255\n" % (6 if channels == 3 else 5, width, height)
    with tempfile.NamedTemporaryFile("w", suffix=".scans") as scans:
        options = list(options)
        if "-scans" in options:
            at = options.index("-scans") + 1
            scans.write(options[at])
            scans.flush()
            options[at] = scans.name
        done = subprocess.run(["cjpeg", *options], input=header + picture.tobytes(), capture_output=True)
    if done.returncode:
        raise RuntimeError(f"cjpeg {options}: {done.stderr.decode()}")
    return done.stdout


def result(path):
    """The pixels of a result, height x width x channels."""
    data = Path(path).read_bytes()
    match Path(path).suffix:
        case ".png":
            return libpng_samples(data)
        case ".tif":
            return tifffile_samples(data)
        case _:
            return pillow_samples(data)
