"""What the program refuses, and in what words: the only refusals that pass."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Files that may be refused for a reason."""

    # Of the file's name, a regular expression.
    files: str
    # Of what standard error says after the file's name, a regular expression.
    message: str
    # For the table.
    reason: str


# A refusal names what the file is or has; that a file is damaged is said of damaged files only.
REFUSALS = [
    Refusal(r"-(cut|bit-flipped|no-pixels|no-data|no-tables)", r"cut short|damaged", "damaged or cut short"),
    Refusal(r"^(png|webp)-refused-animated", r"animation", "an animation"),
    Refusal(r"^jpeg-.*arithmetic", r"arithmetic", "arithmetic coding"),
    Refusal(r"^jpeg-refused-lossless", r"lossless JPEG", "lossless JPEG"),
    Refusal(r"^jpeg-refused-12-bit", r"12 bits", "12-bit JPEG"),
    Refusal(r"^jpeg-refused-no-height", r"height", "height told at the end"),
    Refusal(r"^tiff-.*-lzma", r"LZMA", "LZMA"),
    Refusal(r"^tiff-uncommon-signed", r"signed", "signed samples"),
    Refusal(r"^tiff-.*float32-far-beyond", r"floating-point values", "floats of another range"),
    Refusal(r"^other-(cr2|cr3|raf)", r"camera raw", "camera raw"),
    Refusal(r"^other-heic", r"HEIC", "HEIC"),
    Refusal(r"^avif-", r"AVIF", "AVIF"),
    Refusal(r"^other-jp2", r"JPEG 2000", "JPEG 2000"),
    Refusal(r"^other-psd", r"Photoshop", "Photoshop"),
    Refusal(r"^other-exr", r"OpenEXR", "OpenEXR"),
    Refusal(r"^other-hdr", r"Radiance", "Radiance HDR"),
    Refusal(r"^other-pdf", r"PDF", "PDF"),
    Refusal(r"^other-txt|^jpeg-refused-cut-after-start", r"not an? .*image", "no image"),
    Refusal(r"^other-empty", r"empty", "empty"),
]


def reason(name, message):
    """The reason of the table by which a file may be refused so; None: by none."""
    for refusal in REFUSALS:
        if re.search(refusal.files, name) and re.search(refusal.message, message):
            return refusal.reason
    return None
