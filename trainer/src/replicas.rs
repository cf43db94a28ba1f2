//! Data parallelism: the parts of a batch go through copies of the model side by side.
//!
//! A training step of a small network is a long chain of short operations. Splitting each of them
//! between threads leaves the threads waiting for each other; splitting the batch does not.

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

/// Threads for each part of a batch.
#[derive(Debug)]
pub struct Replicas {
    pools: Vec<ThreadPool>,
}

impl Replicas {
    /// `count` parts share the threads of the present pool.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn new(count: usize) -> Result<Self> {
        ensure!(count > 0, "replicas must be at least 1");
        let threads = (rayon::current_num_threads() / count).max(1);
        let pool = || {
            ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("cannot start threads")
        };
        // One part needs no pool of its own.
        let pools = if count == 1 { 0 } else { count };
        Ok(Self {
            pools: (0..pools).map(|_| pool()).collect::<Result<_>>()?,
        })
    }

    /// Loss and gradients of the whole batch. The parts are summed in their order, so that a run
    /// can be repeated bit for bit with the same number of replicas.
    ///
    /// # Errors
    /// If every parameter is frozen.
    pub fn descend<M: Trainee>(
        &self,
        model: &M,
        batch: &Batch,
        device: &Device,
    ) -> Result<Descent> {
        let groups = batch.count / M::GROUP;
        let parts = self.pools.len().min(groups);
        if parts < 2 {
            return descend(model, batch, 1.0, device);
        }
        let bound = |part: usize| part * groups / parts * M::GROUP;
        let found: Vec<Result<Descent>> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..parts)
                .map(|i| {
                    let part = batch.part(bound(i), bound(i + 1) - bound(i));
                    let share = part.count as f64 / batch.count as f64;
                    // Leaves of its own: graphs that share a leaf would wait for each other.
                    let copy = model.clone().fork(&device.clone().autodiff());
                    let pool = &self.pools[i];
                    scope.spawn(move || pool.install(move || descend(&copy, &part, share, device)))
                })
                .collect();
            let join = |task: std::thread::ScopedJoinHandle<'_, Result<Descent>>| {
                task.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            tasks.into_iter().map(join).collect()
        });
        let mut found = found.into_iter();
        let mut sum = found.next().context("a batch has a part")??;
        for part in found {
            let part = part?;
            sum.loss += part.loss;
            sum.errors.extend(part.errors);
            sum.statistics = match (sum.statistics, part.statistics) {
                (Some(one), Some(other)) => Some(one + other),
                _ => None,
            };
            for (name, gradient) in part.gradients {
                let gradient = match sum.gradients.remove(&name) {
                    Some(other) => other + gradient,
                    None => gradient,
                };
                sum.gradients.insert(name, gradient);
            }
        }
        Ok(sum)
    }
}

/// One part's contribution: its loss counts `share`.
fn descend<M: Trainee>(model: &M, batch: &Batch, share: f64, device: &Device) -> Result<Descent> {
    let device = device.clone().autodiff();
    let clean = batch.tensor(&batch.clean, &device);
    let degraded = batch.tensor(&batch.degraded, &device);
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
