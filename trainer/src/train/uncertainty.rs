//! Training what tells how far off a restored pixel may be: a head on the network's last features. The network stays as it
//! is; only the head learns.

pub mod reliability;

use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::model::uncertainty::{BESIDES, KNOTS, UncertaintyConfig, UncertaintyHead, seen};
use dino_ir::weights::{Heads, Loaded};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::reliability::Reliability;
use super::diagnosis::fit::rate;
use super::head;
use crate::data::dataset::DataConfig;
use crate::data::sample::{Sample, Sampler};
use crate::host::interrupt;

/// How an uncertainty head is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Patches that are made and restored, once.
    pub samples: usize,
    /// Side of a patch in pixels, a multiple of what the network takes.
    pub patch: usize,
    /// Windows of each patch that the head learns from.
    pub windows: usize,
    /// Side of a window.
    pub window: usize,
    /// Patches of photos held out of training by whose middle it is calibrated; 0: it is not.
    pub calibration: usize,
    /// Hidden channels of the head.
    pub hidden: usize,
    /// How often the head sees all windows.
    pub epochs: usize,
    /// Windows of a step.
    pub batch: usize,
    /// Learning rate at its highest, near the beginning; it ends at 0.
    pub lr: f64,
    /// Where the photos are.
    pub data: DataConfig,
}

impl TrainingConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// Names the file and the key at fault.
    pub fn load(path: &Path) -> Result<Self> {
        let config: Self = head::read_settings(path)?;
        ensure!(
            config.epochs > 0
                && config.batch > 0
                && config.samples * config.windows >= config.batch
                && config.hidden > 0,
            "{}: epochs, batch and hidden must be at least 1, and samples times windows at least batch",
            path.display()
        );
        ensure!(
            (3..=config.patch).contains(&config.window),
            "{}: window must be from 3 to patch",
            path.display()
        );
        Ok(config)
    }
}

/// A weights file with a trained head, and what it was found to say of photos that were held out.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The file.
    pub bytes: Vec<u8>,
    /// Before it was calibrated; empty without calibration.
    pub reliability: Reliability,
}

/// Trains the uncertainty head of the network in a weights file, and returns that file with it, in its number format.
/// `watch` is called after each patch that is restored.
///
/// # Errors
/// Weights without a network, photos that cannot be used, or the user stops it.
pub fn train(bytes: &[u8], config: &TrainingConfig, watch: &(dyn Fn() + Sync)) -> Result<Trained> {
    let net = head::network(bytes, config.patch)?;
    let sampler = head::sampler(&config.data, config.seed)?;
    let windows = Windows::make(&net, &sampler, config, watch)?;
    let head = fit(&windows, config)?;
    let samples = sampler.validation(config.calibration, config.patch)?;
    let (head, reliability) = calibrated(&net, head, &samples, config.patch, watch)?;
    let heads = Heads {
        uncertainty: Some(&head),
        ..Heads::of(&net)
    };
    let trained = json!({"patches": config.samples, "seed": config.seed});
    Ok(Trained {
        bytes: head::with_heads(bytes, &net, heads, "uncertainty", trained)?,
        reliability,
    })
}

/// What a network makes of samples.
struct Seen {
    /// `[batch, what the head sees, patch, patch]`.
    seen: Tensor<4>,
    /// What is really off, mean over the colours, `[batch, 1, patch, patch]`.
    errors: Tensor<4>,
}

impl Seen {
    fn of(net: &Loaded, samples: &[Sample], patch: usize) -> Self {
        let stacked = |of: fn(&Sample) -> &Vec<f32>| -> Tensor<4> {
            let planes: Vec<f32> = samples.iter().flat_map(of).copied().collect();
            let data = TensorData::new(planes, [samples.len(), 3, patch, patch]);
            Tensor::from_data(data, &Device::flex())
        };
        let (image, clean) = (stacked(|s| &s.degraded), stacked(|s| &s.clean));
        let [restored, features] = net.forward_with_features(image.clone(), None);
        // A photo is clipped when it is stored.
        let errors = (restored.clone().clamp(0.0, 1.0) - clean).abs();
        Self {
            seen: seen(features, image, restored),
            errors: errors.mean_dim(1),
        }
    }
}

/// The values of a square of these planes, one plane after the other.
fn square(x: &Tensor<4>, [top, left]: [usize; 2], side: usize) -> Vec<f32> {
    let rows = x.clone().narrow(2, top, side);
    rows.narrow(3, left, side).into_data().iter().collect()
}

/// Windows of patches, as an uncertainty head sees them.
struct Windows {
    /// Side of a window.
    window: usize,
    /// `[what the head sees, window, window]` each.
    seen: Vec<Vec<f32>>,
    /// `[window - 2, window - 2]` each: at the border the head would miss neighbours that are there in photos.
    errors: Vec<Vec<f32>>,
}

impl Windows {
    fn make(
        net: &Loaded,
        sampler: &Sampler,
        config: &TrainingConfig,
        watch: &(dyn Fn() + Sync),
    ) -> Result<Self> {
        let TrainingConfig {
            patch,
            window,
            windows,
            ..
        } = *config;
        let mut random = StdRng::seed_from_u64(config.seed);
        let mut made = Self {
            window,
            seen: Vec::with_capacity(config.samples * windows),
            errors: Vec::with_capacity(config.samples * windows),
        };
        for index in 0..config.samples {
            ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
            let sample = sampler.sample(index as u64, patch)?;
            let Seen { seen, errors } = Seen::of(net, &[sample], patch);
            for _ in 0..windows {
                let [top, left] = [0, 1].map(|_| random.random_range(0..=patch - window));
                made.seen.push(square(&seen, [top, left], window));
                let inside = [top + 1, left + 1];
                made.errors.push(square(&errors, inside, window - 2));
            }
            watch();
        }
        Ok(made)
    }

    /// Means and deviations of what is seen, of one channel after the other.
    fn spread(&self) -> [Vec<f32>; 2] {
        let channels = self.seen[0].len() / self.window.pow(2);
        let mut found = [Vec::new(), Vec::new()];
        for channel in 0..channels {
            let plane = self.window.pow(2);
            let planes = || {
                self.seen
                    .iter()
                    .map(|seen| &seen[channel * plane..][..plane])
            };
            let values = || planes().flatten().map(|&value| f64::from(value));
            let count = (self.seen.len() * plane) as f64;
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            found[0].push(mean as f32);
            found[1].push(variance.sqrt() as f32 + LEAST_SPREAD);
        }
        found
    }

    /// Windows of these numbers on a device.
    fn batch(&self, numbers: &[usize], device: &Device) -> [Tensor<4>; 2] {
        let stacked = |of: &[Vec<f32>], side: usize| -> Tensor<4> {
            let values: Vec<f32> = numbers.iter().flat_map(|&at| &of[at]).copied().collect();
            let channels = of[0].len() / (side * side);
            let shape = [numbers.len(), channels, side, side];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        [
            stacked(&self.seen, self.window),
            stacked(&self.errors, self.window - 2),
        ]
    }
}

/// Share of the weights that is taken away in each step, relative to the learning rate.
const WEIGHT_DECAY: f32 = 1e-3;
/// A channel that is nearly the same everywhere is not blown up.
const LEAST_SPREAD: f32 = 1e-3;

fn fit(windows: &Windows, config: &TrainingConfig) -> Result<UncertaintyHead> {
    let window = config.window;
    let cpu = Device::flex();
    cpu.seed(config.seed);
    let device = cpu.autodiff();
    let seen = windows.seen[0].len() / (window * window);
    let sizes = UncertaintyConfig {
        features: seen - BESIDES,
        hidden: config.hidden,
    };
    let mut head = sizes.init(&device);
    [head.centre, head.spread] = windows.spread().map(|values| {
        Param::from_tensor(Tensor::from_floats(&values[..], &device)).set_require_grad(false)
    });
    head.curve = head.curve.set_require_grad(false);
    let mut optimizer = AdamWConfig::new().with_weight_decay(WEIGHT_DECAY).init();
    let mut random = StdRng::seed_from_u64(config.seed);
    let mut order: Vec<usize> = (0..windows.seen.len()).collect();
    let steps = config.epochs * (order.len() / config.batch);
    let mut step = 0;
    for _ in 0..config.epochs {
        order.shuffle(&mut random);
        for numbers in order.chunks_exact(config.batch) {
            ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
            let [seen, errors] = windows.batch(numbers, &device);
            let logs = head.logs(seen);
            let logs = logs.narrow(2, 1, window - 2).narrow(3, 1, window - 2);
            let loss = unlikelihood(logs, errors);
            let gradients = GradientsParams::from_grads(loss.backward(), &head);
            step += 1;
            head = optimizer.step(rate(config.lr, step, steps), head, gradients);
        }
    }
    Ok(head.valid())
}

/// The negative logarithm of the likelihood of errors where their absolute values have a Laplace distribution, less a
/// constant, on average: `log b + |e| / b`. It is least where the scales `b` are the means of the errors.
///
/// # Shapes
/// - `logs`: logarithms of the scales, as the errors
fn unlikelihood(logs: Tensor<4>, errors: Tensor<4>) -> Tensor<1> {
    (logs.clone() + errors * logs.neg().exp()).mean()
}

/// The head with the curve that makes of what it says of held-out photos what came.
fn calibrated(
    net: &Loaded,
    mut head: UncertaintyHead,
    samples: &[Sample],
    patch: usize,
    watch: &(dyn Fn() + Sync),
) -> Result<(UncertaintyHead, Reliability)> {
    let mut reliability = Reliability::default();
    // At the border of a patch network and head see less than in a photo.
    let border = patch / 4;
    let middle = |x: &Tensor<4>| square(x, [border, border], patch - 2 * border);
    for sample in samples.chunks(1) {
        ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
        let Seen { seen, errors } = Seen::of(net, sample, patch);
        let expected = head.logs(seen).exp();
        reliability.add(&middle(&expected), &middle(&errors));
        watch();
    }
    if let Some(curve) = reliability.curve::<KNOTS>() {
        head.curve = Param::from_tensor(Tensor::from_floats(curve, &Device::flex()));
    }
    Ok((head, reliability))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Below the mean of the errors the scale is too small, above it is too large, and at it the gradient is zero.
    #[test]
    fn it_is_likeliest_at_the_mean_of_the_errors() {
        let device = Device::flex().autodiff();
        let errors = [0.01f32, 0.02, 0.03, 0.1];
        let mean = errors.iter().sum::<f32>() / 4.0;
        let slope = |scale: f32| {
            let logs = Tensor::<1>::from_floats([scale.ln()], &device).require_grad();
            let of_all = logs.clone().reshape([1, 1, 1, 1]).expand([1, 1, 2, 2]);
            let errors = Tensor::<1>::from_floats(errors, &device).reshape([1, 1, 2, 2]);
            let gradients = unlikelihood(of_all, errors).backward();
            let gradient = logs.grad(&gradients).expect("a gradient");
            gradient.into_scalar::<f32>()
        };
        assert!(slope(mean).abs() < 1e-5, "{}", slope(mean));
        // 1 - mean / scale.
        assert!((slope(mean / 2.0) + 1.0).abs() < 1e-4);
        assert!((slope(mean * 2.0) - 0.5).abs() < 1e-4);
    }
}
