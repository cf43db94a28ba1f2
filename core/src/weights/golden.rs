//! Golden values: a small synthetic image, and the model's output for it. A device that computes other values (as WebGPU of
//! some browsers does, without an error) must not restore photos.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::model::dinov2::{Dinov2, fit, normalize};
use crate::{Error, Result};

const HEIGHT: usize = 32;
const WIDTH: usize = 48;
/// Every so many values of the output are kept; coprime to the width, so that all columns occur.
const STRIDE: usize = 61;

/// Seed of the input, digest of the output, and how far a device may be off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Seed of the made image.
    pub seed: u64,
    /// Every 61st value of the output: planar RGB, or features.
    pub values: Vec<f32>,
    /// Largest absolute difference allowed.
    pub tolerance: f32,
}

impl Golden {
    /// Computes the values on `device`.
    pub(super) fn record(
        forward: impl Fn(Tensor<4>) -> Tensor<4>,
        device: &Device,
    ) -> Result<Self> {
        let seed = 2024;
        let values = digest(forward, seed, device)?;
        // Pixels are about 1, features several.
        let largest = values.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        Ok(Self {
            seed,
            values,
            // f32 sums in another order differ by 1e-5; a wrong kernel differs by far more.
            // 16-bit files are computed in f32 too, so the format does not matter today.
            tolerance: 1e-3 * largest,
        })
    }

    /// Compares what `forward`, the network as it is going to be run, gives on `device`.
    ///
    /// # Errors
    /// [`Error::Golden`] if the device's output is not the recorded one, [`Error::Device`] if it cannot be had.
    pub fn check(&self, forward: impl Fn(Tensor<4>) -> Tensor<4>, device: &Device) -> Result<()> {
        self.compare(&digest(forward, self.seed, device)?)
    }

    /// As [`check`](Self::check), where waiting for a device is not allowed, as in a browser.
    ///
    /// # Errors
    /// As `check`.
    pub async fn check_async(
        &self,
        forward: impl Fn(Tensor<4>) -> Tensor<4>,
        device: &Device,
    ) -> Result<()> {
        self.compare(&self.compute_async(forward, device).await?)
    }

    /// What `forward` gives on `device`, to stand where [`values`](Self::values) do.
    ///
    /// # Errors
    /// [`Error::Device`] if the result cannot be had.
    pub async fn compute_async(
        &self,
        forward: impl Fn(Tensor<4>) -> Tensor<4>,
        device: &Device,
    ) -> Result<Vec<f32>> {
        let output = forward(input(self.seed, device)).into_data_async().await;
        sample(output.map_err(unreadable)?)
    }

    fn compare(&self, found: &[f32]) -> Result<()> {
        if found.len() != self.values.len() {
            return Err(Error::Golden(format!(
                "{} values recorded, {} computed: the weights file is damaged",
                self.values.len(),
                found.len()
            )));
        }
        let off = found
            .iter()
            .zip(&self.values)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        // A NaN would pass a comparison with `>`.
        if found.iter().all(|value| value.is_finite()) && off <= self.tolerance {
            Ok(())
        } else {
            Err(Error::Golden(format!(
                "the device's output is off by {off} (allowed: {}); use another device",
                self.tolerance
            )))
        }
    }
}

/// What a backbone makes of the image, `[1, 1, tokens, width]`: tokens after the last block and the norm.
pub(super) fn features(backbone: &Dinov2, image: Tensor<4>) -> Tensor<4> {
    let mut tokens = backbone.tokens(normalize(fit(image)), &[backbone.blocks.len()]);
    let last = tokens
        .pop()
        .unwrap_or_else(|| unreachable!("one block was asked for"));
    backbone.norm.forward(last).unsqueeze()
}

fn digest(
    forward: impl Fn(Tensor<4>) -> Tensor<4>,
    seed: u64,
    device: &Device,
) -> Result<Vec<f32>> {
    let output = forward(input(seed, device)).try_into_data_as::<f32>();
    sample(output.map_err(unreadable)?)
}

fn unreadable(error: impl std::fmt::Debug) -> Error {
    Error::Device(format!("the result cannot be read: {error:?}"))
}

fn input(seed: u64, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(image(seed), [1, 3, HEIGHT, WIDTH]), device)
}

fn sample(output: TensorData) -> Result<Vec<f32>> {
    let values: Vec<f32> = output.convert::<f32>().try_into_vec().map_err(unreadable)?;
    Ok(values.into_iter().step_by(STRIDE).collect())
}

/// Gradients with noise: smooth and rough parts both reach the digest.
fn image(seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..3 * HEIGHT * WIDTH)
        .map(|i| {
            let (channel, y, x) = (i / (HEIGHT * WIDTH), i / WIDTH % HEIGHT, i % WIDTH);
            let ramp = match channel {
                0 => x as f32 / WIDTH as f32,
                1 => y as f32 / HEIGHT as f32,
                _ => (x + y) as f32 / (WIDTH + HEIGHT) as f32,
            };
            0.8 * ramp + 0.2 * uniform(&mut state)
        })
        .collect()
}

/// SplitMix64, so that the image is the same on every platform for ever.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}
