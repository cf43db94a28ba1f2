//! How a page's pixels are stored, read from its tags and checked.

use anyhow::{Context, Result, bail, ensure};

use super::tags::*;
use crate::photo::exif::{Directory, Entry};

/// How pixels are stored.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// What a sample is.
    pub sample: Sample,
    /// Samples of a pixel, extra ones included.
    pub samples: usize,
    /// What the first samples of a pixel mean.
    pub colour: Colour,
    /// What the samples after the colours mean, by TIFF's numbers.
    pub extra: Vec<u16>,
    /// Whether each kind of sample has blocks of its own.
    pub planar: bool,
    /// Pixels across a strip or tile.
    pub block_width: usize,
    /// Pixels down a strip or tile.
    pub block_height: usize,
    /// Whether blocks past the edge of the picture are stored whole.
    pub tiled: bool,
    /// Where each block starts, and how many bytes it takes.
    pub blocks: Vec<(usize, usize)>,
    /// How a block is compressed.
    pub compression: u32,
    /// What is stored in place of samples: 1 themselves, 2 differences, 3 differences of bytes.
    pub predictor: u32,
    /// Whether the first pixel is in a byte's lowest bit.
    pub reversed_bits: bool,
    /// Whether numbers start with their highest byte.
    pub big_endian: bool,
    /// Options of the fax compressions.
    pub fax_options: u32,
    /// Tables that all blocks of JPEG share.
    pub jpeg_tables: Option<Vec<u8>>,
}

/// A sample as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its width.
    pub bits: usize,
    /// Whether it is a floating-point number; else a whole one without sign.
    pub float: bool,
}

impl Sample {
    /// Bytes of a sample in memory.
    pub fn bytes(self) -> usize {
        match self.bits {
            ..=8 => 1,
            9..=16 => 2,
            17..=32 => 4,
            _ => 8,
        }
    }
}

/// What samples mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Colour {
    /// One level.
    Grey {
        /// Whether 0 is white.
        inverted: bool,
    },
    /// Red, green, blue.
    Rgb,
    /// An index into these colours.
    Palette(Vec<[u8; 3]>),
    /// Four inks.
    Cmyk,
    /// Luma and two differences.
    YCbCr {
        /// What red, green and blue bring to luma.
        weights: [f32; 3],
        /// Code values of black and white, for each of the three.
        levels: [[f32; 2]; 3],
        /// Pixels across and down that share the differences.
        sampling: [usize; 2],
    },
    /// CIE L*a*b*.
    Lab {
        /// Whether a* and b* are stored with 128 (of 255) added; else as signed numbers.
        offset: bool,
    },
}

impl Colour {
    /// Samples that it takes.
    pub fn samples(&self) -> usize {
        match self {
            Colour::Grey { .. } | Colour::Palette(_) => 1,
            Colour::Rgb | Colour::YCbCr { .. } | Colour::Lab { .. } => 3,
            Colour::Cmyk => 4,
        }
    }
}

/// Compressions that are read: none, fax, LZW, JPEG, deflate (two numbers), PackBits, WebP, Zstandard.
const COMPRESSIONS: [u32; 11] = [1, 2, 3, 4, 5, JPEG, 8, 32946, 32773, WEBP, 50000];
/// JPEG, with tables that blocks share.
pub const JPEG: u32 = 7;
/// WebP.
pub const WEBP: u32 = 50001;

/// Pixels that tiles may hold outside of a picture, however small it is.
const MOST_BESIDE: u128 = 1 << 30;

const SAVE: &str = "save it as an ordinary PNG or TIFF with another program first";

impl Layout {
    /// Reads and checks what a page's tags say.
    ///
    /// # Errors
    /// What is not read, by name; what makes no sense.
    pub fn of(page: &Directory, big_endian: bool, file: usize) -> Result<Layout> {
        let numbers = |tag| page.get(tag).and_then(Entry::numbers);
        let number = |tag| numbers(tag).and_then(|numbers| numbers.first().copied());
        let size = |tag| number(tag).map(|number| number as usize);
        let damaged = "damaged: tags that say how pixels are stored are missing; \
                       copy it again from where it came";
        let (width, height) = size(WIDTH).zip(size(HEIGHT)).context(damaged)?;
        ensure!(
            width > 0 && height > 0,
            "the image has no pixels: take another file"
        );

        ensure!(
            number(DEPTH).is_none_or(|depth| depth <= 1),
            "a volume of many pictures, not a photo: save the picture you want by itself"
        );

        let compression = number(COMPRESSION).unwrap_or(1);
        ensure!(
            COMPRESSIONS.contains(&compression),
            "TIFF compressed with {} is not read: {SAVE}",
            compression_name(compression)
        );
        let samples = size(SAMPLES).unwrap_or(1);
        let mut bits = numbers(BITS).unwrap_or_else(|| vec![1]);
        bits.truncate(samples);
        ensure!(
            !bits.is_empty() && bits.iter().all(|one| *one == bits[0]),
            "TIFF with channels of different depths is not read: {SAVE}"
        );
        let formats = numbers(SAMPLE_FORMAT).unwrap_or_else(|| vec![1]);
        ensure!(
            !formats.is_empty() && formats.iter().all(|one| *one == formats[0]),
            "TIFF with channels of different types is not read: {SAVE}"
        );
        let sample = sample(bits[0] as usize, formats[0])?;
        let colour = colour(page, compression, samples, sample)?;
        ensure!(
            samples >= colour.samples() && samples <= 64,
            "damaged: {samples} channels do not make its colours; take another file"
        );
        let mut extra: Vec<u16> = match numbers(EXTRA_SAMPLES) {
            Some(kinds) => kinds.iter().map(|kind| *kind as u16).collect(),
            // Alpha is what writers who say nothing mean.
            None if matches!(colour, Colour::Grey { .. } | Colour::Rgb) => vec![2],
            None => vec![],
        };
        extra.resize(samples - colour.samples(), 0);

        let tiled = page.get(TILE_WIDTH).is_some();
        let (block_width, block_height) = if tiled {
            size(TILE_WIDTH).zip(size(TILE_HEIGHT)).context(damaged)?
        } else {
            (width, size(STRIP_ROWS).unwrap_or(height).min(height))
        };
        ensure!(block_width > 0 && block_height > 0, damaged);
        let planar = number(PLANES) == Some(2) && samples > 1;
        let mut layout = Layout {
            width,
            height,
            sample,
            samples,
            colour,
            extra,
            planar,
            block_width,
            block_height,
            tiled,
            blocks: vec![],
            compression,
            predictor: number(PREDICTOR).unwrap_or(1),
            reversed_bits: number(FILL_ORDER) == Some(2),
            big_endian,
            fax_options: number(FAX_OPTIONS).unwrap_or(0),
            jpeg_tables: page.get(JPEG_TABLES).map(|entry| entry.value.clone()),
        };
        layout.check()?;
        layout.blocks = layout.find_blocks(page, file)?;
        Ok(layout)
    }

    /// Refuses combinations that are not read.
    fn check(&self) -> Result<()> {
        let Layout { sample, .. } = self;
        let whole_bytes = matches!(sample.bits, 8 | 16 | 32 | 64);
        match self.predictor {
            1 => {}
            2 => ensure!(
                whole_bytes && !sample.float || self.compression == JPEG,
                "TIFF with differences of {}-bit samples (predictor 2) is not read: {SAVE}",
                sample.bits
            ),
            3 => ensure!(
                whole_bytes && sample.float,
                "damaged: predictor 3 is for floating-point samples; take another file"
            ),
            other => bail!("TIFF with predictor {other} is not read: {SAVE}"),
        }
        match self.compression {
            2..=4 => ensure!(
                sample.bits == 1 && (self.samples == 1 || self.planar),
                "damaged: fax compression of samples that are not black or white; take another file"
            ),
            JPEG | WEBP => ensure!(
                sample.bits == 8 && !sample.float,
                "TIFF with JPEG or WebP inside is read with 8 bits a sample only, not {}: {SAVE}",
                sample.bits
            ),
            _ => {}
        }
        if self.compression == WEBP {
            ensure!(
                self.samples == 3 || self.samples == 4,
                "damaged: WebP inside holds 3 or 4 channels; take another file"
            );
        }
        if self.is_subsampled() {
            ensure!(
                !self.planar && self.samples == 3 && self.predictor == 1,
                "TIFF with subsampled YCbCr in planes or with a predictor is not read: {SAVE}"
            );
        }
        Ok(())
    }

    /// Whether pixels share colour differences, and are stored in groups.
    pub fn is_subsampled(&self) -> bool {
        self.compression != JPEG
            && matches!(self.colour, Colour::YCbCr { sampling, .. } if sampling != [1, 1])
    }

    /// Whether its decompression gives RGB for what is stored as YCbCr.
    pub fn decodes_to_rgb(&self) -> bool {
        self.compression == JPEG && !self.planar && matches!(self.colour, Colour::YCbCr { .. })
    }

    /// Samples of a pixel in one block.
    pub fn block_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a block as it is stored.
    pub fn row_bytes(&self) -> Option<usize> {
        let bits = self
            .block_width
            .checked_mul(self.block_samples())?
            .checked_mul(self.sample.bits)?;
        Some(bits.div_ceil(8))
    }

    /// Where the blocks are: rows of them from the top, and for each plane in turn.
    fn find_blocks(&self, page: &Directory, file: usize) -> Result<Vec<(usize, usize)>> {
        let (offsets, bytes) = if self.tiled && page.get(TILE_OFFSETS).is_some() {
            (TILE_OFFSETS, TILE_BYTES)
        } else {
            (STRIP_OFFSETS, STRIP_BYTES)
        };
        ensure!(
            !page.lost.contains(&offsets),
            "TIFF of more than 4 GiB is not read: {SAVE}"
        );
        let numbers = |tag| page.get(tag).and_then(Entry::numbers);
        let count = self
            .width
            .div_ceil(self.block_width)
            .checked_mul(self.height.div_ceil(self.block_height))
            .and_then(|count| count.checked_mul(if self.planar { self.samples } else { 1 }))
            .unwrap_or(usize::MAX);
        // Tiles that reach far past the picture make much work of few bytes; a single one is a matter of memory.
        let area = |width: usize, height: usize| width as u128 * height as u128;
        ensure!(
            count == 1
                || count as u128 * area(self.block_width, self.block_height)
                    <= MOST_BESIDE + 64 * self.samples as u128 * area(self.width, self.height),
            "damaged: its tiles are far larger than it is; take another file"
        );
        let offsets = numbers(offsets).unwrap_or_default();
        let sizes = numbers(bytes);
        ensure!(
            offsets.len() >= count && sizes.as_ref().is_none_or(|sizes| sizes.len() >= count),
            "damaged: parts of the picture are not in the file; copy it again from where it came"
        );
        let mut blocks = Vec::with_capacity(count);
        for (index, start) in offsets.iter().take(count).enumerate() {
            let start = *start as usize;
            let stored = sizes.as_ref().map(|sizes| sizes[index] as usize);
            // Old writers left the size of the only strip out.
            let size = stored.unwrap_or(file.saturating_sub(start));
            ensure!(
                start < file && size > 0,
                "cut short, or parts of the picture were never written; \
                 copy it again from where it came"
            );
            blocks.push((start, size.min(file - start)));
        }
        Ok(blocks)
    }
}

fn sample(bits: usize, format: u32) -> Result<Sample> {
    let float = match format {
        1 | 4 => false, // 4: not said
        3 => true,
        2 => bail!("TIFF with signed samples is not read: {SAVE}"),
        _ => bail!("TIFF with complex samples is not read: {SAVE}"),
    };
    let known = if float {
        matches!(bits, 16 | 32 | 64)
    } else {
        matches!(bits, 1..=16 | 32)
    };
    ensure!(
        known,
        "TIFF with {}samples of {bits} bits is not read: {SAVE}",
        if float { "floating-point " } else { "" }
    );
    Ok(Sample { bits, float })
}

fn colour(page: &Directory, compression: u32, samples: usize, sample: Sample) -> Result<Colour> {
    let number = |tag| page.get(tag).and_then(Entry::number);
    let photometric = number(PHOTOMETRIC).unwrap_or(if samples < 3 { 1 } else { 2 });
    let colour = match photometric {
        0 => Colour::Grey { inverted: true },
        1 => Colour::Grey { inverted: false },
        2 => Colour::Rgb,
        3 => Colour::Palette(
            (sample.bits <= 8)
                .then(|| palette(page, 1 << sample.bits))
                .flatten()
                .context("damaged: its palette is missing or too short; take another file")?,
        ),
        5 => {
            ensure!(
                number(INK_SET).is_none_or(|set| set == 1),
                "TIFF with other inks than CMYK is not read: {SAVE}"
            );
            Colour::Cmyk
        }
        6 => ycbcr(page, compression)?,
        8 => Colour::Lab { offset: false },
        9 => Colour::Lab { offset: true },
        4 => bail!("only a transparency mask: take another file"),
        32844 | 32845 => bail!("TIFF with LogLuv colours is not read: {SAVE}"),
        other => bail!("TIFF with colours of kind {other} is not read: {SAVE}"),
    };
    let plain = matches!(colour, Colour::Grey { .. } | Colour::Rgb);
    let whole = sample.bits == 8 || sample.bits == 16 && !matches!(colour, Colour::YCbCr { .. });
    ensure!(
        plain || !sample.float && (whole || matches!(colour, Colour::Palette(_))),
        "TIFF with {} of {} bits a sample is not read: {SAVE}",
        match colour {
            Colour::Cmyk => "CMYK",
            Colour::YCbCr { .. } => "YCbCr",
            Colour::Lab { .. } => "CIELab",
            _ => "a palette",
        },
        sample.bits
    );
    Ok(colour)
}

/// The colour map: all reds, then all greens, then all blues.
fn palette(page: &Directory, count: usize) -> Option<Vec<[u8; 3]>> {
    let map = page.get(COLOUR_MAP)?.numbers()?;
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

fn ycbcr(page: &Directory, compression: u32) -> Result<Colour> {
    let fractions = |tag| page.get(tag).and_then(Entry::fractions);
    let weights = match fractions(YCBCR_WEIGHTS).as_deref() {
        Some(&[red, green, blue, ..]) if green > 0.0 => [red, green, blue],
        _ => [0.299, 0.587, 0.114],
    };
    let levels = match fractions(REFERENCE_LEVELS).as_deref() {
        Some(&[a, b, c, d, e, f]) if b > a && d > c && f > e => [[a, b], [c, d], [e, f]],
        _ => [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]],
    };
    let sampling = match page.get(YCBCR_SAMPLING).and_then(Entry::numbers).as_deref() {
        Some(&[across, down, ..]) => [across as usize, down as usize],
        // What is left out means 2 by 2; JPEG says for itself.
        _ if compression == JPEG => [1, 1],
        _ => [2, 2],
    };
    ensure!(
        sampling.iter().all(|factor| matches!(factor, 1 | 2 | 4)),
        "damaged: its colours are sampled {} by {}; take another file",
        sampling[0],
        sampling[1]
    );
    Ok(Colour::YCbCr {
        weights,
        levels,
        sampling,
    })
}

fn compression_name(compression: u32) -> String {
    match compression {
        6 => "JPEG of the old kind (YCbCr, compression 6)".into(),
        32809 => "ThunderScan".into(),
        34661 => "JBIG".into(),
        33003 | 33004 | 33005 | 34712 => "JPEG 2000".into(),
        34676 | 34677 => "LogLuv".into(),
        34887 => "LERC".into(),
        34925 => "LZMA".into(),
        50002 | 52546 => "JPEG XL".into(),
        other => format!("method {other}"),
    }
}
