//! Training the diagnosis of a network: patches whose faults are known are described once, and a perceptron learns to
//! tell the faults from the descriptions.

pub mod fit;
mod keep;

use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use dino_ir::image::Image;
use dino_ir::model::diagnosis::{Faults, SIDE};
use dino_ir::restore::Restorer;
use dino_ir::weights::{Heads, Loaded};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::fit::FitConfig;
use super::head;
use crate::data::dataset::DataConfig;
use crate::data::rgb::Rgb;
use crate::data::sample::Sampler;
use crate::host::interrupt;

/// How a diagnosis is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Patches that are made and described.
    pub samples: usize,
    /// Where the photos are.
    pub data: DataConfig,
    /// How the perceptron learns.
    pub fit: FitConfig,
}

impl TrainingConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// Names the file and the key at fault.
    pub fn load(path: &Path) -> Result<Self> {
        let config: Self = head::read_settings(path)?;
        ensure!(
            config.samples >= config.fit.batch && config.fit.batch > 0 && config.fit.hidden > 0,
            "{}: samples must be at least fit.batch, and fit.batch and fit.hidden at least 1",
            path.display()
        );
        Ok(config)
    }
}

/// Trains the diagnosis of the network in a weights file, and returns that file with it, in its number format. The
/// described patches are kept in the file `keep`, if one is given, or taken from there, if it exists.
///
/// # Errors
/// Weights without a network, photos that cannot be used, or the user stops it.
pub fn train(
    bytes: &[u8],
    config: &TrainingConfig,
    keep: Option<&Path>,
    watch: &(dyn Fn() + Sync),
) -> Result<Vec<u8>> {
    let cpu = Device::flex();
    let restorer = Restorer::new(dino_ir::weights::load(bytes, &cpu)?, &cpu);
    let observations = match keep {
        Some(path) if path.exists() => keep::read(path)?,
        _ => {
            let sampler = head::sampler(&config.data, config.seed)?;
            let made = Observations::make(&restorer, &sampler, config.samples, watch)?;
            if let Some(path) = keep {
                keep::write(path, &made)?;
            }
            made
        }
    };
    let head = fit::fit(&observations, &config.fit, config.seed)?;
    let net = restorer.network();
    let heads = Heads {
        diagnosis: Some(&head),
        ..Heads::of(net)
    };
    let trained = json!({"patches": observations.inputs.len(), "seed": config.seed});
    head::with_heads(bytes, net, heads, "diagnosis", trained)
}

/// Patches as a diagnosis sees them.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What describes each patch.
    pub inputs: Vec<Vec<f32>>,
    /// What is wrong with it.
    pub faults: Vec<Faults>,
}

impl Observations {
    /// Makes `count` patches and describes them; `watch` is called after each.
    ///
    /// # Errors
    /// If one cannot be made, or the user stops it.
    pub fn make(
        restorer: &Restorer<Loaded>,
        sampler: &Sampler,
        count: usize,
        watch: &(dyn Fn() + Sync),
    ) -> Result<Self> {
        let one = |index: usize| {
            anyhow::ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
            let known = sampler.known(index as u64, SIDE)?;
            let mut windows = restorer.observe(&to_image(known.picture)?)?;
            watch();
            Ok((windows.swap_remove(0), known.faults))
        };
        let (inputs, faults) = (0..count)
            .into_par_iter()
            .map(one)
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        Ok(Self { inputs, faults })
    }
}

/// A picture for the library.
///
/// # Errors
/// If it holds what is no number.
pub fn to_image(picture: Rgb) -> Result<Image> {
    Ok(Image::new(picture.width, picture.height, picture.pixels)?)
}
