//! JPEG: segments of metadata in, a file out, and whether a file is all there.

use std::io::Write;

use anyhow::{Result, ensure};
use image::codecs::jpeg::{JpegEncoder, PixelDensity, PixelDensityUnit};
use image::{ExtendedColorType, ImageEncoder};

use super::metadata::{Resolution, Unit};
use super::{Format, Metadata, Photo};

/// Of our files: no visible loss, full colour resolution.
const QUALITY: u8 = 95;
/// What a segment can hold.
const MAX_SEGMENT: usize = 65533;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF: &[u8] = b"Exif\0\0";
const JFIF: &[u8] = b"JFIF\0";

const PROGRESSIVE: u8 = 0xC2;
const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP13: u8 = 0xED;
const COMMENT: u8 = 0xFE;

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

/// Number of colour components: 4 is CMYK.
pub fn components(bytes: &[u8]) -> Option<u8> {
    frame(bytes).and_then(|(_, data)| data.get(5).copied())
}

/// Bytes of the coefficients that a decoder holds until it has seen all scans: two for each sample
/// as it is stored. None where one scan brings all components.
pub fn coefficient_bytes(bytes: &[u8]) -> u64 {
    let Some((marker, &[_, h1, h0, w1, w0, count, ref components @ ..])) = frame(bytes) else {
        return 0;
    };
    let first_scan = Segments::of(bytes).find(|(marker, ..)| *marker == SOS);
    let scanned = first_scan.and_then(|(_, data, _)| data.first().copied());
    if marker != PROGRESSIVE && scanned == Some(count) {
        return 0;
    }
    let factors = || {
        components
            .chunks_exact(3)
            .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
    };
    // Samples of all components in a block of as many pixels as the largest has samples.
    let stored: u64 = factors().map(|(across, down)| across * down).sum();
    let across = factors()
        .map(|(across, _)| across)
        .max()
        .unwrap_or(1)
        .max(1);
    let down = factors().map(|(_, down)| down).max().unwrap_or(1).max(1);
    let width = u64::from(u16::from_be_bytes([w1, w0])).next_multiple_of(8 * across);
    let height = u64::from(u16::from_be_bytes([h1, h0])).next_multiple_of(8 * down);
    2 * width * height * stored / (across * down)
}

/// The marker and contents of the header of a frame.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8])> {
    Segments::of(bytes)
        .find(
            |(marker, ..)| matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF),
        )
        .map(|(marker, data, _)| (marker, data))
}

/// Whether the file's own end marker follows its scans.
pub fn is_complete(bytes: &[u8]) -> bool {
    let mut scanned = false;
    for (marker, ..) in Segments::of(bytes) {
        match marker {
            SOS => scanned = true,
            EOI => return scanned,
            _ => {}
        }
    }
    false
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

/// The segments of a file: marker, contents, and what follows; entropy-coded data is skipped.
struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Segments {
            rest: bytes.get(2..).unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Between segments may be fill bytes, and after a scan's header its data, in which a
            // zero or a restart number follows each 0xFF.
            let at = self.rest.iter().position(|&byte| byte == 0xFF)?;
            let marker = *self.rest.get(at + 1)?;
            self.rest = &self.rest[at + 1..];
            match marker {
                0xFF => continue,
                0x00 | 0x01 | 0xD0..=0xD8 => self.rest = &self.rest[1..],
                EOI => {
                    self.rest = &self.rest[1..];
                    return Some((EOI, &[], self.rest));
                }
                _ => {
                    let length = self.rest.get(1..3)?;
                    let end = 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                    let data = self.rest.get(3..end)?;
                    self.rest = &self.rest[end..];
                    return Some((marker, data, self.rest));
                }
            }
        }
    }
}
