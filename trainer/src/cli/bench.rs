//! `trainer bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use dino_ir::device::DeviceChoice;

use super::{parse_with, use_threads};
use crate::eval::bench::{BenchOptions, bench};
use crate::host::terminal;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
        trainer bench                                  the embedded nano on 512 x 512 pixels\n  \
        trainer bench --weights full.safetensors --size 1024x768 --threads 1 --train 0\n  \
        trainer bench --weights dinov2.safetensors --size 518x518 --json\n  \
        trainer bench --device cuda --runs 0 --train 20 --batch 16,32,64 --set loss.lambda=0")]
pub struct BenchArgs {
    /// Weights file: a restoration net or a backbone [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Pixels; rounded down to what the network takes
    #[arg(long, value_name = "WxH", default_value = "512x512", value_parser = parse_image_size)]
    pub size: [usize; 2],
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Runs on the image, the median counts; 0: none
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub runs: u32,
    /// Training steps (Muon, with the DPC loss) after those that warm up, the mean counts; 0: none
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub train: u32,
    /// Samples of a training step; several sizes with commas, until one fails
    #[arg(long, value_name = "N,...", default_value = "8", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: Vec<u16>,
    /// Side of the training samples in pixels
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(8..))]
    pub patch: u16,
    /// Changes a setting of the training run, such as loss.lambda=0 or replicas=1
    #[arg(long, value_name = "key=value")]
    pub set: Vec<String>,
    /// One JSON object; after each of several sizes, with all so far
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    use_threads(args.threads)?;
    let spinner = terminal::spinner(args.quiet, "measuring");
    let batches: Vec<usize> = args.batch.iter().copied().map(usize::from).collect();
    let options = BenchOptions {
        weights: args.weights.as_deref(),
        size: args.size,
        device: args.device,
        runs: args.runs as usize,
        train: args.train as usize,
        batches: &batches,
        patch: args.patch.into(),
        set: &args.set,
    };
    let report = bench(&options, |so_far| {
        if args.json {
            terminal::out(&serde_json::to_string(so_far)?)?;
        }
        Ok(())
    })?;
    spinner.finish_and_clear();
    terminal::out(&if args.json {
        serde_json::to_string(&report)?
    } else {
        report.table()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Width and height.
fn parse_image_size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once('x').map(|(width, height)| {
        [width, height].map(|side| side.trim().parse::<usize>().unwrap_or(0))
    });
    match sides {
        Some(sides) if sides.iter().all(|side| (14..=1 << 15).contains(side)) => Ok(sides),
        _ => Err("use WxH in pixels, such as 512x512, each at least 14".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_width_times_height() {
        assert_eq!(parse_image_size("640x480"), Ok([640, 480]));
        for wrong in [
            "640",
            "x",
            "640x",
            "0x5",
            "640x13",
            "-1x99",
            "1e3x512",
            "99999x512",
        ] {
            assert!(parse_image_size(wrong).is_err(), "{wrong}");
        }
    }
}
