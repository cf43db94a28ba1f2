//! The perceptron learns from the observations: by Gaussian likelihood, so that it knows how wrong it is.

use anyhow::{Result, ensure};
use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::model::diagnosis::{DiagnosisConfig, DiagnosisHead};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::Observations;
use crate::host::interrupt;

/// How it learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Hidden values.
    pub hidden: usize,
    /// Times that each patch is seen.
    pub epochs: usize,
    /// Patches of a step.
    pub batch: usize,
    /// Learning rate at its highest, near the beginning; it ends at 0.
    pub lr: f64,
    /// Share of the weights that is taken away in each step, relative to the learning rate.
    pub weight_decay: f32,
    /// Deviation of noise on the inputs, whose own is 1: what it learns must not hang by a hair.
    pub jitter: f64,
}

/// Steps in which the learning rate rises.
const WARMUP: usize = 100;
/// The likelihood is weighted with the variance to this power, or what is hard to tell would hardly be learned (Seitzer
/// et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation", 2022).
const BETA: f64 = 0.5;
/// Inputs that hardly move in training are not blown up.
const LEAST_SPREAD: f32 = 1e-3;

/// Learns from all observations.
///
/// # Errors
/// If there are fewer than a batch, or the user stops it.
pub fn fit(observations: &Observations, config: &FitConfig, seed: u64) -> Result<DiagnosisHead> {
    let count = observations.inputs.len();
    ensure!(
        config.batch > 0 && count >= config.batch,
        "{count} patches are fewer than a batch of {}",
        config.batch
    );
    let cpu = Device::flex();
    cpu.seed(seed);
    let device = cpu.autodiff();
    let mut head = initial(observations, config.hidden, &device);
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(config.weight_decay)
        .init();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..count).collect();
    let steps = config.epochs * (count / config.batch);
    let mut step = 0;
    for _ in 0..config.epochs {
        order.shuffle(&mut rng);
        for chosen in order.chunks_exact(config.batch) {
            ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
            step += 1;
            let (inputs, targets) = batch(observations, chosen, &device);
            let spread = head.spread.val().unsqueeze::<2>();
            let jitter = Tensor::random(
                inputs.dims(),
                burn::tensor::Distribution::Normal(0.0, config.jitter.max(1e-9)),
                &device,
            );
            let loss = likelihood(&head, inputs + jitter * spread, targets);
            let gradients = GradientsParams::from_grads(loss.backward(), &head);
            head = optimizer.step(rate(config.lr, step, steps), head, gradients);
        }
    }
    Ok(head.valid())
}

/// A cosine from the highest rate to 0, after a short rise.
pub(crate) fn rate(highest: f64, step: usize, steps: usize) -> f64 {
    let rise = (step as f64 / WARMUP as f64).min(1.0);
    let along = std::f64::consts::PI * step as f64 / steps as f64;
    highest * rise * 0.5 * (1.0 + along.cos())
}

/// A head that knows how the inputs are distributed, and nothing else.
fn initial(observations: &Observations, hidden: usize, device: &Device) -> DiagnosisHead {
    let rows = &observations.inputs;
    let inputs = rows[0].len();
    let count = rows.len() as f64;
    let mean = |at: usize| rows.iter().map(|row| f64::from(row[at])).sum::<f64>() / count;
    let means: Vec<f64> = (0..inputs).map(mean).collect();
    let spread = |at: usize| {
        let squares = rows
            .iter()
            .map(|row| (f64::from(row[at]) - means[at]).powi(2));
        (squares.sum::<f64>() / count).sqrt() as f32 + LEAST_SPREAD
    };
    let spreads: Vec<f32> = (0..inputs).map(spread).collect();
    let means: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
    let fixed = |values: &[f32]| {
        Param::from_tensor(Tensor::from_floats(values, device)).set_require_grad(false)
    };
    let sizes = DiagnosisConfig { inputs, hidden };
    DiagnosisHead {
        centre: fixed(&means),
        spread: fixed(&spreads),
        ..sizes.init(device)
    }
}

fn batch(observations: &Observations, chosen: &[usize], device: &Device) -> (Tensor<2>, Tensor<2>) {
    let tensor = |values: Vec<f32>| {
        let shape = [chosen.len(), values.len() / chosen.len()];
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    let inputs = chosen
        .iter()
        .flat_map(|&at| observations.inputs[at].clone());
    let targets = chosen
        .iter()
        .flat_map(|&at| observations.faults[at].targets());
    (tensor(inputs.collect()), tensor(targets.collect()))
}

/// What is to be small: the negative logarithm of the targets' likelihood.
fn likelihood(head: &DiagnosisHead, inputs: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [means, logs] = head.forward(inputs);
    let weights = (logs.clone().detach() * BETA).exp();
    let errors = (means - targets).square();
    (weights * (logs.clone() + errors * (-logs).exp())).mean()
}

#[cfg(test)]
mod tests {
    use dino_ir::model::diagnosis::{Fault, Faults, statistics};
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// The first input shows noise exactly, the second shows about half of the blur.
    #[test]
    fn it_learns_the_faults_and_how_sure_it_can_be() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut observations = Observations::default();
        for _ in 0..1500 {
            let (noise, blur) = (rng.random_range(0.0..75.0), rng.random_range(0.0..4.0));
            let mut inputs = vec![0.0; statistics::COUNT];
            inputs[0] = noise / 20.0;
            inputs[1] = blur + rng.sample::<f32, _>(StandardNormal);
            observations.inputs.push(inputs);
            observations.faults.push(Faults {
                noise,
                blur,
                ..Faults::NONE
            });
        }
        let config = FitConfig {
            hidden: 16,
            epochs: 60,
            batch: 100,
            lr: 1e-2,
            weight_decay: 1e-4,
            jitter: 0.0,
        };
        let head = fit(&observations, &config, 1).expect("learns");
        let mut errors = [0.0; 2];
        let mut sure = [0.0; 2];
        for (inputs, truth) in observations
            .inputs
            .iter()
            .zip(&observations.faults)
            .take(200)
        {
            let found = head.judge(std::slice::from_ref(inputs)).expect("judges");
            errors[0] += (found.faults.noise - truth.noise).abs() / 200.0;
            errors[1] += (found.faults.blur - truth.blur).abs() / 200.0;
            sure[0] += found.confidence(Fault::Noise) / 200.0;
            sure[1] += found.confidence(Fault::Blur) / 200.0;
        }
        assert!(errors[0] < 2.0, "{errors:?}");
        assert!((0.3..0.9).contains(&errors[1]), "{errors:?}");
        assert!(sure[0] > 0.9 && (0.3..0.75).contains(&sure[1]), "{sure:?}");
    }

    #[test]
    fn the_rate_rises_and_falls_to_nothing() {
        assert!(rate(1.0, 1, 1000) < 0.02);
        assert!(rate(1.0, 120, 1000) > 0.9);
        assert!(rate(1.0, 1000, 1000) < 1e-9);
    }
}
