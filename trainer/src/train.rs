//! The training loop, for any model and any source of samples.

mod batch;
pub mod checkpoint;
mod clock;
pub mod config;
pub mod diagnosis;
pub mod ema;
pub mod export;
pub mod flat;
pub mod head;
pub mod log;
mod model;
pub mod optimizer;
mod pace;
pub mod parameters;
pub mod plot;
pub mod pretrain;
mod ranks;
mod reader;
pub mod replicas;
mod run;
pub mod schedule;
mod scores;
pub mod steering;
#[cfg(test)]
mod tests;
pub mod trainee;
pub mod uncertainty;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result};
use burn::tensor::Device;

pub use batch::{Batch, BatchRequest, BatchSource};
pub use clock::TimeLimit;
pub use model::{StepOutput, Trainee, squared_errors};
pub use ranks::{Rank, Ranks};

use crate::host::memory;
use crate::train::config::TrainConfig;
use run::Run;

/// Where a run writes, and how it is stopped.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// The run's folder; made if absent.
    pub out: PathBuf,
    /// The folder or checkpoint file to continue from.
    pub resume: Option<PathBuf>,
    /// Set from elsewhere (Ctrl-C) to stop after the present step, with a checkpoint. Who sets it may end the program
    /// if that takes too long; the last checkpoint is whole.
    pub stop: &'a AtomicBool,
    /// Devices (without autodiff) that share each batch with the model's own; usually none.
    pub others: Vec<Device>,
    /// Ends the run, annealed, by the clock instead of after its steps.
    pub time: Option<TimeLimit>,
    /// The processes that share each batch with this one.
    pub ranks: Option<&'a Ranks>,
    /// No progress bar even on a terminal.
    pub quiet: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome<M> {
    /// The model as trained, on an autodiff device.
    pub model: M,
    /// The same with averaged weights, without autodiff.
    pub averaged: M,
    /// Steps done, over all sessions.
    pub step: u64,
    /// Validation PSNR of the averaged weights in dB, if they were validated.
    pub validation_psnr: Option<f64>,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// Whether `stop` ended it before its end.
    pub stopped: bool,
}

/// Trains `model` on `source` as `config` says.
///
/// The folder gets `last`, `previous` and `best` checkpoints, `log.jsonl` and `curves.png`.
///
/// # Errors
/// - NaN or infinity in the loss, the gradient or a validation: names the step, the files of the
///   batch and the last good checkpoint.
/// - A sample or a checkpoint that cannot be read, a folder that cannot be written.
/// - A checkpoint of another model or seed.
/// - A time limit that is over before the first step, or with several processes.
/// - Another process of the run that failed.
pub fn train<M: Trainee, S: BatchSource>(
    model: M,
    source: &S,
    config: &TrainConfig,
    options: &RunOptions<'_>,
) -> Result<Outcome<M>> {
    memory::keep_freed();
    let mut run = Run::start(model, config, options)?;
    let rank = options.ranks.map_or(Rank::ALONE, Ranks::rank);
    let validation = match config.validation.samples {
        0 => Vec::new(),
        // One process is enough.
        _ if !rank.is_first() => Vec::new(),
        samples => source
            .validation(samples, config.validation.patch)
            .context("cannot make the validation samples")?,
    };
    validation.iter().try_for_each(Batch::check)?;
    let replicas = run.replicas();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(config.prefetch);
        let first = run.state.step;
        let forecast = run.forecast();
        scope.spawn(move || {
            for step in first.. {
                let Some(stage) = forecast.stage(config, step) else {
                    break;
                };
                let request = BatchRequest {
                    step,
                    count: stage.batch,
                    patch: stage.patch,
                };
                let batch = source.batch(rank.part(request)).and_then(|batch| {
                    batch.check()?;
                    Ok(replicas.load::<M>(batch))
                });
                let failed = batch.is_err();
                // A closed channel means that the loop has ended.
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        run.steps(receiver, &validation)?;
        // Before the wait for the thread, which may still be making a batch.
        run.finish()
    })
}
