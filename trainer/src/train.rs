//! The training loop, for any model and any source of samples.

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::{ProgressBar, ProgressStyle};

use crate::checkpoint::{BEST, Checkpoint, State};
use crate::config::TrainConfig;
use crate::ema::Ema;
use crate::log::{Entry, Log};
use crate::memory;
use crate::optimizer::Optimizer;
use crate::parameters::{freeze, load_tensors, named_tensors};
use crate::plot::{CURVES, write_curves};
use crate::replicas::{Descent, Replicas};
use crate::schedule::learning_rate;

#[cfg(test)]
mod tests;

/// What a model says about a batch.
#[derive(Debug)]
pub struct StepOutput {
    /// The loss to descend, one value.
    pub loss: Tensor<1>,
    /// Mean squared error of each group of samples, `[groups]`, outside autodiff: the log's PSNR.
    pub errors: Tensor<1>,
    /// What [`Trainee::after_step`] wants to know about the batch, outside autodiff: a mean.
    pub statistics: Option<Tensor<1>>,
}

/// Mean squared error of each sample, clamped to 0..1: `[count]`, outside autodiff. NaN where a
/// restored value is not finite.
///
/// # Shapes
/// - both: `[count, 3, height, width]`, RGB, nominal 0..1
pub fn squared_errors(restored: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
    let [count, ..] = restored.dims();
    let (restored, clean) = (restored.inner(), clean.inner());
    // Clamping would hide an infinity; times zero it is NaN.
    let hidden = restored.clone() * 0.0;
    let error = (restored.clamp(0.0, 1.0) - clean).square() + hidden;
    let error = error.reshape([count as i32, -1]);
    error.mean_dim(1).reshape([count])
}

/// A model that can be trained.
pub trait Trainee: Module {
    /// Samples that belong together: a batch holds a multiple of these.
    const GROUP: usize = 1;

    /// Loss and errors for a batch; both `[batch, 3, height, width]`, RGB 0..1, on an autodiff device.
    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput;

    /// Mean squared error of each validation sample, `[count]`, for samples
    /// `[count, 3, height, width]`, RGB 0..1.
    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1>;

    /// What changes besides the trained parameters, after the optimiser's step. `progress` goes
    /// from 0 to 1 over the run.
    fn after_step(self, statistics: Option<Tensor<1>>, progress: f64) -> Self {
        let _ = (statistics, progress);
        self
    }
}

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
    fn check(&self) -> Result<()> {
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

    /// Samples `first..first + count`.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        let length = 3 * self.patch * self.patch;
        let values = first * length..(first + count) * length;
        Self {
            degraded: self.degraded[values.clone()].to_vec(),
            clean: self.clean[values].to_vec(),
            count,
            patch: self.patch,
            names: self.names[first..first + count].to_vec(),
            tasks: self.tasks[first..first + count].to_vec(),
        }
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

/// Where a run writes, and how it is stopped.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// The run's folder; made if absent.
    pub out: PathBuf,
    /// The folder or checkpoint file to continue from.
    pub resume: Option<PathBuf>,
    /// Set from elsewhere (Ctrl-C) to stop after the present step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Devices (without autodiff) that share each batch with the model's own; usually none.
    pub others: Vec<Device>,
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
    /// Best validation PSNR in dB.
    pub best_psnr: Option<f64>,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// Whether `stop` ended it before its last step.
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
pub fn train<M: Trainee, S: BatchSource>(
    model: M,
    source: &S,
    config: &TrainConfig,
    options: &RunOptions<'_>,
) -> Result<Outcome<M>> {
    memory::keep_freed();
    let mut run = Run::start(model, config, options)?;
    let validation = match config.validation.samples {
        0 => Vec::new(),
        samples => source
            .validation(samples, config.validation.patch)
            .context("cannot make the validation samples")?,
    };
    validation.iter().try_for_each(Batch::check)?;
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(config.prefetch);
        let first = run.state.step;
        scope.spawn(move || {
            for step in first.. {
                let Some(position) = config.position(step) else {
                    break;
                };
                let stage = position.stage;
                let request = BatchRequest {
                    step,
                    count: stage.batch,
                    patch: stage.patch,
                };
                let batch = source.batch(request);
                let failed = batch.is_err();
                // A closed channel means that the loop has ended.
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        run.steps(receiver, &validation)
    })?;
    run.finish()
}

/// A run in progress.
struct Run<'a, M> {
    config: &'a TrainConfig,
    options: &'a RunOptions<'a>,
    /// Always present; taken only while the optimiser replaces it.
    model: M,
    device: Device,
    replicas: Replicas,
    optimizer: Optimizer,
    ema: Ema,
    state: State,
    log: Log,
    bar: ProgressBar,
    checkpoint: Option<PathBuf>,
    checkpoint_step: Option<u64>,
    checkpoint_time: Instant,
    validated_step: Option<u64>,
    input_psnr: Option<BTreeMap<String, f64>>,
}

/// The numbers of one step, on the host.
struct StepNumbers {
    loss: f64,
    psnr: f64,
    grad_norm: f64,
}

impl<'a, M: Trainee> Run<'a, M> {
    fn start(model: M, config: &'a TrainConfig, options: &'a RunOptions<'a>) -> Result<Self> {
        let device = model
            .devices()
            .into_iter()
            .next()
            .context("the model has no parameters")?;
        let device = device.without_autodiff();
        fs::create_dir_all(&options.out)
            .with_context(|| format!("{}: cannot make the folder", options.out.display()))?;

        let mut state = State::new(&config.text);
        let mut optimizer = Optimizer::new(&config.optimizer);
        let checkpoint = match &options.resume {
            Some(path) => Some((path, Checkpoint::load(path)?)),
            None => {
                let last = options.out.join(crate::checkpoint::LAST);
                ensure!(
                    !last.exists(),
                    "{}: holds another run; continue it with --resume or choose another folder",
                    options.out.display()
                );
                None
            }
        };
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
        let log_source = options.resume.as_deref().map(|path| match path.is_dir() {
            true => path,
            false => path.parent().unwrap_or(Path::new(".")),
        });
        let log = Log::open(&options.out, log_source, state.step)?;
        let validated = |entry: &Entry| matches!(entry, Entry::Validation { .. });
        let validated_step = log
            .entries()?
            .iter()
            .rfind(|entry| validated(entry))
            .map(Entry::step);
        let bar = progress_bar(config.total_steps(), state.step, options.quiet);
        let devices = [std::slice::from_ref(&device), &options.others].concat();
        let devices: Vec<Device> = devices.iter().map(|d| config.autodiff(d)).collect();
        Ok(Self {
            config,
            options,
            model,
            device,
            replicas: Replicas::new(&devices, config.replicas, config.accumulate)?,
            optimizer,
            ema,
            checkpoint_step: checkpoint.as_ref().map(|_| state.step),
            checkpoint: options.resume.clone(),
            state,
            log,
            bar,
            checkpoint_time: Instant::now(),
            validated_step,
            input_psnr: None,
        })
    }

    /// All steps that are left, until the last or until stopped.
    fn steps(&mut self, batches: Receiver<Result<Batch>>, validation: &[Batch]) -> Result<()> {
        let pause = Duration::from_secs_f64((self.config.checkpoint_minutes * 60.0).min(1e9));
        // A stop may have come between a step and its validation.
        self.validate_if_due(validation)?;
        while self.state.step < self.config.total_steps() && !self.stopped() {
            let started = Instant::now();
            let batch = match batches.recv() {
                Ok(batch) => batch,
                Err(_) => bail!("step {}: the samples ended early", self.state.step + 1),
            };
            let batch = match batch.and_then(|batch| batch.check().map(|()| batch)) {
                Ok(batch) => batch,
                Err(error) => {
                    // The weights are good: a broken photo must not cost the minutes since the
                    // last checkpoint.
                    self.save()?;
                    return Err(error.context(format!("step {}", self.state.step + 1)));
                }
            };
            let numbers = self.step(&batch)?;
            self.note(&numbers, batch.count, started.elapsed().as_secs_f64())?;
            self.validate_if_due(validation)?;
            if self.checkpoint_time.elapsed() >= pause {
                self.save()?;
            }
        }
        if !self.stopped() && self.validated_step != Some(self.state.step) {
            self.validate(validation)?;
        }
        Ok(())
    }

    /// One optimiser step. The weights change only if all numbers are finite.
    fn step(&mut self, batch: &Batch) -> Result<StepNumbers> {
        let step = self.state.step;
        let position = self
            .config
            .position(step)
            .context("there are no more steps")?;
        let lr = learning_rate(position.stage, position.step);
        let Descent {
            loss,
            errors,
            statistics,
            gradients,
        } = self.replicas.descend(&self.model, batch)?;
        let squares = gradients
            .values()
            .map(|gradient| gradient.clone().square().sum());
        let norm = Tensor::cat(squares.collect(), 0).sum().sqrt();
        let norm = f64::from(norm.into_data().try_to_vec::<f32>().context("not f32")?[0]);
        if !loss.is_finite() || !norm.is_finite() || errors.iter().any(|error| !error.is_finite()) {
            bail!(
                "step {}: the loss is {loss}, the gradient norm {norm}. Files of the batch: {}. {}",
                step + 1,
                batch.names.join(", "),
                self.last_good()
            );
        }
        let scale = self.optimizer.clip_factor(norm);
        self.model = self
            .optimizer
            .step(self.model.clone(), gradients, scale, lr);
        self.state.step += 1;
        let progress = self.state.step as f64 / self.config.total_steps() as f64;
        self.model = self.model.clone().after_step(statistics, progress);
        self.ema.update(&self.model, self.state.step);
        let psnr = errors
            .iter()
            .map(|&error| psnr(f64::from(error)))
            .sum::<f64>();
        Ok(StepNumbers {
            loss,
            psnr: psnr / errors.len() as f64,
            grad_norm: norm,
        })
    }

    /// Adds a step to the log's sums and the progress bar.
    fn note(&mut self, numbers: &StepNumbers, samples: usize, seconds: f64) -> Result<()> {
        self.state.seconds += seconds;
        let interval = &mut self.state.interval;
        interval.steps += 1;
        interval.samples += samples as u64;
        interval.loss += numbers.loss;
        interval.psnr += numbers.psnr;
        interval.grad_norm += numbers.grad_norm;
        interval.seconds += seconds;
        let steps = interval.steps as f64;
        let samples_per_s = interval.samples as f64 / interval.seconds.max(1e-9);
        self.bar.set_message(format!(
            "loss {:.4}  {:.2} dB  {samples_per_s:.1} samples/s",
            interval.loss / steps,
            interval.psnr / steps
        ));
        self.bar.set_position(self.state.step);
        if self.state.step.is_multiple_of(self.config.log_every) {
            let position = self.config.position(self.state.step - 1);
            self.log.append(&Entry::Train {
                step: self.state.step,
                loss: interval.loss / steps,
                psnr: interval.psnr / steps,
                lr: position.map_or(0.0, |position| learning_rate(position.stage, position.step)),
                samples_per_s,
                grad_norm: interval.grad_norm / steps,
                seconds: self.state.seconds,
            })?;
            self.state.interval = Default::default();
        }
        Ok(())
    }

    fn validate_if_due(&mut self, batches: &[Batch]) -> Result<()> {
        let (every, step) = (self.config.validation.every, self.state.step);
        let due = every > 0 && step > 0 && step.is_multiple_of(every);
        if due && self.validated_step != Some(step) {
            self.validate(batches)
        } else {
            Ok(())
        }
    }

    /// Mean PSNR by task of the averaged weights; keeps the best. Gives up quietly when stopped.
    fn validate(&mut self, batches: &[Batch]) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        let model = self.ema.apply(self.model.valid());
        let mut scores = Scores::default();
        for batch in batches {
            if self.stopped() {
                return Ok(());
            }
            let degraded = batch.tensor(&batch.degraded, &self.device);
            let errors = model.errors(degraded, batch.tensor(&batch.clean, &self.device));
            let errors = errors
                .into_data()
                .try_to_vec::<f32>()
                .context("the result is not f32")?;
            if let Some(name) = scores.add(batch, &errors) {
                bail!(
                    "step {}: validation gave NaN or infinity for {name}. {}",
                    self.state.step,
                    self.last_good()
                );
            }
        }
        let tasks = scores.means();
        let psnr = tasks.values().sum::<f64>() / tasks.len() as f64;
        let input = self.input_psnr.get_or_insert_with(|| {
            let mut scores = Scores::default();
            for batch in batches {
                scores.add(batch, &input_errors(batch));
            }
            scores.means()
        });
        self.log.append(&Entry::Validation {
            step: self.state.step,
            psnr,
            tasks,
            input: input.clone(),
            seconds: self.state.seconds,
        })?;
        self.validated_step = Some(self.state.step);
        write_curves(&self.log.entries()?, &self.options.out.join(CURVES))?;
        if self.state.best_psnr.is_none_or(|best| psnr > best) {
            self.state.best_psnr = Some(psnr);
            self.snapshot().save(&self.options.out, BEST)?;
        }
        Ok(())
    }

    fn snapshot(&self) -> Checkpoint {
        let record = self.optimizer.record();
        Checkpoint {
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
        self.checkpoint = Some(self.snapshot().save_last(&self.options.out)?);
        self.checkpoint_step = Some(self.state.step);
        self.checkpoint_time = Instant::now();
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome<M>> {
        self.save()?;
        self.bar.abandon();
        Ok(Outcome {
            averaged: self.ema.apply(self.model.valid()),
            stopped: self.state.step < self.config.total_steps(),
            model: self.model,
            step: self.state.step,
            best_psnr: self.state.best_psnr,
            seconds: self.state.seconds,
            checkpoint: self.options.out.join(crate::checkpoint::LAST),
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

/// Sums of PSNR by task.
#[derive(Default)]
struct Scores {
    tasks: BTreeMap<String, (f64, u64)>,
}

impl Scores {
    /// Adds a batch's mean squared errors; returns the name of a sample whose is not finite.
    fn add<'b>(&mut self, batch: &'b Batch, errors: &[f32]) -> Option<&'b str> {
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

    fn means(&self) -> BTreeMap<String, f64> {
        let mean =
            |(task, (sum, count)): (&String, &(f64, u64))| (task.clone(), sum / *count as f64);
        self.tasks.iter().map(mean).collect()
    }
}

/// Mean squared error of each untouched input.
fn input_errors(batch: &Batch) -> Vec<f32> {
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
fn psnr(error: f64) -> f64 {
    -10.0 * error.max(1e-10).log10()
}

fn progress_bar(steps: u64, done: u64, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps).with_position(done);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}  ETA {eta}") {
        bar.set_style(style);
    }
    // The ETA is of this session; steps done before took no time in it.
    bar.reset_eta();
    bar
}
