//! `trainer import`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use dino_ir::weights::Dtype;

use super::parse_with;
use crate::host::{interrupt, terminal};
use crate::model::import::{ImportOptions, Published, import};

/// Arguments of `import`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer import --from dinov2|restormer INPUT.{pth,safetensors} -o OUT.safetensors",
    after_help = "Without INPUT it says where the official files are published, and under which licence. \
        PyTorch's checkpoints are read without Python: no code in them is run.\n\nExamples:\n  \
        trainer import --from dinov2\n  \
        trainer import --from dinov2 dinov2_vits14_pretrain.pth -o vits14.safetensors\n  \
        trainer import --from restormer deraining.pth -o deraining.safetensors"
)]
pub struct ImportArgs {
    /// Whose network it is
    #[arg(long, value_enum)]
    pub from: Published,
    /// Checkpoint: a PyTorch file since 1.6, or safetensors
    #[arg(requires = "output")]
    pub input: Option<PathBuf>,
    /// Weights file to write
    #[arg(short, long, value_name = "OUT.safetensors", requires = "input")]
    pub output: Option<PathBuf>,
    /// Attention heads, for a DINOv2 that is none of the published sizes
    #[arg(long, value_name = "N")]
    pub heads: Option<usize>,
    /// Numbers: f32, f16 or bf16
    #[arg(long, default_value = "f32", value_parser = parse_with::<Dtype>)]
    pub dtype: Dtype,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Converts the file, or says where there are some.
///
/// # Errors
/// As [`import`].
pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        terminal::out(args.from.origin())?;
        return Ok(ExitCode::SUCCESS);
    };
    interrupt::listen()?;
    let options = ImportOptions {
        from: args.from,
        heads: args.heads,
        dtype: args.dtype,
        force: args.force,
    };
    let spinner = terminal::spinner(args.quiet, "importing");
    let what = import(input, output, &options)?;
    spinner.finish_and_clear();
    if !args.quiet {
        terminal::note(&what);
        terminal::note(args.from.origin());
    }
    Ok(ExitCode::SUCCESS)
}
