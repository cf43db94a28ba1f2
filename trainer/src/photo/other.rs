//! JPEG XL, GIF and BMP.

use std::io::{Seek, Write};

use anyhow::{Context, Result, ensure};
use image::ExtendedColorType;
use image::codecs::bmp::BmpEncoder;
use jxl_oxide::{AllocTracker, AuxBoxData, ExtraChannelType, JxlImage, PixelFormat};

use super::decode::{check_held, photo, zeroed};
use super::exif::Directory;
use super::metadata::{Resolution, Unit};
use super::{Depth, Format, Metadata, Photo};
use crate::size::show_size;

const DAMAGED: &str = "damaged or cut short; copy it again from where it came";

/// EXIF's tag for how a picture is to be turned.
const ORIENTATION: u16 = 0x0112;

/// Decodes a JPEG XL file, and its profile.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn jpeg_xl(bytes: &[u8], budget: u64) -> Result<(Photo, Option<Vec<u8>>)> {
    let damaged = |error| anyhow::anyhow!("{DAMAGED} ({error})");
    let tracker = AllocTracker::with_limit(usize::try_from(budget)?);
    let image = JxlImage::builder()
        .alloc_tracker(tracker)
        .read(bytes)
        .map_err(damaged)?;
    let channels = match image.pixel_format() {
        PixelFormat::Gray => 1,
        PixelFormat::Graya => 2,
        PixelFormat::Rgb => 3,
        PixelFormat::Rgba => 4,
        PixelFormat::Cmyk | PixelFormat::Cmyka => {
            anyhow::bail!("CMYK in JPEG XL is not read: export it as RGB first")
        }
    };
    let header = &image.image_header().metadata;
    let bits = header.bit_depth.bits_per_sample();
    let depth = if bits > 8 {
        Depth::Sixteen
    } else {
        Depth::Eight
    };
    let (width, height) = (image.width(), image.height());
    let total = u64::from(width) * u64::from(height) * channels as u64 * depth.bytes() as u64;
    // It works in floats, on all channels, and keeps a few copies.
    let beside = u64::from(width) * u64::from(height) * 4 * channels as u64 * 3;
    check_held((width.into(), height.into()), total, beside, bytes, budget)?;
    ensure!(
        image.is_loading_done() && image.num_loaded_keyframes() > 0,
        DAMAGED
    );

    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        anyhow::anyhow!(
            "{DAMAGED}, or larger than {} of memory hold ({error})",
            show_size(budget)
        )
    };
    let render = image.render_frame(0).map_err(failed)?;
    let mut stream = render.stream();
    ensure!(
        (stream.width(), stream.height(), stream.channels() as usize) == (width, height, channels),
        DAMAGED
    );
    let mut samples = zeroed(total)?;
    match depth {
        Depth::Eight => {
            stream.write_to_buffer(&mut samples);
        }
        _ => {
            let mut row = vec![0u16; width as usize * channels];
            for out in samples.chunks_exact_mut(2 * row.len()) {
                stream.write_to_buffer(&mut row);
                for (out, sample) in out.as_chunks_mut().0.iter_mut().zip(&row) {
                    *out = sample.to_ne_bytes();
                }
            }
        }
    }
    let associated = header.ec_info.iter().any(|channel| {
        matches!(
            channel.ty,
            ExtraChannelType::Alpha {
                alpha_associated: true
            }
        )
    });
    if associated && channels % 2 == 0 {
        super::tiff::divide_by_alpha(&mut samples, channels, depth);
    }

    let mut photo = photo(Format::JpegXl, (width, height), (channels, depth), samples);
    let boxes = image.aux_boxes();
    if let Ok(AuxBoxData::Data(exif)) = boxes.first_exif() {
        photo.metadata.exif = upright(exif.payload());
    }
    if let AuxBoxData::Data(xmp) = boxes.first_xml() {
        photo.metadata.xmp = Some(xmp.to_vec());
    }
    if image.num_loaded_keyframes() > 1 {
        photo.notes.push(animation(image.num_loaded_keyframes()));
    }
    if bits > 16 {
        photo.notes.push(format!("{bits} bits a sample become 16"));
    }
    Ok((photo, Some(image.rendered_icc())))
}

/// EXIF that does not turn the picture: JPEG XL's own header has said how, and its decoder has done
/// it. Where it does not, it stays as it was: notes of a camera's maker do not survive being moved.
fn upright(exif: &[u8]) -> Option<Vec<u8>> {
    let mut tags = Directory::parse(exif)?;
    let turns = tags.get(ORIENTATION).and_then(|entry| entry.number());
    if turns.is_none_or(|turns| turns == 1) {
        return Some(exif.to_vec());
    }
    tags.entries.retain(|entry| entry.tag != ORIENTATION);
    Some(tags.to_bytes())
}

fn animation(frames: usize) -> String {
    format!("an animation of {frames} pictures; only the first is restored")
}

/// Decodes the first picture of a GIF file.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn gif(bytes: &[u8], budget: u64) -> Result<Photo> {
    let damaged = |error| anyhow::anyhow!("{DAMAGED} ({error})");
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).map_err(damaged)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    ensure!(
        width > 0 && height > 0,
        "the image has no pixels: take another file"
    );
    let total = 4 * u64::from(width) * u64::from(height);
    check_held(
        (width.into(), height.into()),
        total,
        2 * total,
        bytes,
        budget,
    )?;
    let frame = decoder
        .read_next_frame()
        .map_err(damaged)?
        .context(DAMAGED)?;

    // Pictures may be smaller than what they are shown on, which is transparent.
    let mut samples = zeroed(total)?;
    let stride = 4 * width as usize;
    let (left, top) = (4 * usize::from(frame.left), usize::from(frame.top));
    let rows = frame
        .buffer
        .chunks_exact(4 * usize::from(frame.width).max(1));
    for (row, out) in rows.zip(samples.chunks_exact_mut(stride).skip(top)) {
        let inside = row.len().min(stride.saturating_sub(left));
        if inside > 0 {
            out[left..left + inside].copy_from_slice(&row[..inside]);
        }
    }
    let mut frames = 1;
    while let Ok(Some(_)) = decoder.next_frame_info() {
        frames += 1;
    }

    let opaque = samples.chunks_exact(4).all(|pixel| pixel[3] == 255);
    let channels = if opaque {
        let colours = samples.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
        samples = colours.copied().collect();
        3
    } else {
        4
    };
    let mut photo = photo(
        Format::Gif,
        (width, height),
        (channels, Depth::Eight),
        samples,
    );
    if frames > 1 {
        photo.notes.push(animation(frames));
    }
    Ok(photo)
}

/// Resolution and profile of a BMP file.
pub fn bmp_metadata(bytes: &[u8]) -> Metadata {
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
pub fn write_bmp(photo: &Photo, out: &mut (impl Write + Seek)) -> Result<()> {
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
pub fn bmp_losses(photo: &Photo) -> Vec<String> {
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
