//! `trainer eval`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dino_ir::device::DeviceChoice;
use dino_ir::image::Image;
use dino_ir::restore::{ImageSink, Options};
use indicatif::ProgressBar;

use super::{FAILED, UsageError, parse_with};
use crate::checkpoint::write_atomically;
use crate::eval::chart::{Bars, write_chart};
use crate::eval::table::Table;
use crate::eval::{
    EvalOptions, EvalProgress, Report, Row, Suite, TableOptions, TableReport, evaluate,
    evaluate_table,
};
use crate::metrics::Protocol;
use crate::restore::engine::{self, Engine};
use crate::rgb::Rgb;
use crate::{interrupt, terminal};

/// Arguments of `eval`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer eval --suite denoise|blur|pairs|table1|table2|table4 --data DIR [OPTIONS]",
    after_help = "Examples:\n  \
        trainer eval --suite denoise --data photos/cbsd68 --sigma 15,25,50\n  \
        trainer eval --suite pairs --data rain100l --protocol y --save strips --json rain.json\n  \
        trainer eval --suite table1 --data datasets --csv table1.csv\n  \
        trainer eval --suite blur --data photos/cbsd68 --weights a.safetensors --weights b.safetensors --chart ab.png"
)]
pub struct EvalArgs {
    /// denoise and blur make their inputs from clean photos; pairs reads them; a table of the paper
    /// is measured on the sets found below the folder
    #[arg(long, value_parser = parse_suite)]
    pub suite: Measured,
    /// Folder of the photos, or of a table's sets
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Weights file, given again for each to be compared [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Vec<PathBuf>,
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
    /// File for every photo's figures; of a table, its cells, with the photos in NAME.images.csv
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// File for a bar chart of all weights (PNG)
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
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

/// What can be measured.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// One set.
    Suite(Suite),
    /// A table of the paper.
    Table(&'static Table),
}

/// What was measured.
enum Done {
    Suite(Report),
    Table(Box<TableReport>),
}

impl Done {
    fn json(&self) -> Result<String> {
        match self {
            Self::Suite(report) => report.to_json(),
            Self::Table(report) => report.to_json(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Suite(report) => report.to_string(),
            Self::Table(report) => report.to_string(),
        }
    }

    fn failures(&self) -> &[String] {
        match self {
            Self::Suite(report) => &report.failures,
            Self::Table(report) => &report.failures,
        }
    }

    fn rows(&self) -> &[Row] {
        match self {
            Self::Suite(report) => &report.rows,
            Self::Table(report) => &report.rows,
        }
    }

    fn write_csv(&self, path: &Path) -> Result<()> {
        match self {
            Self::Suite(report) => report.write_csv(path),
            Self::Table(report) => report.write_csv(path),
        }
    }
}

/// Measures, and prints the table.
///
/// # Errors
/// A set that cannot be measured, weights or a device that cannot be opened, a file that cannot
/// be written.
pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let restore = Options {
        tile: args.tile,
        self_ensemble: args.tta,
        memory: None,
        ..Options::default()
    };
    restore.validate()?;
    if matches!(args.suite, Measured::Table(_)) && args.sigma.is_some() {
        return Err(
            UsageError("a table's strengths are the paper's: leave --sigma out".into()).into(),
        );
    }
    // None stands for the embedded weights.
    let weights: Vec<Option<&Path>> = match args.weights.as_slice() {
        [] => vec![None],
        files => files.iter().map(|file| Some(file.as_path())).collect(),
    };
    let mut done = Vec::new();
    for &path in &weights {
        let opened = engine::open_restorer(path, args.device)?;
        let network = |photo: &Rgb| through(opened.engine.as_ref(), photo, &restore);
        // Strips of several weights would overwrite each other.
        let save = match (&args.save, weights.len(), path) {
            (Some(folder), 2.., Some(path)) => {
                Some(folder.join(path.file_stem().unwrap_or_default()))
            }
            (folder, ..) => folder.clone(),
        };
        done.push(measure(args, path, save, &network)?);
    }
    if let Some(path) = &args.csv {
        match done.as_slice() {
            [one] => one.write_csv(path)?,
            several => {
                for (index, one) in several.iter().enumerate() {
                    one.write_csv(&path.with_extension(format!("{}.csv", index + 1)))?;
                }
            }
        }
    }
    if let Some(path) = &args.chart {
        let bars: Vec<Bars> = weights
            .iter()
            .zip(&done)
            .map(|(path, done)| Bars {
                name: short_name(*path),
                rows: done.rows().to_vec(),
            })
            .collect();
        write_chart(&bars, &format!("PSNR, protocol {}", args.protocol), path)?;
    }
    let json = match done.as_slice() {
        [one] => one.json()?,
        several => {
            let runs: Result<Vec<String>> = several.iter().map(Done::json).collect();
            format!("{{\"runs\": [{}]}}", runs?.join(", "))
        }
    };
    let text = || done.iter().map(Done::text).collect::<Vec<_>>().join("\n");
    match &args.json {
        Some(Some(path)) => {
            write_atomically(path, (json + "\n").as_bytes())?;
            terminal::out(&text())?;
        }
        Some(None) => terminal::out(&json)?,
        None => terminal::out(&text())?,
    }
    let failures: Vec<&String> = done.iter().flat_map(Done::failures).collect();
    for failure in &failures {
        terminal::error(failure);
    }
    Ok(match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

fn measure(
    args: &EvalArgs,
    weights: Option<&Path>,
    save: Option<PathBuf>,
    network: &dyn Fn(&Rgb) -> Result<Rgb>,
) -> Result<Done> {
    let bar = if args.quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::no_length()
    };
    let mut progress = |progress: EvalProgress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        match interrupt::asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let name = match weights {
        Some(path) => path.display().to_string(),
        None => "nano (embedded)".into(),
    };
    let done = match args.suite {
        Measured::Suite(suite) => {
            let options = EvalOptions {
                suite,
                data: args.data.clone(),
                protocol: args.protocol,
                sigmas: args.sigma.clone(),
                limit: args.limit,
                save,
                weights: name,
            };
            evaluate(&options, network, &mut progress)?.map(Done::Suite)
        }
        Measured::Table(table) => {
            let options = TableOptions {
                table,
                root: args.data.clone(),
                protocol: args.protocol,
                limit: args.limit,
                save,
                weights: name,
            };
            let report = evaluate_table(&options, network, &mut progress)?;
            report.map(|report| Done::Table(Box::new(report)))
        }
    };
    bar.finish_and_clear();
    done.context("stopped before the end; nothing was measured")
}

/// The name of weights in a chart.
fn short_name(path: Option<&Path>) -> String {
    match path {
        Some(path) => path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        None => "nano".into(),
    }
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

fn parse_suite(name: &str) -> Result<Measured, String> {
    if let Some(table) = Table::named(name) {
        return Ok(Measured::Table(table));
    }
    let suite = name.parse().map(Measured::Suite);
    suite.map_err(|error| format!("{error:#}, or table1, table2, table4"))
}

fn parse_protocol(name: &str) -> Result<Protocol, String> {
    name.parse().map_err(|error| format!("{error:#}"))
}
