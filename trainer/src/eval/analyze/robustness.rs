//! Figure 3 (b): how much noise moves the image, its patch embedding and the backbone's features.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use dino_ir::model::dinov2::{Dinov2, normalize};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;

use super::{host, psnr, psnr_of_peak};
use crate::data::rgb::Rgb;
use crate::eval::chart::grouped;
use crate::eval::features::tensor_of;
use crate::train::plot::write_plot;

/// Noise levels looked at when none are given, of 255.
pub const SIGMAS: [f32; 7] = [5.0, 10.0, 15.0, 25.0, 35.0, 50.0, 75.0];

/// The paper's variances over its noise levels: image, patch embedding, features.
pub const PAPER: [f64; 3] = [36.85, 10.47, 0.61];

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Robustness {
    /// Noise levels, of 255.
    pub sigmas: Vec<f32>,
    /// Photos averaged over.
    pub photos: usize,
    /// The image itself, peak 1.
    pub image: Curve,
    /// Patch tokens before the first block; the peak is the clean tokens' range.
    pub patch_embedding: Curve,
    /// Patch tokens after the last block and its norm; the peak is the clean tokens' range.
    pub features: Curve,
    /// The paper's variances, on its own photos and levels, for image, patch embedding and features.
    pub paper_variance: [f64; 3],
}

/// PSNR over the noise levels.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// Against the clean photo's, at each level, mean over the photos, dB.
    pub psnr: Vec<f64>,
    /// PSNR less its mean over the levels, dB.
    pub deviation: Vec<f64>,
    /// Variance of the PSNR over the levels.
    pub variance: f64,
}

impl Curve {
    fn new(psnr: Vec<f64>) -> Self {
        let mean = psnr.iter().sum::<f64>() / psnr.len() as f64;
        let deviation: Vec<f64> = psnr.iter().map(|value| value - mean).collect();
        let squares = deviation.iter().map(|value| value * value);
        Self {
            variance: squares.sum::<f64>() / psnr.len() as f64,
            psnr,
            deviation,
        }
    }
}

/// Measures a backbone on photos whose sides are multiples of 14.
///
/// # Errors
/// If there is nothing to measure, or a result cannot be read.
pub fn measure(
    backbone: &Dinov2,
    photos: &[(String, Rgb)],
    sigmas: &[f32],
    device: &Device,
) -> Result<Robustness> {
    ensure!(
        !photos.is_empty() && !sigmas.is_empty() && sigmas.iter().all(|s| *s > 0.0),
        "there must be photos, and noise levels above 0"
    );
    let mut sums = vec![[0.0f64; 3]; sigmas.len()];
    for (index, (_, photo)) in photos.iter().enumerate() {
        let clean = views(backbone, photo, device)?;
        for (sums, &sigma) in sums.iter_mut().zip(sigmas) {
            let mut random = StdRng::seed_from_u64(index as u64);
            let noisy = crate::data::degrade::noise::add(photo, sigma, &mut random);
            let noisy = views(backbone, &noisy, device)?;
            sums[0] += psnr_of_peak(&noisy[0], &clean[0], 1.0);
            sums[1] += psnr(&noisy[1], &clean[1]);
            sums[2] += psnr(&noisy[2], &clean[2]);
        }
    }
    let curve = |which: usize| {
        let means = sums.iter().map(|sums| sums[which] / photos.len() as f64);
        Curve::new(means.collect())
    };
    Ok(Robustness {
        sigmas: sigmas.to_vec(),
        photos: photos.len(),
        image: curve(0),
        patch_embedding: curve(1),
        features: curve(2),
        paper_variance: PAPER,
    })
}

/// The image, its patch embedding, its features.
fn views(backbone: &Dinov2, photo: &Rgb, device: &Device) -> Result<[Vec<f32>; 3]> {
    let image = normalize(tensor_of(photo, device));
    let patches = backbone.patch_embed.forward(image.clone());
    let [_, count, _] = patches.dims();
    let depth = backbone.blocks.len();
    let tokens = backbone.tokens(image, &[depth]).remove(0);
    let tokens = backbone.norm.forward(tokens);
    let [_, all, _] = tokens.dims();
    let tokens = tokens.narrow(1, all - count, count);
    Ok([photo.pixels.clone(), host(patches)?, host(tokens)?])
}

impl Robustness {
    /// A table for people, the paper's variances beside ours.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "PSNR to the clean photo (dB), mean over {} photos; deviation from the mean over levels in brackets",
            self.photos
        )];
        let heading: String = self.sigmas.iter().map(|s| format!("{s:>16}")).collect();
        lines.push(format!(
            "{:<18}{heading} {:>10} {:>8}",
            "noise level", "variance", "paper"
        ));
        let rows = [
            ("image", &self.image),
            ("patch embedding", &self.patch_embedding),
            ("features", &self.features),
        ];
        for ((name, curve), paper) in rows.into_iter().zip(self.paper_variance) {
            let cells = curve.psnr.iter().zip(&curve.deviation);
            let cells: String = cells
                .map(|(p, d)| format!("{p:>8.2} ({d:>+5.1})"))
                .collect();
            lines.push(format!(
                "{name:<18}{cells} {:>10.2} {paper:>8.2}",
                curve.variance
            ));
        }
        lines.join("\n")
    }

    /// Draws the deviations, as in the figure.
    ///
    /// # Errors
    /// Names the file.
    pub fn plot(&self, path: &Path) -> Result<()> {
        let groups: Vec<String> = self
            .sigmas
            .iter()
            .map(|sigma| format!("sigma {sigma}"))
            .collect();
        let curves = [
            ("image", &self.image),
            ("patch embedding", &self.patch_embedding),
            ("features", &self.features),
        ];
        let series: Vec<(String, Vec<f64>)> = curves
            .into_iter()
            .map(|(name, curve)| {
                let label = format!("{name}, variance {:.2}", curve.variance);
                (label, curve.deviation.clone())
            })
            .collect();
        let title = "deviation of the PSNR from its mean over noise levels";
        write_plot(path, (1100, 500), |root| {
            grouped(root, title, "dB", &groups, &series)
        })
    }
}
