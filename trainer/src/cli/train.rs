//! `trainer train`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use burn::module::Module;
use clap::Args;
use dino_ir::device::DeviceChoice;
use dino_ir::weights::Dtype;

use super::{FAILED, parse_with};
use crate::checkpoint::write_atomically;
use crate::config::TrainConfig;
use crate::train::{RunOptions, train};
use crate::trainee::{DinoIrTrainee, Photos};
use crate::{interrupt, terminal, weights};

/// The finished net in a run's folder.
const WEIGHTS: &str = "weights.safetensors";

/// Arguments of `train`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer train --config FILE.toml [OPTIONS]",
    after_help = "Examples:\n  \
        trainer train --config trainer/configs/nano.toml --out runs/nano\n  \
        trainer train --config trainer/configs/nano.toml --set stage.0.steps=100 --set seed=2\n  \
        trainer train --config trainer/configs/nano.toml --resume runs/nano"
)]
pub struct TrainArgs {
    /// Settings of the run
    #[arg(long, value_name = "FILE.toml")]
    pub config: PathBuf,
    /// Changes a setting
    #[arg(long, value_name = "key=value")]
    pub set: Vec<String>,
    /// Folder of the run [default: that of --resume, else run]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continues the run in this folder
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// No progress bar
    #[arg(short, long)]
    pub quiet: bool,
}

/// Trains, and writes the averaged net to `weights.safetensors` in the run's folder.
///
/// # Errors
/// As [`train`]; settings that cannot be, a device that cannot be opened.
pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let stop = interrupt::listen_for_stop()?;
    let config = TrainConfig::load(&args.config, &args.set)?;
    let (device, (trainee, sizes)) = args.device.open(|device| {
        let device = device.clone().autodiff();
        DinoIrTrainee::new(&config, &device)
            .map_err(|error| dino_ir::Error::InvalidOption(format!("{error:#}")))
    })?;
    if !args.quiet {
        terminal::note(&format!(
            "device: {device}; {} parameters",
            trainee.num_params()
        ));
    }
    let photos = Photos::load(&config)?;
    let out = args.out.clone().or_else(|| args.resume.clone());
    let options = RunOptions {
        out: out.unwrap_or_else(|| "run".into()),
        resume: args.resume.clone(),
        stop,
        quiet: args.quiet,
    };
    let outcome = train(trainee, &photos, &config, &options)?;
    if outcome.stopped {
        terminal::note(&format!(
            "stopped after step {}; continue with --resume {}",
            outcome.step,
            options.out.display()
        ));
        return Ok(ExitCode::from(FAILED));
    }
    let provenance = weights::run_provenance(outcome.step, outcome.seconds, outcome.best_psnr);
    let net = outcome.averaged.net;
    let bytes = dino_ir::weights::to_bytes(&net, &sizes, Dtype::F32, provenance)?;
    let path = options.out.join(WEIGHTS);
    write_atomically(&path, &bytes)?;
    if !args.quiet {
        terminal::note(&format!("weights: {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
