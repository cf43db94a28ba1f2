//! `trainer train`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use dino_ir::weights::Dtype;

use super::{FAILED, parse_with};
use crate::host::atomic::write_atomically;
use crate::host::devices::{self, Devices};
use crate::host::{interrupt, terminal};
use crate::model::baselines;
use crate::train::config::TrainConfig;
use crate::train::export::run_provenance;
use crate::train::trainee::baseline::{BaselineTrainee, baseline_of_run};
use crate::train::trainee::{DinoIrTrainee, Photos};
use crate::train::{Ranks, RunOptions, TimeLimit, Trainee, train};

/// The finished net in a run's folder.
pub(super) const WEIGHTS: &str = "weights.safetensors";

/// Arguments of `train`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer train --config FILE.toml [OPTIONS]",
    after_help = "Ctrl-C ends the run with a checkpoint, if its step ends within 1.5 s; else --resume goes on from the \
        checkpoint before.\n\nExamples:\n  \
        trainer train --config trainer/configs/nano.toml --out runs/nano\n  \
        trainer train --config trainer/configs/nano.toml --set stage.0.steps=100 --set seed=2\n  \
        trainer train --config trainer/configs/nano.toml --resume runs/nano\n  \
        trainer train --config trainer/configs/nano.toml --minutes 10 --out runs/ten-minutes"
)]
pub struct TrainArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// A time that a run can be given.
fn parse_minutes(text: &str) -> Result<f64, String> {
    /// Nineteen years.
    const LONGEST: f64 = 1e7;
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match minutes > 0.0 && minutes <= LONGEST {
        true => Ok(minutes),
        false => Err(format!("must be more than 0 and at most {LONGEST} minutes")),
    }
}

/// Arguments of every run that trains.
#[derive(Args, Debug)]
pub struct RunArgs {
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
    /// Ends the run after this time, with everything written; its steps are as many as that allows
    #[arg(long, value_name = "M", value_parser = parse_minutes)]
    pub minutes: Option<f64>,
    /// When the command began.
    #[arg(skip = Instant::now())]
    pub started: Instant,
    /// Where to compute: auto, cpu, wgpu, cuda, cuda:N, or several: cuda:0,1
    #[arg(long, default_value = "auto", value_parser = parse_with::<Devices>)]
    pub device: Devices,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

impl RunArgs {
    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        let out = self.out.clone().or_else(|| self.resume.clone());
        out.unwrap_or_else(|| "run".into())
    }

    /// A model made on the device asked for, with autodiff, and its sizes.
    ///
    /// # Errors
    /// If the device cannot be opened, or the model not be made.
    pub fn open<M: Module, C>(
        &self,
        config: &TrainConfig,
        make: impl Fn(&Device) -> Result<(M, C)>,
    ) -> Result<(M, C)> {
        let (first, (model, sizes)) = devices::open(self.device.first, |device| {
            make(&config.autodiff(device))
                .map_err(|error| dino_ir::Error::InvalidOption(format!("{error:#}")))
        })?;
        if !self.quiet {
            let others = self.device.others.clone();
            let devices = Devices { first, others };
            terminal::note(&format!(
                "device: {devices}; {} parameters",
                model.num_params()
            ));
        }
        Ok((model, sizes))
    }

    /// For [`train`], in one process.
    ///
    /// # Errors
    /// If one of several devices cannot be opened.
    pub fn options<'a>(&self, stop: &'a AtomicBool) -> Result<RunOptions<'a>> {
        Ok(RunOptions {
            ranks: None,
            out: self.folder(),
            resume: self.resume.clone(),
            stop,
            others: self.device.open_others()?,
            time: self.minutes.map(|minutes| TimeLimit {
                started: self.started,
                length: Duration::from_secs_f64(60.0 * minutes),
            }),
            quiet: self.quiet,
        })
    }

    /// Says how to go on.
    pub fn note_stop(&self, step: u64) {
        terminal::note(&format!(
            "stopped after step {step}; continue with --resume {}",
            self.folder().display()
        ));
    }
}

/// Trains, and writes the averaged net to `weights.safetensors` in the run's folder.
///
/// # Errors
/// As [`train`]; settings that cannot be, a device that cannot be opened.
pub fn run(TrainArgs { run }: &TrainArgs) -> Result<ExitCode> {
    let ranks = Ranks::join()?;
    let ranks = ranks.as_ref();
    let mut config = TrainConfig::load(&run.config, &run.set)?;
    if run.resume.is_some() {
        config = config.resumed();
    }
    if let Some(sizes) = baseline_of_run(&config)? {
        let make = |device: &Device| Ok((BaselineTrainee::new(&sizes, config.seed, device), ()));
        let (trainee, ()) = run.open(&config, make)?;
        return finish(run, ranks, &config, trainee, |trainee, provenance| {
            baselines::to_bytes(&trainee.net, &sizes, provenance)
        });
    }
    let (trainee, sizes) = run.open(&config, |device| DinoIrTrainee::new(&config, device))?;
    finish(run, ranks, &config, trainee, |trainee, provenance| {
        let bytes = dino_ir::weights::to_bytes(&trainee.net, &sizes, Dtype::F32, provenance)?;
        Ok(bytes)
    })
}

/// Trains to the end, and writes what `to_bytes` makes of the averaged net.
fn finish<M: Trainee>(
    run: &RunArgs,
    ranks: Option<&Ranks>,
    config: &TrainConfig,
    trainee: M,
    to_bytes: impl FnOnce(M, serde_json::Value) -> Result<Vec<u8>>,
) -> Result<ExitCode> {
    let stop = interrupt::listen()?;
    let photos = Photos::load(config)?;
    let options = RunOptions {
        ranks,
        ..run.options(stop)?
    };
    if ranks.is_some_and(|ranks| !ranks.rank().is_first()) {
        // What the others would write is the first one's, too.
        let folder = tempfile::tempdir()?;
        let options = RunOptions {
            out: folder.path().to_owned(),
            quiet: true,
            ..options
        };
        let outcome = train(trainee, &photos, config, &options)?;
        return Ok(match outcome.stopped {
            true => ExitCode::from(FAILED),
            false => ExitCode::SUCCESS,
        });
    }
    let outcome = train(trainee, &photos, config, &options)?;
    if outcome.stopped {
        run.note_stop(outcome.step);
        return Ok(ExitCode::from(FAILED));
    }
    let provenance = run_provenance(outcome.step, outcome.seconds, outcome.validation_psnr);
    let path = run.folder().join(WEIGHTS);
    write_atomically(&path, &to_bytes(outcome.averaged, provenance)?)?;
    if !run.quiet {
        terminal::note(&format!("weights: {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_needs_some_time() {
        assert_eq!(parse_minutes("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "nan", "inf", "1e300", "ten"] {
            assert!(parse_minutes(wrong).is_err(), "{wrong}");
        }
    }
}
