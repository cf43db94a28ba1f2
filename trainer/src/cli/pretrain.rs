//! `trainer pretrain`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use dino_ir::model::dinov2::{Dinov2, Dinov2Config};
use dino_ir::weights::{Dtype, Weights, backbone_to_bytes};
use serde_json::{Value, json};

use super::FAILED;
use super::train::{RunArgs, WEIGHTS};
use crate::host::atomic::write_atomically;
use crate::host::{interrupt, terminal};
use crate::model::weights;
use crate::train::config::TrainConfig;
use crate::train::export::run_provenance;
use crate::train::pretrain::collapse::Collapse;
use crate::train::pretrain::{Distillation, SelfDistillation, Views};
use crate::train::{BatchSource, Outcome, Ranks, Trainee, train};

/// Arguments of `pretrain`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer pretrain --config FILE.toml [OPTIONS]",
    after_help = "Ctrl-C ends the run with a checkpoint, if its step ends within 1.5 s; else --resume goes on from the \
        checkpoint before.\n\nExamples:\n  \
        trainer pretrain --config trainer/configs/backbone.toml --out runs/backbone\n  \
        trainer pretrain --config trainer/configs/backbone.toml --teacher dinov2_vits14.safetensors"
)]
pub struct PretrainArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Distils from this DINOv2 weights file instead of the student's own average
    #[arg(long, value_name = "FILE")]
    teacher: Option<PathBuf>,
}

/// Pre-trains a backbone to the end, and writes it to `weights.safetensors` in the run's folder.
///
/// # Errors
/// As [`train`]; settings that cannot be, a device that cannot be opened, no usable teacher.
pub fn run(args: &PretrainArgs) -> Result<ExitCode> {
    let config = TrainConfig::load(&args.run.config, &args.run.set)?;
    ensure!(
        config.init.is_random(),
        "{}: pre-training starts from random weights; remove [init]",
        args.run.config.display()
    );
    match &args.teacher {
        None => self_distil(args, config),
        Some(teacher) => distil(args, config, teacher),
    }
}

fn self_distil(args: &PretrainArgs, mut config: TrainConfig) -> Result<ExitCode> {
    config.freeze(&SelfDistillation::FROZEN);
    let (model, sizes) = args
        .run
        .open(&config, |device| SelfDistillation::new(&config, device))?;
    let views = Views::load(&config)?;
    let Some(outcome) = run_to_end(args, model, &views, &config)? else {
        return Ok(ExitCode::from(FAILED));
    };
    let backbone = outcome.averaged.teacher.backbone.clone();
    let samples = views.validation(config.validation.samples, config.validation.patch)?;
    let mut found = Value::Null;
    if !samples.is_empty() {
        let collapse = Collapse::measure(&outcome.averaged, &samples)?;
        // A warning is no progress: it comes with --quiet too.
        if !args.run.quiet || !collapse.is_sound() {
            terminal::note(&format!(
                "features deviate by {:.3}; entropy {:.2} of one image, {:.2} of all (at most {:.2}): {}",
                collapse.feature_deviation,
                collapse.entropy,
                collapse.mean_entropy,
                collapse.largest_entropy,
                if collapse.is_sound() {
                    "sound"
                } else {
                    "COLLAPSED, do not use"
                }
            ));
        }
        found = json!(collapse);
    }
    finish(args, &outcome, &backbone, &sizes, found)
}

fn distil(args: &PretrainArgs, mut config: TrainConfig, teacher: &Path) -> Result<ExitCode> {
    config.freeze(&Distillation::FROZEN);
    let bytes = weights::read(teacher)?;
    let (model, sizes) = args.run.open(&config, |device| {
        let teacher = Weights::from_bytes(&bytes)?
            .backbone(device)
            .with_context(|| format!("{}: cannot teach", teacher.display()))?;
        Distillation::new(&config, teacher, device)
    })?;
    let views = Views::load(&config)?;
    let Some(outcome) = run_to_end(args, model, &views, &config)? else {
        return Ok(ExitCode::from(FAILED));
    };
    let backbone = outcome.averaged.student.clone();
    let from = json!({ "teacher": teacher.file_name().map(|name| name.to_string_lossy()) });
    finish(args, &outcome, &backbone, &sizes, from)
}

/// Trains to the end; `None` when stopped before, and says how to go on.
fn run_to_end<M: Trainee + Module>(
    args: &PretrainArgs,
    model: M,
    views: &Views,
    config: &TrainConfig,
) -> Result<Option<Outcome<M>>> {
    ensure!(
        !Ranks::launched(),
        "trainer pretrain trains in one process; start it without mpirun"
    );
    let stop = interrupt::listen()?;
    let outcome = train(model, views, config, &args.run.options(stop)?)?;
    if outcome.stopped {
        args.run.note_stop(outcome.step);
        return Ok(None);
    }
    Ok(Some(outcome))
}

fn finish<M>(
    args: &PretrainArgs,
    outcome: &Outcome<M>,
    backbone: &Dinov2,
    sizes: &Dinov2Config,
    details: Value,
) -> Result<ExitCode> {
    let mut provenance = run_provenance(outcome.step, outcome.seconds, None);
    provenance["pretraining"] = details;
    let backbone = backbone.clone().to_device(&Device::flex());
    let bytes = backbone_to_bytes(&backbone, sizes, Dtype::F32, provenance)?;
    let path = args.run.folder().join(WEIGHTS);
    write_atomically(&path, &bytes)?;
    if !args.run.quiet {
        terminal::note(&format!("backbone: {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
