//! `trainer features`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use dino_ir::device::DeviceChoice;

use super::parse_with;
use crate::eval::features::{FeatureOptions, write};
use crate::host::{interrupt, terminal};

/// Arguments of `features`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer features IMAGE --weights FILE [--layers N,N,...] -o OUT.safetensors",
    after_help = "The file holds layer.N, f32 [1 + registers + patches, width]: class token, registers, \
        patches in row order, before the final norm unless --norm is given.\n\nExample:\n  \
        trainer features photo.png --weights vits14.safetensors --layers 4,8,12 -o features.safetensors"
)]
pub struct FeaturesArgs {
    /// Photo; its sides are resized to multiples of 14 if they are none
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Weights of a DINOv2 or of a net that has one
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Blocks, counted from 1 [default: the last]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    pub layers: Vec<usize>,
    /// Apply the norm after the last block
    #[arg(long)]
    pub norm: bool,
    /// File to write
    #[arg(short, long, value_name = "OUT.safetensors")]
    pub output: PathBuf,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Writes the features.
///
/// # Errors
/// As [`write`].
pub fn run(args: &FeaturesArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let options = FeatureOptions {
        image: args.image.clone(),
        weights: args.weights.clone(),
        layers: args.layers.clone(),
        norm: args.norm,
        device: args.device,
        force: args.force,
    };
    let _spinner = terminal::spinner(args.quiet, "computing features");
    write(&options, &args.output)?;
    Ok(ExitCode::SUCCESS)
}
