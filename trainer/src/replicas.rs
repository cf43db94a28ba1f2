//! Data parallelism: the parts of a batch go through copies of the model side by side, on one
//! device or several.
//!
//! A training step of a small network is a long chain of short operations. Splitting each of them
//! between threads leaves the threads waiting for each other; splitting the batch does not. Between
//! devices go the weights, before each step, and the gradients after it, which the first one sums.

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::parameters::{FlatTensors, flat_gradients};
use crate::train::{Batch, Trainee};

/// Which way is down.
#[derive(Debug)]
pub struct Descent {
    /// The loss, a mean over the batch.
    pub loss: f64,
    /// Mean squared error of each group of samples, in the batch's order.
    pub errors: Vec<f32>,
    /// For [`Trainee::after_step`].
    pub statistics: Option<Tensor<1>>,
    /// By parameter name.
    pub gradients: FlatTensors,
}

impl Descent {
    /// This part's share of a batch and `other`'s together, on this one's device.
    fn and(mut self, other: Self, device: &Device) -> Self {
        let device = &device.clone().without_autodiff();
        self.loss += other.loss;
        self.errors.extend(other.errors);
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

    /// Loss and gradients of the whole batch, on the first device. The parts are summed in their
    /// order, so that a run can be repeated bit for bit with the same replicas.
    ///
    /// # Errors
    /// If every parameter is frozen.
    pub fn descend<M: Trainee>(&self, model: &M, batch: &Batch) -> Result<Descent> {
        let first = &self.devices[0];
        let groups = batch.count / M::GROUP;
        let parts = self.pools.len().min(groups);
        if parts < 2 {
            return self.share(model, batch, batch.count, first);
        }
        let found: Vec<Result<Descent>> = std::thread::scope(|scope| {
            let pieces = split::<M>(batch, parts).into_iter().enumerate();
            let tasks: Vec<_> = pieces
                .map(|(i, part)| {
                    let device = &self.devices[i % self.devices.len()];
                    // Leaves of its own: graphs that share a leaf would wait for each other.
                    let copy = model.clone().fork(device);
                    let pool = &self.pools[i];
                    let share = move || self.share(&copy, &part, batch.count, device);
                    scope.spawn(move || pool.install(share))
                })
                .collect();
            let join = |task: std::thread::ScopedJoinHandle<'_, Result<Descent>>| {
                task.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            tasks.into_iter().map(join).collect()
        });
        sum(found, first)
    }

    /// What `part` contributes to a batch of `total` samples.
    fn share<M: Trainee>(
        &self,
        model: &M,
        part: &Batch,
        total: usize,
        device: &Device,
    ) -> Result<Descent> {
        let descend = |part: &Batch| {
            let share = part.count as f64 / total as f64;
            descend(model, part, share, device)
        };
        let pieces = self.accumulate.min(part.count / M::GROUP);
        if pieces < 2 {
            return descend(part);
        }
        // One by one: the activations of a piece are gone before the next.
        sum(split::<M>(part, pieces).iter().map(descend), device)
    }
}

/// Pieces of nearly equal size, groups whole.
fn split<M: Trainee>(batch: &Batch, pieces: usize) -> Vec<Batch> {
    let groups = batch.count / M::GROUP;
    let bound = |piece: usize| piece * groups / pieces * M::GROUP;
    (0..pieces)
        .map(|i| batch.part(bound(i), bound(i + 1) - bound(i)))
        .collect()
}

fn sum(parts: impl IntoIterator<Item = Result<Descent>>, device: &Device) -> Result<Descent> {
    let parts = parts.into_iter();
    let sum = parts.reduce(|sum, part| Ok(sum?.and(part?, device)));
    sum.context("a batch has a part")?
}

/// One part's contribution: its loss counts `share`.
fn descend<M: Trainee>(model: &M, batch: &Batch, share: f64, device: &Device) -> Result<Descent> {
    let clean = batch.tensor(&batch.clean, device);
    let degraded = batch.tensor(&batch.degraded, device);
    let output = model.loss(degraded, clean);
    ensure!(
        output.loss.is_tracked(),
        "nothing to train: every parameter is frozen"
    );
    let loss = match share {
        1.0 => output.loss,
        share => output.loss * share,
    };
    let mut gradients = loss.backward();
    let gradients = flat_gradients(model, &mut gradients);
    let errors = output
        .errors
        .into_data()
        .try_to_vec::<f32>()
        .context("the result is not f32")?;
    let loss = loss.inner().into_data();
    let loss = loss.try_to_vec::<f32>().context("the loss is not f32")?;
    Ok(Descent {
        loss: f64::from(loss[0]),
        errors,
        statistics: output.statistics.map(|mean| mean * share),
        gradients,
    })
}
