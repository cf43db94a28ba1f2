//! GIF: a file's first picture in.

use anyhow::{Context, Result, ensure};
use gif::{ColorOutput, DecodeOptions};

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
