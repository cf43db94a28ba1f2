//! Which part of a restoration belongs to which fault, so that users can remove one fault and keep another.
//!
//! The network removes all faults; its correction is restored minus image. The correction has two parts. A gain and an offset
//! that change slowly from place to place fit the restored image to the input, as a guided filter does: the fitted one is the
//! restored one seen through the haze. Restored minus fitted is tone; fitted minus image is detail. A small head, trained on the frozen network,
//! tells from the network's last features the share of each fault in both parts. To keep a fault, its share is added back.
//! So the network itself does not change, nothing is computed if all faults are removed, and the sums over pixels
//! ([`crate::model::global_statistics`]) do not depend on the steering.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::layers::Conv;
use super::resize::{Axis, resize};
use super::restormer::gdfn::Gdfn;
use super::restormer::layer_norm::{ChannelLayerNorm, NormKind};
use super::restormer::resample::{pixel_shuffle, pixel_unshuffle};
use crate::model::diagnosis::Fault;
use crate::{Error, Result};

/// Faults that there are parts for.
const FAULTS: usize = Fault::ALL.len();
/// Pixels along each side that the head takes together: it works at half the resolution, where it is cheap and sees far.
const FACTOR: usize = 2;
/// Channels that the features are brought down to before that.
const SQUEEZED: usize = 8;
/// Besides them it sees image, tone and detail, in three colours.
const SEEN: usize = 3 * 3;
/// What it says of each pixel: for each fault its weight in the tone, in the detail, and an exchange in each colour.
const OUTPUTS: usize = FAULTS * (1 + 1 + 3);
/// Pixels over which gain and offset change.
const SLOW: usize = 8;
/// The least variance of the restored image that a gain is told from, 0..=1 squared.
const LEAST_VARIANCE: f64 = 1e-3;
/// Width of the feed-forward networks, in multiples of the head's channels.
const EXPANSION: f64 = 2.0;

/// The sizes of a [`SteeringHead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteeringConfig {
    /// Channels of the network's last features.
    pub features: usize,
    /// Channels of the head.
    pub width: usize,
    /// Its feed-forward networks.
    pub layers: usize,
}

impl SteeringConfig {
    /// # Errors
    /// [`Error::Weights`] if no such head can exist for a network with so many last features, or one so large cannot be
    /// meant.
    pub fn validate(&self, features: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights(format!("steering config: {what}")));
        if self.features != features {
            return wrong(format!(
                "{} features where the network has {features}",
                self.features
            ));
        }
        if !(1..=1024).contains(&self.width) || self.layers > 64 {
            return wrong(format!(
                "{} channels and {} layers cannot be",
                self.width, self.layers
            ));
        }
        Ok(())
    }

    /// A head that gives the tone to haze and the detail to all others alike, until it is trained.
    pub fn init(&self, device: &Device) -> SteeringHead {
        let square = FACTOR * FACTOR;
        let layer = |_| FeedForward::new(self.width, device);
        let mut output = Conv::pointwise(self.width, square * OUTPUTS, true, device);
        let shape = output.weight.dims();
        output.weight = Param::from_tensor(Tensor::zeros(shape, device));
        output.bias = Some(Param::from_tensor(first_bias(device)));
        SteeringHead {
            squeeze: Conv::pointwise(self.features, SQUEEZED, true, device),
            embed: Conv::pointwise(square * (SQUEEZED + SEEN), self.width, true, device),
            layers: (0..self.layers).map(layer).collect(),
            output,
        }
    }
}

/// What the last layer has to say without its input: `OUTPUTS` of four pixels each.
fn first_bias(device: &Device) -> Tensor<1> {
    const CERTAIN: f32 = 4.0;
    let output = |at: usize| match at {
        at if at == Fault::Haze as usize => CERTAIN,
        at if at == FAULTS + Fault::Haze as usize => -CERTAIN,
        _ => 0.0,
    };
    let biases = (0..OUTPUTS).flat_map(|at| [output(at); FACTOR * FACTOR]);
    Tensor::from_floats(&biases.collect::<Vec<f32>>()[..], device)
}

/// Splits a correction into parts.
#[derive(Module, Debug)]
pub struct SteeringHead {
    /// 1x1, `features -> 8`.
    pub squeeze: Conv,
    /// 1x1 on squares of four pixels: the squeezed features, the image, tone and detail.
    pub embed: Conv,
    /// Feed-forward networks.
    pub layers: Vec<FeedForward>,
    /// 1x1, to what a pixel has for each fault: its weight in the tone and in the detail, and what it exchanges in each
    /// colour.
    pub output: Conv,
}

/// A feed-forward network with the norm before it, added to its input.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Before the network.
    pub norm: ChannelLayerNorm,
    /// It looks one pixel around.
    pub ffn: Gdfn,
}

impl FeedForward {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            norm: ChannelLayerNorm::new(width, NormKind::WithBias, device),
            ffn: Gdfn::new(width, EXPANSION, device),
        }
    }
}

impl SteeringHead {
    /// Its sizes.
    pub fn config(&self) -> SteeringConfig {
        let [_, features, ..] = self.squeeze.weight.dims();
        let [width, ..] = self.embed.weight.dims();
        SteeringConfig {
            features,
            width,
            layers: self.layers.len(),
        }
    }

    /// Floats for each pixel that it takes at its peak: the features, also as the network left them, and what a layer reads
    /// and writes.
    pub(crate) fn floats(&self) -> usize {
        let SteeringConfig {
            features, width, ..
        } = self.config();
        let layer = (2.0 + 4.0 * EXPANSION) as usize * width / (FACTOR * FACTOR);
        let seen = SQUEEZED + SEEN;
        2 * features + SEEN + (2 * seen + layer).max(2 * OUTPUTS)
    }

    /// The image with the correction, less what is kept of each fault.
    ///
    /// # Shapes
    /// - `features`: `[batch, features, height, width]`, the network's last ones; height and width multiples of 8
    /// - `image`, `restored`, output: `[batch, 3, height, width]`
    pub fn steer(
        &self,
        features: Tensor<4>,
        image: Tensor<4>,
        restored: Tensor<4>,
        kept: [f32; FAULTS],
    ) -> Tensor<4> {
        let parts = self.forward(features, image, restored.clone());
        let kept = Tensor::<1>::from_floats(kept, &restored.device()).unsqueeze();
        restored - parts.kept(kept)
    }

    /// The parts of a correction.
    ///
    /// # Shapes
    /// - `features`: `[batch, features, height, width]`, the network's last ones; height and width multiples of 8
    /// - `image`, `restored`: `[batch, 3, height, width]`
    pub fn forward(&self, features: Tensor<4>, image: Tensor<4>, restored: Tensor<4>) -> Parts {
        let fitted = fitted(image.clone(), restored.clone());
        let tone = restored - fitted.clone();
        let detail = fitted - image.clone();
        let squeezed = self.squeeze.forward(features);
        let seen = Tensor::cat(vec![squeezed, image, tone.clone(), detail.clone()], 1);
        let x = self.embed.forward(pixel_unshuffle(seen, FACTOR));
        let add = |x, layer: &FeedForward| layer.ffn.add(x, &layer.norm);
        let x = self.layers.iter().fold(x, add);
        let found = pixel_shuffle(self.output.forward(x), FACTOR);
        let shares = |first| softmax(found.clone().narrow(1, first, FAULTS), 1);
        Parts {
            tone,
            detail,
            of_tone: shares(0),
            of_detail: shares(FAULTS),
            exchanged: found.narrow(1, 2 * FAULTS, 3 * FAULTS),
        }
    }
}

/// The restored image with a gain and an offset for each colour, which change slowly from place to place, so that it is as
/// near to the image as it gets: He et al., "Guided Image Filtering", 2010, and "Fast Guided Filter", 2015.
fn fitted(image: Tensor<4>, restored: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = image.dims();
    let (rows, columns) = (height / SLOW, width / SLOW);
    let mean = |x: Tensor<4>| {
        let shrunk = [(height, rows), (width, columns)];
        let [down, across] = shrunk.map(|(from, to)| Axis::bilinear_antialias(from, to));
        resize(x, down, across)
    };
    let spread = |x: Tensor<4>| {
        let grown = [(rows, height), (columns, width)];
        let [down, across] = grown.map(|(from, to)| Axis::bilinear(from, to));
        resize(x, down, across)
    };
    let (of_image, of_restored) = (mean(image.clone()), mean(restored.clone()));
    let common = mean(image * restored.clone()) - of_image.clone() * of_restored.clone();
    let own = mean(restored.clone().square()) - of_restored.clone().square();
    let gain = common / (own.clamp_min(0.0) + LEAST_VARIANCE);
    let offset = of_image - gain.clone() * of_restored;
    restored * spread(gain) + spread(offset)
}

/// The parts of a correction: each fault has a share of the tone and of the detail, and what the faults exchange among
/// each other. They sum to the correction.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `[batch, 3, height, width]`; with the detail the correction.
    tone: Tensor<4>,
    /// `[batch, 3, height, width]`
    detail: Tensor<4>,
    /// `[batch, 5, height, width]`, sum to one.
    of_tone: Tensor<4>,
    /// `[batch, 5, height, width]`, sum to one.
    of_detail: Tensor<4>,
    /// `[batch, 5 x 3, height, width]`, colours of each fault together; their mean over the faults does not count.
    exchanged: Tensor<4>,
}

impl Parts {
    /// What is kept of them, for each image how much of each fault.
    ///
    /// # Shapes
    /// - `kept`: `[batch or 1, 5]`, 0..=1, in the order of [`Fault::ALL`]
    /// - output: `[batch, 3, height, width]`
    pub fn kept(&self, kept: Tensor<2>) -> Tensor<4> {
        let [batch, _, height, width] = self.tone.dims();
        let [rows, _] = kept.dims();
        let weight = |weights: Tensor<2>| weights.reshape([rows, FAULTS, 1, 1]);
        let share = |of: &Tensor<4>| (weight(kept.clone()) * of.clone()).sum_dim(1);
        let exchanged = self
            .exchanged
            .clone()
            .reshape([batch, FAULTS, 3 * height, width]);
        let balance = weight(kept.clone() - kept.clone().mean_dim(1));
        let exchanged = (balance * exchanged).sum_dim(1);
        share(&self.of_tone) * self.tone.clone()
            + share(&self.of_detail) * self.detail.clone()
            + exchanged.reshape([batch, 3, height, width])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn largest(x: Tensor<4>) -> f32 {
        x.abs().max().into_scalar::<f32>()
    }

    /// A head whose parts are not trivial.
    fn head() -> SteeringHead {
        let config = SteeringConfig {
            features: 12,
            width: 8,
            layers: 2,
        };
        let head = config.init(&Device::flex());
        assert_eq!(head.config(), config);
        let output = Conv::pointwise(8, 4 * OUTPUTS, true, &Device::flex());
        SteeringHead { output, ..head }
    }

    #[test]
    fn parts_sum_to_the_correction() {
        let (features, image, restored) = (
            random([2, 12, 16, 8]),
            random([2, 3, 16, 8]),
            random([2, 3, 16, 8]),
        );
        let head = head();
        let steer = |kept| head.steer(features.clone(), image.clone(), restored.clone(), kept);
        assert!(largest(steer([0.0; 5]) - restored.clone()) == 0.0);
        assert!(largest(steer([1.0; 5]) - image.clone()) < 1e-5);
        let alone = |at: usize| {
            let mut kept = [0.0; 5];
            kept[at] = 1.0;
            restored.clone() - steer(kept)
        };
        assert!(largest(alone(0) - alone(3)) > 1e-2, "parts differ");
        // Half of a part is half of it.
        let half = restored.clone() - steer([0.0, 0.5, 0.0, 0.0, 0.0]);
        assert!(largest(half * 2.0 - alone(1)) < 1e-5);
        let sum = (1..5).fold(alone(0), |sum, at| sum + alone(at));
        assert!(largest(sum - (restored.clone() - image.clone())) < 1e-5);
    }

    /// Haze over a photo is tone, noise on top of that is detail, before anything is learned.
    #[test]
    fn tone_and_detail_are_told_apart() {
        let (height, width) = (64, 64);
        let wave = |at: usize| 0.5 + 0.3 * ((at % width) as f32 / 5.0).sin();
        let waves: Vec<f32> = (0..3 * height * width).map(wave).collect();
        let device = Device::flex();
        let clean = Tensor::<1>::from_floats(&waves[..], &device).reshape([1, 3, height, width]);
        let noise = random([1, 3, height, width]) * 0.05;
        let hazy = clean.clone() * 0.4 + 0.5;
        let image = hazy + noise.clone();
        let config = SteeringConfig {
            features: 4,
            width: 4,
            layers: 1,
        };
        let features = random([1, 4, height, width]);
        let mut kept = [1.0; FAULTS];
        kept[Fault::Haze as usize] = 0.0;
        let head = config.init(&device);
        let without_haze = head.steer(features, image.clone(), clean.clone(), kept);
        let error = |x: Tensor<4>| x.abs().mean().into_scalar::<f32>();
        let wanted = clean + noise;
        let (before, after) = (error(image - wanted.clone()), error(without_haze - wanted));
        assert!(after < 0.15 * before, "{before} to {after}");
    }

    #[test]
    fn another_networks_head_is_refused() {
        let config = head().config();
        assert!(config.validate(12).is_ok());
        assert!(matches!(config.validate(16), Err(Error::Weights(_))));
        let none = SteeringConfig { width: 0, ..config };
        assert!(none.validate(12).is_err());
    }
}
