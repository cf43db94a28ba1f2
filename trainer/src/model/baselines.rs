//! Networks of others, written anew, to train under the same conditions as ours: DnCNN, NAFNet and PromptIR.

pub mod dncnn;
mod layers;
pub mod nafnet;
pub mod promptir;

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::restore::Network;
use dino_ir::weights::{MAX_HEADER, check_layout, named};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fill::load_named;
use dncnn::{DnCnn, DnCnnConfig};
use nafnet::{NafNet, NafNetConfig};
use promptir::{PromptIr, PromptIrConfig};

/// Key of the header in safetensors' `__metadata__`: these files are the trainer's own.
const HEADER_KEY: &str = "dino_ir_baseline";

/// Which baseline and its sizes: the `[model]` table with `baseline = "..."`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "baseline", rename_all = "lowercase")]
pub enum BaselineConfig {
    /// `baseline = "dncnn"`.
    DnCnn(DnCnnConfig),
    /// `baseline = "nafnet"`.
    NafNet(NafNetConfig),
    /// `baseline = "promptir"`.
    PromptIr(PromptIrConfig),
}

impl BaselineConfig {
    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DnCnn(_) => "DnCNN",
            Self::NafNet(_) => "NAFNet",
            Self::PromptIr(_) => "PromptIR",
        }
    }

    /// # Errors
    /// If no such net can exist, or is too large to be meant.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::DnCnn(config) => config.validate(),
            Self::NafNet(config) => config.validate(),
            Self::PromptIr(config) => config.validate(),
        }
    }

    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> Baseline {
        match self {
            Self::DnCnn(config) => Baseline::DnCnn(config.init(device)),
            Self::NafNet(config) => Baseline::NafNet(config.init(device)),
            Self::PromptIr(config) => Baseline::PromptIr(config.init(device)),
        }
    }

    /// Sides of an image must be multiples of this.
    pub fn multiple(&self) -> usize {
        match self {
            Self::DnCnn(_) => 1,
            Self::NafNet(config) => config.multiple(),
            Self::PromptIr(config) => config.restormer.multiple(),
        }
    }

    /// Values for each pixel that are in memory at once, generously.
    fn values_per_pixel(&self) -> usize {
        match self {
            Self::DnCnn(config) => 6 * config.width,
            Self::NafNet(config) => 12 * config.width,
            Self::PromptIr(config) => 32 * config.restormer.dim,
        }
    }
}

/// One of the baselines.
#[derive(Module, Debug)]
pub enum Baseline {
    /// Zhang et al. 2017.
    DnCnn(DnCnn),
    /// Chen et al. 2022.
    NafNet(NafNet),
    /// Potlapalli et al. 2023.
    PromptIr(PromptIr),
}

impl Baseline {
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, RGB in 0..1, multiples of
    ///   [`BaselineConfig::multiple`]
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        match self {
            Self::DnCnn(net) => net.forward(image),
            Self::NafNet(net) => net.forward(image),
            Self::PromptIr(net) => net.forward(image),
        }
    }
}

/// A baseline from its file, ready for a [`dino_ir::restore::Restorer`].
#[derive(Debug)]
pub struct LoadedBaseline {
    /// The net.
    pub net: Baseline,
    /// Its sizes.
    pub config: BaselineConfig,
}

impl Network for LoadedBaseline {
    fn multiple(&self) -> usize {
        self.config.multiple()
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        4 * (height * width * self.config.values_per_pixel()) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.net.forward(x)
    }
}

/// The header of a baseline's file; `None` for other files.
pub fn header(bytes: &[u8]) -> Option<Value> {
    check_layout(bytes).ok()?;
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let json = header.metadata().as_ref()?.get(HEADER_KEY)?;
    let bounded = json.len() <= MAX_HEADER;
    bounded.then(|| serde_json::from_str(json).ok())?
}

/// Loads a baseline's file.
///
/// # Errors
/// What is wrong with it: the config, or the first missing, unknown or misshapen tensor.
pub fn load(bytes: &[u8], device: &Device) -> Result<LoadedBaseline> {
    let header = header(bytes).context("not a baseline's weights")?;
    let config: BaselineConfig =
        serde_json::from_value(header["config"].clone()).context("unreadable config")?;
    config.validate()?;
    let net = load_named(config.init(device), bytes)?;
    Ok(LoadedBaseline { net, config })
}

/// Writes a baseline in f32.
///
/// # Errors
/// If a value is not finite.
pub fn to_bytes(net: &Baseline, config: &BaselineConfig, provenance: Value) -> Result<Vec<u8>> {
    let mut stored = Vec::new();
    for tensor in named::collect(net) {
        ensure!(
            tensor.values.iter().all(|value| value.is_finite()),
            "tensor {:?} is not finite",
            tensor.name
        );
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        stored.push((tensor.name, tensor.shape, bytes));
    }
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let header = json!({"config": config, "provenance": provenance}).to_string();
    let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

#[cfg(test)]
mod tests;
