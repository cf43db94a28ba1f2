//! `trainer diagnosis`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::use_threads;
use crate::host::interrupt;
use crate::host::output;
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
    /// Photos and settings
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Weights file with the network
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Weights file to write: the same network, with a diagnosis
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    force: bool,
    /// Keep the described patches there, or take them from there: for runs that change no more than how it learns
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// No progress.
    #[arg(from_global)]
    quiet: bool,
}

/// Trains a diagnosis and writes it with its network.
///
/// # Errors
/// Names the file that cannot be used or written.
pub fn run(args: &DiagnosisArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    use_threads(args.threads)?;
    output::check(&args.output, args.force)?;
    let config = TrainingConfig::load(&args.config)?;
    let bytes = weights::read(&args.weights)?;
    let bar = ProgressBar::with_draw_target(
        Some(config.samples as u64),
        match args.quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        },
    );
    let trained = train(&bytes, &config, args.keep.as_deref(), &|| bar.inc(1))
        .with_context(|| format!("{}: cannot be given a diagnosis", args.weights.display()))?;
    bar.finish_and_clear();
    output::write(&args.output, args.force, |out| Ok(out.write_all(&trained)?))?;
    Ok(ExitCode::SUCCESS)
}
