//! Whether the errors that a network expects of its results are the real ones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dino_ir::restore::{Options, Restorer};
use dino_ir::weights::Loaded;
use plotters::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::data::dataset::{find_images, find_pairs};
use crate::data::degrade::noise;
use crate::data::rgb::Rgb;
use crate::host::interrupt;
use crate::train::diagnosis::to_image;
use crate::train::plot::{Drawing, write_plot};
use crate::train::uncertainty::reliability::{Group, Reliability};

/// Noise laid over the photos of CBSD68, of 255.
const SIGMA: f32 = 25.0;

/// What was found of all sets.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Each set.
    pub sets: Vec<Set>,
}

/// What was found of a set.
#[derive(Clone, Debug, Serialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Photos that were looked at.
    pub photos: usize,
    /// Tenths of its pixels.
    pub groups: Vec<Group>,
    #[serde(skip)]
    text: String,
}

/// Measures the first `limit` photos of `cbsd68`, with noise, and of `rain100l` below a folder.
///
/// # Errors
/// A photo that cannot be read, weights that cannot tell errors, a folder without such photos.
pub fn measure(restorer: &Restorer<Loaded>, folder: &Path, limit: usize) -> Result<Found> {
    ensure!(
        restorer.has_uncertainty(),
        "these weights have no uncertainty head; make one with trainer uncertainty"
    );
    let noisy = |(index, path): (usize, &PathBuf)| {
        let clean = Rgb::load(path)?;
        let mut random = StdRng::seed_from_u64(index as u64);
        Ok([noise::add(&clean, SIGMA, &mut random), clean])
    };
    let clean = find_images(&folder.join("cbsd68"))?;
    let noisy = clean.iter().take(limit).enumerate().map(noisy);
    let pairs = find_pairs(&folder.join("rain100l"))?;
    let rainy = pairs
        .iter()
        .take(limit)
        .map(|pair| Ok([Rgb::load(&pair.degraded)?, Rgb::load(&pair.clean)?]));
    let sets = vec![
        of_set(&format!("CBSD68, noise {SIGMA}"), restorer, noisy)?,
        of_set("Rain100L", restorer, rainy)?,
    ];
    Ok(Found { sets })
}

/// Photos with faults, each with the one without.
fn of_set(
    name: &str,
    restorer: &Restorer<Loaded>,
    photos: impl Iterator<Item = Result<[Rgb; 2]>>,
) -> Result<Set> {
    let mut found = Reliability::default();
    let mut count = 0;
    for photo in photos {
        ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
        let [degraded, clean] = photo?;
        let image = to_image(degraded)?;
        let (restored, expected) =
            restorer.restore_with_uncertainty(&image, &Options::default())?;
        let pixels = restored
            .pixels()
            .chunks_exact(3)
            .zip(clean.pixels.chunks_exact(3));
        let real: Vec<f32> = pixels
            .map(|(a, b)| {
                let off = a.iter().zip(b).map(|(a, b)| (a.clamp(0.0, 1.0) - b).abs());
                off.sum::<f32>() / 3.0
            })
            .collect();
        found.add(&expected, &real);
        count += 1;
    }
    ensure!(count > 0, "{name}: no photos to look at");
    Ok(Set {
        name: name.into(),
        photos: count,
        groups: found.groups(),
        text: found.text(),
    })
}

impl Found {
    /// For people.
    pub fn text(&self) -> String {
        let of = |set: &Set| format!("{}, {} photos\n{}", set.name, set.photos, set.text);
        let sets: Vec<String> = self.sets.iter().map(of).collect();
        sets.join("\n\n")
    }

    /// Reliability diagrams, a set beside another: what is right lies on the line, what is right within 15 % in the band.
    ///
    /// # Errors
    /// Names the file.
    pub fn plot(&self, path: &Path) -> Result<()> {
        let width = 520 * self.sets.len() as u32;
        write_plot(path, (width, 520), |root| {
            for (part, set) in root
                .split_evenly((1, self.sets.len()))
                .iter()
                .zip(&self.sets)
            {
                diagram(part, set)?;
            }
            Ok(())
        })
        .context("the reliability diagram")
    }
}

/// The share by which an expected error may be off.
const NEAR: f64 = 0.15;

fn diagram(root: &Drawing<'_>, set: &Set) -> Result<(), Box<dyn std::error::Error>> {
    let values = || {
        set.groups
            .iter()
            .flat_map(|group| [group.expected, group.real])
    };
    let low = values().fold(f64::INFINITY, f64::min).max(0.05) / 1.3;
    let high = values().fold(0.1, f64::max) * 1.3;
    let mut chart = ChartBuilder::on(root)
        .caption(
            format!("{}, {} photos", set.name, set.photos),
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(55)
        .build_cartesian_2d((low..high).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("expected error, of 255")
        .y_desc("real error, of 255")
        .draw()?;
    let band = [
        (low, low * (1.0 - NEAR)),
        (high, high * (1.0 - NEAR)),
        (high, high * (1.0 + NEAR)),
        (low, low * (1.0 + NEAR)),
    ];
    chart.draw_series([Polygon::new(band, GREEN.mix(0.15))])?;
    chart.draw_series(LineSeries::new([(low, low), (high, high)], BLACK.mix(0.5)))?;
    let points = || set.groups.iter().map(|group| (group.expected, group.real));
    chart.draw_series(LineSeries::new(points(), BLUE.stroke_width(2)))?;
    chart.draw_series(points().map(|point| Circle::new(point, 4, BLUE.filled())))?;
    Ok(())
}
