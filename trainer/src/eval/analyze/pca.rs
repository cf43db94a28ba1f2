//! Figures 3 (a) and 5: the first three principal components of patch features as colours, for a clean photo and
//! degraded ones. The components are those of all of them together, so that equal colours mean equal features.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use dino_ir::model::dinov2::Dinov2;
use serde::Serialize;

use super::{Degradation, cosine, host, rain_of};
use crate::data::rgb::Rgb;
use crate::eval::features::tensor_of;

/// Rounds of the power iteration; the components shown are far apart.
const ROUNDS: usize = 60;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Components {
    /// The block whose features are shown.
    pub block: usize,
    /// Share of the variance that each of the three components explains.
    pub explained: [f64; 3],
    /// For each picture after the first, the mean cosine of its three components to the first's.
    pub likeness: Vec<Likeness>,
}

/// How like the clean photo's map another one is.
#[derive(Clone, Debug, Serialize)]
pub struct Likeness {
    /// The picture.
    pub picture: &'static str,
    /// 1 for equal maps.
    pub cosine: f64,
}

/// The pictures of a figure and their names; the clean one first.
pub type Pictures = Vec<(&'static str, Rgb)>;

/// Figure 3 (a): clean, rainy, noisy, blurred.
pub fn degraded(photo: &Rgb) -> Pictures {
    [
        Degradation::Clean,
        Degradation::Rain,
        Degradation::Noise,
        Degradation::Blur,
    ]
    .map(|degradation| (degradation.name(), degradation.apply(photo, 1)))
    .into()
}

/// Figure 5: no rain, light rain, heavy rain.
pub fn rains(photo: &Rgb) -> Pictures {
    vec![
        ("no rain", photo.clone()),
        ("light rain", rain_of(photo, 25.0, 0.15, 1)),
        ("heavy rain", rain_of(photo, 110.0, 0.3, 1)),
    ]
}

/// Computes the components of one block, and the figure: the pictures above, their features below.
///
/// # Errors
/// A block that is not there, a result that cannot be read.
pub fn measure(
    backbone: &Dinov2,
    pictures: &Pictures,
    block: usize,
    device: &Device,
) -> Result<(Components, Rgb)> {
    let depth = backbone.blocks.len();
    ensure!(
        (1..=depth).contains(&block),
        "block {block}: this backbone has blocks 1 to {depth}"
    );
    let mut all = Vec::new();
    let (mut rows, mut columns, mut width) = (0, 0, 0);
    for (_, picture) in pictures {
        let features = backbone.features(tensor_of(picture, device), &[block]);
        (rows, columns) = (features.rows, features.columns);
        [_, _, width] = features.blocks[0].dims();
        all.extend(host(features.blocks[0].clone())?);
    }
    let principal = principal(&all, width);
    let patches = rows * columns;
    let maps: Vec<&[f32]> = principal.scores.chunks_exact(3 * patches).collect();
    let likeness = pictures.iter().zip(&maps).skip(1);
    let likeness = likeness.map(|((picture, _), map)| Likeness {
        picture,
        cosine: cosine(map, maps[0], 3),
    });
    let components = Components {
        block,
        explained: principal.explained,
        likeness: likeness.collect(),
    };
    Ok((components, figure(pictures, &maps, rows, columns)))
}

/// Scores of the first three components.
struct Principal {
    /// Three for each vector.
    scores: Vec<f32>,
    explained: [f64; 3],
}

/// Principal components of vectors of `width` values, by power iteration with deflation.
fn principal(vectors: &[f32], width: usize) -> Principal {
    let count = vectors.len() / width;
    let mut mean = vec![0.0f64; width];
    for vector in vectors.chunks_exact(width) {
        for (mean, value) in mean.iter_mut().zip(vector) {
            *mean += f64::from(*value) / count as f64;
        }
    }
    let mut centred: Vec<f64> = vectors
        .iter()
        .enumerate()
        .map(|(at, value)| f64::from(*value) - mean[at % width])
        .collect();
    let total: f64 = centred.iter().map(|v| v * v).sum::<f64>().max(1e-30);
    let mut scores = vec![0.0f32; 3 * count];
    let mut explained = [0.0; 3];
    for component in 0..3 {
        // Any start that is not orthogonal to the axis will do.
        let mut axis: Vec<f64> = (0..width).map(|k| 1.0 + (k % 7) as f64 * 0.1).collect();
        for _ in 0..ROUNDS {
            let mut next = vec![0.0f64; width];
            for vector in centred.chunks_exact(width) {
                let along: f64 = vector.iter().zip(&axis).map(|(v, a)| v * a).sum();
                next.iter_mut()
                    .zip(vector)
                    .for_each(|(n, v)| *n += along * v);
            }
            let norm = next.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-30);
            axis = next.into_iter().map(|v| v / norm).collect();
        }
        for (vector, scores) in centred
            .chunks_exact_mut(width)
            .zip(scores.chunks_exact_mut(3))
        {
            let along: f64 = vector.iter().zip(&axis).map(|(v, a)| v * a).sum();
            scores[component] = along as f32;
            explained[component] += along * along / total;
            vector
                .iter_mut()
                .zip(&axis)
                .for_each(|(v, a)| *v -= along * a);
        }
    }
    Principal { scores, explained }
}

/// Pictures above, the components of their features as red, green and blue below.
fn figure(pictures: &Pictures, maps: &[&[f32]], rows: usize, columns: usize) -> Rgb {
    const GAP: usize = 6;
    let (width, height) = (pictures[0].1.width, pictures[0].1.height);
    // The same stretch for all maps: from the lowest to the highest score of each component.
    let mut range = [(f32::INFINITY, f32::NEG_INFINITY); 3];
    for (at, value) in maps.iter().flat_map(|map| map.iter()).enumerate() {
        let (low, high) = &mut range[at % 3];
        (*low, *high) = (low.min(*value), high.max(*value));
    }
    let colour = |map: &[f32], x: usize, y: usize| {
        let patch = y * rows / height * columns + x * columns / width;
        std::array::from_fn(|c| {
            let (low, high) = range[c];
            (map[3 * patch + c] - low) / (high - low).max(1e-12)
        })
    };
    let count = pictures.len();
    Rgb::from_fn(count * (width + GAP) - GAP, 2 * height + GAP, |x, y| {
        let (index, x) = (x / (width + GAP), x % (width + GAP));
        match (x < width, y) {
            (true, y) if y < height => pictures[index].1.pixel(x, y),
            (true, y) if y >= height + GAP => colour(maps[index], x, y - height - GAP),
            _ => [1.0; 3],
        }
    })
}

impl Components {
    /// In lines, for people.
    pub fn text(&self) -> String {
        let [a, b, c] = self.explained.map(|share| 100.0 * share);
        let mut text = format!(
            "block {}: three components explain {a:.0}, {b:.0}, {c:.0} % of the variance",
            self.block
        );
        for Likeness { picture, cosine } in &self.likeness {
            text += &format!("\n  {picture:<12}cosine to the clean map {cosine:.3}");
        }
        text
    }
}

/// Writes a figure.
///
/// # Errors
/// Names the file.
pub fn write(figure: &Rgb, path: &Path) -> Result<()> {
    figure.save_png(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_in_their_order() {
        // Points spread by 5 along (3, 4) / 5, by 1 across, by 0.1 along the third axis.
        let vectors: Vec<f32> = (0..200)
            .flat_map(|i| {
                let (u, v, w) = ((i % 20) as f32 - 9.5, (i / 20) as f32 - 4.5, (i % 3) as f32);
                let (u, v) = (u * 0.9, v * 0.35);
                [0.6 * u - 0.8 * v + 7.0, 0.8 * u + 0.6 * v - 2.0, 0.1 * w]
            })
            .collect();
        let found = principal(&vectors, 3);
        assert!(found.explained[0] > found.explained[1] && found.explained[1] > found.explained[2]);
        assert!((found.explained.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        for (i, scores) in found.scores.chunks_exact(3).enumerate() {
            let u = ((i % 20) as f32 - 9.5) * 0.9;
            assert!(
                (scores[0].abs() - u.abs()).abs() < 0.02,
                "{scores:?} against {u}"
            );
        }
    }
}
