//! How well one fault is removed and another kept: hazy photos of SOTS outdoor with noise on top.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dino_ir::restore::{Options, Restorer};
use dino_ir::weights::Loaded;
use dino_ir::{Fault, Removal};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::data::dataset::find_pairs;
use crate::data::degrade::noise;
use crate::data::rgb::Rgb;
use crate::eval::metrics::Protocol;
use crate::host::interrupt;
use crate::train::diagnosis::to_image;

/// Noise laid over the hazy photos, of 255.
const SIGMA: f32 = 25.0;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Photos that were looked at.
    pub photos: usize,
    /// Noise laid over them, of 255.
    pub sigma: f32,
    /// For each way to ask.
    pub asked: Vec<Asked>,
    /// PSNR of what the network makes of the hazy photos without noise, against their truths.
    pub haze_alone: f64,
    /// The first photo, as it was and in the order of `asked`, side by side.
    #[serde(skip)]
    picture: Option<Rgb>,
}

/// What came of a way to ask.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// What was to be removed.
    pub removed: &'static str,
    /// PSNR against the photo that still has what was not to be removed.
    pub psnr: f64,
    /// The same of the photo before: how far there was to go.
    pub before: f64,
    /// Noise left in flat parts, of 255.
    pub sigma: f64,
    /// What it is there in the photo that was wanted.
    pub sigma_wanted: f64,
}

const ASKED: [(&str, &[Fault]); 3] = [
    ("noise", &[Fault::Noise]),
    ("haze", &[Fault::Haze]),
    ("noise and haze", &[Fault::Noise, Fault::Haze]),
];

/// Measures the first `limit` photos of `sots_outdoor` below a folder.
///
/// # Errors
/// A photo that cannot be read, weights that cannot be steered, a folder without such photos.
pub fn measure(restorer: &Restorer<Loaded>, folder: &Path, limit: usize) -> Result<Found> {
    let pairs = find_pairs(&folder.join("sots_outdoor"))?;
    let photos = pairs.len().min(limit);
    ensure!(photos > 0, "{}: has no photos", folder.display());
    let empty = |&(removed, _): &(&'static str, _)| Asked {
        removed,
        psnr: 0.0,
        before: 0.0,
        sigma: 0.0,
        sigma_wanted: 0.0,
    };
    let mut asked: Vec<Asked> = ASKED.iter().map(empty).collect();
    let mut haze_alone = 0.0;
    let mut picture = None;
    let share = 1.0 / photos as f64;
    for (index, pair) in pairs.iter().take(photos).enumerate() {
        ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
        let [hazy, clean] = [&pair.degraded, &pair.clean].map(|path| Rgb::load(path));
        let (hazy, clean) = (hazy?, clean?);
        // The same noise over both.
        let noisy =
            |photo: &Rgb| noise::add(photo, SIGMA, &mut StdRng::seed_from_u64(index as u64));
        let (input, noisy_clean) = (noisy(&hazy), noisy(&clean));
        haze_alone += share * psnr(&restored(restorer, &hazy, Removal::ALL)?, &clean)?;
        let mut row = vec![input.clone()];
        for ((_, faults), asked) in ASKED.iter().zip(&mut asked) {
            let found = restored(restorer, &input, Removal::only(faults))?;
            let wanted = match faults {
                [Fault::Noise] => &hazy,
                [Fault::Haze] => &noisy_clean,
                _ => &clean,
            };
            asked.psnr += share * psnr(&found, wanted)?;
            asked.before += share * psnr(&input, wanted)?;
            asked.sigma += share * flat_sigma(&found, &clean);
            asked.sigma_wanted += share * flat_sigma(wanted, &clean);
            row.push(found);
        }
        picture.get_or_insert_with(|| beside(&row));
    }
    Ok(Found {
        photos,
        sigma: SIGMA,
        asked,
        haze_alone,
        picture,
    })
}

impl Found {
    /// For people.
    pub fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "hazy photos with noise {}, {} of them; alone the haze is removed to {:.2} dB",
                self.sigma, self.photos, self.haze_alone
            ),
            format!(
                "{:<16} {:>8} {:>8} {:>12} {:>8}",
                "removed", "before", "PSNR", "noise left", "wanted"
            ),
        ];
        for asked in &self.asked {
            lines.push(format!(
                "{:<16} {:>8.2} {:>8.2} {:>12.1} {:>8.1}",
                asked.removed, asked.before, asked.psnr, asked.sigma, asked.sigma_wanted
            ));
        }
        lines.join("\n")
    }

    /// The first photo with both faults, without the noise, without the haze, and without both.
    ///
    /// # Errors
    /// Names the file.
    pub fn show(&self, path: &Path) -> Result<()> {
        let picture = self.picture.as_ref().context("no photo")?;
        picture.save_png(path)
    }
}

fn restored(restorer: &Restorer<Loaded>, photo: &Rgb, removal: Removal) -> Result<Rgb> {
    let options = Options {
        removal,
        ..Options::default()
    };
    let found = restorer.restore_image(&to_image(photo.clone())?, &options)?;
    Ok(Rgb::new(photo.width, photo.height, found.pixels().to_vec())?.quantised())
}

fn psnr(found: &Rgb, wanted: &Rgb) -> Result<f64> {
    Ok(Protocol::Restormer.score(found, wanted)?.psnr)
}

/// Side of the blocks that are flat or not.
const BLOCK: usize = 8;

/// Deviation of the noise in the flattest tenth of the blocks of the clean photo, of 255: from differences of neighbours,
/// to which slow changes of light add little.
fn flat_sigma(photo: &Rgb, clean: &Rgb) -> f64 {
    let roughness = |photo: &Rgb, left: usize, top: usize| -> f64 {
        let pairs = (0..BLOCK).flat_map(|y| (1..BLOCK).map(move |x| (left + x, top + y)));
        let squares = pairs.flat_map(|(x, y)| {
            let (pixel, before) = (photo.pixel(x, y), photo.pixel(x - 1, y));
            [0, 1, 2].map(|c| f64::from(255.0 * (pixel[c] - before[c])).powi(2))
        });
        squares.sum::<f64>() / (3 * BLOCK * (BLOCK - 1)) as f64
    };
    let blocks = |length: usize| (0..length / BLOCK).map(|at| at * BLOCK);
    let mut found: Vec<(f64, f64)> = blocks(clean.height)
        .flat_map(|top| blocks(clean.width).map(move |left| (left, top)))
        // Where light is clipped there is no noise.
        .filter(|&(left, top)| {
            let middle = clean.pixel(left + BLOCK / 2, top + BLOCK / 2);
            middle.iter().all(|value| (0.25..0.75).contains(value))
        })
        .map(|(left, top)| (roughness(clean, left, top), roughness(photo, left, top)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.truncate((found.len() / 10).max(1));
    let mean = found.iter().map(|pair| pair.1).sum::<f64>() / found.len().max(1) as f64;
    (mean / 2.0).sqrt()
}

/// Pictures of one size side by side.
fn beside(pictures: &[Rgb]) -> Rgb {
    let (width, height) = (pictures[0].width, pictures[0].height);
    Rgb::from_fn(width * pictures.len(), height, |x, y| {
        pictures[x / width].pixel(x % width, y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_measured_where_the_photo_is_flat() {
        // Flat on the left, stripes on the right, a slope over both.
        let clean = Rgb::from_fn(256, 128, |x, y| {
            let stripes = if x >= 128 && x % 2 == 0 { 0.2 } else { 0.0 };
            [0.35 + stripes + 0.001 * y as f32; 3]
        });
        assert!(flat_sigma(&clean, &clean) < 0.5);
        let noisy = noise::add(&clean, 20.0, &mut StdRng::seed_from_u64(1));
        let sigma = flat_sigma(&noisy, &clean);
        assert!((sigma - 20.0).abs() < 1.0, "{sigma}");
    }
}
