//! Checkpoints: one safetensors file holds all that a run needs to continue exactly.
//!
//! Tensors are named `weights.*` (shaped), `ema.*`, `moment1.*` and `moment2.*` (flat); the JSON
//! [`State`] is in the file's metadata. They are f32; in a small one averages and frozen weights are f16. One file, because a rename replaces it in one go: at any
//! moment a reader finds a whole checkpoint or none.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, TensorData};
use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::host::atomic::{sync_folder, write_atomically, write_temporary};
use crate::host::interrupt;
use crate::train::config::CheckpointKind;
use crate::train::optimizer::OptimizerRecord;
use crate::train::parameters::NamedTensors;

/// The metadata key of the state.
const STATE_KEY: &str = "dino_ir_training";
/// The version that this program writes and reads.
const FORMAT: u32 = 1;

/// The newest checkpoint.
pub const LAST: &str = "last.safetensors";
/// The one before, for when the newest cannot be read.
pub const PREVIOUS: &str = "previous.safetensors";
/// The one with the best validation PSNR.
pub const BEST: &str = "best.safetensors";

/// Whether a folder holds a run that can be resumed.
pub fn holds_run(folder: &Path) -> bool {
    [LAST, PREVIOUS]
        .iter()
        .any(|name| folder.join(name).exists())
}

/// Whether the bytes of a safetensors file are a checkpoint.
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    SafeTensors::read_metadata(bytes).is_ok_and(|(_, metadata)| {
        let entries = metadata.metadata().as_ref();
        entries.is_some_and(|entries| entries.contains_key(STATE_KEY))
    })
}

/// Sums since the log's last line, so that a resumed run writes the same line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Steps since the last line.
    pub steps: u64,
    /// Samples in them.
    pub samples: u64,
    /// Sum of their losses.
    pub loss: f64,
    /// Sum of their PSNRs in dB.
    pub psnr: f64,
    /// Sum of their gradient norms.
    pub grad_norm: f64,
    /// Seconds they took.
    pub seconds: f64,
    /// Sum of their learning rates.
    #[serde(default)]
    pub lr: f64,
}

/// Everything in a checkpoint that is no tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Version of the file's layout.
    pub format: u32,
    /// Steps done. Samples depend on nothing but seed and step, so this is the random state too.
    pub step: u64,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
    /// Best validation PSNR so far in dB.
    pub best_psnr: Option<f64>,
    /// Sums since the last line of the log.
    pub interval: Interval,
    /// Updates by parameter.
    pub optimizer_steps: BTreeMap<String, u64>,
    /// The run's settings as TOML.
    pub config: String,
}

impl State {
    /// A run that has not started.
    pub fn new(config: &str) -> Self {
        Self {
            format: FORMAT,
            step: 0,
            seconds: 0.0,
            best_psnr: None,
            interval: Interval::default(),
            optimizer_steps: BTreeMap::new(),
            config: config.to_owned(),
        }
    }
}

/// A run at one step.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// How it is written.
    pub kind: CheckpointKind,
    /// Step, times, settings.
    pub state: State,
    /// Every float parameter.
    pub weights: NamedTensors,
    /// The averaged parameters, flat; without the frozen ones.
    pub ema: NamedTensors,
    /// Means of gradients, flat.
    pub first: NamedTensors,
    /// Means of squared gradients, flat.
    pub second: NamedTensors,
}

impl Checkpoint {
    /// The weights to use and publish: averaged where there is an average, shaped.
    pub fn averaged_weights(&self) -> NamedTensors {
        let mut weights = self.weights.clone();
        for (name, average) in &self.ema {
            if let Some(tensor) = weights.get_mut(name) {
                let (bytes, _, dtype) = average.clone().into_parts();
                *tensor = TensorData::from_bytes(bytes, tensor.shape().clone(), dtype);
            }
        }
        weights
    }

    /// The optimiser's part.
    pub fn optimizer_record(&self) -> OptimizerRecord {
        OptimizerRecord {
            steps: self.state.optimizer_steps.clone(),
            first: self.first.clone(),
            second: self.second.clone(),
        }
    }

    /// Writes to a temporary file, syncs it, and renames it to `folder/name`. A failed or
    /// interrupted write leaves the old file as it was.
    ///
    /// # Errors
    /// Names the file.
    pub fn save(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        let path = folder.join(name);
        let bytes = self.to_bytes()?;
        write_atomically(&path, &bytes)
            .with_context(|| format!("{}: cannot write the checkpoint", path.display()))?;
        Ok(path)
    }

    /// Writes [`LAST`], after the old one became [`PREVIOUS`].
    ///
    /// # Errors
    /// Names the file.
    pub fn save_last(&self, folder: &Path) -> Result<PathBuf> {
        let last = folder.join(LAST);
        let bytes = self.to_bytes()?;
        let failed = || format!("{}: cannot write the checkpoint", last.display());
        let written = interrupt::unbroken(|| {
            let temporary = write_temporary(&last, &bytes)?;
            if last.exists() {
                fs::rename(&last, folder.join(PREVIOUS))?;
            }
            fs::rename(&temporary, &last)
        });
        written.with_context(failed)?;
        sync_folder(folder);
        Ok(last)
    }

    /// Reads a checkpoint file, or a folder's newest readable one.
    ///
    /// # Errors
    /// Names the file and the first tensor at fault.
    pub fn load(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Self::load_file(path);
        }
        let last = path.join(LAST);
        let previous = path.join(PREVIOUS);
        ensure!(
            holds_run(path),
            "{}: no checkpoint ({LAST}) in this folder",
            path.display()
        );
        // A crash between the two renames of `save_last`, or a damaged disk, leaves only the
        // previous one.
        match Self::load_file(&last) {
            Err(_) if previous.exists() => Self::load_file(&previous),
            result => result,
        }
    }

    fn load_file(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("{}: cannot read the checkpoint", path.display()))?;
        Self::from_bytes(&bytes).with_context(|| format!("{}: not usable", path.display()))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let groups = [
            ("weights", &self.weights),
            ("ema", &self.ema),
            ("moment1", &self.first),
            ("moment2", &self.second),
        ];
        let mut tensors = Vec::new();
        for (group, named) in groups {
            for (name, data) in named {
                let short = match self.kind {
                    CheckpointKind::Exact => false,
                    CheckpointKind::Small => group == "ema" || !self.ema.contains_key(name),
                };
                let name = format!("{group}.{name}");
                ensure!(
                    data.dtype() == DType::F32,
                    "tensor `{name}` is {:?}, not f32",
                    data.dtype()
                );
                let halves = if short { halves(data) } else { None };
                tensors.push((name, data, halves));
            }
        }
        let mut views = Vec::new();
        for (name, data, halves) in &tensors {
            let shape = data.shape().iter().copied().collect();
            let view = match halves {
                Some(bytes) => TensorView::new(Dtype::F16, shape, bytes),
                None => TensorView::new(Dtype::F32, shape, data.as_bytes()),
            };
            views.push((name, view.with_context(|| format!("tensor `{name}`"))?));
        }
        let state = serde_json::to_string(&self.state)?;
        let metadata = HashMap::from([(STATE_KEY.to_owned(), state)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).context("not a safetensors file")?;
        let state = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(STATE_KEY));
        let state = state.context("a safetensors file, but no training checkpoint")?;
        let state: State = serde_json::from_str(state).context("its state is damaged")?;
        ensure!(
            state.format == FORMAT,
            "checkpoint format {} is unknown",
            state.format
        );

        let mut checkpoint = Self {
            kind: CheckpointKind::Exact,
            state,
            weights: NamedTensors::new(),
            ema: NamedTensors::new(),
            first: NamedTensors::new(),
            second: NamedTensors::new(),
        };
        for (full_name, view) in SafeTensors::deserialize(bytes)?.tensors() {
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => {
                    let floats = view.data().as_chunks().0.iter();
                    floats.map(|&bytes| f32::from_le_bytes(bytes)).collect()
                }
                Dtype::F16 => {
                    let halves = view.data().as_chunks().0.iter();
                    let halves = halves.map(|&bytes| f16::from_le_bytes(bytes));
                    halves.map(f32::from).collect()
                }
                other => bail!("tensor `{full_name}` is {other:?}, not f32 or f16"),
            };
            let bad = values.iter().any(|value| !value.is_finite());
            ensure!(!bad, "tensor `{full_name}` has NaN or infinite values");
            let data = TensorData::new(values, view.shape().to_vec());
            let group = match full_name.split_once('.') {
                Some(("weights", name)) => (&mut checkpoint.weights, name),
                Some(("ema", name)) => (&mut checkpoint.ema, name),
                Some(("moment1", name)) => (&mut checkpoint.first, name),
                Some(("moment2", name)) => (&mut checkpoint.second, name),
                _ => bail!("tensor `{full_name}` is unknown"),
            };
            group.0.insert(group.1.to_owned(), data);
        }
        checkpoint.check_lengths()?;
        Ok(checkpoint)
    }

    /// Averages and moments must be as long as their weights, or a later step would panic.
    fn check_lengths(&self) -> Result<()> {
        for (group, tensors) in [
            ("ema", &self.ema),
            ("moment1", &self.first),
            ("moment2", &self.second),
        ] {
            for (name, data) in tensors {
                let Some(weight) = self.weights.get(name) else {
                    bail!("tensor `{group}.{name}` has no weight");
                };
                ensure!(
                    data.shape().as_slice() == [weight.num_elements()],
                    "tensor `{group}.{name}` has shape {:?}, its weight {:?}",
                    data.shape(),
                    weight.shape()
                );
            }
        }
        Ok(())
    }
}

/// Values in 16 bit; `None` where one is too large.
fn halves(data: &TensorData) -> Option<Vec<u8>> {
    let floats = data.as_bytes().as_chunks().0.iter();
    let mut bytes = Vec::with_capacity(2 * data.num_elements());
    for &float in floats {
        let half = f16::from_f32(f32::from_le_bytes(float));
        if !half.is_finite() {
            return None;
        }
        bytes.extend(half.to_le_bytes());
    }
    Some(bytes)
}
