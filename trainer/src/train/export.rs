//! `export`: the weights of a run or of a file, in another number format.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use dino_ir::weights::{Dtype, Heads, Kind, Weights};
use serde_json::{Value, json};

use super::checkpoint::{BEST, Checkpoint, is_checkpoint};
use super::config::TrainConfig;
use super::trainee::DinoIrTrainee;
use super::trainee::baseline::{BaselineTrainee, baseline_of_run};
use crate::host::output;
use crate::model::baselines;
use crate::model::weights::read;

/// The same weights in another number format, golden values recorded anew.
///
/// # Errors
/// One line that names the file: not ours, not complete, not writable.
pub fn export(weights: &Path, output: &Path, dtype: Dtype, force: bool) -> Result<()> {
    output::check(output, force)?;
    let exported = exported(weights, dtype)
        .with_context(|| format!("{}: cannot be exported", weights.display()))?;
    output::write(output, force, |out| Ok(out.write_all(&exported)?))
}

/// What a training run leaves in its weights, for people: how long it took and the validation PSNR of these weights in dB.
pub fn run_provenance(steps: u64, seconds: f64, validation_psnr: Option<f64>) -> Value {
    json!({
        "made_by": concat!("trainer ", env!("CARGO_PKG_VERSION")),
        "steps": steps,
        "hours": (seconds / 36.0).round() / 100.0,
        "validation_psnr": validation_psnr,
    })
}

fn exported(path: &Path, dtype: Dtype) -> Result<Vec<u8>> {
    // A run's folder means its best checkpoint.
    let best = path.join(BEST);
    let path = if best.is_file() { best.as_path() } else { path };
    let bytes = if path.is_dir() {
        Vec::new()
    } else {
        read(path)?
    };
    if path.is_dir() || is_checkpoint(&bytes) {
        let checkpoint = Checkpoint::load(path)?;
        let state = &checkpoint.state;
        // The state knows the best checkpoint's, which is another's than the last one's.
        let best = path.ends_with(BEST);
        let psnr = state.best_psnr.filter(|_| best);
        let provenance = run_provenance(state.step, state.seconds, psnr);
        if checkpoint
            .weights
            .keys()
            .any(|name| name.starts_with("student."))
        {
            bail!(
                "a checkpoint of pre-training; give the weights.safetensors that `trainer pretrain` \
                 writes beside it at its end (--resume goes on to there)"
            );
        }
        let settings = TrainConfig::parse(&state.config, &[])?.resumed();
        if let Some(sizes) = baseline_of_run(&settings)? {
            ensure_f32(dtype)?;
            let net = BaselineTrainee::from_checkpoint(&checkpoint, &sizes)?;
            return baselines::to_bytes(&net, &sizes, provenance);
        }
        let (net, config) = DinoIrTrainee::from_checkpoint(&checkpoint)?;
        return Ok(dino_ir::weights::to_bytes(
            &net, &config, dtype, provenance,
        )?);
    }
    convert(&bytes, dtype)
}

/// Baselines have one number format.
fn ensure_f32(dtype: Dtype) -> Result<()> {
    ensure!(
        dtype == Dtype::F32,
        "a baseline's weights are written in f32 only; give --dtype f32"
    );
    Ok(())
}

fn convert(bytes: &[u8], dtype: Dtype) -> Result<Vec<u8>> {
    if let Some(header) = baselines::header(bytes) {
        ensure_f32(dtype)?;
        let loaded = baselines::load(bytes, &Device::flex())?;
        let provenance = header["provenance"].clone();
        return baselines::to_bytes(&loaded.net, &loaded.config, provenance);
    }
    let weights = Weights::from_bytes(bytes)?;
    let provenance = weights.header.provenance.clone();
    let cpu = Device::flex();
    if weights.header.kind == Kind::Dinov2 {
        let config = serde_json::from_value(weights.header.config.clone())?;
        let backbone = weights.backbone(&cpu)?;
        return Ok(dino_ir::weights::backbone_to_bytes(
            &backbone, &config, dtype, provenance,
        )?);
    }
    let net = dino_ir::weights::load(bytes, &cpu)?;
    Ok(dino_ir::weights::with_heads_to_bytes(
        &net.model,
        &net.config,
        Heads::of(&net),
        dtype,
        provenance,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::State;
    use crate::train::parameters::{NamedTensors, named_tensors};

    #[test]
    fn runs_of_baselines_are_exported_and_those_of_backbones_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let run = folder.path();
        let text = "[model]\nbaseline = \"dncnn\"\nwidth = 8\ndepth = 4\n\
            [[stage]]\nsteps = 1\nbatch = 1\npatch = 32\nlr = 1e-3\n";
        let config = TrainConfig::parse(text, &[]).expect("valid");
        let sizes = baseline_of_run(&config).expect("valid");
        let sizes = sizes.expect("a baseline");
        let net = BaselineTrainee::new(&sizes, 1, &Device::flex());
        let mut checkpoint = Checkpoint {
            kind: Default::default(),
            state: State::new(&config.text),
            weights: named_tensors(&net),
            ema: NamedTensors::new(),
            first: NamedTensors::new(),
            second: NamedTensors::new(),
        };
        checkpoint.save_last(run).expect("written");
        let output = run.join("exported.safetensors");
        let error = export(run, &output, Dtype::F16, false).expect_err("f32 only");
        assert!(format!("{error:#}").contains("--dtype f32"), "{error:#}");
        export(run, &output, Dtype::F32, false).expect("exported");
        let bytes = read(&output).expect("exported");
        let loaded = baselines::load(&bytes, &Device::flex()).expect("a baseline");
        assert_eq!(loaded.config, sizes);
        assert_eq!(exported(&output, Dtype::F32).expect("the same"), bytes);

        let tensors = std::mem::take(&mut checkpoint.weights).into_iter();
        checkpoint.weights = tensors
            .map(|(name, data)| (format!("student.{name}"), data))
            .collect();
        checkpoint.save_last(run).expect("written");
        let error = export(run, &output, Dtype::F32, true).expect_err("a backbone's");
        assert!(
            format!("{error:#}").contains("trainer pretrain"),
            "{error:#}"
        );
    }
}
