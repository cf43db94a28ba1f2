//! The command `bench`: how long each stage of a network takes on this machine, against what its
//! matrix products could reach.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::device::DeviceChoice;
use dino_ir::model::DinoIrConfig;
use dino_ir::model::dinov2::{Dinov2Config, patch_embed::PATCH};
use dino_ir::packed::{Backbone, Stage, peak_flops};
use dino_ir::restore::Network;
use dino_ir::weights::{Kind, Loaded, Weights, load};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Serialize;

use crate::config::TrainConfig;
use crate::devices;
use crate::memory;
use crate::optimizer::Optimizer;
use crate::replicas::Replicas;
use crate::size::show_size;
use crate::train::Batch;
use crate::trainee::DinoIrTrainee;
use crate::weights;

/// Samples of a training step.
const BATCH: usize = 8;

/// Side of a training step's patches.
const SIDE: usize = 128;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct BenchOptions<'a> {
    /// Weights file; `None`: the embedded `nano`.
    pub weights: Option<&'a Path>,
    /// Width and height in pixels, rounded down to what the network takes.
    pub size: [usize; 2],
    /// Where to compute.
    pub device: DeviceChoice,
    /// Runs on the image.
    pub runs: usize,
    /// Training steps.
    pub train: usize,
    /// Parts of a training batch that are computed side by side.
    pub replicas: usize,
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
    pub image_ms: f64,
    /// 10^9 operations a second over the whole image.
    pub image_gflops: Option<f64>,
    /// Most bytes of the process in memory up to the end of the last image, where the system tells.
    pub peak_bytes: Option<u64>,
    /// One training step.
    pub train_ms: Option<f64>,
    /// As `peak_bytes`, up to the end of the last training step.
    pub train_peak_bytes: Option<u64>,
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

/// Measures.
///
/// # Errors
/// Weights that cannot be used, a device that cannot be opened.
pub fn bench(options: &BenchOptions<'_>) -> Result<Report> {
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
        Ok((load(bytes, device)?, device.clone()))
    })?;
    let size = multiples_of(options.size, net.multiple());
    let image = noise(size);
    let name = chosen.to_string();
    let mut report = measure(options, size, gemm_gflops, &name, |watch| {
        restore(&net, &image, size, &device, watch);
    });
    if options.train > 0 && net.config.guidance.is_some() {
        report.train_ms = Some(train(&net.config, &device, options)?);
        report.train_peak_bytes = memory::peak();
    }
    Ok(report)
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
    run(&mut |stage| stages.push((stage, Vec::new())));
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
    let image_ms = median(images);
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
        image_gflops: (flops > 0).then(|| gflops(flops, image_ms)),
        peak_bytes: memory::peak(),
        train_ms: None,
        train_peak_bytes: None,
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

/// Milliseconds of a training step with random weights, the first step left out.
fn train(config: &DinoIrConfig, device: &Device, options: &BenchOptions<'_>) -> Result<f64> {
    memory::keep_freed();
    let mut settings = toml::Table::new();
    settings.insert("model".into(), toml::Value::try_from(config)?);
    let stage = format!("[[stage]]\nsteps = 1\nbatch = {BATCH}\npatch = {SIDE}\nlr = 2e-4\n");
    let text = format!("{stage}\n{}", toml::to_string(&settings)?);
    let settings = TrainConfig::parse(&text, &[])?;
    let (mut model, _) = DinoIrTrainee::new(&settings, &settings.autodiff(device))?;
    let mut optimizer = Optimizer::new(&settings.optimizer);
    let replicas = Replicas::new(std::slice::from_ref(device), options.replicas, 1)?;
    let images = |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..BATCH * 3 * SIDE * SIDE).map(|_| rng.random()).collect()
    };
    let batch = Batch {
        degraded: images(1),
        clean: images(2),
        count: BATCH,
        patch: SIDE,
        names: vec![String::new(); BATCH],
        tasks: vec![String::new(); BATCH],
    };
    let batch = replicas.load::<DinoIrTrainee>(batch);
    let mut times = Vec::new();
    for step in 0..=options.train {
        let start = Instant::now();
        let descent = replicas.descend(&model, &batch)?;
        let update = optimizer.step(model, &descent.gradients, descent.loss, 2e-4);
        model = update.model;
        device.sync().context("the device")?;
        if step > 0 {
            times.push(milliseconds(start, Instant::now()));
        }
    }
    Ok(median(times))
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
        match self.image_gflops {
            Some(gflops) => lines.push(line("image", self.image_ms, gflops, bytes, 1.0)),
            None => lines.push(format!("{:<16}{:>10.2}", "image", self.image_ms)),
        }
        if let Some(bytes) = self.peak_bytes {
            lines.push(format!("memory at its peak: {}", show_size(bytes)));
        }
        if let Some(ms) = self.train_ms {
            lines.push(format!(
                "training step (batch {BATCH}, patch {SIDE}): {ms:.0} ms, {:.2} samples/s",
                BATCH as f64 / ms * 1e3
            ));
        }
        lines.join("\n")
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
            replicas: 1,
        };
        let report = bench(&options).expect("measured");
        assert_eq!(report.size, [64, 48]);
        let share: f64 = report.stages.iter().map(|stage| stage.share).sum();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        assert!(report.stages.iter().any(|stage| stage.name == "latent"));
        assert!(report.image_ms > 0.0 && report.gemm_gflops > 0.0);
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
            replicas: 1,
        };
        let error = bench(&options(DeviceChoice::Wgpu)).expect_err("refused");
        assert!(error.to_string().contains("--device cpu"), "{error}");
        let report = bench(&options(DeviceChoice::Auto)).expect("measured");
        assert_eq!(report.device, "cpu");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 9.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
