//! Settings of a training run: a TOML file and `--set` overrides.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::train::optimizer::OptimizerConfig;
use crate::train::schedule::Stage;

/// How much of a run its checkpoints keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckpointKind {
    /// All of it: the run goes on as if it had not been interrupted.
    #[default]
    Exact,
    /// No moments, and 16 bit for averages and frozen parameters: half the size. A run that goes on starts its moments
    /// anew.
    Small,
}

/// How exactly the matrix products of a step are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In f32.
    #[default]
    F32,
    /// With factors rounded to TF32 and sums in f32, where the device has tensor cores for it (NVIDIA from Ampere on); in
    /// f32 elsewhere. Weights, gradients and moments are f32.
    Tf32,
}

/// When and on how much the EMA weights are validated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Steps between validations; 0 for only one at the end.
    pub every: u64,
    /// Fixed samples, over all tasks together; 0 for no validation.
    pub samples: usize,
    /// Side of the square crops in pixels, a multiple of 8.
    pub patch: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            every: 500,
            samples: 32,
            patch: 128,
        }
    }
}

/// Weights to start from instead of random ones. A resumed run has its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InitConfig {
    /// A weights file of the same net, or of one with fewer blocks: those it lacks do nothing at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Weights file of a backbone, or of a guided net whose backbone is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone: Option<PathBuf>,
}

impl InitConfig {
    /// Whether everything starts from random weights.
    pub fn is_random(&self) -> bool {
        self.weights.is_none() && self.backbone.is_none()
    }
}

/// A whole training run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of everything random: first weights and samples.
    #[serde(default)]
    pub seed: u64,
    /// The network; read by the model's builder with [`read_section`].
    #[serde(default)]
    pub model: Table,
    /// Photos, tasks and degradations; read by the sampler with [`read_section`].
    #[serde(default)]
    pub data: Table,
    /// Weights to start from.
    #[serde(default)]
    pub init: InitConfig,
    /// The loss; read by the model's builder with [`read_section`].
    #[serde(default)]
    pub loss: Table,
    /// Stages, in order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// Optimiser.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Decay of the average of weights, 0..1; 0 validates the weights themselves.
    #[serde(default = "default_ema_decay")]
    pub ema_decay: f64,
    /// Parameters whose names start with one of these are never updated (`backbone.`).
    #[serde(default)]
    pub frozen: Vec<String>,
    /// Validation.
    #[serde(default)]
    pub validation: ValidationConfig,
    /// Minutes between checkpoints; one more is written at the end, and on Ctrl-C if the step ends in time.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// `exact` or `small`.
    #[serde(default)]
    pub checkpoints: CheckpointKind,
    /// `f32` or `tf32`.
    #[serde(default)]
    pub precision: Precision,
    /// Steps between lines of the log.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
    /// Batches prepared ahead of the step.
    #[serde(default = "default_prefetch")]
    pub prefetch: usize,
    /// Parts of each batch that are computed side by side on each device, each with its share of
    /// the threads.
    #[serde(default = "default_one")]
    pub replicas: usize,
    /// Parts of each batch that are computed one after the other, for less memory: the step is
    /// that of the whole batch.
    #[serde(default = "default_one")]
    pub accumulate: usize,
    /// Whether activations that cost little are computed again for the gradients instead of kept
    /// (burn's balanced checkpointing): less memory, the same step.
    #[serde(default)]
    pub checkpointing: bool,
    /// The settings as TOML, overrides included; stored in checkpoints.
    #[serde(skip)]
    pub text: String,
}

fn default_ema_decay() -> f64 {
    0.999
}

fn default_checkpoint_minutes() -> f64 {
    5.0
}

fn default_log_every() -> u64 {
    20
}

fn default_prefetch() -> usize {
    2
}

fn default_one() -> usize {
    1
}

/// Where a step lies: its stage and its number in it.
#[derive(Clone, Copy, Debug)]
pub struct StagePosition<'a> {
    /// The stage.
    pub stage: &'a Stage,
    /// Its number, counted from 0.
    pub index: usize,
    /// Steps done before in this stage.
    pub step: u64,
}

impl TrainConfig {
    /// Reads a file and applies `overrides` (`key.path=value`).
    ///
    /// # Errors
    /// Names the file and the key at fault.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: cannot read the configuration", path.display()))?;
        Self::parse(&text, overrides).with_context(|| format!("{}", path.display()))
    }

    /// The same run going on: it has weights of its own, and what it started from may be gone by now.
    pub fn resumed(mut self) -> Self {
        self.init = InitConfig::default();
        self
    }

    /// As [`TrainConfig::load`], from TOML text, such as a checkpoint's.
    pub fn parse(text: &str, overrides: &[String]) -> Result<Self> {
        let table: Table = toml::from_str(text)?;
        let mut config: Self = if overrides.is_empty() {
            // From the text itself, because its errors show the line.
            toml::from_str(text)?
        } else {
            let mut root = Value::Table(table);
            for assignment in overrides {
                apply_override(&mut root, assignment)?;
            }
            root.try_into().context("after --set")?
        };
        config.text = toml::to_string(&config).context("cannot write the settings as TOML")?;
        config.validate()?;
        Ok(config)
    }

    /// Adds to the parameters that are never updated.
    pub fn freeze(&mut self, prefixes: &[&str]) {
        self.frozen
            .extend(prefixes.iter().map(|&prefix| prefix.to_owned()));
    }

    /// Steps of all stages together.
    pub fn total_steps(&self) -> u64 {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage of a step, `None` after the last one.
    pub fn position(&self, step: u64) -> Option<StagePosition<'_>> {
        let mut rest = step;
        for (index, stage) in self.stages.iter().enumerate() {
            if rest < stage.steps {
                return Some(StagePosition {
                    stage,
                    index,
                    step: rest,
                });
            }
            rest -= stage.steps;
        }
        None
    }

    /// The stage of a run by the clock when `share` of its time is gone: the stages divide it as they divide the steps.
    pub fn stage_at(&self, share: f64) -> usize {
        let total = self.total_steps() as f64;
        let mut done = 0;
        let passed = self.stages.iter().take_while(|stage| {
            done += stage.steps;
            done as f64 <= share * total
        });
        passed.count().min(self.stages.len() - 1)
    }

    fn validate(&self) -> Result<()> {
        ensure!(!self.stages.is_empty(), "no [[stage]]: give at least one");
        for (index, stage) in self.stages.iter().enumerate() {
            let at = format!("stage.{index}");
            ensure!(stage.steps > 0, "{at}.steps must be at least 1");
            ensure!(stage.batch > 0, "{at}.batch must be at least 1");
            ensure!(
                valid_patch(stage.patch),
                "{at}.patch must be a multiple of 8, at least 8"
            );
            ensure!(positive(stage.lr), "{at}.lr must be a positive number");
            ensure!(
                stage.lr_end >= 0.0 && stage.lr_end <= stage.lr,
                "{at}.lr_end must be between 0 and lr"
            );
            ensure!(
                stage.warmup <= stage.steps,
                "{at}.warmup is longer than the stage"
            );
            ensure!(stage.drop_every > 0, "{at}.drop_every must be at least 1");
            ensure!(
                positive(stage.drop_factor) && stage.drop_factor <= 1.0,
                "{at}.drop_factor must be above 0 and at most 1"
            );
            ensure!(
                positive(stage.decay) && stage.decay <= 1.0,
                "{at}.decay must be above 0 and at most 1"
            );
        }
        let optimizer = &self.optimizer;
        ensure!(
            (0.0..1.0).contains(&optimizer.beta1),
            "optimizer.beta1 must be in 0..1"
        );
        ensure!(
            (0.0..1.0).contains(&optimizer.beta2),
            "optimizer.beta2 must be in 0..1"
        );
        ensure!(
            (0.0..1.0).contains(&optimizer.momentum),
            "optimizer.momentum must be in 0..1"
        );
        ensure!(
            positive(optimizer.epsilon),
            "optimizer.epsilon must be positive"
        );
        ensure!(
            optimizer.weight_decay >= 0.0 && optimizer.weight_decay.is_finite(),
            "optimizer.weight_decay must not be negative"
        );
        ensure!(
            optimizer.clip_norm >= 0.0 && optimizer.clip_norm.is_finite(),
            "optimizer.clip_norm must not be negative"
        );
        ensure!(
            (0.0..1.0).contains(&self.ema_decay),
            "ema_decay must be in 0..1"
        );
        ensure!(
            valid_patch(self.validation.patch),
            "validation.patch must be a multiple of 8, at least 8"
        );
        ensure!(
            positive(self.checkpoint_minutes),
            "checkpoint_minutes must be positive"
        );
        ensure!(self.log_every > 0, "log_every must be at least 1");
        ensure!(self.replicas > 0, "replicas must be at least 1");
        ensure!(self.accumulate > 0, "accumulate must be at least 1");
        Ok(())
    }

    /// The device with autodiff as these settings want it. Their precision is the process's from now on.
    pub fn autodiff(&self, device: &Device) -> Device {
        dino_ir::ops::allow_tf32(self.precision == Precision::Tf32);
        let device = device.clone().autodiff();
        match self.checkpointing {
            true => device.gradient_checkpointing(),
            false => device,
        }
    }
}

fn positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

fn valid_patch(patch: usize) -> bool {
    patch > 0 && patch.is_multiple_of(8)
}

/// Reads a free-form section, such as `[data]`, as the type that its user defines.
///
/// # Errors
/// Names the section and the key at fault.
pub fn read_section<T: DeserializeOwned>(name: &str, section: &Table) -> Result<T> {
    Value::Table(section.clone())
        .try_into()
        .with_context(|| format!("section [{name}]"))
}

/// Sets one `key.path=value` in `root`. Numbers in the path index arrays (`stage.0.lr=1e-4`); a
/// value that is no TOML is taken as a string.
fn apply_override(root: &mut Value, assignment: &str) -> Result<()> {
    let Some((path, text)) = assignment.split_once('=') else {
        bail!("--set {assignment}: write key=value");
    };
    let (path, text) = (path.trim(), text.trim());
    ensure!(
        !path.is_empty() && path.split('.').all(|key| !key.is_empty()),
        "--set {assignment}: the key is empty"
    );
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));

    let mut place = root;
    for key in path.split('.') {
        place = match place {
            Value::Table(table) => table
                .entry(key)
                .or_insert_with(|| Value::Table(Table::new())),
            Value::Array(array) => {
                let length = array.len();
                let found = key
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| array.get_mut(index));
                found.with_context(|| {
                    format!("--set {assignment}: `{key}` must be a number under {length}")
                })?
            }
            _ => bail!("--set {assignment}: what is before `{key}` is a plain value"),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "seed = 3\n[data]\ndir = \"a\"\n[[stage]]\nsteps = 10\nbatch = 2\npatch = 64\nlr = 1e-3\n";

    fn overridden(assignment: &str) -> Result<TrainConfig> {
        TrainConfig::parse(TEXT, &[assignment.to_owned()])
    }

    fn message(result: Result<TrainConfig>) -> String {
        format!("{:#}", result.expect_err("must fail"))
    }

    #[test]
    fn overrides_reach_tables_arrays_and_strings() {
        let config = overridden("stage.0.lr=1").expect("integer as float");
        assert_eq!(config.stages[0].lr, 1.0);
        let config = overridden("optimizer.clip_norm=0.5").expect("absent table");
        assert_eq!(config.optimizer.clip_norm, 0.5);
        let config = overridden("data.dir=photos/my set").expect("bare string");
        assert_eq!(config.data["dir"].as_str(), Some("photos/my set"));
        let again = TrainConfig::parse(&config.text, &[]).expect("its own text");
        assert_eq!(again.text, config.text);
    }

    #[test]
    fn the_example_is_valid() {
        let config = TrainConfig::parse(include_str!("../../configs/nano.toml"), &[]);
        assert!(config.expect("the example").total_steps() > 0);
    }

    #[test]
    fn errors_name_the_key() {
        assert!(message(overridden("optimiser.lr=1")).contains("optimiser"));
        assert!(message(overridden("stage.1.lr=1")).contains("stage.1.lr=1"));
        assert!(message(overridden("seed.x=1")).contains("plain value"));
        assert!(message(overridden("seed")).contains("key=value"));
        assert!(message(overridden("stage.0.patch=30")).contains("stage.0.patch"));
        assert!(message(overridden("stage.0.lr=nan")).contains("stage.0.lr"));
    }

    #[test]
    fn steps_find_their_stage() {
        let text = format!("{TEXT}[[stage]]\nsteps = 5\nbatch = 1\npatch = 128\nlr = 1e-4\n");
        let config = TrainConfig::parse(&text, &[]).expect("valid");
        assert_eq!(config.total_steps(), 15);
        let position = config.position(10).expect("second stage");
        assert_eq!((position.stage.patch, position.step), (128, 0));
        assert!(config.position(15).is_none());
        let stages = [0.0, 0.66, 0.67, 1.0].map(|share| config.stage_at(share));
        assert_eq!(
            stages,
            [0, 0, 1, 1],
            "two thirds of the steps are the first's"
        );
    }
}
