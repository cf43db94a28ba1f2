//! BMP: resolution and profile in, a file out.

use std::io::Write;

use anyhow::Result;
use image::ExtendedColorType;
use image::codecs::bmp::BmpEncoder;

use super::metadata::{Resolution, Unit};
use super::{Metadata, Photo};

/// Resolution and profile of a BMP file.
pub fn read_metadata(bytes: &[u8]) -> Metadata {
    let number = |at: usize| {
        let raw: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(raw))
    };
    let header = number(14).unwrap_or(0);
    let mut metadata = Metadata::default();
    if header >= 40
        && let (Some(x), Some(y)) = (number(38), number(42))
        && x > 0
        && y > 0
    {
        metadata.resolution = Some(Resolution {
            x: (x, 1),
            y: (y, 1),
            unit: Unit::Metre,
        });
    }
    // Version 5 may hold a profile, somewhere after the header.
    if header >= 124 && bytes.get(70..74) == Some(b"DEBM") {
        metadata.icc = number(126).zip(number(130)).and_then(|(start, size)| {
            let start = 14 + start as usize;
            Some(
                bytes
                    .get(start..start.checked_add(size as usize)?)?
                    .to_vec(),
            )
        });
    }
    metadata
}

/// Writes a BMP.
///
/// # Errors
/// The writer's.
pub fn write(photo: &Photo, out: &mut impl Write) -> Result<()> {
    let color = match photo.channels {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let mut file = Vec::new();
    let (width, height) = (photo.width as u32, photo.height as u32);
    BmpEncoder::new(&mut file).encode(&photo.samples8(), width, height, color)?;
    if let Some(resolution) = &photo.metadata.resolution
        && resolution.unit != Unit::Aspect
    {
        let (x, y) = resolution.per(Unit::Metre);
        file[38..42].copy_from_slice(&x.to_le_bytes());
        file[42..46].copy_from_slice(&y.to_le_bytes());
    }
    out.write_all(&file)?;
    Ok(())
}

/// What BMP has no place for, in words for the user.
pub fn losses(photo: &Photo) -> Vec<String> {
    let metadata = &photo.metadata;
    [
        (metadata.icc.is_some(), "its colour profile"),
        (
            metadata.exif.is_some() || metadata.xmp.is_some(),
            "its metadata",
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, what)| format!("BMP has no place for {what}, which is left out"))
    .collect()
}
