//! `analyze`: what the backbone's features and the gate make of degraded photos (the paper's figures 3 and 5, and the
//! scores beside its table 5), how well a network tells what is wrong with them, and how far
//! off its results are.

pub mod diagnosis;
pub mod gate;
pub mod layers;
pub mod pca;
pub mod robustness;
pub mod steering;
pub mod uncertainty;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::data::dataset::find_images;
use crate::data::degrade::rain::Rain;
use crate::data::degrade::{blur, haze, noise, rain};
use crate::data::rgb::Rgb;

/// Degradations of a photo, and the photo as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degradation {
    /// Not at all.
    Clean,
    /// Rain.
    Rain,
    /// Gaussian noise of 50 levels.
    Noise,
    /// Gaussian blur of 3.1 pixels.
    Blur,
    /// Haze.
    Haze,
}

impl Degradation {
    /// Every one, the clean photo first.
    pub const ALL: [Self; 5] = [Self::Clean, Self::Rain, Self::Noise, Self::Blur, Self::Haze];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Rain => "rain",
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Haze => "haze",
        }
    }

    /// The degraded photo; the same for the same seed.
    pub fn apply(self, photo: &Rgb, seed: u64) -> Rgb {
        let mut random = StdRng::seed_from_u64(seed);
        match self {
            Self::Clean => photo.clone(),
            Self::Rain => rain::degrade(photo, &mut random),
            Self::Noise => noise::add(photo, 50.0, &mut random),
            Self::Blur => blur::gaussian(photo, 3.1).quantised(),
            Self::Haze => haze::degrade(photo, haze::Frame::WHOLE, &mut random),
        }
    }
}

/// Rain of a density and brightness that do not change with the seed.
fn rain_of(photo: &Rgb, density: f32, brightness: f32, seed: u64) -> Rgb {
    let kind = Rain {
        density,
        angle: 10.0,
        spread: 1.5,
        length: 30.0,
        width: 0.7,
        brightness,
        veil: 0.0,
        screen: false,
    };
    kind.apply(photo, &mut StdRng::seed_from_u64(seed))
        .quantised()
}

/// The first photos of a folder, or one file, cut in their middle to at most 448 x 448 and multiples of 14.
///
/// # Errors
/// A photo that cannot be read, or is smaller than a patch.
pub fn photos(path: &Path, limit: usize) -> Result<Vec<(String, Rgb)>> {
    let files: Vec<PathBuf> = match path.is_dir() {
        true => find_images(path)?,
        false => vec![path.to_owned()],
    };
    let mut found = Vec::new();
    for file in files.iter().take(limit) {
        let photo = Rgb::load(file)?;
        let side = |length: usize| length.min(448) / 14 * 14;
        let (width, height) = (side(photo.width), side(photo.height));
        ensure!(
            width > 0 && height > 0,
            "{}: smaller than a patch of 14 pixels",
            file.display()
        );
        let (x, y) = ((photo.width - width) / 2, (photo.height - height) / 2);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        found.push((name.into_owned(), photo.crop(x, y, width, height)));
    }
    ensure!(!found.is_empty(), "no photos to look at: the limit is 0");
    Ok(found)
}

/// Values of a tensor on the host.
fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec()
        .map_err(|error| anyhow::anyhow!("a result cannot be read: {error}"))
}

/// PSNR in dB of values against a reference, whose range is the peak.
fn psnr(values: &[f32], reference: &[f32]) -> f64 {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &value in reference {
        (low, high) = (low.min(value), high.max(value));
    }
    psnr_of_peak(values, reference, f64::from(high - low))
}

/// PSNR in dB; equal values count as 100.
fn psnr_of_peak(values: &[f32], reference: &[f32], peak: f64) -> f64 {
    let pairs = values.iter().zip(reference);
    let squares: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mean = squares / values.len() as f64;
    (10.0 * (peak * peak / mean).log10()).min(100.0)
}

/// Mean cosine of the vectors of `width` values.
fn cosine(a: &[f32], b: &[f32], width: usize) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(a * b));
        products.sum()
    };
    let vectors = a.chunks_exact(width).zip(b.chunks_exact(width));
    let count = (a.len() / width).max(1) as f64;
    vectors
        .map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12))
        .sum::<f64>()
        / count
}

#[cfg(test)]
mod tests;
