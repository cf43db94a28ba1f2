//! DINO-IR as the training loop sees it: the net with its losses, and batches from photos.

pub mod baseline;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::loss::perception_contrastive::Triplet;
use dino_ir::loss::{PerceptionContrastive, frequency_l1, l1, log_l1};
use dino_ir::model::dinov2::{Dinov2, Dinov2Config};
use dino_ir::model::{DinoIr, DinoIrConfig};
use dino_ir::weights::{Kind, Weights};
use serde::{Deserialize, Serialize};

use crate::data::dataset::DataConfig;
use crate::data::sample::Sampler;
use crate::model::deepen::{can_start_from, deepen};
use crate::model::weights;
use crate::train::checkpoint::Checkpoint;
use crate::train::config::{TrainConfig, read_section};
use crate::train::parameters::load_tensors;
use crate::train::{Batch, BatchRequest, BatchSource, StepOutput, Trainee, squared_errors};

/// Samples of one validation batch.
const VALIDATION_BATCH: usize = 4;

/// A `[model]` table with `preset = "nano"` or `"full"`, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetSection {
    preset: Preset,
}

/// Named sizes.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    /// The embedded default.
    Nano,
    /// The paper's.
    Full,
}

/// The sizes that a run's `[model]` table means: a preset's, or a [`DinoIrConfig`].
///
/// # Errors
/// Names the key at fault.
pub fn sizes_of_run(config: &TrainConfig) -> Result<DinoIrConfig> {
    if !config.model.contains_key("preset") {
        return read_section("model", &config.model);
    }
    let section: PresetSection = read_section("model", &config.model)?;
    Ok(match section.preset {
        Preset::Nano => DinoIrConfig::nano(),
        Preset::Full => DinoIrConfig::full(),
    })
}

/// The `[loss]` table: `L1 + lambda * L_DINO` (equation 7) `+ frequency * L1 of the spectra`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the DINO perception contrastive loss; 0 leaves it out.
    pub lambda: f64,
    /// Shallow blocks whose features are compared, counted from 1.
    pub blocks: Vec<usize>,
    /// Weight of each block; equal weights summing to one where there are none.
    pub weights: Vec<f64>,
    /// Weight of the L1 of the images' spectra, which the paper does not have; 0 leaves it out, later nets take 0.1.
    pub frequency: f64,
    /// Above this error the L1 of an image counts by its logarithm ([`log_l1`]), in 0..1 of the range of values; 0 is the paper's plain L1.
    pub log_unit: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            lambda: 1.0,
            blocks: vec![1, 2, 3, 4],
            weights: Vec::new(),
            frequency: 0.0,
            log_unit: 0.0,
        }
    }
}

/// The net with its losses.
#[derive(Module, Debug)]
pub struct DinoIrTrainee {
    /// The net.
    pub net: DinoIr,
    #[module(skip)]
    loss: LossConfig,
}

impl DinoIrTrainee {
    /// A randomly initialised net on `device`, seeded by the run's seed.
    ///
    /// # Errors
    /// If the model's or the loss's table is wrong.
    pub fn new(config: &TrainConfig, device: &Device) -> Result<(Self, DinoIrConfig)> {
        let sizes = sizes_of_run(config)?;
        sizes.validate()?;
        let multiple = sizes.restormer.multiple();
        let patches = config.stages.iter().map(|stage| stage.patch);
        let patches = patches.chain([config.validation.patch]);
        for patch in patches {
            ensure!(
                patch % multiple == 0,
                "patches of {patch} pixels: this model needs multiples of {multiple}"
            );
        }
        let loss: LossConfig = read_section("loss", &config.loss)?;
        for (name, value) in [
            ("lambda", loss.lambda),
            ("frequency", loss.frequency),
            ("log_unit", loss.log_unit),
        ] {
            ensure!(
                value.is_finite() && value >= 0.0,
                "loss.{name} {value} must be a number of 0 or more"
            );
        }
        if loss.lambda > 0.0 {
            let depth = sizes
                .guidance
                .as_ref()
                .map(|guidance| guidance.backbone.depth)
                .context("loss.lambda needs a model with guidance: its backbone is the loss's")?;
            ensure!(
                !loss.blocks.is_empty()
                    && loss.blocks.is_sorted_by(|a, b| a < b)
                    && loss.blocks.iter().all(|block| (1..=depth).contains(block)),
                "loss.blocks {:?} must be ascending numbers in 1..={depth}",
                loss.blocks
            );
            ensure!(
                loss.weights.is_empty() || loss.weights.len() == loss.blocks.len(),
                "loss.weights must be one number for each of loss.blocks, or absent"
            );
        }
        device.seed(config.seed);
        let mut net = sizes.init(device);
        if let Some(path) = &config.init.weights {
            let unfit = || format!("{}: cannot start from it", path.display());
            let bytes = weights::read(path)?;
            let file = Weights::from_bytes(&bytes).with_context(unfit)?;
            let found = file.config().with_context(unfit)?;
            ensure!(
                can_start_from(&sizes, &found),
                "{}: is another net than the one in [model]",
                path.display()
            );
            net = deepen(net, file.model(device).with_context(unfit)?);
        }
        if let Some(path) = &config.init.backbone {
            let guidance = net
                .guidance
                .as_mut()
                .context("init.backbone needs a model with guidance")?;
            guidance.backbone = load_backbone(path, device)
                .and_then(|(backbone, found)| {
                    let wanted = sizes.guidance.as_ref().map(|guidance| &guidance.backbone);
                    ensure!(
                        Some(&found) == wanted,
                        "is another backbone than the one in [model]"
                    );
                    Ok(backbone.no_grad())
                })
                .with_context(|| format!("{}", path.display()))?;
        }
        Ok((Self { net, loss }, sizes))
    }

    /// The averaged net of a checkpoint on the CPU.
    ///
    /// # Errors
    /// If the checkpoint is of another model.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<(DinoIr, DinoIrConfig)> {
        let config = TrainConfig::parse(&checkpoint.state.config, &[])?.resumed();
        let (trainee, sizes) = Self::new(&config, &Device::flex())?;
        let trainee = load_tensors(trainee, &checkpoint.averaged_weights())?;
        Ok((trainee.net, sizes))
    }
}

impl Trainee for DinoIrTrainee {
    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput {
        let restored = self.net.forward(degraded.clone());
        let errors = squared_errors(restored.clone(), clean.clone());
        let mut loss = match self.loss.log_unit {
            0.0 => l1(restored.clone(), clean.clone()),
            unit => log_l1(restored.clone(), clean.clone(), unit),
        };
        if self.loss.frequency > 0.0 {
            loss = loss + frequency_l1(restored.clone(), clean.clone()) * self.loss.frequency;
        }
        if let (Some(guidance), true) = (&self.net.guidance, self.loss.lambda > 0.0) {
            let triplet = Triplet {
                restored,
                clean,
                degraded,
            };
            let mut contrastive = PerceptionContrastive::new(self.loss.blocks.clone());
            if !self.loss.weights.is_empty() {
                contrastive = contrastive.with_weights(self.loss.weights.clone());
            }
            loss = loss + contrastive.forward(&guidance.backbone, triplet) * self.loss.lambda;
        }
        StepOutput {
            loss,
            errors,
            statistics: None,
        }
    }

    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
        squared_errors(self.net.forward(degraded), clean)
    }
}

/// The backbone of a backbone's or a guided net's weights file.
fn load_backbone(path: &Path, device: &Device) -> Result<(Dinov2, Dinov2Config)> {
    let bytes = weights::read(path)?;
    let file = Weights::from_bytes(&bytes)?;
    if file.header.kind == Kind::Dinov2 {
        return Ok((file.backbone(device)?, file.backbone_config()?));
    }
    let config = file.config()?.guidance;
    let guidance = file.model(device)?.guidance;
    match (config, guidance) {
        (Some(config), Some(guidance)) => Ok((guidance.backbone, config.backbone)),
        _ => bail!("a net without guidance has no backbone"),
    }
}

/// Batches of degraded photos.
#[derive(Debug)]
pub struct Photos {
    sampler: Sampler,
}

impl Photos {
    /// Loads the photos of the `[data]` table.
    ///
    /// # Errors
    /// Names the table's key or the file at fault.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        let data: DataConfig = read_section("data", &config.data)?;
        let sampler = Sampler::new(&data, config.seed)?;
        Ok(Self { sampler })
    }
}

impl BatchSource for Photos {
    fn batch(&self, request: BatchRequest) -> Result<Batch> {
        let BatchRequest { step, count, patch } = request;
        Ok(Batch::of(&self.sampler.samples(step, count, patch)?, patch))
    }

    fn validation(&self, samples: usize, patch: usize) -> Result<Vec<Batch>> {
        let samples = self.sampler.validation(samples, patch)?;
        Ok(samples
            .chunks(VALIDATION_BATCH)
            .map(|samples| Batch::of(samples, patch))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(model: &str) -> Result<DinoIrConfig> {
        let text =
            format!("[model]\n{model}\n[[stage]]\nsteps = 1\nbatch = 1\npatch = 64\nlr = 1e-3\n");
        sizes_of_run(&TrainConfig::parse(&text, &[])?)
    }

    #[test]
    fn a_preset_stands_alone_and_errors_name_the_key() {
        assert_eq!(
            sizes("preset = \"nano\"").expect("a preset"),
            DinoIrConfig::nano()
        );
        assert_eq!(
            sizes("preset = \"full\"").expect("a preset"),
            DinoIrConfig::full()
        );
        assert!(sizes("[model.restormer]\ndim = 16").is_ok());
        for (model, key) in [
            (
                "preset = \"nano\"\n[model.restormer]\ndim = 16",
                "restormer",
            ),
            ("preset = \"tiny\"", "tiny"),
            ("[model.restormer]\nwidth = 16", "width"),
            ("depth = 6", "depth"),
        ] {
            let error = sizes(model).expect_err(model);
            assert!(format!("{error:#}").contains(key), "{error:#}");
        }
    }
}
