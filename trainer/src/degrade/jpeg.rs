//! JPEG compression.

use crate::rgb::Rgb;
use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat};
use rand::Rng;
use std::ops::RangeInclusive;

/// Qualities drawn: visible blocks to nearly none.
pub const QUALITY: RangeInclusive<u8> = 10..=60;

/// Compressed with a quality drawn from [`QUALITY`].
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Result<Rgb> {
    compress(clean, rng.random_range(QUALITY))
}

/// To a JPEG file of `quality` (1..=100) and back.
pub fn compress(clean: &Rgb, quality: u8) -> Result<Rgb> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality)
        .write_image(
            &clean.to_u8(),
            clean.width as u32,
            clean.height as u32,
            ExtendedColorType::Rgb8,
        )
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
}
