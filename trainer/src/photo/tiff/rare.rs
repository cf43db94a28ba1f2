//! Kinds of TIFF that the image crate does not read: grey with alpha, JPEG's YCbCr, palettes.

use std::borrow::Cow;
use std::io::Cursor;

use anyhow::{Context, Result, ensure};
use tiff::decoder::{Decoder, Limits};

use super::{BITS, COMPRESSION, PHOTOMETRIC, PLANES, SAMPLES};
use crate::photo::Depth;
use crate::photo::exif::{Directory, Entry};

const COLOUR_MAP: u16 = 320;
const SAMPLE_FORMAT: u16 = 339;

/// The compression whose YCbCr needs no more tags to be understood.
const JPEG: u32 = 7;

/// A TIFF of such a kind.
pub struct Rare<'a> {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    kind: Kind,
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
}

enum Kind {
    GreyAlpha(Depth),
    YCbCr,
    Palette { bits: usize, colours: Vec<[u8; 3]> },
}

impl<'a> Rare<'a> {
    /// Opens a TIFF of such a kind; `None` for every other one.
    ///
    /// # Errors
    /// Damaged data, YCbCr that is not JPEG's.
    pub fn open(bytes: &'a [u8]) -> Result<Option<Self>> {
        let directory = Directory::parse(bytes).unwrap_or_default();
        let Some(kind) = Kind::of(&directory) else {
            return Ok(None);
        };
        let file = match kind {
            Kind::Palette { .. } => as_grey(directory, bytes)?.into(),
            Kind::YCbCr => {
                let compression = directory.get(COMPRESSION).and_then(Entry::number);
                ensure!(
                    compression == Some(JPEG),
                    "colours as YCbCr are read from JPEG in TIFF (compression 7) only; \
                     save it as an ordinary PNG first"
                );
                bytes.into()
            }
            Kind::GreyAlpha(_) => bytes.into(),
        };
        let mut limits = Limits::default();
        limits.intermediate_buffer_size = bytes.len();
        let mut decoder = Decoder::new(Cursor::new(file))?.with_limits(limits);
        let (width, height) = decoder.dimensions()?;
        Ok(Some(Rare {
            width,
            height,
            kind,
            decoder,
        }))
    }

    /// Channels and depth of its samples.
    pub fn layout(&self) -> (usize, Depth) {
        match self.kind {
            Kind::GreyAlpha(depth) => (2, depth),
            Kind::YCbCr | Kind::Palette { .. } => (3, Depth::Eight),
        }
    }

    /// Its samples, interleaved; RGB where it has colour.
    ///
    /// # Errors
    /// Damaged data, what the decoder does not know.
    pub fn read(mut self, samples: &mut [u8]) -> Result<()> {
        let stored = self.decoder.image_buffer_layout()?.complete_len;
        if let Kind::Palette { bits, colours } = &self.kind {
            let mut indices = vec![0; stored];
            self.decoder.read_image_bytes(&mut indices)?;
            let width = self.width as usize;
            let rows = indices.chunks_exact((width * bits).div_ceil(8));
            for (row, out) in rows.zip(samples.chunks_exact_mut(3 * width)) {
                for (x, pixel) in out.as_chunks_mut().0.iter_mut().enumerate() {
                    *pixel = colours[index(row, x, *bits)];
                }
            }
            return Ok(());
        }
        ensure!(
            stored == samples.len(),
            "damaged or cut short; copy it again from where it came"
        );
        self.decoder.read_image_bytes(samples)?;
        if let Kind::YCbCr = self.kind {
            for pixel in samples.as_chunks_mut().0 {
                *pixel = rgb(*pixel);
            }
        }
        Ok(())
    }
}

impl Kind {
    fn of(directory: &Directory) -> Option<Kind> {
        let number = |tag| directory.get(tag).and_then(Entry::number);
        let plain = number(PLANES) != Some(2)
            && directory.get(SAMPLE_FORMAT).is_none_or(|format| {
                format.value.chunks_exact(2).all(|format| format == [1, 0]) // unsigned
            });
        let layout = (
            number(PHOTOMETRIC)?,
            number(SAMPLES).unwrap_or(1),
            number(BITS).unwrap_or(1),
        );
        match layout {
            _ if !plain => None,
            (1, 2, 8) => Some(Kind::GreyAlpha(Depth::Eight)),
            (1, 2, 16) => Some(Kind::GreyAlpha(Depth::Sixteen)),
            (6, 3, 8) => Some(Kind::YCbCr),
            (3, 1, bits @ (1 | 2 | 4 | 8)) => Some(Kind::Palette {
                bits: bits as usize,
                colours: colours(directory, 1 << bits)?,
            }),
            _ => None,
        }
    }
}

/// The file with a directory that calls its indices grey: the decoder reads no palettes.
fn as_grey(mut directory: Directory, bytes: &[u8]) -> Result<Vec<u8>> {
    directory.set(PHOTOMETRIC, 3, vec![1, 0]);
    let mut file = bytes.to_vec();
    file.resize(bytes.len().next_multiple_of(2), 0);
    let at = u32::try_from(file.len())
        .context("a palette in more than 4 GiB; save it as an ordinary PNG first")?;
    file[..4].copy_from_slice(b"II*\0");
    file[4..8].copy_from_slice(&at.to_le_bytes());
    directory.append(&mut file);
    Ok(file)
}

/// The colour map: all reds, then all greens, then all blues.
fn colours(directory: &Directory, count: usize) -> Option<Vec<[u8; 3]>> {
    let map: Vec<u16> = directory
        .get(COLOUR_MAP)?
        .value
        .chunks_exact(2)
        .map(|value| u16::from_le_bytes([value[0], value[1]]))
        .collect();
    // Some writers took 16-bit values for 8-bit ones.
    let shift = if map.iter().any(|&value| value > 255) {
        8
    } else {
        0
    };
    let value = |at: usize| map.get(at).map(|value| (value >> shift) as u8);
    (0..count)
        .map(|index| {
            Some([
                value(index)?,
                value(index + count)?,
                value(index + 2 * count)?,
            ])
        })
        .collect()
}

/// The index of `bits` bits of the pixel `x` of a row.
fn index(row: &[u8], x: usize, bits: usize) -> usize {
    let bit = x * bits;
    let shifted = row[bit / 8] >> (8 - bits - bit % 8);
    usize::from(shifted) & ((1 << bits) - 1)
}

/// JPEG's YCbCr (BT.601, full range) as RGB.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|value| (value + 0.5) as u8)
}
