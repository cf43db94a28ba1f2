//! `trainer diagnosis`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::head::HeadArgs;
use crate::model::weights;
use crate::train::diagnosis::{TrainingConfig, train};

/// Arguments of `diagnosis`.
#[derive(Args, Debug)]
#[command(
    after_help = "The network stays as it is; a diagnosis that the file had is replaced. It runs on the CPU.\n\nExample:\n  \
        trainer diagnosis --config trainer/configs/diagnosis.toml --weights core/weights/nano.safetensors \\\n    \
        -o core/weights/nano.safetensors --force"
)]
pub struct DiagnosisArgs {
    #[command(flatten)]
    head: HeadArgs,
    /// Keep the described patches there, or take them from there: for runs that change no more than how it learns
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Trains a diagnosis and writes it with its network.
///
/// # Errors
/// Names the file that cannot be used or written.
pub fn run(DiagnosisArgs { head, keep }: &DiagnosisArgs) -> Result<ExitCode> {
    head.begin()?;
    let config = TrainingConfig::load(&head.config)?;
    let bytes = weights::read(&head.weights)?;
    let bar = head.bar(config.samples);
    let trained = train(&bytes, &config, keep.as_deref(), &|| bar.inc(1))
        .with_context(|| format!("{}: cannot be given a diagnosis", head.weights.display()))?;
    bar.finish_and_clear();
    head.finish(&trained)
}
