//! The gate's scores of shallow, medium and deep features, by task (the text beside table 5).

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use dino_ir::model::DinoIr;
use dino_ir::model::psf::DEPTHS;
use serde::Serialize;

use super::{Degradation, host};
use crate::data::rgb::Rgb;
use crate::eval::chart::grouped;
use crate::eval::features::tensor_of;
use crate::train::plot::write_plot;

/// The paper's scores: shallow, medium, deep.
pub const PAPER: [f64; DEPTHS] = [0.30, 0.32, 0.38];

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Photos averaged over.
    pub photos: usize,
    /// By task.
    pub tasks: Vec<TaskScores>,
    /// The paper's, over its own photos.
    pub paper: [f64; DEPTHS],
}

/// Scores for one kind of input: shallow, medium, deep; each three sum to one.
#[derive(Clone, Debug, Serialize)]
pub struct TaskScores {
    /// The task.
    pub task: &'static str,
    /// Mean over the photos.
    pub mean: [f64; DEPTHS],
    /// Standard deviation over the photos.
    pub deviation: [f64; DEPTHS],
}

/// Asks the gate of a guided net.
///
/// # Errors
/// If the net has no guidance, or a result cannot be read.
pub fn measure(net: &DinoIr, photos: &[(String, Rgb)], device: &Device) -> Result<Scores> {
    let guidance = net.guidance.as_ref();
    let guidance = guidance
        .context("these weights have no gate: give those of a guided net (kind dino-ir)")?;
    let mut tasks = Vec::new();
    for degradation in Degradation::ALL {
        let mut all = Vec::new();
        for (index, (_, photo)) in photos.iter().enumerate() {
            let degraded = degradation.apply(photo, index as u64);
            all.push(host(guidance.fuse(tensor_of(&degraded, device)).scores())?);
        }
        let count = all.len() as f64;
        let mean: [f64; DEPTHS] =
            std::array::from_fn(|k| all.iter().map(|s| f64::from(s[k])).sum::<f64>() / count);
        let deviation = std::array::from_fn(|k| {
            let squares = all.iter().map(|s| (f64::from(s[k]) - mean[k]).powi(2));
            (squares.sum::<f64>() / count).sqrt()
        });
        tasks.push(TaskScores {
            task: degradation.name(),
            mean,
            deviation,
        });
    }
    Ok(Scores {
        photos: photos.len(),
        tasks,
        paper: PAPER,
    })
}

impl Scores {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "scores of the gate, mean and deviation over {} photos",
                self.photos
            ),
            format!(
                "{:<8} {:>15} {:>15} {:>15}",
                "task", "shallow", "medium", "deep"
            ),
        ];
        for scores in &self.tasks {
            let cells = scores.mean.iter().zip(scores.deviation);
            let cells: String = cells.map(|(m, d)| format!(" {m:>7.3} +-{d:.3}")).collect();
            lines.push(format!("{:<8}{cells}", scores.task));
        }
        let [shallow, medium, deep] = self.paper;
        lines.push(format!(
            "{:<8} {shallow:>7.2} {medium:>15.2} {deep:>15.2}",
            "paper"
        ));
        lines.join("\n")
    }

    /// Bars by task.
    ///
    /// # Errors
    /// Names the file.
    pub fn plot(&self, path: &Path) -> Result<()> {
        let mut groups: Vec<String> = self.tasks.iter().map(|s| s.task.to_owned()).collect();
        groups.push("paper".into());
        let series: Vec<(String, Vec<f64>)> = ["shallow", "medium", "deep"]
            .iter()
            .enumerate()
            .map(|(k, name)| {
                let ours = self.tasks.iter().map(|scores| scores.mean[k]);
                ((*name).to_owned(), ours.chain([self.paper[k]]).collect())
            })
            .collect();
        // Percent, so that one decimal over a bar says something.
        let percent = |values: &Vec<f64>| values.iter().map(|v| 100.0 * v).collect();
        let series: Vec<_> = series
            .iter()
            .map(|(n, v)| (n.clone(), percent(v)))
            .collect();
        write_plot(path, (900, 500), |root| {
            grouped(root, "scores of the gate by task", "%", &groups, &series)
        })
    }
}
