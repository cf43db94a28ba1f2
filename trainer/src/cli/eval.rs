//! `trainer eval`.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dino_ir::device::DeviceChoice;
use dino_ir::image::Image;
use dino_ir::restore::{ImageSink, Options};
use indicatif::ProgressBar;

use super::{FAILED, UsageError, parse_count, parse_with, usage};
use crate::data::rgb::Rgb;
use crate::eval::chart::{Bars, write_chart};
use crate::eval::metrics::Protocol;
use crate::eval::table::Table;
use crate::eval::{
    EvalOptions, EvalProgress, Report, Row, Suite, TableOptions, TableReport, evaluate,
    evaluate_table,
};
use crate::host::atomic::write_atomically;
use crate::host::output;
use crate::host::{interrupt, terminal};
use crate::restore::engine::{self, Engine};

/// Arguments of `eval`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer eval --suite denoise|blur|pairs|faults|untouched|table1|table2|table4 --data DIR [OPTIONS]",
    after_help = "Examples:\n  \
        trainer eval --suite denoise --data photos/cbsd68 --sigma 15,25,50\n  \
        trainer eval --suite pairs --data rain100l --protocol y --save strips --json rain.json\n  \
        trainer eval --suite untouched --data photos --csv photos.csv\n  \
        trainer eval --suite table1 --data datasets --csv table1.csv\n  \
        trainer eval --suite blur --data photos/cbsd68 --weights a.safetensors --weights b.safetensors --chart ab.png"
)]
pub struct EvalArgs {
    /// denoise, blur and faults (camera noise, grey noise, JPEG) make their inputs from clean photos; pairs reads them;
    /// untouched takes good photos as they are and as JPEG 90; a table of the paper is measured on the sets found below
    /// the folder
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
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', value_parser = parse_sigma)]
    pub sigma: Option<Vec<f64>>,
    /// Only the first photos
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub limit: Option<usize>,
    /// Only photos that a training with this folder under `reserve` kept for measuring, a quarter of it
    #[arg(long)]
    pub reserved: bool,
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
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub tile: Option<usize>,
    /// Average over the 8 flips and rotations
    #[arg(long)]
    pub tta: bool,
    /// No progress.
    #[arg(from_global)]
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
    restore.validate().map_err(usage)?;
    let fixed = match args.suite {
        Measured::Table(_) => Some("a table's strengths are the paper's"),
        Measured::Suite(Suite::Pairs) => Some("the photos of pairs are degraded already"),
        Measured::Suite(Suite::Faults | Suite::Untouched) => {
            Some("what is done to its photos is fixed")
        }
        Measured::Suite(Suite::Denoise | Suite::Blur) => None,
    };
    if let (Some(fixed), Some(_)) = (fixed, &args.sigma) {
        return Err(UsageError(format!("{fixed}: leave --sigma out")).into());
    }
    if args.reserved && matches!(args.suite, Measured::Table(_)) {
        return Err(
            UsageError("a table is measured on whole sets: leave --reserved out".into()).into(),
        );
    }
    let files = Files::of(args);
    files.check()?;
    // None stands for the embedded weights.
    let weights: Vec<Option<&Path>> = match args.weights.as_slice() {
        [] => vec![None],
        files => files.iter().map(|file| Some(file.as_path())).collect(),
    };
    let names = short_names(&args.weights);
    // All before the first photo: a file that cannot be used costs no other's figures.
    let mut engines = Vec::new();
    for &path in &weights {
        let engine = engine::open_restorer(path, args.device)?.engine;
        engine::check(engine.as_ref(), &restore).map_err(usage)?;
        engines.push(engine);
    }
    let json_of = |done: &[Done]| match done {
        [one] if weights.len() == 1 => one.json(),
        several => {
            let runs: Result<Vec<String>> = several.iter().map(Done::json).collect();
            Ok(format!("{{\"runs\": [{}]}}", runs?.join(", ")))
        }
    };
    let to_stdout = matches!(args.json, Some(None));
    let title = format!("PSNR, protocol {}", args.protocol);
    let (mut done, mut bars, mut json) = (Vec::new(), Vec::new(), String::new());
    let (mut printed, mut written, mut stopped) = (Ok(()), Vec::new(), false);
    for ((&path, name), engine) in weights.iter().zip(&names).zip(&engines) {
        let network = |photo: &Rgb| through(engine.as_ref(), photo, &restore);
        // Strips of several weights would overwrite each other.
        let save = args.save.as_ref().map(|folder| match weights.len() {
            1 => folder.clone(),
            _ => folder.join(name),
        });
        let one = match measure(args, path, save, &network) {
            Ok(one) => one,
            Err(_) if interrupt::asked() && !done.is_empty() => {
                stopped = true;
                break;
            }
            Err(error) => return Err(error),
        };
        // At once, and before any file: neither Ctrl-C at the next weights nor a full disk nor a reader that has gone
        // away costs the figures.
        if !to_stdout {
            printed = printed.and(terminal::out(&one.text()));
        }
        bars.push(Bars {
            name: name.clone(),
            rows: one.rows().to_vec(),
        });
        done.push(one);
        json = json_of(&done)?;
        written = files.write(&done, &bars, &title, &json);
    }
    if to_stdout {
        printed = terminal::out(&json);
    }
    let mut failures: Vec<String> = done.iter().flat_map(Done::failures).cloned().collect();
    failures.extend(written.into_iter().map(|error| format!("{error:#}")));
    for failure in &failures {
        terminal::error(failure);
    }
    if stopped {
        let (done, all) = (done.len(), weights.len());
        terminal::error(&format!(
            "stopped: these are the figures of the first {done} of {all} weights; measure the others again"
        ));
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    printed?;
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
                reserved: args.reserved,
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

/// The files that are asked for.
struct Files<'a> {
    /// One for each of the weights.
    csv: Vec<PathBuf>,
    chart: Option<&'a Path>,
    json: Option<&'a Path>,
    /// Any one of the strips.
    strip: Option<PathBuf>,
}

impl<'a> Files<'a> {
    fn of(args: &'a EvalArgs) -> Self {
        let csv = |path: &PathBuf| match args.weights.len() {
            0 | 1 => vec![path.clone()],
            several => (1..=several)
                .map(|number| path.with_extension(format!("{number}.csv")))
                .collect(),
        };
        Self {
            csv: args.csv.as_ref().map(csv).unwrap_or_default(),
            chart: args.chart.as_deref(),
            json: args.json.as_ref().and_then(|json| json.as_deref()),
            strip: args.save.as_ref().map(|folder| folder.join("strip.png")),
        }
    }

    /// Whether all can be written, before hours of measuring.
    fn check(&self) -> Result<()> {
        let csv = self.csv.iter().map(PathBuf::as_path);
        let others = [self.chart, self.json, self.strip.as_deref()];
        csv.chain(others.into_iter().flatten())
            .try_for_each(|path| output::check(path, true))
    }

    /// Writes all but the strips; what went wrong, each naming its file.
    fn write(&self, done: &[Done], bars: &[Bars], title: &str, json: &str) -> Vec<anyhow::Error> {
        let csv = self.csv.iter().zip(done);
        let mut results: Vec<Result<()>> = csv.map(|(path, done)| done.write_csv(path)).collect();
        results.extend(self.chart.map(|path| write_chart(bars, title, path)));
        results.extend(self.json.map(|path| {
            write_atomically(path, format!("{json}\n").as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))
        }));
        results.into_iter().filter_map(Result::err).collect()
    }
}

/// A name for each of the weights, no two alike: the file's, with its folder's where others are called the same.
fn short_names(files: &[PathBuf]) -> Vec<String> {
    if files.is_empty() {
        return vec!["nano".into()];
    }
    let shown = |name: Option<&OsStr>| name.unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = files.iter().map(|file| shown(file.file_stem())).collect();
    let mut names: Vec<String> = Vec::new();
    for (file, stem) in files.iter().zip(&stems) {
        let alone = stems.iter().filter(|other| *other == stem).count() == 1;
        let folder = file.parent().and_then(Path::file_name);
        let name = match folder.filter(|_| !alone) {
            Some(folder) => format!("{}-{stem}", folder.to_string_lossy()),
            None => stem.clone(),
        };
        let mut distinct = name.clone();
        let mut number = 1;
        while names.contains(&distinct) {
            number += 1;
            distinct = format!("{name}-{number}");
        }
        names.push(distinct);
    }
    names
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

fn parse_sigma(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(sigma) if sigma.is_finite() && sigma > 0.0 => Ok(sigma),
        _ => Err("use numbers above 0, such as 15,25,50".into()),
    }
}

fn parse_protocol(name: &str) -> Result<Protocol, String> {
    name.parse().map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let names =
            |files: &[&str]| short_names(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&[]), ["nano"]);
        assert_eq!(names(&["runs/a/weights.safetensors"]), ["weights"]);
        let runs = [
            "runs/a/weights.safetensors",
            "runs/b/weights.safetensors",
            "c.safetensors",
        ];
        assert_eq!(names(&runs), ["a-weights", "b-weights", "c"]);
        let same = [
            "x/a/w.safetensors",
            "y/a/w.safetensors",
            "w.safetensors",
            "../w.safetensors",
        ];
        assert_eq!(names(&same), ["a-w", "a-w-2", "w", "w-2"]);
    }
}
