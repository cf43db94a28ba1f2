//! Batches of samples, and where they come from.

use std::ops::Range;

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::data::sample::Sample;

/// Which samples are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRequest {
    /// The step, counted from 0 over all stages.
    pub step: u64,
    /// Samples.
    pub count: usize,
    /// Side of the square crops in pixels.
    pub patch: usize,
}

/// Samples of one patch size.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Inputs `[count, 3, patch, patch]` (planar, not interleaved), RGB 0..1, row-major.
    pub degraded: Vec<f32>,
    /// Targets, laid out as the inputs.
    pub clean: Vec<f32>,
    /// Samples.
    pub count: usize,
    /// Side of the square crops in pixels.
    pub patch: usize,
    /// The file that each sample comes from.
    pub names: Vec<String>,
    /// The task of each sample.
    pub tasks: Vec<String>,
}

impl Batch {
    /// Drawn samples of one patch size.
    pub(crate) fn of(samples: &[Sample], patch: usize) -> Self {
        let length = 3 * patch * patch;
        let concatenated = |values: fn(&Sample) -> &Vec<f32>| {
            let mut together = vec![0.0; samples.len() * length];
            let places = together.par_chunks_exact_mut(length);
            places
                .zip(samples)
                .for_each(|(place, sample)| place.copy_from_slice(values(sample)));
            together
        };
        Self {
            degraded: concatenated(|sample| &sample.degraded),
            clean: concatenated(|sample| &sample.clean),
            count: samples.len(),
            patch,
            names: samples.iter().map(|sample| sample.name.clone()).collect(),
            tasks: samples
                .iter()
                .map(|sample| sample.task.to_string())
                .collect(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let values = self.count * 3 * self.patch * self.patch;
        ensure!(
            self.count > 0
                && self.degraded.len() == values
                && self.clean.len() == values
                && self.names.len() == self.count
                && self.tasks.len() == self.count,
            "the batch does not hold {} samples of {} pixels a side",
            self.count,
            self.patch
        );
        Ok(())
    }

    /// Inputs and targets of the samples `range`, each `[samples, 3, patch, patch]`.
    pub(crate) fn tensors(&self, range: Range<usize>, device: &Device) -> [Tensor<4>; 2] {
        let length = 3 * self.patch * self.patch;
        let shape = [range.len(), 3, self.patch, self.patch];
        let values = range.start * length..range.end * length;
        [&self.degraded, &self.clean].map(|all| {
            let data = TensorData::new(all[values.clone()].to_vec(), shape);
            Tensor::from_data(data, device)
        })
    }

    /// Inputs or targets `[count, 3, patch, patch]`.
    pub(crate) fn tensor(&self, values: &[f32], device: &Device) -> Tensor<4> {
        let shape = [self.count, 3, self.patch, self.patch];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }
}

/// Where samples come from. Both methods depend on nothing but the seed and their arguments: that
/// is what makes a resumed run equal to an uninterrupted one.
pub trait BatchSource: Sync {
    /// The training samples of a step.
    ///
    /// # Errors
    /// If a file cannot be read; it is named.
    fn batch(&self, request: BatchRequest) -> Result<Batch>;

    /// `samples` fixed validation samples with all tasks in them, in batches small enough for
    /// memory.
    ///
    /// # Errors
    /// If a file cannot be read; it is named.
    fn validation(&self, samples: usize, patch: usize) -> Result<Vec<Batch>>;
}
