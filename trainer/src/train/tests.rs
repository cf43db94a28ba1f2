//! The loop on a model of two convolutions and synthetic samples.

mod clock;
mod resume;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::train::checkpoint::{BEST, Checkpoint, LAST, PREVIOUS};
use crate::train::log::{Entry, LOG, Log, read};
use crate::train::parameters::{NamedTensors, load_tensors, named_tensors};
use crate::train::plot::CURVES;
use crate::train::replicas::StepGradients;

#[derive(Module, Debug)]
struct Tiny {
    backbone: Conv2d,
    first: Conv2d,
    second: Conv2d,
}

impl Tiny {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device)
        };
        let model = Self {
            backbone: conv([3, 4]),
            first: conv([7, 8]),
            second: conv([8, 3]),
        };
        // Burn's own initialisation is seeded for the whole process, and tests run side by side.
        let mut tensors = named_tensors(&model);
        let mut random = StdRng::seed_from_u64(5);
        for data in tensors.values_mut() {
            let values: Vec<f32> = (0..data.num_elements())
                .map(|_| random.random_range(-0.2..0.2))
                .collect();
            *data = TensorData::new(values, data.shape().clone());
        }
        load_tensors(model, &tensors).expect("its own names")
    }
}

impl Trainee for Tiny {
    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput {
        let restored = self.restore(degraded);
        StepOutput {
            errors: squared_errors(restored.clone(), clean.clone()),
            loss: (restored - clean).abs().mean(),
            statistics: None,
        }
    }

    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
        squared_errors(self.restore(degraded), clean)
    }
}

impl Tiny {
    fn restore(&self, degraded: Tensor<4>) -> Tensor<4> {
        let features = self.backbone.forward(degraded.clone());
        let features = Tensor::cat(vec![degraded.clone(), features], 1);
        degraded + self.second.forward(relu(self.first.forward(features)))
    }
}

/// Flat colours with noise. Step `poison` has a NaN in it; `stop_at` sets the flag.
struct Synthetic<'a> {
    poison: Option<u64>,
    stop_at: u64,
    stop: &'a AtomicBool,
    calls: AtomicU64,
}

impl<'a> Synthetic<'a> {
    fn new(stop: &'a AtomicBool) -> Self {
        Self {
            poison: None,
            stop_at: u64::MAX,
            stop,
            calls: AtomicU64::new(0),
        }
    }

    fn make(&self, seed: u64, count: usize, patch: usize) -> Batch {
        let mut random = StdRng::seed_from_u64(seed);
        let area = patch * patch;
        let (mut degraded, mut clean) = (Vec::new(), Vec::new());
        for _ in 0..count * 3 {
            let level: f32 = random.random_range(0.2..0.8);
            clean.extend(std::iter::repeat_n(level, area));
            degraded.extend((0..area).map(|_| level + random.random_range(-0.2..0.2)));
        }
        let names = (0..count)
            .map(|index| format!("photo-{seed}-{index}.png"))
            .collect();
        let tasks = (0..count)
            .map(|index| ["noise", "blur"][index % 2].to_owned())
            .collect();
        Batch {
            degraded,
            clean,
            count,
            patch,
            names,
            tasks,
        }
    }
}

impl BatchSource for Synthetic<'_> {
    fn batch(&self, request: BatchRequest) -> Result<Batch> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if request.step >= self.stop_at {
            self.stop.store(true, Ordering::Relaxed);
        }
        let mut batch = self.make(request.step, request.count, request.patch);
        if self.poison == Some(request.step) {
            batch.degraded[0] = f32::NAN;
        }
        Ok(batch)
    }

    fn validation(&self, samples: usize, patch: usize) -> Result<Vec<Batch>> {
        Ok(vec![self.make(1 << 40, samples, patch)])
    }
}

fn config(stages: [u64; 2]) -> TrainConfig {
    let text = format!(
        r#"
        seed = 7
        frozen = ["backbone."]
        log_every = 3
        ema_decay = 0.9
        [optimizer]
        kind = "adamw"
        weight_decay = 1e-3
        clip_norm = 0.5
        [validation]
        every = 4
        samples = 4
        patch = 16
        [[stage]]
        steps = {}
        batch = 2
        patch = 16
        lr = 1e-2
        lr_end = 1e-3
        warmup = 2
        [[stage]]
        steps = {}
        batch = 3
        patch = 24
        lr = 1e-3
        schedule = "constant"
        "#,
        stages[0], stages[1]
    );
    TrainConfig::parse(&text, &[]).expect("valid")
}

/// Why a run was refused or ended.
fn complaint<M>(result: Result<Outcome<M>>) -> String {
    match result {
        Ok(outcome) => panic!("went on to step {}", outcome.step),
        Err(error) => format!("{error:#}"),
    }
}

fn options<'a>(out: &Path, resume: Option<&Path>, stop: &'a AtomicBool) -> RunOptions<'a> {
    RunOptions {
        out: out.to_owned(),
        resume: resume.map(Path::to_owned),
        stop,
        others: Vec::new(),
        time: None,
        ranks: None,
        quiet: true,
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn bits(tensors: &NamedTensors) -> Vec<(String, Vec<u32>)> {
    let bits = |data: &TensorData| {
        data.try_to_vec::<f32>()
            .expect("f32")
            .into_iter()
            .map(f32::to_bits)
            .collect()
    };
    tensors
        .iter()
        .map(|(name, data)| (name.clone(), bits(data)))
        .collect()
}

fn assert_same(one: &Checkpoint, other: &Checkpoint) {
    assert_eq!(one.state.step, other.state.step);
    assert_eq!(one.state.optimizer_steps, other.state.optimizer_steps);
    assert_eq!(one.state.best_psnr, other.state.best_psnr);
    assert_eq!(bits(&one.weights), bits(&other.weights), "weights");
    assert_eq!(bits(&one.ema), bits(&other.ema), "average");
    assert_eq!(bits(&one.first), bits(&other.first), "first moments");
    assert_eq!(bits(&one.second), bits(&other.second), "second moments");
}

/// The log without what depends on the clock.
fn timeless(folder: &Path) -> Vec<Entry> {
    let mut entries = read(&folder.join(LOG)).expect("a log");
    for entry in &mut entries {
        match entry {
            Entry::Train {
                samples_per_s,
                seconds,
                ..
            } => (*samples_per_s, *seconds) = (0.0, 0.0),
            Entry::Validation { seconds, .. } => *seconds = 0.0,
        }
    }
    entries
}

#[test]
fn replicas_find_the_gradients_of_the_whole_batch() {
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    let request = BatchRequest {
        step: 3,
        count: 5,
        patch: 16,
    };
    let model = Tiny::new(&device()).train();
    let gradients = |devices, replicas, accumulate| {
        let devices = vec![Device::flex(); devices];
        let replicas = crate::train::replicas::Replicas::new(&devices, replicas, accumulate);
        let replicas = replicas.expect("threads");
        let batch = replicas.load::<Tiny>(source.batch(request).expect("synthetic"));
        replicas.gradients(&model, &batch).expect("not frozen")
    };
    let whole = gradients(1, 1, 1);
    // Side by side, on two devices, on two in two parts each, one after the other, and more parts
    // than there are samples.
    for (devices, replicas, accumulate) in [
        (1, 2, 1),
        (2, 1, 1),
        (2, 2, 1),
        (2, 1, 2),
        (1, 1, 3),
        (1, 1, 9),
        (3, 3, 3),
    ] {
        let parts = gradients(devices, replicas, accumulate);
        assert_alike(&whole, &parts);
    }
}

/// Of the same batch, summed in another order.
fn assert_alike(whole: &StepGradients, parts: &StepGradients) {
    let values = |tensor: &Tensor<1>| tensor.to_data().try_to_vec::<f32>().expect("f32");
    assert!((values(&whole.loss)[0] - values(&parts.loss)[0]).abs() < 1e-6);
    let [errors, others] = [&whole.errors, &parts.errors].map(values);
    assert_eq!((errors.len(), others.len()), (5, 5));
    for (one, other) in errors.iter().zip(&others) {
        assert!((one - other).abs() < 1e-6);
    }
    assert!(!whole.gradients.is_empty());
    assert!(whole.gradients.keys().eq(parts.gradients.keys()));
    for (name, gradient) in &whole.gradients {
        let difference = gradient.clone() - parts.gradients[name].clone();
        let difference = difference.abs().max().into_scalar::<f32>();
        let largest = gradient.clone().abs().max().into_scalar::<f32>();
        assert!(
            largest > 0.0 && difference < 1e-5 * largest.max(1e-2),
            "{name}"
        );
    }
}

#[test]
fn devices_parts_and_checkpoints_train_the_same_model() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let run = |name: &str, others: Vec<Device>, accumulate, checkpointing| {
        let mut config = config([5, 3]);
        config.accumulate = accumulate;
        config.checkpointing = checkpointing;
        let options = RunOptions {
            others,
            ..options(&folder.path().join(name), None, &stop)
        };
        let source = Synthetic::new(&stop);
        let model = Tiny::new(&config.autodiff(&device()));
        let outcome = train(model, &source, &config, &options);
        let model = outcome.expect("8 steps").model;
        let losses: Vec<f64> = read(&folder.path().join(name).join(LOG))
            .expect("the log")
            .iter()
            .filter_map(|entry| match entry {
                Entry::Train { loss, .. } => Some(*loss),
                Entry::Validation { .. } => None,
            })
            .collect();
        assert_eq!(losses.len(), 2);
        (losses, named_tensors(&model))
    };
    let (losses, weights) = run("one", Vec::new(), 1, false);
    for (name, others, accumulate, checkpointing) in [
        ("two", vec![Device::flex()], 1, false),
        ("parts", Vec::new(), 2, false),
        ("checkpointing", Vec::new(), 1, true),
        ("all", vec![Device::flex()], 2, true),
    ] {
        let (same, found) = run(name, others, accumulate, checkpointing);
        for (loss, same) in losses.iter().zip(&same) {
            assert!((loss - same).abs() < 1e-5, "{name}: {loss}, {same}");
        }
        for (parameter, data) in &weights {
            let values = |data: &TensorData| data.try_to_vec::<f32>().expect("f32");
            let pairs = values(data).into_iter().zip(values(&found[parameter]));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{name}: {parameter} differs by {worst}");
        }
    }
}

#[test]
fn it_learns_and_leaves_the_frozen_part_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let start = named_tensors(&Tiny::new(&device()));
    let outcome = train(
        Tiny::new(&device()),
        &Synthetic::new(&stop),
        &config([800, 4]),
        &options(folder.path(), None, &stop),
    )
    .expect("804 steps");
    let end = named_tensors(&outcome.model);
    for name in ["backbone.weight", "backbone.bias"] {
        assert_eq!(start[name], end[name], "{name} is frozen");
    }
    assert_ne!(start["first.weight"], end["first.weight"]);
    let entries = read(&folder.path().join(LOG)).expect("the log");
    let scores: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Validation {
                psnr, tasks, input, ..
            } => Some((*psnr, tasks, input)),
            Entry::Train { .. } => None,
        })
        .collect();
    assert_eq!(scores.len(), 201, "one for every fourth step");
    let (psnr, tasks, input) = scores[200];
    assert_eq!(outcome.validation_psnr, Some(psnr), "of the last weights");
    assert!(
        psnr > scores[0].0 + 2.0,
        "from {} to {psnr} dB",
        scores[0].0
    );
    assert!(
        tasks["noise"] > input["noise"] + 1.0,
        "{tasks:?} against {input:?}"
    );
}

#[test]
fn nan_names_step_files_and_checkpoint() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let mut source = Synthetic::new(&stop);
    let mut half = config([4, 4]);
    half.stages.truncate(1);
    let out = folder.path();
    train(
        Tiny::new(&device()),
        &source,
        &half,
        &options(out, None, &stop),
    )
    .expect("4 steps");
    source.poison = Some(5);
    let result = train(
        Tiny::new(&device()),
        &source,
        &config([4, 4]),
        &options(out, Some(out), &stop),
    );
    let message = complaint(result);
    for part in ["step 6", "NaN", "photo-5-0.png, photo-5-1.png", "(step 4)"] {
        assert!(message.contains(part), "`{part}` in: {message}");
    }
    let last = Checkpoint::load(out).expect("the last good one");
    assert_eq!(last.state.step, 4);
}
