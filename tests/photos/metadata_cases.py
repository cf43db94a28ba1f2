"""Files of four formats with all kinds of metadata, written by ExifTool."""

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import profiles
import tiff_file as tiff
from pictures import integers, waves

EXIF = {
    "IFD0:Make": "Maker",
    "IFD0:Model": "Model 7",
    "IFD0:Artist": "A. Photographer",
    "IFD0:Copyright": "(c) somebody",
    "IFD0:ImageDescription": "A picture of waves",
    "IFD0:ModifyDate": "2021:03:04 05:06:07",
    "ExifIFD:DateTimeOriginal": "2020:01:02 03:04:05",
    "ExifIFD:CreateDate": "2020:01:02 03:04:06",
    "ExifIFD:OffsetTimeOriginal": "+01:00",
    "ExifIFD:SubSecTimeOriginal": "123",
    "ExifIFD:ExposureTime": "0.008",
    "ExifIFD:FNumber": "2.8",
    "ExifIFD:ISO": "400",
    "ExifIFD:FocalLength": "35",
    "ExifIFD:LensModel": "Lens 35 mm",
    "ExifIFD:UserComment": "Grüße in EXIF",
}
GPS = {
    "GPS:GPSLatitude": "48.8583",
    "GPS:GPSLatitudeRef": "N",
    "GPS:GPSLongitude": "2.2945",
    "GPS:GPSLongitudeRef": "E",
    "GPS:GPSAltitude": "35",
    "GPS:GPSDateStamp": "2020:01:02",
}
XMP = {
    "XMP-dc:Title": "Waves",
    "XMP-dc:Creator": "A. Photographer",
    "XMP-dc:Subject": "waves",
    "XMP-xmp:Rating": "4",
    "XMP-photoshop:City": "Paris",
}
IPTC = {"IPTC:Keywords": "waves", "IPTC:Caption-Abstract": "A caption", "IPTC:City": "Paris", "IPTC:By-line": "A. Photographer"}
TEXTS = {"PNG:Title": "Waves", "PNG:Author": "A. Photographer", "PNG:Software": "a program", "PNG:Description": "schöne Wellen"}
FORMATS = ("jpg", "png", "tif", "webp")


@dataclass
class Tagged:
    """A file with metadata."""

    name: str
    # Bytes that the result may not hold: a thumbnail of what the picture was.
    outdated: bytes | None = None


def write(folder):
    """Writes all of them into a folder; returns what they are."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    helpers = folder / "helpers"
    helpers.mkdir()
    thumbnail = _saved(Image.fromarray(integers(waves(16, 12) / 2, 8)), "JPEG", quality=60)
    sources = {
        "thumbnail.jpg": thumbnail,
        "srgb.icc": profiles.SRGB,
        "large.icc": profiles.enlarged(profiles.SRGB, 150_000),
        "grey.icc": profiles.grey(),
    }
    for name, data in sources.items():
        (helpers / name).write_bytes(data)
    found, script = [], []
    for kind in FORMATS:
        for name, tags in _sets(kind, helpers).items():
            file = folder / f"{name}.{kind}"
            grey = name == "profile-grey"
            file.write_bytes(_picture(kind, grey, ">" if name.endswith("-be") else "<"))
            script += [f"-{tag}{'' if value.startswith('<') else '='}{value}" for tag, value in tags.items()]
            script += ["-charset", "iptc=UTF8", "-overwrite_original", "-q", str(file), "-execute"]
            found.append(Tagged(file.name, thumbnail if "IFD1:ThumbnailImage" in tags else None))
    (helpers / "script").write_text("\n".join(script) + "\n")
    done = subprocess.run(["exiftool", "-@", str(helpers / "script")], capture_output=True, text=True)
    # ExifTool warns of what it leaves out; a test that tests nothing is none.
    if done.returncode or "Error" in done.stderr:
        raise RuntimeError(f"exiftool: {done.stderr}")
    return found


def _sets(kind, helpers):
    # JFIF counts its units from 1, TIFF from 2: inches, then centimetres.
    group, inch = ("JFIF", 1) if kind == "jpg" else ("IFD0", 2)
    resolution = {"XResolution": "300", "YResolution": "300", "ResolutionUnit#": str(inch)}
    metric = {"XResolution": "120", "YResolution": "118", "ResolutionUnit#": str(inch + 1)}
    sets = {
        "nothing": {},
        "exif": EXIF,
        "gps": EXIF | GPS,
        "xmp": XMP,
        "profile": {"ICC_Profile": f"<={helpers}/srgb.icc"},
        "profile-large": {"ICC_Profile": f"<={helpers}/large.icc"},
        "profile-grey": {"ICC_Profile": f"<={helpers}/grey.icc"},
        "resolution": {f"{group}:{tag}": value for tag, value in resolution.items()},
        "resolution-metric": {f"{group}:{tag}": value for tag, value in metric.items()},
    }
    if kind == "png":
        sets["resolution"] = {"PNG-pHYs:PixelsPerUnitX": "11811", "PNG-pHYs:PixelsPerUnitY": "11811", "PNG-pHYs:PixelUnits#": "1"}
        sets["resolution-metric"] = {"PNG-pHYs:PixelsPerUnitX": "20000", "PNG-pHYs:PixelsPerUnitY": "10000", "PNG-pHYs:PixelUnits#": "1"}
        sets["texts"] = TEXTS
        sets["everything"] = EXIF | GPS | XMP | TEXTS
    for orientation in range(1, 9):
        sets[f"orientation-{orientation}"] = {"IFD0:Orientation#": str(orientation)}
    if kind in ("jpg", "tif"):
        sets["iptc"] = IPTC
        sets["everything"] = EXIF | GPS | XMP | IPTC | {"ICC_Profile": f"<={helpers}/srgb.icc", "IFD0:Orientation#": "6"}
    if kind == "tif":
        sets |= {f"{name}-be": sets[name] for name in ("everything", "iptc", "orientation-6", "resolution")}
    if kind == "jpg":
        sets["comment"] = {"Comment": "a comment of JPEG"}
        sets["thumbnail"] = EXIF | {"IFD1:ThumbnailImage": f"<={helpers}/thumbnail.jpg"}
        sets["everything"] |= {"Comment": "a comment of JPEG", "IFD1:ThumbnailImage": f"<={helpers}/thumbnail.jpg"}
    if kind == "webp":
        # Its pictures have colours, whatever they are of.
        del sets["profile-grey"]
        sets["everything"] = EXIF | GPS | XMP | {"ICC_Profile": f"<={helpers}/srgb.icc", "IFD0:Orientation#": "6"}
    return sets


def _picture(kind, grey, order):
    picture = integers(waves(32, 24, 1 if grey else 3), 8)
    if kind == "tif":
        return tiff.write([tiff.Page(picture, tiff.BLACK_IS_ZERO if grey else tiff.RGB, compression=tiff.LZW)], order)
    image = Image.fromarray(picture[..., 0] if grey else picture)
    return _saved(image, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[kind], **({"lossless": True} if kind == "webp" else {}))


def _saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
