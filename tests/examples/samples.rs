//! Makes the page's sample photos from clean CC0 photos, with the degradations of the training:
//!
//!     cargo run --release --example samples -- FOLDER web/www/samples
//!
//! FOLDER is a checkout of gb82-image-set (CC0), as JPEG.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dino_ir_trainer::data::degrade::haze::Frame;
use dino_ir_trainer::data::degrade::{blur, haze, noise, rain};
use dino_ir_trainer::data::rgb::Rgb;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb as Pixel, RgbImage};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Both sides, in pixels.
const SIDE: u32 = 448;
/// High enough to leave the noise as it is.
const QUALITY: u8 = 90;

type Degrade = fn(&Rgb, &mut StdRng) -> Rgb;

/// Name of the sample, of the photo, seed, what is done.
const SAMPLES: [(&str, &str, u64, Degrade); 4] = [
    ("noisy", "dog-lossless.jpg", 1, |clean, rng| {
        noise::add(clean, 35.0, rng)
    }),
    ("rainy", "flowers-lossless.jpg", 3, |clean, rng| {
        rain::degrade(clean, rng)
    }),
    ("hazy", "nyc-lossless.jpg", 5, |clean, rng| {
        haze::degrade(clean, Frame::WHOLE, rng)
    }),
    ("blurred", "guitar-lossless.jpg", 0, |clean, _| {
        blur::gaussian(clean, 2.0).quantised()
    }),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (from, to) = arguments
        .next()
        .zip(arguments.next())
        .context("usage: samples FOLDER OUTPUT")?;
    for (name, photo, seed, degrade) in SAMPLES {
        let clean = Rgb::load(&from.join(photo))?;
        let (width, height) = (clean.width as u32, clean.height as u32);
        let clean: ImageBuffer<Pixel<f32>, _> =
            ImageBuffer::from_raw(width, height, clean.pixels).context("a whole photo")?;
        let clean = resize(&clean, SIDE, SIDE, FilterType::CatmullRom).into_raw();
        let clean = Rgb::new(SIDE as usize, SIDE as usize, clean)?;
        let degraded = degrade(&clean, &mut StdRng::seed_from_u64(seed)).to_u8();
        let degraded = RgbImage::from_raw(SIDE, SIDE, degraded).context("a whole photo")?;
        let file = BufWriter::new(File::create(to.join(format!("{name}.jpg")))?);
        degraded.write_with_encoder(JpegEncoder::new_with_quality(file, QUALITY))?;
    }
    Ok(())
}
