//! Weights files: reading them, and what `info` says about them.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use dino_ir::weights::Weights;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::baselines;
use crate::host::terminal;

/// No weights of ours, nor any published ones that we import, come near this.
const MAX_BYTES: u64 = 8 << 30;

/// Reads a weights file whole.
///
/// # Errors
/// One line that names the file: missing, a folder, a pipe or device, too large to be weights.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let closed = || format!("{name}: cannot be opened; check its name and permissions");
    // Asked before it is opened: opening a pipe waits for its writer.
    let meta = fs::metadata(path).with_context(closed)?;
    ensure!(
        meta.is_file(),
        "{name}: is no file; give a weights file (.safetensors)"
    );
    ensure!(
        meta.len() <= MAX_BYTES,
        "{name}: too large for a weights file; take another one"
    );
    let file = File::open(path).with_context(closed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{name}: cannot be read"))?;
    Ok(bytes)
}

/// What a weights file is, as one JSON object: its metadata, and what its tensors amount to.
///
/// # Errors
/// One line that names the file: not safetensors, not ours, not complete.
pub fn describe(path: &Path) -> Result<Value> {
    let name = path.display();
    let bytes = read(path)?;
    let ours = checked_header(&bytes).with_context(|| format!("{name}: cannot be used"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut dtypes: Vec<String> = tensors
        .iter()
        .map(|(_, tensor)| format!("{:?}", tensor.dtype()).to_lowercase())
        .collect();
    dtypes.sort();
    dtypes.dedup();
    let parameters: usize = tensors
        .iter()
        .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
        .sum();
    Ok(json!({
        "file": name.to_string(),
        "bytes": bytes.len(),
        "format": ours["format"],
        "kind": ours["kind"],
        "tensors": tensors.len(),
        "parameters": parameters,
        "dtypes": dtypes,
        "config": ours["config"],
        "provenance": ours["provenance"],
        "golden": !ours["golden"].is_null(),
    }))
}

/// The header of a file that is ours, a baseline's among them, with every tensor that it needs.
fn checked_header(bytes: &[u8]) -> Result<Value> {
    if let Some(baseline) = baselines::header(bytes) {
        baselines::load(bytes, &Device::flex())?;
        return Ok(json!({
            "format": 1,
            "kind": baseline["config"]["baseline"],
            "config": baseline["config"],
            "provenance": baseline["provenance"],
        }));
    }
    let weights = Weights::from_bytes(bytes)?;
    weights.check()?;
    Ok(serde_json::to_value(weights.header)?)
}

/// `info`: the description, for people or as JSON.
///
/// # Errors
/// As [`describe`], and those of standard output.
pub fn info(path: &Path, json: bool) -> Result<()> {
    let description = describe(path)?;
    if json {
        return Ok(terminal::out(&description.to_string())?);
    }
    let mut lines = Vec::new();
    for (key, value) in description.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("{key:<12}{value}"));
    }
    Ok(terminal::out(&lines.join("\n"))?)
}
