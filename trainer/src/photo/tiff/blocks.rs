//! Strips and tiles to the samples of a whole page.

use std::io::Cursor;

use anyhow::{Context, Result, ensure};

use super::layout::{Colour, JPEG, Layout, WEBP};
use super::{compression, fax, predictor};
use crate::photo::jpeg::{self, Colours, Frame};

const SHORT: &str = "damaged or cut short; copy it again from where it came";

/// Bytes of a page's samples in memory.
pub fn page_bytes(layout: &Layout) -> Option<usize> {
    layout
        .width
        .checked_mul(layout.height)?
        .checked_mul(layout.samples)?
        .checked_mul(layout.sample.bytes())
}

/// Bytes that reading takes beside them: a block as it is stored, and its samples.
pub fn block_bytes(layout: &Layout) -> Option<usize> {
    let samples = layout
        .block_width
        .checked_mul(layout.block_height)?
        .checked_mul(layout.block_samples())?
        .checked_mul(layout.sample.bytes())?;
    if layout.compression == JPEG {
        // Planes, and for progressive scans their coefficients of two bytes.
        return samples.checked_mul(3);
    }
    let stored = layout.row_bytes()?.checked_mul(layout.block_height)?;
    samples.checked_add(stored)
}

/// Reads a page's samples: rows from the top, interleaved, numbers in the machine's order. The
/// samples of 1 to 8 bits take a byte each, of 9 to 16 two.
///
/// # Errors
/// Damaged data.
pub fn read(layout: &Layout, file: &[u8]) -> Result<Vec<u8>> {
    let bytes = layout.sample.bytes();
    let mut page = vec![0; page_bytes(layout).context(SHORT)?];
    let across = layout.width.div_ceil(layout.block_width);
    let down = layout.height.div_ceil(layout.block_height);
    let stride = layout.width * layout.samples * bytes;
    for (index, &(start, size)) in layout.blocks.iter().enumerate() {
        let (plane, place) = (index / (across * down), index % (across * down));
        let (left, top) = (
            place % across * layout.block_width,
            place / across * layout.block_height,
        );
        let area = Area {
            width: layout.block_width.min(layout.width - left),
            height: layout.block_height.min(layout.height - top),
        };
        let stored = file.get(start..start + size).context(SHORT)?;
        let block = block(layout, stored, area)?;
        let row_samples = area.width * layout.block_samples();
        for (y, row) in block
            .samples
            .chunks_exact(block.stride)
            .take(area.height)
            .enumerate()
        {
            let to = &mut page[(top + y) * stride..][..stride];
            let row = &row[..row_samples * bytes];
            if layout.planar {
                let first = (left * layout.samples + plane) * bytes;
                let pixels = to[first..].chunks_mut(layout.samples * bytes);
                for (to, from) in pixels.zip(row.chunks_exact(bytes)) {
                    to[..bytes].copy_from_slice(from);
                }
            } else {
                let first = left * layout.samples * bytes;
                to[first..first + row.len()].copy_from_slice(row);
            }
        }
    }
    Ok(page)
}

/// The part of a block that is inside the picture.
#[derive(Clone, Copy)]
struct Area {
    width: usize,
    height: usize,
}

struct Block {
    samples: Vec<u8>,
    /// Bytes of a row.
    stride: usize,
}

fn block(layout: &Layout, stored: &[u8], area: Area) -> Result<Block> {
    match layout.compression {
        JPEG => return jpeg(layout, stored, area),
        WEBP => return webp(layout, stored, area),
        _ => {}
    }
    let reversed: Vec<u8>;
    let stored = if layout.reversed_bits {
        reversed = stored.iter().map(|byte| byte.reverse_bits()).collect();
        &reversed
    } else {
        stored
    };
    if layout.is_subsampled() {
        return subsampled(layout, stored, area);
    }
    // What is below the picture in the last row of tiles need not be read.
    let row_bytes = layout.row_bytes().context(SHORT)?;
    let mut rows = vec![0; row_bytes * area.height];
    if matches!(layout.compression, 2..=4) {
        let options = layout.fax_options;
        let width = layout.block_width;
        fax::unpack(
            layout.compression,
            options,
            stored,
            width,
            row_bytes,
            &mut rows,
        )?;
    } else {
        compression::unpack(layout.compression, stored, &mut rows)?;
    }

    let (bits, bytes) = (layout.sample.bits, layout.sample.bytes());
    let samples = layout.block_samples();
    let stride = layout.block_width * samples * bytes;
    if bits < 8 * bytes {
        let mut unpacked = vec![0; stride * area.height];
        for (row, out) in rows
            .chunks_exact(row_bytes)
            .zip(unpacked.chunks_exact_mut(stride))
        {
            unpack_bits(row, bits, bytes, out);
        }
        return Ok(Block {
            samples: unpacked,
            stride,
        });
    }
    let swapped = bytes > 1 && layout.big_endian != cfg!(target_endian = "big");
    for row in rows.chunks_exact_mut(row_bytes) {
        if layout.predictor == 3 {
            predictor::join_floats(row, bytes, samples);
            continue;
        }
        if swapped {
            row.chunks_exact_mut(bytes).for_each(<[u8]>::reverse);
        }
        if layout.predictor == 2 {
            predictor::add_up(row, bytes, samples);
        }
    }
    Ok(Block {
        samples: rows,
        stride,
    })
}

/// Samples of `bits` bits, the first in the highest bits of a byte, as numbers of `bytes` bytes.
fn unpack_bits(row: &[u8], bits: usize, bytes: usize, out: &mut [u8]) {
    let (mut held, mut count) = (0u32, 0);
    let mut row = row.iter();
    for out in out.chunks_exact_mut(bytes) {
        while count < bits {
            held = (held << 8) | u32::from(*row.next().unwrap_or(&0));
            count += 8;
        }
        count -= bits;
        let sample = (held >> count) & ((1 << bits) - 1);
        held &= (1 << count) - 1;
        match out {
            [byte] => *byte = sample as u8,
            pair => pair.copy_from_slice(&(sample as u16).to_ne_bytes()),
        }
    }
}

/// Groups of pixels that share their colour differences: all of the group's lumas, then the two.
fn subsampled(layout: &Layout, stored: &[u8], area: Area) -> Result<Block> {
    let Colour::YCbCr { sampling, .. } = layout.colour else {
        anyhow::bail!(SHORT);
    };
    let [across, down] = sampling;
    let groups = layout.block_width.div_ceil(across);
    let group = across * down + 2;
    let rows = area.height.div_ceil(down);
    let size = groups
        .checked_mul(group)
        .and_then(|row| row.checked_mul(rows));
    let mut units = vec![0; size.context(SHORT)?];
    compression::unpack(layout.compression, stored, &mut units)?;
    let stride = 3 * layout.block_width;
    let mut samples = vec![0; stride * area.height];
    for (y, row) in samples.chunks_exact_mut(stride).enumerate() {
        let units = &units[y / down * groups * group..];
        for (x, pixel) in row.as_chunks_mut().0.iter_mut().enumerate() {
            let unit = &units[x / across * group..][..group];
            *pixel = [
                unit[y % down * across + x % across],
                unit[group - 2],
                unit[group - 1],
            ];
        }
    }
    Ok(Block { samples, stride })
}

/// A JPEG stream; YCbCr becomes RGB on the way.
fn jpeg(layout: &Layout, stored: &[u8], area: Area) -> Result<Block> {
    // The shared tables are a stream of their own; they go after the start of this one.
    let tables = layout.jpeg_tables.as_deref().and_then(|tables| {
        let inside = tables.strip_prefix(&[0xFF, 0xD8])?;
        Some(inside.strip_suffix(&[0xFF, 0xD9]).unwrap_or(inside))
    });
    let scan = stored.strip_prefix(&[0xFF, 0xD8]).context(SHORT)?;
    let stream = [&[0xFF, 0xD8], tables.unwrap_or_default(), scan].concat();
    let frame = Frame::read(&stream)?;
    // Checked first: it may claim all memory. Writers fill up whole units.
    let fits = |size, inside, block: usize| size >= inside && size <= block.next_multiple_of(32);
    let (width, height) = (frame.width, frame.height);
    ensure!(
        fits(width, area.width, layout.block_width)
            && fits(height, area.height, layout.block_height)
            && frame.components.len() == layout.block_samples(),
        "damaged: a JPEG of {width} x {height} pixels in a part of another size; \
         copy it again from where it came"
    );
    // TIFF says what its components stand for, and Adobe's marker inside does not matter.
    let colours = if layout.decodes_to_rgb() {
        Colours::YCbCr
    } else {
        Colours::Stored
    };
    let decoded = jpeg::decode_as(&stream, &frame, colours)?;
    // What a photo by itself is read with, and a word about it, is not how a part of one is written.
    if let Some(note) = decoded.notes.first() {
        anyhow::bail!("{SHORT} ({note})");
    }
    let samples = decoded.samples;
    let stride = width * layout.block_samples();
    Ok(Block { samples, stride })
}

fn webp(layout: &Layout, stored: &[u8], area: Area) -> Result<Block> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(stored))
        .ok()
        .context(SHORT)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    ensure!(
        width == layout.block_width && (area.height..=layout.block_height).contains(&height),
        SHORT
    );
    let mut read = vec![0; decoder.output_buffer_size().context(SHORT)?];
    decoder.read_image(&mut read).ok().context(SHORT)?;
    // WebP leaves alpha out where everything is opaque.
    let wanted = layout.block_samples();
    let pixel = |from: &[u8]| [from[0], from[1], from[2], *from.get(3).unwrap_or(&255)];
    let samples = read
        .chunks_exact(channels)
        .flat_map(|from| pixel(from).into_iter().take(wanted))
        .collect();
    Ok(Block {
        samples,
        stride: width * wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_top() {
        let mut out = [0; 4];
        unpack_bits(&[0b1110_0100], 2, 1, &mut out);
        assert_eq!(out, [3, 2, 1, 0]);
        let mut out = [0; 4];
        unpack_bits(&[0xab, 0xcd, 0xef], 12, 2, &mut out);
        let pair = |at: usize| u16::from_ne_bytes([out[at], out[at + 1]]);
        assert_eq!((pair(0), pair(2)), (0xabc, 0xdef));
    }
}
