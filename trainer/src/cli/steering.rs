//! `trainer steering`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::use_threads;
use crate::host::{interrupt, output};
use crate::model::weights;
use crate::train::steering::{TrainingConfig, train};

/// Arguments of `steering`.
#[derive(Args, Debug)]
#[command(
    after_help = "The network stays as it is; what steered it before is replaced. It runs on the CPU.\n\nExample:\n  \
        trainer steering --config trainer/configs/steering.toml --weights core/weights/nano.safetensors \\\n    \
        -o core/weights/nano.safetensors --force"
)]
pub struct SteeringArgs {
    /// Photos and settings
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Weights file with the network
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Weights file to write: the same network, with what steers it
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    force: bool,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// No progress.
    #[arg(from_global)]
    quiet: bool,
}

/// Trains what steers a network and writes it with the network.
///
/// # Errors
/// Names the file that cannot be used or written.
pub fn run(args: &SteeringArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    use_threads(args.threads)?;
    output::check(&args.output, args.force)?;
    let config = TrainingConfig::load(&args.config)?;
    let bytes = weights::read(&args.weights)?;
    let bar = ProgressBar::with_draw_target(
        Some(config.steps as u64),
        match args.quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        },
    )
    .with_style(ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} {eta} {msg}",
    )?);
    let mut smooth = None;
    let trained = train(&bytes, &config, &mut |loss| {
        let mean = smooth.map_or(loss, |mean: f32| mean + (loss - mean) * 0.01);
        smooth = Some(mean);
        bar.set_message(format!("loss {mean:.5}"));
        bar.inc(1);
    })
    .with_context(|| format!("{}: cannot be steered", args.weights.display()))?;
    bar.finish_and_clear();
    output::write(&args.output, args.force, |out| Ok(out.write_all(&trained)?))?;
    Ok(ExitCode::SUCCESS)
}
