//! What decoders and encoders take in memory beside a photo's samples.

use anyhow::{Result, ensure};

use super::{Depth, Format, Photo, jpeg};
use crate::host::size::{show_size, suggest_size};

/// The program itself, and the least that the network can work in.
const PROGRAM: u64 = 256 << 20;

/// Bytes that decoding `file` takes beside it and the `decoded` bytes of its samples.
pub fn of_decoding(format: Format, file: &[u8], channels: usize, decoded: u64) -> u64 {
    match format {
        Format::Png => 0,
        Format::Jpeg => jpeg::decoding_bytes(file, decoded),
        // Without loss all photos have four channels and tables; with loss planes, and alpha's own photo.
        Format::WebP if channels == 4 => decoded / 4 * 7,
        Format::WebP => decoded / 3 * 5,
        // Theirs is known when their layout is.
        Format::Tiff | Format::Gif | Format::JpegXl => decoded,
        Format::Bmp => 0,
    }
}

/// Bytes that writing `photo` as `format` takes beside its samples. A file that grows in memory
/// takes up to twice its size, and noise does not shrink.
pub fn of_encoding(photo: &Photo, format: Format) -> u64 {
    let pixels = photo.width as u64 * photo.height as u64;
    let samples = pixels * photo.channels as u64;
    let narrow = match photo.depth {
        Depth::Eight => 0,
        Depth::Sixteen | Depth::Float => samples,
    };
    match format {
        // Written row by row, and strip by strip.
        Format::Png | Format::Tiff => 0,
        Format::Jpeg => narrow + 2 * samples,
        Format::WebP => narrow + 4 * pixels + 2 * samples,
        Format::Bmp => narrow + 2 * samples,
        // Not written.
        Format::Gif | Format::JpegXl => 0,
    }
}

/// Refuses a photo that takes more than `budget`: its `held` bytes, and the program itself.
///
/// # Errors
/// One line with the remedy.
pub fn check(width: u64, height: u64, held: u64, budget: u64) -> Result<()> {
    let needed = held.saturating_add(PROGRAM);
    ensure!(
        needed <= budget,
        "{width} x {height} pixels need at least {} of memory, more than the {} allowed: \
         give --memory {} or scale the photo down",
        show_size(needed),
        show_size(budget),
        suggest_size(needed)
    );
    Ok(())
}
