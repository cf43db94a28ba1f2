//! Tiny backbones on photos made here.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::collapse::Collapse;
use super::*;
use crate::data::rgb::Rgb;
use crate::train::checkpoint::Checkpoint;
use crate::train::config::TrainConfig;
use crate::train::parameters::named_tensors;
use crate::train::{Batch, BatchRequest, BatchSource, RunOptions, Trainee, train};

/// Three photos with structure at several scales, and settings for them.
fn config(folder: &Path, steps: u64) -> TrainConfig {
    for (seed, name) in ["a.png", "b.png", "c.png"].into_iter().enumerate() {
        let photo = Rgb::from_fn(150, 130, |x, y| {
            let (x, y, k) = (x as f32, y as f32, seed as f32 + 1.0);
            let wave = |a: f32, b: f32| 0.5 + 0.4 * (a * x * k + b * y).sin();
            [wave(0.05, 0.02), wave(0.3, -0.1 * k), wave(0.01, 0.2)]
        });
        photo.save_png(&folder.join(name)).expect("a photo");
    }
    let text = format!(
        "seed = 3\nema_decay = 0.0\nlog_every = 1\nreplicas = 2\n\
         [model]\nwidth = 16\ndepth = 2\nheads = 2\ngrid = 8\n\
         [data]\nclean = [{:?}]\nvalidation = 1\n\
         [validation]\nevery = 0\nsamples = 4\npatch = 112\n\
         [[stage]]\nsteps = {steps}\nbatch = 2\npatch = 112\nlr = 3e-3\n",
        folder.display().to_string()
    );
    TrainConfig::parse(&text, &[]).expect("settings")
}

fn options<'a>(out: &Path, resume: bool, stop: &'a AtomicBool) -> RunOptions<'a> {
    RunOptions {
        out: out.to_owned(),
        resume: resume.then(|| out.to_owned()),
        stop,
        others: Vec::new(),
        time: None,
        ranks: None,
        quiet: true,
    }
}

/// Views, and Ctrl-C in the middle.
struct StopAt<'a> {
    views: &'a Views,
    step: u64,
    stop: &'a AtomicBool,
}

impl BatchSource for StopAt<'_> {
    fn batch(&self, request: BatchRequest) -> anyhow::Result<Batch> {
        self.stop
            .fetch_or(request.step == self.step, Ordering::Relaxed);
        self.views.batch(request)
    }

    fn validation(&self, samples: usize, patch: usize) -> anyhow::Result<Vec<Batch>> {
        self.views.validation(samples, patch)
    }
}

#[test]
fn a_batch_comes_apart_into_its_views() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let views = Views::load(&config(folder.path(), 1)).expect("photos");
    let request = BatchRequest {
        step: 5,
        count: 2,
        patch: GLOBAL,
    };
    let batch = views.batch(request).expect("views");
    let again = views.batch(request).expect("views");
    assert_eq!(
        (&batch.degraded, &batch.clean),
        (&again.degraded, &again.clean)
    );
    assert_eq!(batch.count, 2 * SQUARES);
    assert_ne!(batch.degraded, batch.clean);
    let near = batch.degraded.iter().zip(&batch.clean);
    let off = near.map(|(a, b)| (a - b).abs()).sum::<f32>() / batch.clean.len() as f32;
    assert!(
        off < 0.3,
        "the student's views show what the teacher's do: {off}"
    );

    // The second photo's third local view is the lower left quarter of its last square.
    let device = Device::flex();
    let crops = Crops::of(batch.tensor(&batch.clean, &device));
    assert_eq!(crops.global.dims(), [4, 3, GLOBAL, GLOBAL]);
    assert_eq!(crops.local.dims(), [8, 3, LOCAL, LOCAL]);
    let square = batch.tensor(&batch.clean, &device).narrow(0, 5, 1);
    let quarter = square.narrow(2, LOCAL, LOCAL).narrow(3, 0, LOCAL);
    let found = crops.local.narrow(0, 6, 1);
    assert_eq!(quarter.into_data(), found.into_data());
    let second = batch.tensor(&batch.clean, &device).narrow(0, 3, 1);
    assert_eq!(second.into_data(), crops.global.narrow(0, 2, 1).into_data());
}

#[test]
fn self_distillation_learns_and_resumes_exactly() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (photos, straight) = (folder.path().join("photos"), folder.path().join("straight"));
    let halves = folder.path().join("halves");
    fs::create_dir(&photos).expect("a folder");
    let stop = AtomicBool::new(false);
    let device = Device::flex().autodiff();
    let prepared = |steps| {
        let mut config = config(&photos, steps);
        config.freeze(&SelfDistillation::FROZEN);
        config
    };
    let config = prepared(6);
    let views = Views::load(&config).expect("photos");
    let make = || SelfDistillation::new(&config, &device).expect("a model").0;
    // Burn's seed is the whole process's: both runs start from one model.
    let model = make();
    let start = named_tensors(&model);
    let outcome = train(
        model.clone(),
        &views,
        &config,
        &options(&straight, false, &stop),
    );
    let outcome = outcome.expect("6 steps");
    let end = named_tensors(&outcome.model);
    for name in [
        "teacher.head.first.weight",
        "student.backbone.cls_token",
        "centre",
    ] {
        assert_ne!(start[name], end[name], "{name} changes");
    }

    let interrupted = StopAt {
        views: &views,
        step: 3,
        stop: &stop,
    };
    let mut cut = config.clone();
    cut.prefetch = 0;
    let half = train(model, &interrupted, &cut, &options(&halves, false, &stop));
    let half = half.expect("stopped");
    assert!(half.stopped && (2..6).contains(&half.step), "{}", half.step);
    stop.store(false, Ordering::Relaxed);
    train(make(), &views, &config, &options(&halves, true, &stop)).expect("the rest");
    let weights = |folder| Checkpoint::load(folder).expect("6 steps").weights;
    assert_eq!(weights(&straight), weights(&halves));

    let samples = views.validation(4, GLOBAL).expect("held out");
    let found = Collapse::measure(&outcome.averaged, &samples).expect("figures");
    assert!(found.feature_deviation > 0.0 && found.entropy <= found.mean_entropy + 1e-3);
    assert!(found.mean_entropy <= found.largest_entropy + 1e-3);
}

#[test]
fn a_constant_backbone_is_found_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = config(folder.path(), 1);
    let (model, _) = SelfDistillation::new(&config, &Device::flex()).expect("a model");
    let constant = crate::train::parameters::map_flat(model, |name, _, old| {
        let silent = name.contains("patch_embed") || name.contains("pos_embed");
        silent.then(|| old.zeros_like())
    });
    let views = Views::load(&config).expect("photos");
    let samples = views.validation(4, GLOBAL).expect("held out");
    let found = Collapse::measure(&constant, &samples).expect("figures");
    assert!(!found.is_sound(), "{found:?}");
}

#[test]
fn a_student_comes_nearer_to_its_teacher() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut config = config(folder.path(), 1);
    config.freeze(&Distillation::FROZEN);
    let device = Device::flex().autodiff();
    let (other, _) = SelfDistillation::new(&config, &device).expect("a model");
    let teacher = other.teacher.backbone.no_grad();
    let (model, _) = Distillation::new(&config, teacher, &device).expect("a model");
    let views = Views::load(&config).expect("photos");
    let request = BatchRequest {
        step: 0,
        count: 2,
        patch: GLOBAL,
    };
    let batch = views.batch(request).expect("views");
    let loss = |model: &Distillation| {
        let degraded = batch.tensor(&batch.degraded, &device);
        let clean = batch.tensor(&batch.clean, &device);
        model.loss(degraded, clean).loss.into_scalar::<f32>()
    };
    let before = loss(&model);
    config.stages[0].steps = 12;
    let stop = AtomicBool::new(false);
    let out = folder.path().join("run");
    let outcome = train(model, &views, &config, &options(&out, false, &stop)).expect("12 steps");
    let after = loss(&outcome.model);
    assert!(after < 0.9 * before, "{before} to {after}");
}

#[test]
fn alike_features_gain_nothing() {
    let device = Device::flex();
    let tensor = |values: Vec<f32>| {
        burn::tensor::Tensor::<3>::from_data(TensorData::new(values, [2, 2, 1]), &device)
    };
    let error = |degraded, clean| {
        let found = relative_errors(tensor(degraded), tensor(clean)).into_data();
        found.try_to_vec::<f32>().expect("f32")
    };
    let spread = error(vec![0.1, 1.1, 2.1, 3.1], vec![0.0, 1.0, 2.0, 3.0]);
    let ten = error(vec![1.0, 11.0, 21.0, 31.0], vec![0.0, 10.0, 20.0, 30.0]);
    for (a, b) in spread.iter().zip(&ten) {
        assert!((a - b).abs() < 1e-4 && *a > 0.0, "scale does not matter");
    }
}
