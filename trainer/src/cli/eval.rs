//! `trainer eval`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use dino_ir::device::DeviceChoice;
use dino_ir::image::Image;
use dino_ir::restore::{ImageSink, Options};
use indicatif::ProgressBar;

use super::{FAILED, parse_with};
use crate::eval::{EvalOptions, Suite, evaluate};
use crate::metrics::Protocol;
use crate::restore::engine::{self, Engine};
use crate::rgb::Rgb;
use crate::{interrupt, terminal};

/// Arguments of `eval`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer eval --suite denoise|blur|pairs --data DIR [OPTIONS]",
    after_help = "Examples:\n  \
        trainer eval --suite denoise --data photos/cbsd68 --sigma 15,25,50\n  \
        trainer eval --suite pairs --data rain100l --protocol y --save strips --json rain.json"
)]
pub struct EvalArgs {
    /// denoise and blur make their inputs from clean photos; pairs reads them
    #[arg(long, value_parser = parse_suite)]
    pub suite: Suite,
    /// Folder of the photos
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Weights file [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// How figures are computed: airnet, restormer or y
    #[arg(long, default_value = "airnet", value_parser = parse_protocol)]
    pub protocol: Protocol,
    /// Strengths: 8-bit noise levels, or pixels of blur
    #[arg(long, value_name = "S,S,...", value_delimiter = ',')]
    pub sigma: Option<Vec<f64>>,
    /// Only the first photos
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Folder for strips of input, output, truth and five times their difference
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// File for the table as JSON; without a name, JSON goes to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub json: Option<Option<PathBuf>>,
    /// File for every photo's figures
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// Side of a tile in pixels [default: whole photos, as far as memory allows]
    #[arg(long, value_name = "N")]
    pub tile: Option<usize>,
    /// Average over the 8 flips and rotations
    #[arg(long)]
    pub tta: bool,
    /// No progress bar
    #[arg(short, long)]
    pub quiet: bool,
}

/// Measures, and prints the table.
///
/// # Errors
/// A set that cannot be measured, weights or a device that cannot be opened, a file that cannot
/// be written.
pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let opened = engine::open_restorer(args.weights.as_deref(), args.device)?;
    let restore = Options {
        tile: args.tile,
        self_ensemble: args.tta,
        memory: None,
        ..Options::default()
    };
    restore.validate()?;
    let options = EvalOptions {
        suite: args.suite,
        data: args.data.clone(),
        protocol: args.protocol,
        sigmas: args.sigma.clone(),
        limit: args.limit,
        save: args.save.clone(),
        weights: match &args.weights {
            Some(path) => path.display().to_string(),
            None => "nano (embedded)".into(),
        },
    };
    let bar = if args.quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::no_length()
    };
    let report = evaluate(
        &options,
        &|photo| through(opened.engine.as_ref(), photo, &restore),
        &mut |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            match interrupt::asked() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        },
    )?;
    bar.finish_and_clear();
    let Some(report) = report else {
        bail!("stopped before the end; nothing was measured");
    };
    if let Some(path) = &args.csv {
        report.write_csv(path)?;
    }
    match &args.json {
        Some(Some(path)) => {
            report.write_json(path)?;
            terminal::out(&report.to_string())?;
        }
        Some(None) => terminal::out(&report.to_json()?)?,
        None => terminal::out(&report.to_string())?,
    }
    for failure in &report.failures {
        terminal::error(failure);
    }
    Ok(match report.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

fn through(engine: &dyn Engine, photo: &Rgb, options: &Options) -> Result<Rgb> {
    let source = Image::new(photo.width, photo.height, photo.pixels.clone())?;
    let mut sink = ImageSink::new(photo.width, photo.height)?;
    engine.restore(
        &source,
        &mut sink,
        options,
        &mut |_| match interrupt::asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        },
    )?;
    Ok(Rgb {
        width: photo.width,
        height: photo.height,
        pixels: sink.finish()?.into_pixels(),
    })
}

fn parse_suite(name: &str) -> Result<Suite, String> {
    name.parse().map_err(|error| format!("{error:#}"))
}

fn parse_protocol(name: &str) -> Result<Protocol, String> {
    name.parse().map_err(|error| format!("{error:#}"))
}
