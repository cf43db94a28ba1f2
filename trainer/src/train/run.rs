//! A run in progress: steps, validations, checkpoints.

mod folder;
mod numbers;
mod validation;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::tensor::{Device, Tensor};
use indicatif::ProgressBar;

use self::folder::{carry_best, folder_of, is_same_folder};
use self::numbers::{Pending, progress_bar};
use super::pace::{Forecast, Pace, Plan};
use super::ranks::Readiness;
use super::reader::Reader;
use super::{Batch, Outcome, RunOptions, Trainee};
use crate::train::checkpoint::{Checkpoint, LAST, State, holds_run};
use crate::train::config::{CheckpointKind, TrainConfig};
use crate::train::ema::Ema;
use crate::train::log::{Entry, Log};
use crate::train::optimizer::{Optimizer, OptimizerRecord};
use crate::train::parameters::{freeze, load_tensors, named_tensors};
use crate::train::replicas::{LoadedBatch, Replicas, StepGradients};

/// How long samples are waited for before a look at whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Steps that the device may be behind. Their numbers are looked at that much later: a GPU that is waited for in every step
/// is idle while the next one is prepared.
const BEHIND: usize = 2;

/// A run in progress.
pub(super) struct Run<'a, M> {
    config: &'a TrainConfig,
    options: &'a RunOptions<'a>,
    /// Always present; taken only while the optimiser replaces it.
    model: M,
    device: Device,
    replicas: Arc<Replicas>,
    optimizer: Optimizer,
    ema: Ema,
    pub(super) state: State,
    pace: Pace,
    reader: Reader,
    /// Steps whose numbers have not been looked at.
    pending: VecDeque<Pending>,
    /// Whether it came to its end: all steps are done, or the time is.
    ended: bool,
    log: Log,
    bar: ProgressBar,
    checkpoint: Option<PathBuf>,
    checkpoint_step: Option<u64>,
    checkpoint_time: Instant,
    /// Step and PSNR of the last validation.
    validated: Option<(u64, f64)>,
    input_psnr: Option<BTreeMap<String, f64>>,
}

impl<'a, M: Trainee> Run<'a, M> {
    pub(super) fn start(
        model: M,
        config: &'a TrainConfig,
        options: &'a RunOptions<'a>,
    ) -> Result<Self> {
        if let Some(ranks) = options.ranks {
            ensure!(
                options.time.is_none(),
                "several processes cannot end by the clock: leave --minutes out, and go on with --resume after a stop"
            );
            ranks.check(config)?;
        }
        let device = model
            .devices()
            .into_iter()
            .next()
            .context("the model has no parameters")?;
        let device = device.without_autodiff();

        let mut state = State::new(&config.text);
        let mut optimizer = Optimizer::new(&config.optimizer);
        let checkpoint = match &options.resume {
            Some(path) => Some((path, Checkpoint::load(path)?)),
            None => None,
        };
        let source = options.resume.as_deref().map(folder_of);
        let elsewhere = source
            .as_deref()
            .filter(|source| !is_same_folder(source, &options.out));
        if source.is_none() || elsewhere.is_some() {
            ensure!(
                !holds_run(&options.out),
                "{}: holds another run; continue it with --resume or choose another folder",
                options.out.display()
            );
        }
        let mut model = model;
        if let Some((path, checkpoint)) = &checkpoint {
            let unfit = || format!("{}: cannot be continued", path.display());
            let before = TrainConfig::parse(&checkpoint.state.config, &[]).with_context(unfit)?;
            ensure!(
                before.seed == config.seed,
                "{}: was trained with seed {}, not {}",
                path.display(),
                before.seed,
                config.seed
            );
            model = load_tensors(model, &checkpoint.weights).with_context(unfit)?;
            optimizer
                .load(&checkpoint.optimizer_record(), &device)
                .with_context(unfit)?;
            state = State {
                config: config.text.clone(),
                ..checkpoint.state.clone()
            };
        }
        let model = freeze(model.train(), &config.frozen);
        let mut ema = Ema::new(&model, config.ema_decay, &config.frozen);
        if let Some((_, checkpoint)) = &checkpoint {
            ema.load(&checkpoint.ema, &device);
        }
        fs::create_dir_all(&options.out)
            .with_context(|| format!("{}: cannot make the folder", options.out.display()))?;
        if let Some(source) = elsewhere {
            carry_best(source, &options.out)?;
        }
        let log = Log::open(&options.out, source.as_deref(), state.step)?;
        let validated = log.entries()?.iter().rev().find_map(|entry| match entry {
            Entry::Validation { step, psnr, .. } => Some((*step, *psnr)),
            _ => None,
        });
        let bar = match options.time {
            None => progress_bar(config.total_steps(), state.step, options.quiet),
            Some(time) => progress_bar(time.length.as_secs(), 0, options.quiet),
        };
        let devices = [std::slice::from_ref(&device), &options.others].concat();
        let devices: Vec<Device> = devices.iter().map(|d| config.autodiff(d)).collect();
        Ok(Self {
            config,
            options,
            model,
            device,
            replicas: Arc::new(Replicas::new(&devices, config.replicas, config.accumulate)?),
            optimizer,
            ema,
            checkpoint_step: checkpoint.as_ref().map(|_| state.step),
            checkpoint: options.resume.clone(),
            state,
            pace: Pace::new(options.time, config),
            reader: Reader::start(),
            pending: VecDeque::new(),
            ended: false,
            log,
            bar,
            checkpoint_time: Instant::now(),
            validated,
            input_psnr: None,
        })
    }

    pub(super) fn replicas(&self) -> Arc<Replicas> {
        Arc::clone(&self.replicas)
    }

    pub(super) fn forecast(&self) -> Forecast {
        self.pace.forecast()
    }

    /// All steps that are left, until the last, until the time is over or until stopped.
    pub(super) fn steps(
        &mut self,
        batches: Receiver<Result<LoadedBatch>>,
        validation: &[Batch],
    ) -> Result<()> {
        let pause = Duration::from_secs_f64((self.config.checkpoint_minutes * 60.0).min(1e9));
        if let Some(time) = self.options.time {
            // Whether the folder can be written, and how long it takes, must be known before the end.
            self.save()?;
            if self.pace.next(self.config, self.state.step).is_none() {
                bail!(
                    "the time is over before the first step: {:.1} s were given and {:.1} s are gone. Give --minutes more",
                    time.length.as_secs_f64(),
                    time.started.elapsed().as_secs_f64()
                );
            }
        }
        // A stop may have come between a step and its validation.
        self.validate_if_due(validation)?;
        loop {
            let started = Instant::now();
            let Some(plan) = self.pace.next(self.config, self.state.step) else {
                self.ended = true;
                break;
            };
            let batch = self.next_batch(&batches)?;
            let readiness = match &batch {
                Some(Ok(_)) => Readiness::Ready,
                None => Readiness::Stopped,
                Some(Err(_)) => Readiness::Failed,
            };
            let batch = match (batch, self.agree(readiness)) {
                (Some(Ok(batch)), Readiness::Ready) => batch,
                (_, Readiness::Stopped) | (None, Readiness::Ready) => break,
                (batch, _) => {
                    // The weights are good: a broken photo must not cost the minutes since the
                    // last checkpoint.
                    self.save()?;
                    let error = match batch {
                        Some(Err(error)) => error,
                        _ => anyhow!("another process of the run has no samples, and says why"),
                    };
                    return Err(error.context(format!("step {}", self.state.step + 1)));
                }
            };
            self.step(batch, plan)?;
            self.settle(BEHIND)?;
            if let Some(step) = self.pending.back_mut() {
                step.seconds = started.elapsed().as_secs_f64();
            }
            self.pace.stepped(started.elapsed());
            self.validate_if_due(validation)?;
            if self.checkpoint_time.elapsed() >= pause {
                self.save()?;
            }
        }
        if self.ended && self.validation_psnr().is_none() {
            self.validate(validation)?;
        }
        Ok(())
    }

    /// What all processes can do; their sums wait for each other.
    fn agree(&self, own: Readiness) -> Readiness {
        self.options.ranks.map_or(own, |ranks| ranks.agree(own))
    }

    /// The samples of the next step; `None` when stopped, however long they would take.
    fn next_batch(
        &self,
        batches: &Receiver<Result<LoadedBatch>>,
    ) -> Result<Option<Result<LoadedBatch>>> {
        loop {
            let received = batches.recv_timeout(PATIENCE);
            if self.stopped() {
                return Ok(None);
            }
            match received {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("step {}: the samples ended early", self.state.step + 1)
                }
            }
        }
    }

    /// Starts one optimiser step. The device changes the weights only if all numbers are finite.
    fn step(&mut self, batch: LoadedBatch, plan: Plan) -> Result<()> {
        let mut gradients = self.replicas.gradients(&self.model, &batch)?;
        let mut samples = batch.count;
        if let Some(ranks) = self.options.ranks {
            gradients = ranks.sum(gradients)?;
            samples *= ranks.rank().count;
        }
        let StepGradients {
            loss,
            errors,
            statistics,
            gradients,
        } = gradients;
        let measured = Tensor::cat(vec![loss, errors], 0);
        let model = self.model.clone();
        let update = self
            .optimizer
            .step(model, &gradients, measured.clone(), plan.lr);
        self.state.step += 1;
        self.model = update.model.after_step(statistics, plan.progress);
        self.ema.update(
            &self.model,
            &self.optimizer,
            self.state.step,
            &update.broken,
        );
        self.reader
            .read(Tensor::cat(vec![update.norm, measured], 0))?;
        self.pending.push_back(Pending {
            step: self.state.step,
            plan,
            samples,
            seconds: 0.0,
            names: batch.names,
        });
        Ok(())
    }

    fn snapshot(&self) -> Checkpoint {
        let record = match self.config.checkpoints {
            CheckpointKind::Exact => self.optimizer.record(),
            CheckpointKind::Small => OptimizerRecord::default(),
        };
        Checkpoint {
            kind: self.config.checkpoints,
            state: State {
                optimizer_steps: record.steps,
                ..self.state.clone()
            },
            weights: named_tensors(&self.model),
            ema: self.ema.record(),
            first: record.first,
            second: record.second,
        }
    }

    fn save(&mut self) -> Result<()> {
        // Only what is known to be good.
        self.settle(0)?;
        let started = Instant::now();
        self.checkpoint = Some(self.snapshot().save_last(&self.options.out)?);
        self.checkpoint_step = Some(self.state.step);
        self.checkpoint_time = Instant::now();
        self.pace.saved(started.elapsed());
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Outcome<M>> {
        self.save()?;
        self.bar.abandon();
        Ok(Outcome {
            validation_psnr: self.validation_psnr(),
            averaged: self.ema.apply(self.model.valid()),
            stopped: !self.ended,
            model: self.model,
            step: self.state.step,
            seconds: self.state.seconds,
            checkpoint: self.options.out.join(LAST),
        })
    }

    fn stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    fn last_good(&self) -> String {
        match (&self.checkpoint, self.checkpoint_step) {
            (Some(path), Some(step)) => {
                format!("Last good checkpoint: {} (step {step})", path.display())
            }
            _ => "There is no checkpoint yet".to_owned(),
        }
    }
}
