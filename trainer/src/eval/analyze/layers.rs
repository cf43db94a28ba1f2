//! What each block keeps of a photo when it is degraded: cosine between clean and degraded patch tokens. It says which
//! blocks are robust guides, before any network is trained (table 5 trains them).

use std::path::Path;

use anyhow::Result;
use burn::tensor::Device;
use dino_ir::model::dinov2::Dinov2;
use plotters::prelude::*;
use serde::Serialize;

use super::{Degradation, cosine, host};
use crate::data::rgb::Rgb;
use crate::eval::features::tensor_of;
use crate::train::plot::write_plot;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Layers {
    /// Photos averaged over.
    pub photos: usize,
    /// For each degradation, a cosine for each block.
    pub tasks: Vec<Kept>,
    /// Tokens of different photos against each other, at the same place: what a cosine means that says nothing.
    pub unrelated: Vec<f64>,
}

/// The cosines of one task.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// The task.
    pub task: &'static str,
    /// For blocks 1, 2, ...
    pub cosine: Vec<f64>,
}

/// Measures all blocks of a backbone.
///
/// # Errors
/// If a result cannot be read.
pub fn measure(backbone: &Dinov2, photos: &[(String, Rgb)], device: &Device) -> Result<Layers> {
    let depth = backbone.blocks.len();
    let blocks: Vec<usize> = (1..=depth).collect();
    let width = backbone.norm.weight.val().dims()[0];
    let tokens = |photo: &Rgb| -> Result<Vec<Vec<f32>>> {
        let features = backbone.features(tensor_of(photo, device), &blocks);
        features.blocks.into_iter().map(host).collect()
    };
    let degradations = &Degradation::ALL[1..];
    let mut sums = vec![vec![0.0; depth]; degradations.len()];
    let (mut unrelated, mut others) = (vec![0.0; depth], 0);
    let mut before: Option<Vec<Vec<f32>>> = None;
    for (index, (_, photo)) in photos.iter().enumerate() {
        let clean = tokens(photo)?;
        for (sums, degradation) in sums.iter_mut().zip(degradations) {
            let degraded = tokens(&degradation.apply(photo, index as u64))?;
            for ((sum, clean), degraded) in sums.iter_mut().zip(&clean).zip(&degraded) {
                *sum += cosine(clean, degraded, width) / photos.len() as f64;
            }
        }
        // Photos of other sizes have other places.
        if let Some(before) = before.filter(|before| before[0].len() == clean[0].len()) {
            others += 1;
            for ((sum, a), b) in unrelated.iter_mut().zip(&before).zip(&clean) {
                *sum += cosine(a, b, width);
            }
        }
        before = Some(clean);
    }
    unrelated
        .iter_mut()
        .for_each(|sum| *sum /= f64::from(others.max(1)));
    Ok(Layers {
        photos: photos.len(),
        tasks: degradations
            .iter()
            .zip(sums)
            .map(|(degradation, cosine)| Kept {
                task: degradation.name(),
                cosine,
            })
            .collect(),
        unrelated: if others > 0 { unrelated } else { Vec::new() },
    })
}

impl Layers {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "cosine of clean and degraded patch tokens, mean over {} photos",
            self.photos
        )];
        let heading: String = self
            .tasks
            .iter()
            .map(|kept| format!("{:>9}", kept.task))
            .collect();
        lines.push(format!("{:<8}{heading} {:>10}", "block", "unrelated"));
        for block in 0..self.tasks.first().map_or(0, |kept| kept.cosine.len()) {
            let cells = self
                .tasks
                .iter()
                .map(|kept| format!("{:>9.3}", kept.cosine[block]));
            let other = self
                .unrelated
                .get(block)
                .map_or("-".into(), |c| format!("{c:.3}"));
            lines.push(format!(
                "{:<8}{} {other:>10}",
                block + 1,
                cells.collect::<String>()
            ));
        }
        lines.join("\n")
    }

    /// A line for each task over the blocks.
    ///
    /// # Errors
    /// Names the file.
    pub fn plot(&self, path: &Path) -> Result<()> {
        let depth = self.tasks.first().map_or(1, |kept| kept.cosine.len());
        let all = self
            .tasks
            .iter()
            .flat_map(|kept| &kept.cosine)
            .chain(&self.unrelated);
        let low = all.fold(0.0f64, |low, value| low.min(*value));
        write_plot(path, (900, 500), |root| {
            let mut chart = ChartBuilder::on(root)
                .caption(
                    "what each block keeps of a degraded photo",
                    ("sans-serif", 20),
                )
                .margin(10)
                .x_label_area_size(40)
                .y_label_area_size(60)
                .build_cartesian_2d(0.8..depth as f64 + 0.2, low..1.02)?;
            chart
                .configure_mesh()
                .x_desc("block")
                .y_desc("cosine to the clean photo's tokens")
                .x_labels(depth.min(24))
                .x_label_formatter(&|block| format!("{block:.0}"))
                .draw()?;
            let unrelated = ("unrelated photos", &self.unrelated);
            let lines = self.tasks.iter().map(|kept| (kept.task, &kept.cosine));
            for (index, (name, values)) in lines.chain([unrelated]).enumerate() {
                let color = Palette99::pick(index).to_rgba();
                let points = values
                    .iter()
                    .enumerate()
                    .map(|(at, v)| (at as f64 + 1.0, *v));
                chart
                    .draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?
                    .label(name)
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                    });
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerLeft)
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.3))
                .label_font(("sans-serif", 14))
                .draw()?;
            Ok(())
        })
    }
}
