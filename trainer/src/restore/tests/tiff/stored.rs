//! Writes TIFF files in any layout, for tests to read.

use std::io::Write;

use crate::photo::exif::Directory;

/// How a page is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub width: usize,
    pub height: usize,
    pub bits: usize,
    pub samples: usize,
    pub photometric: u16,
    pub extra: Vec<u16>,
    pub compression: u16,
    pub predictor: bool,
    pub planar: bool,
    /// Width and height of tiles; else strips of five rows.
    pub tile: Option<(usize, usize)>,
    pub reversed_bits: bool,
}

pub(super) const LZW: u16 = 5;
pub(super) const DEFLATE: u16 = 8;
pub(super) const PACK_BITS: u16 = 32773;
pub(super) const ZSTD: u16 = 50000;

impl Stored {
    /// An 8-bit page without anything special.
    pub(super) fn plain(samples: usize, photometric: u16) -> Self {
        Stored {
            width: 21,
            height: 13,
            bits: 8,
            samples,
            photometric,
            extra: vec![],
            compression: 1,
            predictor: false,
            planar: false,
            tile: None,
            reversed_bits: false,
        }
    }

    /// A sample of the test picture: smooth, but different in each channel.
    pub(super) fn sample(&self, x: usize, y: usize, channel: usize) -> u32 {
        let level = (x * (3 + channel) + y * (11 - channel) + channel * 40) as u32 % 256;
        (level * 257 + x as u32) & ((1u32 << self.bits) - 1)
    }

    /// All samples of some channels, interleaved.
    pub(super) fn expected(&self, channels: &[usize]) -> Vec<u32> {
        let mut all = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                all.extend(channels.iter().map(|&channel| self.sample(x, y, channel)));
            }
        }
        all
    }

    /// The file, little-endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.with(Directory::default())
    }

    /// The file with more tags.
    pub(super) fn with(&self, mut tags: Directory) -> Vec<u8> {
        let mut file = b"II*\0\0\0\0\0".to_vec();
        self.put(&mut file, &mut tags);
        let at = file.len() as u32;
        file[4..8].copy_from_slice(&at.to_le_bytes());
        tags.append(&mut file, 0);
        file
    }

    /// Appends the blocks, and puts what is to be known of them into `tags`.
    pub(super) fn put(&self, file: &mut Vec<u8>, tags: &mut Directory) {
        let (across, down) = self.tile.unwrap_or((self.width, 5));
        let planes: Vec<Vec<usize>> = if self.planar {
            (0..self.samples).map(|channel| vec![channel]).collect()
        } else {
            vec![(0..self.samples).collect()]
        };
        let (mut offsets, mut sizes) = (vec![], vec![]);
        for channels in planes {
            for top in (0..self.height).step_by(down) {
                for left in (0..self.width).step_by(across) {
                    let rows = match self.tile {
                        Some(_) => down,
                        None => down.min(self.height - top),
                    };
                    let block = self.block(&channels, (left, top), (across, rows));
                    offsets.push(file.len() as u32);
                    sizes.push(block.len() as u32);
                    file.extend(block);
                }
            }
        }
        if file.len() % 2 == 1 {
            file.push(0);
        }
        let mut set = |tag, values: &[u32]| {
            let value = values.iter().flat_map(|value| value.to_le_bytes());
            tags.set(tag, 4, value.collect());
        };
        set(256, &[self.width as u32]);
        set(257, &[self.height as u32]);
        set(258, &vec![self.bits as u32; self.samples]);
        set(259, &[self.compression.into()]);
        set(262, &[self.photometric.into()]);
        set(266, &[if self.reversed_bits { 2 } else { 1 }]);
        set(277, &[self.samples as u32]);
        set(284, &[if self.planar { 2 } else { 1 }]);
        set(317, &[if self.predictor { 2 } else { 1 }]);
        if !self.extra.is_empty() {
            let kinds: Vec<u32> = self.extra.iter().map(|kind| (*kind).into()).collect();
            set(338, &kinds);
        }
        if self.tile.is_some() {
            set(322, &[across as u32]);
            set(323, &[down as u32]);
            set(324, &offsets);
            set(325, &sizes);
        } else {
            set(273, &offsets);
            set(278, &[down as u32]);
            set(279, &sizes);
        }
    }

    fn block(
        &self,
        channels: &[usize],
        (left, top): (usize, usize),
        (width, height): (usize, usize),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        for y in top..top + height {
            let mut row = Vec::new();
            for x in left..left + width {
                // Past the edge is what no reader should show.
                let inside = x < self.width && y < self.height;
                row.extend(channels.iter().map(|&channel| {
                    if inside {
                        self.sample(x, y, channel)
                    } else {
                        77
                    }
                }));
            }
            if self.predictor {
                for at in (channels.len()..row.len()).rev() {
                    row[at] = row[at].wrapping_sub(row[at - channels.len()]);
                }
            }
            match self.bits {
                16 => bytes.extend(row.iter().flat_map(|sample| (*sample as u16).to_le_bytes())),
                bits => bytes.extend(packed(&row, bits)),
            }
        }
        let mut stored = match self.compression {
            LZW => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(&bytes)
                .expect("encodes"),
            DEFLATE => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes).expect("encodes");
                encoder.finish().expect("encodes")
            }
            PACK_BITS => {
                let copies = bytes.chunks(100);
                copies
                    .flat_map(|part| [&[part.len() as u8 - 1], part].concat())
                    .collect()
            }
            ZSTD => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                ruzstd::encoding::compress_to_vec(&bytes[..], level)
            }
            _ => bytes,
        };
        if self.reversed_bits {
            stored
                .iter_mut()
                .for_each(|byte| *byte = byte.reverse_bits());
        }
        stored
    }
}

/// Samples of few bits, the first in the highest bits; a row ends with a whole byte.
fn packed(row: &[u32], bits: usize) -> Vec<u8> {
    let mut out = vec![0; (row.len() * bits).div_ceil(8)];
    for (index, sample) in row.iter().enumerate() {
        for bit in 0..bits {
            if sample >> (bits - 1 - bit) & 1 == 1 {
                let at = index * bits + bit;
                out[at / 8] |= 0x80 >> (at % 8);
            }
        }
    }
    out
}
