//! The command `bench`: how long each stage of a network takes on this machine, against what its
//! matrix products could reach, and how long a training step takes.

mod report;
mod training;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::device::DeviceChoice;
use dino_ir::infer::{Backbone, Stage, peak_flops};
use dino_ir::model::dinov2::{Dinov2Config, patch_embed::PATCH};
use dino_ir::restore::Network;
use dino_ir::weights::{Kind, Loaded, Weights, load};
use rand::{Rng, SeedableRng, rngs::StdRng};

pub use self::report::{Report, StageReport, StepReport, TrainReport, WeightReport};
use self::training::train;
use crate::host::devices;
use crate::host::memory;
use crate::model::weights;

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

#[cfg(test)]
mod tests;
