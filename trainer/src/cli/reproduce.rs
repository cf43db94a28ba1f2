//! `trainer reproduce`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dino_ir::device::DeviceChoice;

use super::{FAILED, parse_count, parse_with};
use crate::eval::reproduce::{Ablation, ReproduceOptions, Scale, TABLE, reproduce};
use crate::host::atomic::write_atomically;
use crate::host::{interrupt, terminal};

/// Arguments of `reproduce`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer reproduce table3|table5|table6 --scale smoke|cpu|paper --data DIR [OPTIONS]",
    after_help = "Trains every variant of the table and measures it on the test sets below --data. Where the \
        training photos are is said with --set; a call that \
        Ctrl-C ended goes on from the last checkpoint.\n\nExample:\n  \
        trainer reproduce table3 --scale cpu --data datasets/test --set 'data.clean=[\"datasets/clean\"]' -o table3"
)]
pub struct ReproduceArgs {
    /// Which table
    #[arg(value_enum)]
    pub table: Ablation,
    /// How much is spent on it
    #[arg(long, value_enum)]
    pub scale: Scale,
    /// Folder with the table's test sets in it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Changes a setting of all variants
    #[arg(long, value_name = "key=value")]
    pub set: Vec<String>,
    /// Only the first photos of each test set
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub limit: Option<usize>,
    /// Folder for the runs and the table as JSON
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// JSON on standard output in place of the table
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Trains, measures, prints the table.
///
/// # Errors
/// As [`reproduce`].
pub fn run(args: &ReproduceArgs) -> Result<ExitCode> {
    let stop = interrupt::listen()?;
    let options = ReproduceOptions {
        ablation: args.table,
        scale: args.scale,
        set: args.set.clone(),
        data: args.data.clone(),
        limit: args.limit,
        out: args.output.clone(),
        device: args.device,
        quiet: args.quiet,
    };
    let Some(table) = reproduce(&options, stop)? else {
        terminal::note("stopped; the same command goes on from here");
        return Ok(ExitCode::from(FAILED));
    };
    let json = serde_json::to_string_pretty(&table)?;
    let path = args.output.join(TABLE);
    write_atomically(&path, (json.clone() + "\n").as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    if args.json {
        terminal::out(&json)?;
    } else {
        terminal::out(table.to_string().trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
