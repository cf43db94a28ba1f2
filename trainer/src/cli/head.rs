//! Arguments of the commands that train a head on a network: `trainer diagnosis`, `trainer steering`,
//! `trainer uncertainty`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::use_threads;
use crate::host::{interrupt, output};

/// Where a head comes from and goes to.
#[derive(Args, Debug)]
pub struct HeadArgs {
    /// Photos and settings
    #[arg(long, value_name = "FILE.toml")]
    pub config: PathBuf,
    /// Weights file with the network
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Weights file to write: the same network, with what was trained
    #[arg(short, long, value_name = "OUT.safetensors")]
    pub output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

impl HeadArgs {
    /// Before any work.
    ///
    /// # Errors
    /// An output that cannot be written.
    pub fn begin(&self) -> Result<()> {
        interrupt::listen()?;
        use_threads(self.threads)?;
        output::check(&self.output, self.force)
    }

    /// Shows how much of `length` is done.
    pub fn bar(&self, length: usize) -> ProgressBar {
        let target = match self.quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        ProgressBar::with_draw_target(Some(length as u64), target)
    }

    /// Writes the weights file.
    ///
    /// # Errors
    /// Names it.
    pub fn finish(&self, trained: &[u8]) -> Result<ExitCode> {
        output::write(&self.output, self.force, |out| Ok(out.write_all(trained)?))?;
        Ok(ExitCode::SUCCESS)
    }
}
