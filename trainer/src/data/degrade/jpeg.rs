//! JPEG compression.

use crate::data::rgb::Rgb;
use anyhow::{Context, Result};
use image::ImageFormat;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use rand::Rng;
use std::ops::RangeInclusive;

/// Qualities drawn: visible blocks to nearly none.
pub const QUALITY: RangeInclusive<u8> = 10..=60;

/// How a JPEG is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// 1..=100, as in libjpeg.
    pub quality: u8,
    /// Whether colour has half the resolution (4:2:0), as in most photos.
    pub halved: bool,
}

impl Compression {
    /// A quality of the range, colour at half resolution in two of three.
    pub fn draw(quality: RangeInclusive<u8>, rng: &mut impl Rng) -> Self {
        Self {
            quality: rng.random_range(quality),
            halved: rng.random_bool(0.67),
        }
    }
}

/// Compressed with a quality drawn from [`QUALITY`].
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Result<Rgb> {
    compress(clean, rng.random_range(QUALITY))
}

/// To a JPEG file of `quality` (1..=100), colour at full resolution, and back.
pub fn compress(clean: &Rgb, quality: u8) -> Result<Rgb> {
    let compression = Compression {
        quality,
        halved: false,
    };
    compress_as(clean, &compression)
}

/// To a JPEG file and back.
pub fn compress_as(clean: &Rgb, compression: &Compression) -> Result<Rgb> {
    let (width, height) = (u16::try_from(clean.width)?, u16::try_from(clean.height)?);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, compression.quality);
    encoder.set_sampling_factor(if compression.halved {
        SamplingFactor::F_2_2
    } else {
        SamplingFactor::F_1_1
    });
    encoder
        .encode(&clean.to_u8(), width, height, ColorType::Rgb)
        .context("cannot compress as JPEG")?;
    let decoded = image::load_from_memory_with_format(&file, ImageFormat::Jpeg)
        .context("cannot read back a JPEG")?;
    Rgb::from_u8(clean.width, clean.height, &decoded.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_quality_is_further_from_the_photo() {
        let clean = Rgb::from_fn(40, 24, |x, y| {
            let wave = |k: usize| 0.5 + 0.4 * ((x * k + y * 3) as f32).sin();
            [wave(1), wave(2), wave(5)]
        });
        let error = |quality| {
            let found = compress(&clean, quality).expect("a JPEG");
            assert_eq!((found.width, found.height), (40, 24));
            let pairs = found.pixels.iter().zip(&clean.pixels);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
        };
        assert!(error(10) > 2.0 * error(95));
        assert!(error(95) > 0.0);
    }

    #[test]
    fn halved_colour_blurs_colour_alone() {
        let stripes = |colour: [f32; 3]| {
            Rgb::from_fn(32, 32, |x, _| if x % 2 == 0 { colour } else { [0.5; 3] })
        };
        let error = |clean: &Rgb, halved| {
            let compression = Compression {
                quality: 95,
                halved,
            };
            let found = compress_as(clean, &compression).expect("a JPEG");
            let pairs = found.pixels.iter().zip(&clean.pixels);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
        };
        let (red, grey) = (stripes([0.9, 0.4, 0.5]), stripes([0.8; 3]));
        assert!(error(&red, true) > 4.0 * error(&red, false));
        assert!(error(&grey, true) < 1.5 * error(&grey, false) + 0.1);
    }
}
