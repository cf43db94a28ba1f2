//! `trainer steering`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressStyle;

use super::head::HeadArgs;
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
    #[command(flatten)]
    head: HeadArgs,
}

/// Trains what steers a network and writes it with the network.
///
/// # Errors
/// Names the file that cannot be used or written.
pub fn run(SteeringArgs { head }: &SteeringArgs) -> Result<ExitCode> {
    head.begin()?;
    let config = TrainingConfig::load(&head.config)?;
    let bytes = weights::read(&head.weights)?;
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta} {msg}")?;
    let bar = head.bar(config.steps).with_style(style);
    let mut smooth = None;
    let trained = train(&bytes, &config, &mut |loss| {
        let mean = smooth.map_or(loss, |mean: f32| mean + (loss - mean) * 0.01);
        smooth = Some(mean);
        bar.set_message(format!("loss {mean:.5}"));
        bar.inc(1);
    })
    .with_context(|| format!("{}: cannot be steered", head.weights.display()))?;
    bar.finish_and_clear();
    head.finish(&trained)
}
