//! Times training steps, as a training run does them.

use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::weights::Weights;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::report::{StepReport, WeightReport};
use super::{BenchOptions, milliseconds};
use crate::host::memory;
use crate::train::Batch;
use crate::train::config::TrainConfig;
use crate::train::ema::Ema;
use crate::train::optimizer::Optimizer;
use crate::train::parameters::{FlatTensors, flat_tensors, freeze};
use crate::train::replicas::{LoadedBatch, Replicas};
use crate::train::trainee::DinoIrTrainee;

/// Learning rate of the training steps.
const RATE: f64 = 2e-4;

/// Weights that a report says something about.
const REPORTED: usize = 3;

/// Times training steps that start at these weights.
pub(super) fn train(
    weights: &Weights<'_>,
    device: &Device,
    options: &BenchOptions<'_>,
    batch: usize,
) -> Result<StepReport> {
    memory::keep_freed();
    let settings = settings(weights, device, options, batch)?;
    let mut training = Training::start(weights, &settings, device)?;
    let before = flat_tensors(&training.model);
    let start = Instant::now();
    let first = training.step()?;
    device.sync().context("the device")?;
    let first_ms = milliseconds(start, Instant::now());
    let weights = reported(before, &training.model, &first.trained)?;
    let [loss, grad_norm] = [first.loss, first.norm].map(Tensor::into_scalar::<f32>);
    if *device != Device::flex() {
        // A GPU's memory is divided anew in the second step.
        training.step()?;
    }
    device.sync().context("the device")?;
    let start = Instant::now();
    for _ in 0..options.train {
        training.step()?;
    }
    let told = Instant::now();
    device.sync().context("the device")?;
    let [ms, told_ms] =
        [Instant::now(), told].map(|end| milliseconds(start, end) / options.train as f64);
    Ok(StepReport {
        ms,
        told_ms,
        crops_per_s: batch as f64 / ms * 1e3,
        first_ms,
        loss,
        grad_norm,
        weights,
        peak_bytes: memory::peak(),
        device_bytes: device.memory_pool_usage().map(|usage| usage.bytes_reserved),
    })
}

/// A run's settings: those of the embedded net's last edition, with the contrastive loss.
fn settings(
    weights: &Weights<'_>,
    device: &Device,
    options: &BenchOptions<'_>,
    batch: usize,
) -> Result<TrainConfig> {
    let sizes = weights.config()?;
    // Side by side helps a CPU's threads only.
    let replicas = if *device == Device::flex() { 2 } else { 1 };
    let lambda = if sizes.guidance.is_some() { 1.0 } else { 0.0 };
    let mut model = toml::Table::new();
    model.insert("model".into(), toml::Value::try_from(&sizes)?);
    let text = format!(
        "replicas = {replicas}\nfrozen = [\"net.guidance.backbone.\"]\n\
        [loss]\nlambda = {lambda:?}\n\
        [optimizer]\nkind = \"muon\"\nweight_decay = 1e-4\nclip_norm = 1.0\n\
        [[stage]]\nsteps = 1\nbatch = {batch}\npatch = {}\nlr = {RATE:e}\n{}",
        options.patch,
        toml::to_string(&model)?
    );
    TrainConfig::parse(&text, options.set)
}

/// A model in training on one batch of noise.
struct Training {
    model: DinoIrTrainee,
    optimizer: Optimizer,
    ema: Ema,
    replicas: Replicas,
    batch: LoadedBatch,
    steps: u64,
}

/// What a step said; the device may still be computing it.
struct Step {
    loss: Tensor<1>,
    norm: Tensor<1>,
    /// Names of what has a gradient.
    trained: Vec<String>,
}

impl Training {
    fn start(weights: &Weights<'_>, settings: &TrainConfig, device: &Device) -> Result<Self> {
        let tracked = settings.autodiff(device);
        let (mut model, _) = DinoIrTrainee::new(settings, &tracked)?;
        model.net = weights.model(&tracked)?;
        let model = freeze(model.train(), &settings.frozen);
        let ema = Ema::new(&model, settings.ema_decay, &settings.frozen);
        let stage = settings.stages.first().context("there is a stage")?;
        let (count, patch) = (stage.batch, stage.patch);
        let images = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..count * 3 * patch * patch)
                .map(|_| rng.random())
                .collect()
        };
        let batch = Batch {
            degraded: images(1),
            clean: images(2),
            count,
            patch,
            names: vec![String::new(); count],
            tasks: vec![String::new(); count],
        };
        let replicas = Replicas::new(&[tracked], settings.replicas, settings.accumulate)?;
        Ok(Self {
            model,
            optimizer: Optimizer::new(&settings.optimizer),
            ema,
            batch: replicas.load::<DinoIrTrainee>(batch),
            replicas,
            steps: 0,
        })
    }

    /// As a training run does it.
    fn step(&mut self) -> Result<Step> {
        let step = self.replicas.gradients(&self.model, &self.batch)?;
        let measured = Tensor::cat(vec![step.loss.clone(), step.errors], 0);
        let model = self.model.clone();
        let update = self.optimizer.step(model, &step.gradients, measured, RATE);
        self.model = update.model;
        self.steps += 1;
        self.ema
            .update(&self.model, &self.optimizer, self.steps, &update.broken);
        Ok(Step {
            loss: step.loss,
            norm: update.norm,
            trained: step.gradients.into_keys().collect(),
        })
    }
}

/// What a step did to some of the `trained` weights, which were as in `before`.
fn reported(
    before: FlatTensors,
    model: &DinoIrTrainee,
    trained: &[String],
) -> Result<Vec<WeightReport>> {
    let after = flat_tensors(model);
    let last = trained.len().saturating_sub(1);
    let chosen = (0..REPORTED).filter_map(|index| trained.get(index * last / (REPORTED - 1)));
    let report = |name: &String| {
        let values = |tensors: &FlatTensors| -> Result<Vec<f32>> {
            let tensor = tensors.get(name).context("a weight has its name")?;
            let values = tensor.clone().into_data().try_to_vec();
            values.context("the weights are not f32")
        };
        let (old, new) = (values(&before)?, values(&after)?);
        let pairs = old.iter().zip(&new);
        let squares: f64 = pairs.map(|(old, new)| f64::from(new - old).powi(2)).sum();
        Ok(WeightReport {
            name: name.clone(),
            sum: new.iter().copied().map(f64::from).sum(),
            moved: (squares / new.len() as f64).sqrt(),
        })
    };
    chosen.map(report).collect()
}
