//! What was measured, as people and programs read it.

use serde::Serialize;

use crate::host::size::show_size;

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
