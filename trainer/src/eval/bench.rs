//! The command `bench`: how long each stage of a network takes on this machine, against what its
//! matrix products could reach, and how long a training step takes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::device::DeviceChoice;
use dino_ir::infer::{Backbone, Stage, peak_flops};
use dino_ir::model::dinov2::{Dinov2Config, patch_embed::PATCH};
use dino_ir::restore::Network;
use dino_ir::weights::{Kind, Loaded, Weights, load};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Serialize;

use crate::host::devices;
use crate::host::memory;
use crate::host::size::show_size;
use crate::model::weights;
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

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct BenchOptions<'a> {
    /// Weights file; `None`: the embedded `nano`.
    pub weights: Option<&'a Path>,
    /// Width and height in pixels, rounded down to what the network takes.
    pub size: [usize; 2],
    /// Where to compute.
    pub device: DeviceChoice,
    /// Runs on the image; 0: none, and no golden check.
    pub runs: usize,
    /// Training steps that are timed; 0: none.
    pub train: usize,
    /// Samples of a training step, one measurement for each.
    pub batches: &'a [usize],
    /// Side of the training samples in pixels.
    pub patch: usize,
    /// Changed settings of the training run, `key=value`.
    pub set: &'a [String],
}

/// What was measured; times are medians in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What `auto` came down to.
    pub device: String,
    /// Threads of the CPU.
    pub threads: usize,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// 10^9 operations a second in matrix products, all threads together.
    pub gemm_gflops: f64,
    /// Stages in the order in which they run; none on a GPU.
    pub stages: Vec<StageReport>,
    /// The whole image.
    pub image_ms: Option<f64>,
    /// 10^9 operations a second over the whole image.
    pub image_gflops: Option<f64>,
    /// Most bytes of the process in memory up to the end of the last image, where the system tells.
    pub peak_bytes: Option<u64>,
    /// Training steps, one entry for each size of the batch.
    pub train: Vec<TrainReport>,
}

/// Training steps of one size.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    /// Samples of a step.
    pub batch: usize,
    /// Side of the samples in pixels.
    pub patch: usize,
    /// What was measured; none if it failed.
    #[serde(flatten)]
    pub step: Option<StepReport>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A training step: forward, backward, optimiser, average.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Mean over the timed steps. Nothing is waited for between them.
    pub ms: f64,
    /// Of that, until the device has been told what to do: on a GPU it may still be computing.
    pub told_ms: f64,
    /// Samples a second.
    pub crops_per_s: f64,
    /// The first step, with all that is made once, such as a GPU's programs.
    pub first_ms: f64,
    /// Loss of the first step.
    pub loss: f32,
    /// Gradient norm of the first step, before clipping.
    pub grad_norm: f32,
    /// The first, the middle and the last of the trained weights, by name, after the first step.
    pub weights: Vec<WeightReport>,
    /// Most bytes of the process in memory, where the system tells.
    pub peak_bytes: Option<u64>,
    /// Bytes that the device holds for it, where it tells.
    pub device_bytes: Option<u64>,
}

/// What a step did to one weight.
#[derive(Clone, Debug, Serialize)]
pub struct WeightReport {
    /// Its name.
    pub name: String,
    /// Sum of its values after the step.
    pub sum: f64,
    /// Root mean square of what the step added.
    pub moved: f64,
}

/// One stage.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
    /// 10^9 operations a second.
    pub gflops: f64,
    /// Bytes of the maps that it reads and writes.
    pub bytes: u64,
    /// Of the time of all stages.
    pub share: f64,
}

/// Measures; `so_far` gets the report after each size of the batch that is not the last.
///
/// A size that fails, as where memory runs out, ends the measurement; its entry says why.
///
/// # Errors
/// Weights or settings that cannot be used, a device that cannot be opened, a first size that fails.
pub fn bench(
    options: &BenchOptions<'_>,
    mut so_far: impl FnMut(&Report) -> Result<()>,
) -> Result<Report> {
    let file = options.weights.map(weights::read).transpose()?;
    let bytes = match &file {
        Some(file) => file,
        None => dino_ir::embedded::nano(),
    };
    let weights = Weights::from_bytes(bytes)?;
    let backbone_alone = weights.header.kind == Kind::Dinov2;
    ensure!(
        !backbone_alone || matches!(options.device, DeviceChoice::Auto | DeviceChoice::Cpu),
        "a backbone alone is measured on the CPU only; give --device cpu"
    );
    let gemm_gflops = peak_flops(5) / 1e9;
    if backbone_alone {
        let config: Dinov2Config = serde_json::from_value(weights.header.config.clone())
            .context("the backbone's config")?;
        let backbone = Backbone::new(&weights.backbone(&Device::flex())?);
        let size = multiples_of(options.size, PATCH);
        let image = noise(size);
        return Ok(measure(options, size, gemm_gflops, "cpu", |watch| {
            let [width, height] = size;
            backbone.forward(&image, [height, width], config.depth, |_, _| {}, watch);
        }));
    }
    let (chosen, (net, device)) = devices::open(options.device, |device| {
        let net = (options.runs > 0).then(|| load(bytes, device));
        Ok((net.transpose()?, device.clone()))
    })?;
    let name = chosen.to_string();
    let mut report = match net {
        Some(net) => {
            let size = multiples_of(options.size, net.multiple());
            let image = noise(size);
            measure(options, size, gemm_gflops, &name, |watch| {
                restore(&net, &image, size, &device, watch);
            })
        }
        None => measure(options, options.size, gemm_gflops, &name, |_| {}),
    };
    let batches = match options.train {
        0 => &[],
        _ => options.batches,
    };
    for (index, &batch) in batches.iter().enumerate() {
        if index > 0 {
            so_far(&report)?;
        }
        let patch = options.patch;
        // A device that has no memory left panics.
        let trained = catch_unwind(AssertUnwindSafe(|| {
            train(&weights, &device, options, batch)
        }))
        .unwrap_or_else(|panic| Err(anyhow!(message(panic.as_ref()))));
        let (step, error) = match trained {
            Ok(step) => (Some(step), None),
            Err(error) if index == 0 => return Err(error),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let failed = error.is_some();
        report.train.push(TrainReport {
            batch,
            patch,
            step,
            error,
        });
        if failed {
            break;
        }
    }
    Ok(report)
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the device gave up".into())
}

fn multiples_of(size: [usize; 2], multiple: usize) -> [usize; 2] {
    size.map(|side| (side / multiple).max(1) * multiple)
}

fn noise([width, height]: [usize; 2]) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..3 * width * height).map(|_| rng.random()).collect()
}

fn restore(
    net: &Loaded,
    image: &[f32],
    [width, height]: [usize; 2],
    device: &Device,
    watch: &mut dyn FnMut(Stage),
) {
    if let Some(packed) = net.packed() {
        packed.forward_watched(image, [height, width], watch);
        return;
    }
    let data = TensorData::new(image.to_vec(), [1, 3, height, width]);
    // Reading the result waits for the device.
    net.forward(Tensor::from_data(data, device)).into_data();
}

/// Times of runs after one that warms up.
fn measure(
    options: &BenchOptions<'_>,
    size: [usize; 2],
    gemm_gflops: f64,
    device: &str,
    mut run: impl FnMut(&mut dyn FnMut(Stage)),
) -> Report {
    let mut stages: Vec<(Stage, Vec<f64>)> = Vec::new();
    let mut images = Vec::new();
    if options.runs > 0 {
        run(&mut |stage| stages.push((stage, Vec::new())));
    }
    for _ in 0..options.runs {
        let start = Instant::now();
        let (mut last, mut next) = (start, 0);
        run(&mut |_| {
            let now = Instant::now();
            stages[next].1.push(milliseconds(last, now));
            (last, next) = (now, next + 1);
        });
        images.push(milliseconds(start, Instant::now()));
    }
    let stages: Vec<(Stage, f64)> = stages
        .into_iter()
        .map(|(stage, times)| (stage, median(times)))
        .collect();
    let image_ms = (options.runs > 0).then(|| median(images));
    let (flops, total) = stages.iter().fold((0, 0.0), |(flops, total), (stage, ms)| {
        (flops + stage.flops, total + ms)
    });
    let report = |(stage, ms): (Stage, f64)| StageReport {
        name: stage.name,
        ms,
        gflops: gflops(stage.flops, ms),
        bytes: stage.bytes,
        share: ms / total,
    };
    Report {
        device: device.into(),
        threads: rayon::current_num_threads(),
        size,
        gemm_gflops,
        stages: stages.into_iter().map(report).collect(),
        image_ms,
        image_gflops: image_ms.filter(|_| flops > 0).map(|ms| gflops(flops, ms)),
        peak_bytes: memory::peak(),
        train: Vec::new(),
    }
}

fn milliseconds(start: Instant, end: Instant) -> f64 {
    (end - start).as_secs_f64() * 1e3
}

fn gflops(flops: u64, ms: f64) -> f64 {
    flops as f64 / ms.max(1e-9) / 1e6
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

/// Times training steps that start at these weights.
fn train(
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
            .update(&self.model, &self.optimizer, self.steps, &update.finite);
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

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let [width, height] = self.size;
        let mut lines = vec![
            format!(
                "{width} x {height} pixels on {}, {} threads; matrix products: {:.0} GFLOP/s",
                self.device, self.threads, self.gemm_gflops
            ),
            format!(
                "{:<16}{:>10}{:>10}{:>8}{:>8}{:>8}",
                "stage", "ms", "GFLOP/s", "MiB", "share", "peak"
            ),
        ];
        let line = |name: &str, ms: f64, gflops: f64, bytes: u64, share: f64| {
            format!(
                "{name:<16}{ms:>10.2}{gflops:>10.1}{:>8.1}{:>7.1}%{:>7.1}%",
                bytes as f64 / f64::from(1 << 20),
                100.0 * share,
                100.0 * gflops / self.gemm_gflops
            )
        };
        for stage in &self.stages {
            let StageReport {
                ms,
                gflops,
                bytes,
                share,
                ..
            } = *stage;
            lines.push(line(&stage.name, ms, gflops, bytes, share));
        }
        let bytes = self.stages.iter().map(|stage| stage.bytes).sum();
        match (self.image_ms, self.image_gflops) {
            (Some(ms), Some(gflops)) => lines.push(line("image", ms, gflops, bytes, 1.0)),
            (Some(ms), None) => lines.push(format!("{:<16}{ms:>10.2}", "image")),
            (None, _) => {}
        }
        if let Some(bytes) = self.peak_bytes {
            lines.push(format!("memory at its peak: {}", show_size(bytes)));
        }
        lines.extend(self.train.iter().map(TrainReport::line));
        lines.join("\n")
    }
}

impl TrainReport {
    /// For people.
    fn line(&self) -> String {
        let found = match (&self.step, &self.error) {
            (Some(step), _) => format!(
                "{:.1} ms, {:.2} samples/s, the first {:.0} ms; loss {:.6}, gradient norm {:.6}",
                step.ms, step.crops_per_s, step.first_ms, step.loss, step.grad_norm
            ),
            (None, Some(error)) => error.clone(),
            (None, None) => "nothing".into(),
        };
        let Self { batch, patch, .. } = self;
        format!("training step (batch {batch}, patch {patch}): {found}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_shares_of_the_whole() {
        let options = BenchOptions {
            weights: None,
            size: [64, 48],
            device: DeviceChoice::Cpu,
            runs: 2,
            train: 0,
            batches: &[],
            patch: 64,
            set: &[],
        };
        let report = bench(&options, |_| Ok(())).expect("measured");
        assert_eq!(report.size, [64, 48]);
        let share: f64 = report.stages.iter().map(|stage| stage.share).sum();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        assert!(report.stages.iter().any(|stage| stage.name == "latent"));
        assert!(report.image_ms.is_some_and(|ms| ms > 0.0) && report.gemm_gflops > 0.0);
        assert!(report.table().contains("latent"));
    }

    #[test]
    fn a_backbone_alone_is_not_measured_on_another_device() {
        let config = Dinov2Config {
            width: 16,
            depth: 1,
            heads: 2,
            registers: 0,
            swiglu: false,
            grid: 4,
        };
        let backbone = config.init(&Device::flex());
        let dtype = dino_ir::weights::Dtype::F32;
        let provenance = serde_json::Value::Null;
        let bytes = dino_ir::weights::backbone_to_bytes(&backbone, &config, dtype, provenance);
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("backbone.safetensors");
        std::fs::write(&path, bytes.expect("a backbone")).expect("written");
        let options = |device| BenchOptions {
            weights: Some(&path),
            size: [28, 28],
            device,
            runs: 1,
            train: 0,
            batches: &[],
            patch: 64,
            set: &[],
        };
        let measure = |device| bench(&options(device), |_| Ok(()));
        let error = measure(DeviceChoice::Wgpu).expect_err("refused");
        assert!(error.to_string().contains("--device cpu"), "{error}");
        let report = measure(DeviceChoice::Auto).expect("measured");
        assert_eq!(report.device, "cpu");
    }

    #[test]
    fn steps_of_one_batch_are_alike_however_they_are_computed() {
        let steps = |settings: &[&str], batches: &[usize]| {
            let set: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
            let options = BenchOptions {
                weights: None,
                size: [64, 64],
                device: DeviceChoice::Cpu,
                runs: 0,
                train: 1,
                batches,
                patch: 16,
                set: &set,
            };
            let mut seen = 0;
            let count = |report: &Report| {
                seen += 1;
                assert_eq!(report.train.len(), seen);
                Ok(())
            };
            let report = bench(&options, count).expect("measured");
            assert_eq!((report.image_ms, report.stages.len()), (None, 0));
            assert_eq!(seen + 1, batches.len());
            let steps = report.train.into_iter().map(|entry| entry.step);
            steps
                .map(|step| step.expect("no error"))
                .collect::<Vec<_>>()
        };
        let whole = steps(&["replicas=1"], &[2, 1]);
        assert!(whole[0].loss != whole[1].loss && whole[0].ms > 0.0);
        let [parts] = &steps(&["replicas=1", "accumulate=2", "loss.lambda=0"], &[2])[..] else {
            panic!("one size");
        };
        assert!(parts.loss < whole[0].loss, "without the contrastive loss");
        for (one, other) in steps(&["loss.lambda=0"], &[2])[0]
            .weights
            .iter()
            .zip(&parts.weights)
        {
            assert_eq!(one.name, other.name);
            assert!(
                (one.sum - other.sum).abs() < 1e-3 && one.moved > 0.0,
                "{one:?}, {other:?}"
            );
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 9.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
