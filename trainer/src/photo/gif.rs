//! GIF: a file's first picture in.

use anyhow::{Context, Result, ensure};
use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::decode::{DAMAGED, animation, check_held, photo, zeroed};
use super::{Depth, Format, Photo};

/// Decodes the first picture of a GIF file.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn decode(bytes: &[u8], budget: u64) -> Result<Photo> {
    let damaged = |error| anyhow::anyhow!("{DAMAGED} ({error})");
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    // What a picture takes is checked below; the decoder's own bound refuses large ones as damaged.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(damaged)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    ensure!(
        width > 0 && height > 0,
        "the image has no pixels: take another file"
    );
    let total = 4 * u64::from(width) * u64::from(height);
    let frame = decoder
        .next_frame_info()
        .map_err(damaged)?
        .context(DAMAGED)?
        .clone();
    // A picture may be larger than what it is shown on.
    let stored = 4 * u64::from(frame.width) * u64::from(frame.height);
    check_held(
        (width.into(), height.into()),
        total,
        stored + total,
        bytes,
        budget,
    )?;
    let mut picture = zeroed(stored)?;
    decoder.read_into_buffer(&mut picture).map_err(damaged)?;

    // Pictures may be smaller than what they are shown on, which is transparent.
    let mut samples = zeroed(total)?;
    let stride = 4 * width as usize;
    let (left, top) = (4 * usize::from(frame.left), usize::from(frame.top));
    let rows = picture.chunks_exact(4 * usize::from(frame.width).max(1));
    for (row, out) in rows.zip(samples.chunks_exact_mut(stride).skip(top)) {
        let inside = row.len().min(stride.saturating_sub(left));
        if inside > 0 {
            out[left..left + inside].copy_from_slice(&row[..inside]);
        }
    }
    drop(picture);
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
    photo.metadata.icc = decoder.icc_profile().map(<[u8]>::to_vec);
    photo.metadata.xmp = decoder.xmp_metadata().map(<[u8]>::to_vec);
    if frames > 1 {
        photo.notes.push(animation(frames));
    }
    Ok(photo)
}
