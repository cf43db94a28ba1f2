//! JPEG: pixels and segments of metadata in, a file out.

mod block;
mod decode;
mod fault;
mod frame;
mod huffman;
mod idct;
mod metadata;
mod planes;
mod scan;
mod segments;

pub use decode::{decode, decode_as};
pub use frame::Frame;
pub use metadata::read_metadata;
pub use planes::Colours;

use std::io::Write;

use anyhow::{Result, ensure};
use image::codecs::jpeg::{JpegEncoder, PixelDensity, PixelDensityUnit};
use image::{ExtendedColorType, ImageEncoder};

use self::metadata::{EXIF, ICC, RESOURCES, XMP};
use self::segments::{APP0, APP1, APP13, Segments};
use super::Photo;
use super::metadata::{Resolution, Unit};

/// Of our files, where the user does not say otherwise: no visible loss.
pub const QUALITY: u8 = 95;
/// What a segment can hold.
const MAX_SEGMENT: usize = 65533;
/// What it can hold of EXIF and of XMP, after their names.
pub const MAX_EXIF: usize = MAX_SEGMENT - EXIF.len();
/// See [`MAX_EXIF`].
pub const MAX_XMP: usize = MAX_SEGMENT - XMP.len();
/// A profile fills at most 255 segments, each with its name and two numbers.
pub const MAX_ICC: usize = 255 * (MAX_SEGMENT - ICC.len() - 2);

/// Bytes that decoding takes beside the photo's own `decoded`: planes, and the coefficients that a progressive file's scans
/// complete bit by bit, two bytes for each sample as it is stored.
pub fn decoding_bytes(bytes: &[u8], decoded: u64) -> u64 {
    let Ok(frame) = Frame::read(bytes) else {
        return 0;
    };
    let planes = frame.stored_samples();
    // The coefficients go before the photo is made.
    let coefficients = if frame.progressive { 2 * planes } else { 0 };
    planes.max((planes + coefficients).saturating_sub(decoded))
}

/// Writes a JPEG of full colour resolution (4:4:4).
///
/// # Errors
/// Alpha, more than 65535 pixels a side, and the writer's.
pub fn write(photo: &Photo, quality: u8, out: &mut impl Write) -> Result<()> {
    ensure!(
        !photo.has_alpha(),
        "JPEG holds no transparency: write a PNG with -o NAME.png"
    );
    ensure!(
        photo.width <= 65535 && photo.height <= 65535,
        "JPEG holds at most 65535 pixels a side: write a PNG with -o NAME.png"
    );
    let metadata = &photo.metadata;
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, quality);
    if let Some(resolution) = &metadata.resolution {
        encoder.set_pixel_density(to_density(resolution));
    }
    // What is too large for a segment was made to fit before, or is left out.
    let exif = metadata.exif.as_ref();
    if let Some(exif) = exif.filter(|exif| exif.len() <= MAX_EXIF) {
        encoder.set_exif_metadata(exif.clone())?;
    }
    let icc = metadata.icc.as_ref();
    if let Some(icc) = icc.filter(|icc| icc.len() <= MAX_ICC) {
        encoder.set_icc_profile(icc.clone())?;
    }
    let color = if photo.channels == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    encoder.write_image(
        &photo.samples8(),
        photo.width as u32,
        photo.height as u32,
        color,
    )?;

    // What the encoder has no words for goes after JFIF and EXIF, which readers want first.
    let mut segments = Segments::of(&file);
    let mut rest = segments.rest;
    while let Some((APP0 | APP1, _, after)) = segments.next() {
        rest = after;
    }
    let mut out = out;
    out.write_all(&file[..file.len() - rest.len()])?;
    let xmp = metadata.xmp.as_ref();
    if let Some(xmp) = xmp.filter(|xmp| xmp.len() <= MAX_XMP) {
        write_segment(&mut out, APP1, &[XMP, xmp])?;
    }
    for (marker, data) in &metadata.jpeg_segments {
        write_segment(&mut out, *marker, &[data])?;
    }
    out.write_all(rest)?;
    Ok(())
}

/// IPTC as one of Photoshop's resources, in a segment: marker and contents. `None` where it is too large for one.
pub fn iptc_segment(iptc: &[u8]) -> Option<(u8, Vec<u8>)> {
    let length = u32::try_from(iptc.len()).ok()?;
    let mut data = [RESOURCES, b"8BIM\x04\x04\0\0", &length.to_be_bytes(), iptc].concat();
    if iptc.len() % 2 == 1 {
        data.push(0);
    }
    (data.len() <= MAX_SEGMENT).then_some((APP13, data))
}

fn write_segment(out: &mut impl Write, marker: u8, parts: &[&[u8]]) -> Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum::<usize>() + 2;
    out.write_all(&[0xFF, marker])?;
    out.write_all(&u16::try_from(length)?.to_be_bytes())?;
    for part in parts {
        out.write_all(part)?;
    }
    Ok(())
}

fn to_density(resolution: &Resolution) -> PixelDensity {
    let (written, unit) = match resolution.unit {
        Unit::Aspect => (Unit::Aspect, PixelDensityUnit::PixelAspectRatio),
        Unit::Centimetre => (Unit::Centimetre, PixelDensityUnit::Centimeters),
        Unit::Inch | Unit::Metre => (Unit::Inch, PixelDensityUnit::Inches),
    };
    let (x, y) = resolution.per(written);
    let short = |count: u32| u16::try_from(count).unwrap_or(u16::MAX).max(1);
    PixelDensity {
        density: (short(x), short(y)),
        unit,
    }
}

#[cfg(test)]
mod tests;
