//! A baseline as the training loop sees it.

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::loss::l1;

use crate::model::baselines::{Baseline, BaselineConfig};
use crate::train::checkpoint::Checkpoint;
use crate::train::config::{TrainConfig, read_section};
use crate::train::parameters::load_tensors;
use crate::train::{StepOutput, Trainee, squared_errors};

/// The baseline that a run's `[model]` table names; `None` for ours.
///
/// # Errors
/// If the table is wrong.
pub fn baseline_of_run(config: &TrainConfig) -> Result<Option<BaselineConfig>> {
    if !config.model.contains_key("baseline") {
        return Ok(None);
    }
    let sizes: BaselineConfig = read_section("model", &config.model)?;
    sizes.validate()?;
    ensure!(
        config.init.is_random(),
        "{} starts from random weights; remove [init]",
        sizes.name()
    );
    let patches = config.stages.iter().map(|stage| stage.patch);
    for patch in patches.chain([config.validation.patch]) {
        ensure!(
            patch % sizes.multiple() == 0,
            "patches of {patch} pixels: this model needs multiples of {}",
            sizes.multiple()
        );
    }
    Ok(Some(sizes))
}

/// A baseline with its L1 loss.
#[derive(Module, Debug)]
pub struct BaselineTrainee {
    /// The net.
    pub net: Baseline,
}

impl BaselineTrainee {
    /// A randomly initialised net on `device`.
    pub fn new(sizes: &BaselineConfig, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        Self {
            net: sizes.init(device),
        }
    }

    /// The averaged net of a checkpoint on the CPU.
    ///
    /// # Errors
    /// If the checkpoint is of another model.
    pub fn from_checkpoint(checkpoint: &Checkpoint, sizes: &BaselineConfig) -> Result<Baseline> {
        let trainee = Self::new(sizes, 0, &Device::flex());
        Ok(load_tensors(trainee, &checkpoint.averaged_weights())?.net)
    }
}

impl Trainee for BaselineTrainee {
    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput {
        let restored = self.net.forward(degraded);
        StepOutput {
            loss: l1(restored.clone(), clean.clone()),
            errors: squared_errors(restored, clean),
            statistics: None,
        }
    }

    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
        squared_errors(self.net.forward(degraded), clean)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use burn::tensor::TensorData;
    use dino_ir::weights::named;

    use super::*;
    use crate::data::rgb::Rgb;
    use crate::train::trainee::Photos;
    use crate::train::{BatchRequest, BatchSource, RunOptions, train};

    #[test]
    fn baselines_are_trained_by_the_same_loop() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let photo = Rgb::from_fn(64, 48, |x, y| {
            [
                x as f32 / 64.0,
                y as f32 / 48.0,
                ((x + y) % 16) as f32 / 16.0,
            ]
        });
        for name in ["a.png", "b.png", "c.png"] {
            photo.save_png(&folder.path().join(name)).expect("written");
        }
        let text = format!(
            "[model]\nbaseline = \"nafnet\"\nwidth = 8\nencoder = [1]\nmiddle = 1\ndecoder = [1]\n\
             [data]\nclean = [{:?}]\nvalidation = 0\ntasks = {{ noise = 1.0, blur = 0.0, rain = 0.0, haze = 0.0, clean = 0.0 }}\n\
             [[stage]]\nsteps = 30\nbatch = 2\npatch = 32\nlr = 3e-3\n[validation]\nsamples = 0\n",
            folder.path().display().to_string()
        );
        let config = TrainConfig::parse(&text, &[]).expect("valid");
        let sizes = baseline_of_run(&config)
            .expect("valid")
            .expect("a baseline");
        let trainee = BaselineTrainee::new(&sizes, 1, &Device::flex().autodiff());
        let photos = Photos::load(&config).expect("photos");
        let stop = AtomicBool::new(false);
        let options = RunOptions {
            out: folder.path().join("run"),
            resume: None,
            stop: &stop,
            others: Vec::new(),
            time: None,
            ranks: None,
            quiet: true,
        };
        let request = BatchRequest {
            step: 99,
            count: 4,
            patch: 32,
        };
        let batch = photos.batch(request).expect("made");
        let loss = |net: &Baseline| {
            let device = Device::flex();
            let tensor = |values: &[f32]| {
                Tensor::<4>::from_data(TensorData::new(values.to_vec(), [4, 3, 32, 32]), &device)
            };
            let loss = l1(net.forward(tensor(&batch.degraded)), tensor(&batch.clean));
            loss.into_scalar::<f32>()
        };
        // Its residual blocks begin as nothing: before training it is nearly the input.
        let before = loss(&sizes.init(&Device::flex()));
        let outcome = train(trainee, &photos, &config, &options).expect("trained");
        let after = loss(&outcome.averaged.net);
        assert!(after < 0.9 * before, "{after} after, {before} before");

        let checkpoint = Checkpoint::load(&options.out).expect("a checkpoint");
        let again = BaselineTrainee::from_checkpoint(&checkpoint, &sizes).expect("the same net");
        assert_eq!(
            named::collect(&again),
            named::collect(&outcome.averaged.net)
        );

        let wrong = text
            .replace("patch = 32", "patch = 8")
            .replace("encoder = [1]", "encoder = [1, 1]");
        let config = TrainConfig::parse(&wrong, &[]).expect("valid");
        assert!(baseline_of_run(&config).is_err(), "levels differ");
    }
}
