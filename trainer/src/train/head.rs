//! What all heads have in common that are trained on a network which stays as it is: diagnosis, steering and uncertainty.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use dino_ir::weights::{Dtype, Heads, Loaded, Weights, with_heads_to_bytes};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::data::dataset::DataConfig;
use crate::data::sample::Sampler;

/// Reads settings from a TOML file.
///
/// # Errors
/// Names the file and the key at fault.
pub fn read_settings<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "{}: cannot be opened; check its name and permissions",
            path.display()
        )
    })?;
    toml::from_str(&text).with_context(|| format!("{}: cannot be read", path.display()))
}

/// The network of a weights file, on the CPU, which is to learn from patches of this side.
///
/// # Errors
/// Weights without a network, or one that does not take such patches.
pub fn network(bytes: &[u8], patch: usize) -> Result<Loaded> {
    let net = dino_ir::weights::load(bytes, &Device::flex())?;
    let multiple = net.config.restormer.multiple();
    ensure!(
        patch.is_multiple_of(multiple),
        "patch {patch}: this network takes multiples of {multiple}"
    );
    Ok(net)
}

/// Draws patches with faults that are made.
///
/// # Errors
/// Photos that cannot be used, or none.
pub fn sampler(data: &DataConfig, seed: u64) -> Result<Sampler> {
    let sampler = Sampler::new(data, seed)?;
    ensure!(
        !sampler.dataset().clean.train.is_empty(),
        "faults are made on clean photos: give some as data.clean"
    );
    Ok(sampler)
}

/// The weights file `bytes` of `net` with other heads, in its number format; its provenance says under `name` how the new one
/// was `trained`.
///
/// # Errors
/// If they cannot be stored.
pub fn with_heads(
    bytes: &[u8],
    net: &Loaded,
    heads: Heads<'_>,
    name: &str,
    trained: Value,
) -> Result<Vec<u8>> {
    let mut provenance = Weights::from_bytes(bytes)?.header.provenance;
    if let Some(provenance) = provenance.as_object_mut() {
        provenance.insert(name.to_owned(), trained);
    }
    let dtype = stored_dtype(bytes)?;
    Ok(with_heads_to_bytes(
        &net.model,
        &net.config,
        heads,
        dtype,
        provenance,
    )?)
}

/// The number format of a weights file: that of its first tensor.
fn stored_dtype(bytes: &[u8]) -> Result<Dtype> {
    let tensors = safetensors::SafeTensors::deserialize(bytes)?;
    let first = tensors.iter().next().map(|(_, tensor)| tensor.dtype());
    Ok(match first {
        Some(safetensors::Dtype::F16) => Dtype::F16,
        Some(safetensors::Dtype::BF16) => Dtype::Bf16,
        _ => Dtype::F32,
    })
}
