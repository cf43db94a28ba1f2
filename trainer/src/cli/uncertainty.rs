//! `trainer uncertainty`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressStyle;

use super::head::HeadArgs;
use crate::host::terminal;
use crate::model::weights;
use crate::train::uncertainty::{TrainingConfig, train};

/// Arguments of `uncertainty`.
#[derive(Args, Debug)]
#[command(
    after_help = "The network stays as it is; an uncertainty head that it had is replaced. It runs on the CPU.\n\nExample:\n  \
        trainer uncertainty --config trainer/configs/uncertainty.toml --weights core/weights/nano.safetensors \\\n    \
        -o core/weights/nano.safetensors --force"
)]
pub struct UncertaintyArgs {
    #[command(flatten)]
    head: HeadArgs,
}

/// Trains what tells how far off restored pixels may be, and writes it with the network.
///
/// # Errors
/// Names the file that cannot be used or written.
pub fn run(UncertaintyArgs { head }: &UncertaintyArgs) -> Result<ExitCode> {
    head.begin()?;
    let config = TrainingConfig::load(&head.config)?;
    let bytes = weights::read(&head.weights)?;
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} patches, {eta} left")?;
    let bar = head
        .bar(config.samples + config.calibration)
        .with_style(style);
    let trained = train(&bytes, &config, &|| bar.inc(1))
        .with_context(|| format!("{}: its errors cannot be learned", head.weights.display()))?;
    bar.finish_and_clear();
    if !head.quiet && config.calibration > 0 {
        terminal::note("held-out patches, before calibration:");
        trained.reliability.text().lines().for_each(terminal::note);
    }
    head.finish(&trained.bytes)
}
