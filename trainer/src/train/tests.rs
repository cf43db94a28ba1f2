//! The loop on a model of two convolutions and synthetic samples.

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
use crate::checkpoint::{BEST, Checkpoint, LAST, PREVIOUS};
use crate::log::{Entry, LOG, Log, read};
use crate::parameters::{NamedTensors, load_tensors, named_tensors};
use crate::plot::CURVES;
use crate::replicas::Descent;

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
fn a_resumed_run_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));
    let config = config([5, 3]);
    let stop = AtomicBool::new(false);
    train(
        Tiny::new(&device()),
        &Synthetic::new(&stop),
        &config,
        &options(&straight, None, &stop),
    )
    .expect("8 steps");
    let expected = Checkpoint::load(&straight).expect("8 steps");
    assert_eq!(expected.state.step, 8);
    assert_eq!(expected.ema.len(), 4, "the frozen backbone has no average");
    assert_eq!(
        expected.first.len(),
        4,
        "the frozen backbone has no moments"
    );

    // The same configuration cut short by a stop in step 4's batch, as Ctrl-C would.
    let mut source = Synthetic::new(&stop);
    source.stop_at = 4;
    let mut cut = config.clone();
    cut.prefetch = 0;
    let outcome = train(
        Tiny::new(&device()),
        &source,
        &cut,
        &options(&halves, None, &stop),
    )
    .expect("stopped");
    assert!(
        outcome.stopped && outcome.step < 8 && outcome.step >= 3,
        "step {}",
        outcome.step
    );

    // Lines of steps that will be done again, and one that a crash cut short.
    let mut log = Log::open(&halves, Some(&halves), u64::MAX).expect("the log");
    log.append(&Entry::Train {
        step: 6,
        loss: 9.0,
        psnr: 9.0,
        lr: 9.0,
        samples_per_s: 9.0,
        grad_norm: 9.0,
        seconds: 9.0,
    })
    .expect("a line");
    let path = halves.join(LOG);
    let text = fs::read_to_string(&path).expect("the log") + "{\"kind\":\"tr";
    fs::write(&path, text).expect("the log");

    stop.store(false, Ordering::Relaxed);
    let other_start = Tiny::new(&device());
    let other_start =
        crate::parameters::map_flat(other_start, |_, _, tensor| Some(tensor.zeros_like()));
    train(
        other_start,
        &Synthetic::new(&stop),
        &config,
        &options(&halves, Some(&halves), &stop),
    )
    .expect("the rest");
    assert_same(&expected, &Checkpoint::load(&halves).expect("the rest"));
    assert_eq!(
        expected
            .averaged_weights()
            .get("backbone.weight")
            .map(|data| data.shape().clone()),
        Some([4, 3, 3, 3].into())
    );
    for name in [LAST, PREVIOUS, BEST, LOG, CURVES] {
        assert!(halves.join(name).exists(), "{name}");
    }
    assert!(!halves.join("last.safetensors.tmp").exists());
    assert_eq!(timeless(&straight), timeless(&halves));
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
    let batch = source.batch(request).expect("synthetic");
    let model = Tiny::new(&device()).train();
    let descend = |devices, replicas, accumulate| {
        let devices = vec![Device::flex(); devices];
        let replicas = crate::replicas::Replicas::new(&devices, replicas, accumulate);
        let found = replicas.expect("threads").descend(&model, &batch);
        found.expect("not frozen")
    };
    let whole = descend(1, 1, 1);
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
        let parts = descend(devices, replicas, accumulate);
        assert_alike(&whole, &parts);
    }
}

/// Of the same batch, summed in another order.
fn assert_alike(whole: &Descent, parts: &Descent) {
    assert!((whole.loss - parts.loss).abs() < 1e-6);
    assert_eq!(whole.errors.len(), 5);
    for (one, other) in whole.errors.iter().zip(&parts.errors) {
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
fn four_and_four_steps_equal_eight() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    train(
        Tiny::new(&device()),
        &source,
        &config([4, 4]),
        &options(&straight, None, &stop),
    )
    .expect("8 steps");
    let mut half = config([4, 4]);
    half.stages.truncate(1);
    train(
        Tiny::new(&device()),
        &source,
        &half,
        &options(&halves, None, &stop),
    )
    .expect("4 steps");
    assert_eq!(Checkpoint::load(&halves).expect("half").state.step, 4);
    let resumed = train(
        Tiny::new(&device()),
        &source,
        &config([4, 4]),
        &options(&halves, Some(&halves), &stop),
    )
    .expect("4 more");
    assert_eq!(resumed.step, 8);
    let expected = Checkpoint::load(&straight).expect("straight");
    assert_same(&expected, &Checkpoint::load(&halves).expect("halves"));
    assert_eq!(timeless(&straight), timeless(&halves));
    assert_eq!(
        bits(&expected.averaged_weights()),
        bits(&named_tensors(&resumed.averaged))
    );

    // Broken newest file: the one before serves.
    fs::write(halves.join(LAST), b"short").expect("write");
    assert_eq!(Checkpoint::load(&halves).expect("previous").state.step, 4);
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

#[test]
fn another_run_is_not_overwritten_and_another_model_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    let out = folder.path();
    let config = config([2, 1]);
    let outcome = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, None, &stop),
    );
    outcome.expect("3 steps");
    let again = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, None, &stop),
    );
    assert!(complaint(again).contains("--resume"));

    let mut checkpoint = Checkpoint::load(out).expect("3 steps");
    let weight = checkpoint.weights.remove("first.bias").expect("there");
    checkpoint.weights.insert("third.bias".to_owned(), weight);
    for tensors in [
        &mut checkpoint.ema,
        &mut checkpoint.first,
        &mut checkpoint.second,
    ] {
        tensors.remove("first.bias");
    }
    checkpoint.save_last(out).expect("written");
    let refused = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, Some(out), &stop),
    );
    assert!(complaint(refused).contains("first.bias"));
}

#[test]
fn a_run_goes_on_in_an_empty_folder_with_its_best_but_not_over_another_run() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [one, other, empty, typo] =
        ["one", "other", "empty", "typo"].map(|name| folder.path().join(name));
    let stop = AtomicBool::new(false);
    let config = config([2, 1]);
    let run = |out: &Path, resume: Option<&Path>| {
        let model = Tiny::new(&device());
        let options = options(out, resume, &stop);
        train(model, &Synthetic::new(&stop), &config, &options)
    };
    run(&one, None).expect("3 steps");
    run(&other, None).expect("3 steps");
    let before = fs::read(other.join(LAST)).expect("a checkpoint");
    for from in [one.clone(), one.join(LAST)] {
        assert!(complaint(run(&other, Some(&from))).contains("holds another run"));
    }
    assert_eq!(fs::read(other.join(LAST)).expect("a checkpoint"), before);

    // All steps are done: nothing here can be better.
    run(&empty, Some(&one)).expect("no step");
    let best = |folder: &Path| fs::read(folder.join(BEST)).expect("the best");
    assert_eq!(best(&empty), best(&one));
    run(&one.join("../one"), Some(&one)).expect("the same folder");

    assert!(complaint(run(&typo, Some(&typo))).contains("typo"));
    assert!(!typo.exists());
}
