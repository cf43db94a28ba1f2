//! A photo to a TIFF file: one page, in strips, deflated without loss.

use std::io::{Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use flate2::{Compression, write::ZlibEncoder};

use super::tags::*;
use super::{alpha, predictor};
use crate::photo::exif::Directory;
use crate::photo::{Depth, Format, Photo};

/// Bytes of a strip before it is deflated.
const STRIP: usize = 256 << 10;

/// Writes an 8- or 16-bit or floating-point TIFF.
///
/// # Errors
/// More than 4 GiB, and the writer's.
pub fn write(photo: &Photo, out: &mut (impl Write + Seek)) -> Result<()> {
    // Little-endian; where the directory is comes last.
    out.write_all(b"II*\0\0\0\0\0")?;
    let channels = Channels::of(photo);
    let row_bytes = photo.width * channels.count * photo.depth.bytes();
    let rows = (STRIP / row_bytes.max(1)).clamp(1, photo.height);
    let (mut offsets, mut sizes) = (Vec::new(), Vec::new());
    let mut row = Vec::with_capacity(row_bytes);
    for top in (0..photo.height).step_by(rows) {
        let mut strip = ZlibEncoder::new(Vec::new(), Compression::fast());
        for y in top..(top + rows).min(photo.height) {
            channels.row(photo, y, &mut row);
            strip.write_all(&row)?;
        }
        let strip = strip.finish()?;
        offsets.push(position(out)?);
        sizes.push(u32::try_from(strip.len())?);
        out.write_all(&strip)?;
    }

    let mut at = position(out)?;
    if at % 2 == 1 {
        out.write_all(&[0])?;
        at += 1;
    }
    let mut tags = kept_tags(photo);
    let mut shorts = |tag, values: &[u16]| {
        let value = values.iter().flat_map(|value| value.to_le_bytes());
        tags.set(tag, 3, value.collect());
    };
    let (bits, format) = match photo.depth {
        Depth::Eight => (8, 1),
        Depth::Sixteen => (16, 1),
        Depth::Float => (32, 3),
    };
    shorts(BITS, &vec![bits; channels.count]);
    shorts(SAMPLE_FORMAT, &vec![format; channels.count]);
    shorts(COMPRESSION, &[8]);
    shorts(PHOTOMETRIC, &[if photo.channels < 3 { 1 } else { 2 }]);
    shorts(SAMPLES, &[channels.count as u16]);
    shorts(PLANES, &[1]);
    shorts(PREDICTOR, &[if channels.predicts { 2 } else { 1 }]);
    if !channels.kinds.is_empty() {
        shorts(EXTRA_SAMPLES, &channels.kinds);
    }
    let mut longs = |tag, values: &[u32]| {
        let value = values.iter().flat_map(|value| value.to_le_bytes());
        tags.set(tag, 4, value.collect());
    };
    longs(WIDTH, &[photo.width as u32]);
    longs(HEIGHT, &[photo.height as u32]);
    longs(STRIP_ROWS, &[rows as u32]);
    longs(STRIP_OFFSETS, &offsets);
    longs(STRIP_BYTES, &sizes);

    let mut directory = Vec::new();
    tags.append(&mut directory, at);
    out.write_all(&directory)?;
    position(out)?;
    out.seek(SeekFrom::Start(4))?;
    out.write_all(&at.to_le_bytes())?;
    out.seek(SeekFrom::End(0))?;
    Ok(())
}

/// Where the next byte goes.
fn position(out: &mut impl Seek) -> Result<u32> {
    u32::try_from(out.stream_position()?)
        .context("more than the 4 GiB that TIFF holds; write a PNG with -o NAME.png")
}

/// What a pixel of the file consists of.
struct Channels {
    count: usize,
    /// What those after the colours mean.
    kinds: Vec<u16>,
    /// Where among them alpha is.
    alpha: Option<usize>,
    associated: bool,
    /// Whether differences are stored.
    predicts: bool,
}

impl Channels {
    fn of(photo: &Photo) -> Self {
        let extra = &photo.metadata.tiff_extra;
        let (kinds, alpha) = match (extra.alpha(), photo.has_alpha()) {
            // Samples and their meaning go together.
            (alpha, has_alpha) if alpha.is_some() == has_alpha => (extra.kinds.clone(), alpha),
            (_, true) => (vec![2], Some(0)),
            (_, false) => (vec![], None),
        };
        Channels {
            count: photo.channels - usize::from(photo.has_alpha()) + kinds.len(),
            associated: alpha.is_some_and(|at| kinds[at] == 1),
            kinds,
            alpha,
            predicts: photo.depth != Depth::Float,
        }
    }

    /// The row `y` as it is stored.
    fn row(&self, photo: &Photo, y: usize, row: &mut Vec<u8>) {
        let bytes = photo.depth.bytes();
        let stride = photo.width * photo.channels * bytes;
        let mut samples = photo.samples[y * stride..][..stride].to_vec();
        if self.associated {
            alpha::multiplied(photo, &mut samples);
        }
        let others = self.kinds.len() - usize::from(self.alpha.is_some());
        if others == 0 {
            std::mem::swap(row, &mut samples);
        } else {
            row.clear();
            let colours = (self.count - self.kinds.len()) * bytes;
            let stride = photo.width * others * bytes;
            let extra = &photo.metadata.tiff_extra.samples[y * stride..][..stride];
            let pixels = samples.chunks_exact(photo.channels * bytes);
            for (pixel, extra) in pixels.zip(extra.chunks_exact(others * bytes)) {
                let (colours, alpha) = pixel.split_at(colours);
                row.extend_from_slice(colours);
                let mut extra = extra.chunks_exact(bytes);
                for at in 0..self.kinds.len() {
                    let sample = if Some(at) == self.alpha {
                        Some(alpha)
                    } else {
                        extra.next()
                    };
                    row.extend_from_slice(sample.unwrap_or_default());
                }
            }
        }
        if self.predicts {
            predictor::subtract(row, bytes, self.count);
        }
        if bytes > 1 && cfg!(target_endian = "big") {
            row.chunks_exact_mut(bytes).for_each(<[u8]>::reverse);
        }
    }
}

/// The tags that are not about this file.
fn kept_tags(photo: &Photo) -> Directory {
    let metadata = &photo.metadata;
    let exif = metadata.exif.as_deref().and_then(Directory::parse);
    let mut tags = exif.unwrap_or_default();
    let colours = photo.format == Format::Tiff;
    tags.entries
        .retain(|entry| !is_structure(entry.tag) || colours && COLOUR_TAGS.contains(&entry.tag));
    if let Some(resolution) = &metadata.resolution {
        resolution.put(&mut tags);
    }
    if let Some(icc) = &metadata.icc {
        tags.set(ICC, 7, icc.clone());
    }
    if let Some(xmp) = &metadata.xmp {
        tags.set(XMP, 1, xmp.clone());
    }
    tags
}
