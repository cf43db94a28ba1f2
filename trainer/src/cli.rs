//! The command line: what can be asked for, and the exit code that answers.

mod analyze;
mod bench;
mod data;
mod eval;
mod features;
mod import;
mod pretrain;
mod reproduce;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use dino_ir::device::DeviceChoice;
use dino_ir::restore::Options;
use dino_ir::weights::Dtype;

use crate::photo::Format;
use crate::restore::{Outcome, Settings, engine, naming};
use crate::size::parse_size;
use crate::{interrupt, restore, terminal, weights};

/// Something failed; the rest was done.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;

/// Restores photos, and makes and inspects the weights that do it.
#[derive(Debug, Parser)]
#[command(
    name = "trainer",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Each command's --help has examples.\n\nExample:\n  \
        trainer restore photo.jpg                      writes photo.restored.jpg"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// No progress and no notes
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Restore photos: remove noise, blur, rain and haze
    Restore(RestoreArgs),
    /// Say what a weights file is
    Info(InfoArgs),
    /// Write weights, or a training run's best net, in a number format
    Export(ExportArgs),
    /// Convert published weights of DINOv2 or Restormer
    Import(import::ImportArgs),
    /// Write a backbone's features of a photo
    Features(features::FeaturesArgs),
    /// Look at what backbone and gate make of degraded photos
    Analyze(analyze::AnalyzeArgs),
    /// Check datasets
    Data(data::DataArgs),
    /// Train a network on photos
    Train(train::TrainArgs),
    /// Pre-train a backbone on photos
    Pretrain(pretrain::PretrainArgs),
    /// Train and measure the variants of one of the paper's ablations
    Reproduce(reproduce::ReproduceArgs),
    /// Measure a network on a test set
    Eval(eval::EvalArgs),
    /// Measure how fast a network is on this machine
    Bench(bench::BenchArgs),
}

/// Arguments of `restore`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer restore INPUT... [-o PATH] [OPTIONS]",
    after_help = "Examples:\n  \
        trainer restore photo.jpg                      writes photo.restored.jpg\n  \
        trainer restore holiday/ -o better/            every photo below holiday/\n  \
        trainer restore scans/ -o better/ --format png every result a PNG\n  \
        trainer restore scan.tif -o scan.png --memory 1G --strength 0.8\n  \
        trainer restore - < in.png > out.png"
)]
pub struct RestoreArgs {
    /// Photos (PNG, JPEG, WebP, TIFF, JPEG XL, GIF, BMP), folders (with all below), or - for standard input
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where to write: a file, a folder, or - for standard output [default: NAME.restored.EXT beside each]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Kind of file to write: png, jpeg, webp, tiff or bmp [default: as -o ends, else as the photo is]
    #[arg(long, value_name = "KIND", value_parser = parse_format)]
    pub format: Option<Format>,
    /// Weights file [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// From 0, the photo as it is, to 1, fully restored
    #[arg(long, default_value_t = 1.0, value_name = "0..1", value_parser = parse_strength)]
    pub strength: f32,
    /// Side of a tile in pixels, or auto; below 256 it is taken as 256 unless --overlap is given
    #[arg(long, default_value = "auto", value_name = "auto|N", value_parser = parse_tile)]
    pub tile: TileSide,
    /// Least overlap of neighbouring tiles in pixels [default: an eighth of the tile]
    #[arg(long, value_name = "N")]
    pub overlap: Option<usize>,
    /// Bound of the memory in use, such as 1G or 512M [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Average over the 8 flips and rotations: a little better, 8 times slower
    #[arg(long)]
    pub tta: bool,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Overwrite results that exist
    #[arg(long)]
    pub force: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Arguments of `info`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  trainer info weights.safetensors --json")]
pub struct InfoArgs {
    /// Weights file
    pub file: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  trainer export --weights weights.safetensors -o half.safetensors --dtype f16\n  \
        trainer export --weights runs/nano -o nano.safetensors"
)]
pub struct ExportArgs {
    /// Weights file, or the folder or a checkpoint of a training run
    #[arg(long, value_name = "FILE|DIR")]
    pub weights: PathBuf,
    /// Weights file to write
    #[arg(short, long, value_name = "OUT.safetensors")]
    pub output: PathBuf,
    /// Numbers: f32, f16 or bf16
    #[arg(long, default_value = "f16", value_parser = parse_with::<Dtype>)]
    pub dtype: Dtype,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Side of a tile; `None` is automatic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileSide(pub Option<usize>);

/// Runs the program.
pub fn main() -> ExitCode {
    // What panics is reported by whoever catches it, in a line, not by a trace.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let run = std::panic::catch_unwind(|| match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => ExitCode::from(report_usage(&error)),
    });
    run.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown cause");
        terminal::error(&format!(
            "stopped by an error in the program ({what}); please report it"
        ));
        ExitCode::from(FAILED)
    })
}

/// Runs one command.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Restore(args) => run_restore(&args),
        Command::Info(args) => weights::info(&args.file, args.json).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => run_export(&args),
        Command::Import(args) => import::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    done.unwrap_or_else(|error| {
        if interrupt::asked() {
            return ExitCode::from(interrupt::EXIT_CODE);
        }
        if let Some(usage) = error.downcast_ref::<UsageError>() {
            terminal::error(&usage.to_string());
            return ExitCode::from(USAGE);
        }
        if !terminal::is_broken_pipe(&error) {
            terminal::error(&format!("{error:#}"));
        }
        ExitCode::from(FAILED)
    })
}

/// A command line that parses but makes no sense: exit code 2.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// An option out of its range is an error of usage; anything else stays what it is.
fn usage(error: dino_ir::Error) -> anyhow::Error {
    match error {
        dino_ir::Error::InvalidOption(what) => UsageError(what).into(),
        other => other.into(),
    }
}

fn run_restore(args: &RestoreArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let options = Options {
        strength: args.strength,
        tile: args.tile.0,
        overlap: args.overlap,
        memory: None,
        self_ensemble: args.tta,
    };
    options.validate().map_err(usage)?;
    use_threads(args.threads)?;
    let mut jobs = naming::jobs(&args.inputs, args.output.as_deref()).map_err(UsageError)?;
    if let Some(format) = args.format {
        jobs = jobs.in_format(format).map_err(UsageError)?;
    }
    let settings = Settings {
        options,
        memory: args.memory,
        force: args.force,
        quiet: args.quiet,
    };
    let opened = engine::open_restorer(args.weights.as_deref(), args.device)?;
    engine::check(opened.engine.as_ref(), &settings.options).map_err(usage)?;
    if !args.quiet {
        terminal::note(&format!("device: {}", opened.device));
    }
    Ok(
        match restore::run(&jobs, opened.engine.as_ref(), &settings) {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Failed => ExitCode::from(FAILED),
            Outcome::Interrupted => ExitCode::from(interrupt::EXIT_CODE),
        },
    )
}

fn run_export(args: &ExportArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let _spinner = terminal::spinner(args.quiet, "exporting");
    weights::export(&args.weights, &args.output, args.dtype, args.force)?;
    Ok(ExitCode::SUCCESS)
}

/// Computes with so many threads from here on; without a number with as many as rayon takes.
fn use_threads(threads: Option<u16>) -> Result<()> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()?;
    }
    Ok(())
}

/// Prints help as it is, and any complaint as one line; returns the exit code.
fn report_usage(error: &clap::Error) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let _ = error.print();
        return 0;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return USAGE;
    }
    let text = error.to_string();
    let complaint: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let line = complaint.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    terminal::error(&format!("{line} (see trainer --help)"));
    USAGE
}

fn parse_format(text: &str) -> Result<Format, String> {
    Format::of_extension(text)
        .filter(|format| format.written() == *format)
        .ok_or_else(|| "use png, jpeg, webp, tiff or bmp".into())
}

fn parse_strength(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(strength) if (0.0..=1.0).contains(&strength) => Ok(strength),
        _ => Err("use a number from 0 to 1".into()),
    }
}

fn parse_tile(text: &str) -> Result<TileSide, String> {
    match (text, text.parse::<usize>()) {
        ("auto", _) => Ok(TileSide(None)),
        (_, Ok(side)) if side > 0 => Ok(TileSide(Some(side))),
        _ => Err("use auto or a number of pixels".into()),
    }
}

/// A number that cannot be 0.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("use a number from 1 on".into()),
    }
}

/// Reads what the library knows how to read.
fn parse_with<T: FromStr<Err = dino_ir::Error>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: dino_ir::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_can_be_quiet() {
        for command in [
            "restore a.png",
            "info a",
            "export --weights a -o b",
            "import --from dinov2",
            "features a.png --weights a -o b",
            "analyze pca --data a -o b",
            "data check a",
            "train --config a",
            "pretrain --config a",
            "reproduce table3 --scale smoke --data a -o b",
            "eval --suite blur --data a",
            "bench",
        ] {
            let arguments = format!("trainer {command} --quiet");
            let cli = Cli::try_parse_from(arguments.split(' ')).expect(command);
            assert!(cli.quiet, "{command}");
        }
    }

    #[test]
    fn what_is_refused() {
        let parse =
            |args: &[&str]| Cli::try_parse_from(["trainer", "restore", "x.png"].iter().chain(args));
        assert!(parse(&["--device", "cuda:1", "--tile", "256", "--memory", "1G"]).is_ok());
        for bad in [
            ["--strength", "2"],
            ["--strength", "nan"],
            ["--device", "tpu"],
            ["--device", "cuda:x"],
            ["--tile", "0"],
            ["--memory", "lots"],
            ["--format", "gif"],
        ] {
            assert_eq!(report_usage(&parse(&bad).expect_err("refused")), USAGE);
        }
    }
}
