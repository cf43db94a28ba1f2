//! The command line: what can be asked for, and the exit code that answers.

mod analyze;
mod bench;
mod data;
mod diagnosis;
pub mod dino_ir;
mod eval;
mod features;
mod head;
mod import;
mod pretrain;
mod reproduce;
mod restore;
mod steering;
mod train;
mod uncertainty;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use ::dino_ir::weights::Dtype;
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::host::{interrupt, terminal};
use crate::model::weights;
use crate::train::export::export;

pub use restore::RestoreArgs;

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
    Restore(restore::RestoreArgs),
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
    /// Train what tells the faults of photos, beside a network
    Diagnosis(diagnosis::DiagnosisArgs),
    /// Train what steers a network: which fault is removed, and which is kept
    Steering(steering::SteeringArgs),
    /// Train what tells how far off restored pixels may be
    Uncertainty(uncertainty::UncertaintyArgs),
    /// Train and measure the variants of one of the paper's ablations
    Reproduce(reproduce::ReproduceArgs),
    /// Measure a network on a test set
    Eval(eval::EvalArgs),
    /// Measure how fast a network is on this machine
    Bench(bench::BenchArgs),
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

/// Runs the program `trainer`.
pub fn main() -> ExitCode {
    guarded(|| match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => ExitCode::from(report_usage(&error, "trainer")),
    })
}

/// Runs a program. A panic is an error of the program's, told in one line.
fn guarded(program: impl FnOnce() -> ExitCode + std::panic::UnwindSafe) -> ExitCode {
    // What panics is reported by whoever catches it, in a line, not by a trace.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    std::panic::catch_unwind(program).unwrap_or_else(|panic| {
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
        Command::Restore(args) => restore::run(&args),
        Command::Info(args) => weights::info(&args.file, args.json).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => run_export(&args),
        Command::Import(args) => import::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Diagnosis(args) => diagnosis::run(&args),
        Command::Steering(args) => steering::run(&args),
        Command::Uncertainty(args) => uncertainty::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    exit_code(done)
}

/// The exit code of a command; an error is printed first.
fn exit_code(done: Result<ExitCode>) -> ExitCode {
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
fn usage(error: ::dino_ir::Error) -> anyhow::Error {
    match error {
        ::dino_ir::Error::InvalidOption(what) => UsageError(what).into(),
        other => other.into(),
    }
}

fn run_export(args: &ExportArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let _spinner = terminal::spinner(args.quiet, "exporting");
    export(&args.weights, &args.output, args.dtype, args.force)?;
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
fn report_usage(error: &clap::Error, program: &str) -> u8 {
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
    let line = complaint.join(" ").replace(" tip: ", "; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    terminal::error(&format!("{line} (see {program} --help)"));
    USAGE
}

/// A number that cannot be 0.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("use a number from 1 on".into()),
    }
}

/// Reads what the library knows how to read.
fn parse_with<T: FromStr<Err = ::dino_ir::Error>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: ::dino_ir::Error| error.to_string())
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
            "diagnosis --config a --weights a -o b",
            "steering --config a --weights a -o b",
            "uncertainty --config a --weights a -o b",
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
            ["--shard", "3/2"],
            ["--shard", "0/2"],
        ] {
            assert_eq!(
                report_usage(&parse(&bad).expect_err("refused"), "trainer"),
                USAGE
            );
        }
    }
}
