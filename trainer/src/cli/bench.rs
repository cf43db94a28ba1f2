//! `trainer bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use dino_ir::device::DeviceChoice;

use super::{parse_with, use_threads};
use crate::bench::{BenchOptions, bench};
use crate::terminal;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
        trainer bench                                  the embedded nano on 512 x 512 pixels\n  \
        trainer bench --weights full.safetensors --size 1024x768 --threads 1 --train 0\n  \
        trainer bench --weights dinov2.safetensors --size 518x518 --json")]
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
    /// Runs on the image; the median counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Training steps (batch 8, patch 128, with the DPC loss), the median counts; 0: none
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub train: u32,
    /// Parts of a training batch computed side by side, as `replicas` in a run's settings
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub replicas: u16,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    use_threads(args.threads)?;
    let spinner = terminal::spinner(args.quiet, "measuring");
    let report = bench(&BenchOptions {
        weights: args.weights.as_deref(),
        size: args.size,
        device: args.device,
        runs: args.runs as usize,
        train: args.train as usize,
        replicas: args.replicas.into(),
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
