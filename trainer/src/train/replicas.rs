//! Data parallelism: the parts of a batch go through copies of the model side by side, on one
//! device or several.
//!
//! A training step of a small network is a long chain of short operations. Splitting each of them
//! between threads leaves the threads waiting for each other; splitting the batch does not. Between
//! devices go the weights, before each step, and the gradients after it, which the first one sums.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::train::parameters::{FlatTensors, flat_gradients};
use crate::train::{Batch, Trainee};

/// Loss and gradients of a batch, or of a part of it. The device may still be computing them.
#[derive(Debug)]
pub struct StepGradients {
    /// The loss, a mean over the batch: `[1]`.
    pub loss: Tensor<1>,
    /// Mean squared error of each group of samples, in the batch's order: `[groups]`.
    pub errors: Tensor<1>,
    /// For [`Trainee::after_step`].
    pub statistics: Option<Tensor<1>>,
    /// By parameter name.
    pub gradients: FlatTensors,
}

impl StepGradients {
    /// This part's share of a batch and `other`'s together, on this one's device.
    fn and(mut self, other: Self, device: &Device) -> Self {
        let device = &device.clone().without_autodiff();
        self.loss = self.loss + other.loss.to_device(device);
        self.errors = Tensor::cat(vec![self.errors, other.errors.to_device(device)], 0);
        self.statistics = match (self.statistics, other.statistics) {
            (Some(one), Some(other)) => Some(one + other.to_device(device)),
            _ => None,
        };
        for (name, gradient) in other.gradients {
            let gradient = gradient.to_device(device);
            let gradient = match self.gradients.remove(&name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.gradients.insert(name, gradient);
        }
        self
    }
}

/// A batch on the devices that compute it.
#[derive(Debug)]
pub struct LoadedBatch {
    /// What each replica computes, one piece after the other.
    shares: Vec<Vec<Piece>>,
    /// Samples.
    pub count: usize,
    /// The file that each sample comes from.
    pub names: Vec<String>,
}

/// Samples that are computed together.
#[derive(Debug)]
struct Piece {
    degraded: Tensor<4>,
    clean: Tensor<4>,
    /// Of the batch.
    share: f64,
}

/// Where and in how many parts batches are computed.
#[derive(Debug)]
pub struct Replicas {
    /// With autodiff; the model's own comes first.
    devices: Vec<Device>,
    /// One for each part that is computed at the same time; empty for one part.
    pools: Vec<ThreadPool>,
    /// Parts that each of them computes one after the other.
    accumulate: usize,
}

impl Replicas {
    /// `count` parts on each of `devices` (the model's own first; with autodiff if activations are to
    /// be checkpointed as it says) share the threads of the present pool. Each replica computes its share in `accumulate` parts, one
    /// after the other, which takes the memory of one.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn new(devices: &[Device], count: usize, accumulate: usize) -> Result<Self> {
        ensure!(!devices.is_empty(), "there is no device");
        ensure!(count > 0, "replicas must be at least 1");
        ensure!(accumulate > 0, "accumulate must be at least 1");
        let replicas = count * devices.len();
        let threads = (rayon::current_num_threads() / replicas).max(1);
        let pool = || {
            ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("cannot start threads")
        };
        // One part needs no pool of its own.
        let pools = if replicas == 1 { 0 } else { replicas };
        Ok(Self {
            devices: devices.iter().cloned().map(Device::autodiff).collect(),
            pools: (0..pools).map(|_| pool()).collect::<Result<_>>()?,
            accumulate,
        })
    }

    /// Copies a batch to the devices, divided as [`Replicas::gradients`] wants it. Ahead of the step, in another thread: a step
    /// need not wait for it.
    pub fn load<M: Trainee>(&self, batch: Batch) -> LoadedBatch {
        let parts = self.pools.len().min(batch.count / M::GROUP).max(1);
        let parts = split::<M>(0..batch.count, parts).into_iter().enumerate();
        let share = |(i, part): (usize, Range<usize>)| {
            let device = &self.devices[i % self.devices.len()];
            let pieces = self.accumulate.min(part.len() / M::GROUP).max(1);
            let piece = |range: Range<usize>| {
                let share = range.len() as f64 / batch.count as f64;
                let [degraded, clean] = batch.tensors(range, device);
                Piece {
                    degraded,
                    clean,
                    share,
                }
            };
            split::<M>(part, pieces).into_iter().map(piece).collect()
        };
        LoadedBatch {
            shares: parts.map(share).collect(),
            count: batch.count,
            names: batch.names,
        }
    }

    /// Loss and gradients of the whole batch, on the first device. The parts are summed in their
    /// order, so that a run can be repeated bit for bit with the same replicas.
    ///
    /// # Errors
    /// If every parameter is frozen.
    pub fn gradients<M: Trainee>(&self, model: &M, batch: &LoadedBatch) -> Result<StepGradients> {
        let first = &self.devices[0];
        if let [share] = batch.shares.as_slice() {
            return share_gradients(model, share, first);
        }
        let found: Vec<Result<StepGradients>> = std::thread::scope(|scope| {
            let shares = batch.shares.iter().enumerate();
            let tasks: Vec<_> = shares
                .map(|(i, share)| {
                    let device = &self.devices[i % self.devices.len()];
                    // Leaves of its own: graphs that share a leaf would wait for each other.
                    let copy = model.clone().fork(device);
                    let pool = &self.pools[i];
                    let compute = move || share_gradients(&copy, share, device);
                    scope.spawn(move || pool.install(compute))
                })
                .collect();
            let join = |task: std::thread::ScopedJoinHandle<'_, Result<StepGradients>>| {
                task.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            tasks.into_iter().map(join).collect()
        });
        sum(found, first)
    }
}

/// Pieces of nearly equal size, groups whole.
fn split<M: Trainee>(samples: Range<usize>, pieces: usize) -> Vec<Range<usize>> {
    let groups = samples.len() / M::GROUP;
    let bound = |piece: usize| samples.start + piece * groups / pieces * M::GROUP;
    (0..pieces).map(|i| bound(i)..bound(i + 1)).collect()
}

fn sum(
    parts: impl IntoIterator<Item = Result<StepGradients>>,
    device: &Device,
) -> Result<StepGradients> {
    let parts = parts.into_iter();
    let sum = parts.reduce(|sum, part| Ok(sum?.and(part?, device)));
    sum.context("a batch has a part")?
}

/// One replica's contribution. Piece by piece: the activations of one are gone before the next.
fn share_gradients<M: Trainee>(
    model: &M,
    share: &[Piece],
    device: &Device,
) -> Result<StepGradients> {
    sum(
        share.iter().map(|piece| piece_gradients(model, piece)),
        device,
    )
}

/// One piece's contribution: its loss counts its share.
fn piece_gradients<M: Trainee>(model: &M, piece: &Piece) -> Result<StepGradients> {
    let output = model.loss(piece.degraded.clone(), piece.clean.clone());
    ensure!(
        output.loss.is_tracked(),
        "nothing to train: every parameter is frozen"
    );
    let loss = match piece.share {
        1.0 => output.loss,
        share => output.loss * share,
    };
    let mut gradients = loss.backward();
    let gradients = flat_gradients(model, &mut gradients);
    Ok(StepGradients {
        loss: loss.inner(),
        errors: output.errors,
        statistics: output.statistics.map(|mean| mean * piece.share),
        gradients,
    })
}
