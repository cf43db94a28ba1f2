//! `trainer data check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::FAILED;
use crate::dataset::check::check;
use crate::terminal;

/// Commands on datasets.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  trainer data check datasets/DID-MDN-training")]
pub struct DataArgs {
    /// What to do
    #[command(subcommand)]
    pub command: DataCommand,
}

/// Commands on datasets.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Say which layout a dataset has, and what is missing, broken or twice in it
    Check(CheckArgs),
}

/// Arguments of `data check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Reads the layouts of DID-MDN (pairs side by side), Test1200, OTS, SOTS, Rain100L/H, flat folders \
        of clean photos, and input/ + target/. Exits with 1 if something would stop or spoil a training run.\n\n\
        Examples:\n  \
        trainer data check datasets/DID-MDN-training\n  \
        trainer data check datasets/OTS --dedupe datasets/SOTS/outdoor"
)]
pub struct CheckArgs {
    /// Folder of a dataset, or of several
    pub folder: PathBuf,
    /// Test set: names the photos of its scenes. Leave them out of training with [data] exclude
    #[arg(long, value_name = "DIR")]
    pub dedupe: Vec<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Checks, and prints what was found.
///
/// # Errors
/// As [`check`].
pub fn run(args: &DataArgs) -> Result<ExitCode> {
    let DataCommand::Check(args) = &args.command;
    let spinner = terminal::spinner(args.quiet, "checking");
    let sets = check(&args.folder, &args.dedupe)?;
    spinner.finish_and_clear();
    if args.json {
        terminal::out(&json!({ "sets": sets }).to_string())?;
    } else {
        let text: String = sets.iter().map(ToString::to_string).collect();
        terminal::out(text.trim_end())?;
    }
    Ok(match sets.iter().any(|set| set.is_broken()) {
        true => ExitCode::from(FAILED),
        false => ExitCode::SUCCESS,
    })
}
