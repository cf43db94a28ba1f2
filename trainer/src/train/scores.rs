//! PSNR of validation samples by task.

use std::collections::BTreeMap;

use super::Batch;

/// Sums of PSNR by task.
#[derive(Default)]
pub(super) struct Scores {
    tasks: BTreeMap<String, (f64, u64)>,
}

impl Scores {
    /// Adds a batch's mean squared errors; returns the name of a sample whose is not finite.
    pub(super) fn add<'b>(&mut self, batch: &'b Batch, errors: &[f32]) -> Option<&'b str> {
        for (index, &error) in errors.iter().enumerate() {
            if !error.is_finite() {
                return Some(&batch.names[index]);
            }
            let (sum, count) = self.tasks.entry(batch.tasks[index].clone()).or_default();
            *sum += psnr(f64::from(error));
            *count += 1;
        }
        None
    }

    pub(super) fn means(&self) -> BTreeMap<String, f64> {
        let mean =
            |(task, (sum, count)): (&String, &(f64, u64))| (task.clone(), sum / *count as f64);
        self.tasks.iter().map(mean).collect()
    }
}

/// Mean squared error of each untouched input.
pub(super) fn input_errors(batch: &Batch) -> Vec<f32> {
    let length = 3 * batch.patch * batch.patch;
    let pairs = batch.degraded.chunks_exact(length);
    let pairs = pairs.zip(batch.clean.chunks_exact(length));
    pairs
        .map(|(degraded, clean)| {
            let squares = degraded.iter().zip(clean).map(|(&degraded, &clean)| {
                let difference = f64::from(degraded) - f64::from(clean);
                difference * difference
            });
            (squares.sum::<f64>() / length as f64) as f32
        })
        .collect()
}

/// PSNR in dB of a mean squared error of values in 0..1; 100 dB for equal images.
pub(super) fn psnr(error: f64) -> f64 {
    -10.0 * error.max(1e-10).log10()
}
