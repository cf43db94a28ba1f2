//! JPEG: pixels and segments of metadata in, a file out.

mod block;
mod decode;
mod fault;
mod frame;
mod huffman;
mod idct;
mod planes;
mod scan;
mod segments;

pub use decode::decode;
pub use frame::Frame;

use std::io::Write;

use anyhow::{Result, ensure};
use image::codecs::jpeg::{JpegEncoder, PixelDensity, PixelDensityUnit};
use image::{ExtendedColorType, ImageEncoder};

use self::segments::{APP0, APP1, APP13, COMMENT, SOS, Segments};
use super::metadata::{Resolution, Unit};
use super::{Format, Metadata, Photo};

/// Of our files: no visible loss, full colour resolution.
const QUALITY: u8 = 95;
/// What a segment can hold.
const MAX_SEGMENT: usize = 65533;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF: &[u8] = b"Exif\0\0";
const JFIF: &[u8] = b"JFIF\0";

/// Reads resolution, EXIF, XMP, IPTC and comments; the profile comes from the decoder.
pub fn read_metadata(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    for (marker, data, _) in Segments::of(bytes).take_while(|(marker, ..)| *marker != SOS) {
        match marker {
            APP0 if data.starts_with(JFIF) => metadata.resolution = density(data),
            APP1 if data.starts_with(EXIF) => {
                metadata
                    .exif
                    .get_or_insert_with(|| data[EXIF.len()..].to_vec());
            }
            APP1 | APP13 | COMMENT => {
                if let Some(xmp) = data.strip_prefix(XMP) {
                    metadata.xmp = Some(xmp.to_vec());
                }
                metadata.jpeg_segments.push((marker, data.to_vec()));
            }
            _ => {}
        }
    }
    metadata
}

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

/// Writes a JPEG of quality 95, 4:4:4.
///
/// # Errors
/// Alpha, more than 65535 pixels a side, and the writer's.
pub fn write(photo: &Photo, out: &mut impl Write) -> Result<()> {
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
    let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
    if let Some(resolution) = &metadata.resolution {
        encoder.set_pixel_density(to_density(resolution));
    }
    let exif = metadata
        .exif
        .as_ref()
        .filter(|exif| exif.len() + EXIF.len() <= MAX_SEGMENT);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif.clone())?;
    }
    if let Some(icc) = &metadata.icc {
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

    // What the encoder has no words for goes after its first segment, JFIF.
    let (_, _, rest) = Segments::of(&file).next().unwrap_or((APP0, &[], &file));
    let mut out = out;
    out.write_all(&file[..file.len() - rest.len()])?;
    for (marker, data) in &metadata.jpeg_segments {
        write_segment(&mut out, *marker, &[data])?;
    }
    if let Some(xmp) = &metadata.xmp
        && photo.format != Format::Jpeg
        && xmp.len() + XMP.len() <= MAX_SEGMENT
    {
        write_segment(&mut out, APP1, &[XMP, xmp])?;
    }
    out.write_all(rest)?;
    Ok(())
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

fn density(data: &[u8]) -> Option<Resolution> {
    let &[unit, a, b, c, d] = data.get(7..12)? else {
        return None;
    };
    Some(Resolution {
        x: (u16::from_be_bytes([a, b]).into(), 1),
        y: (u16::from_be_bytes([c, d]).into(), 1),
        unit: match unit {
            1 => Unit::Inch,
            2 => Unit::Centimetre,
            _ => Unit::Aspect,
        },
    })
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
