//! `trainer data`: looks at datasets, and packs them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::FAILED;
use crate::data::dataset::DataConfig;
use crate::data::dataset::check::check;
use crate::data::dataset::layout::{Layout, contents};
use crate::data::dataset::pack::pack;
use crate::host::size::show_size;
use crate::host::{interrupt, terminal};

/// Commands on datasets.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
        trainer data check datasets/DID-MDN-training\n  \
        trainer data pack --out train.pack photos rain=datasets/Rain100L")]
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
    /// Put a training set into one file, for machines that have no datasets
    Pack(PackArgs),
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

/// Arguments of `data pack`.
#[derive(Args, Debug)]
#[command(
    after_help = "The photos are kept as they are. A folder is for what its layout says: clean photos, rainy/ + norain/, \
        hazy/ + gt/; before any other say what it is: clean=DIR, rain=DIR, haze=DIR or pairs=DIR. Training reads the file \
        with [data] pack = \"FILE\", and draws the samples that it would draw from the folders.\n\n\
        Examples:\n  \
        trainer data pack --out train.pack photos datasets/SOTS/outdoor rain=datasets/Rain100L\n  \
        trainer data pack --out train.pack photos --exclude datasets/BSD68"
)]
pub struct PackArgs {
    /// Folders of photos or pairs, in the order in which training would read them
    #[arg(value_name = "[ROLE=]FOLDER", required = true)]
    pub folders: Vec<String>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Test set: photos of its scenes are left out
    #[arg(long, value_name = "DIR")]
    pub exclude: Vec<PathBuf>,
    /// Folder of which a quarter is kept for measuring: left out, as `[data] reserve` does
    #[arg(long, value_name = "DIR")]
    pub reserve: Vec<PathBuf>,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Does what was asked for.
///
/// # Errors
/// As [`check`] or [`pack`].
pub fn run(args: &DataArgs) -> Result<ExitCode> {
    match &args.command {
        DataCommand::Check(args) => run_check(args),
        DataCommand::Pack(args) => run_pack(args),
    }
}

/// Packs, and says what is in the file.
fn run_pack(args: &PackArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let mut data = DataConfig {
        exclude: args.exclude.clone(),
        reserve: args.reserve.clone(),
        ..DataConfig::default()
    };
    for folder in &args.folders {
        let (list, folder) = match folder.split_once('=') {
            Some(("clean", folder)) => (&mut data.clean, Path::new(folder)),
            Some(("rain", folder)) => (&mut data.rain_pairs, Path::new(folder)),
            Some(("haze", folder)) => (&mut data.haze_pairs, Path::new(folder)),
            Some(("pairs", folder)) => (&mut data.pairs, Path::new(folder)),
            _ => {
                let folder = Path::new(folder);
                let list = match contents(folder)?.layout {
                    Layout::Flat => &mut data.clean,
                    Layout::Folders("rainy", _) => &mut data.rain_pairs,
                    Layout::Folders("hazy" | "synthetic", _) => &mut data.haze_pairs,
                    layout => bail!(
                        "{}: {layout}; say what they show: rain={0}, haze={0} or pairs={0}",
                        folder.display()
                    ),
                };
                (list, folder)
            }
        };
        list.push(folder.to_owned());
    }
    let spinner = terminal::spinner(args.quiet, "packing");
    let packed = pack(&data, &args.out)?;
    spinner.finish_and_clear();
    if !args.quiet {
        let [rain, haze, pairs] = packed.pairs;
        terminal::note(&format!(
            "{}: {} clean photos, {rain} rain pairs, {haze} haze pairs, {pairs} other pairs, {} left out; {}",
            args.out.display(),
            packed.clean,
            packed.excluded,
            show_size(packed.bytes as u64)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks, and prints what was found.
fn run_check(args: &CheckArgs) -> Result<ExitCode> {
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
