//! JPEG XL: a file's first picture and its metadata in.

use anyhow::{Result, ensure};
use jxl_oxide::{AllocTracker, AuxBoxData, ExtraChannelType, JxlImage, PixelFormat};

use super::decode::{DAMAGED, animation, check_held, photo, zeroed};
use super::exif::Directory;
use super::{Depth, Format, Photo};
use crate::host::size::show_size;

/// EXIF's tag for how a picture is to be turned.
const ORIENTATION: u16 = 0x0112;

/// Decodes a JPEG XL file, and its profile.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn decode(bytes: &[u8], budget: u64) -> Result<(Photo, Option<Vec<u8>>)> {
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
