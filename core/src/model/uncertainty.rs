//! The expected absolute error of each restored pixel.
//!
//! A narrow head of two convolutions, trained on the frozen network. Its inputs are the network's last features, the restored
//! image, and how much the network changed the pixel and its surroundings. Its output is the scale of a Laplace distribution
//! of the error: the most likely scale of similar pixels is the mean of their absolute errors. A curve, fitted to photos that
//! were held out of training, corrects it (calibration).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::layers::Conv;
use super::resize::{Axis, resize};
use crate::{Error, Result, ops};

/// Besides the features it sees the restored image, and how much was changed at the pixel and around it.
pub const BESIDES: usize = 3 + 1 + AROUND.len();
/// Pixels along each side that "around" means. The widest tells rain, which is not everywhere, from a network that finds
/// nothing to do.
const AROUND: [usize; 3] = [8, 32, 64];
/// Knots of the calibration curve.
pub const KNOTS: usize = 10;
/// Changes are told on a logarithmic scale, as errors are; smaller ones than this hardly differ.
const LEAST_CHANGE: f64 = 1.0 / 1024.0;
/// Logarithms of what it can say: from a sixteenth of an 8-bit level to the whole range.
const LOGS: [f64; 2] = [-8.3, 0.0];
/// The error expected of all pixels until it is trained: five 8-bit levels.
const FIRST: f32 = 5.0 / 255.0;

/// The sizes of an [`UncertaintyHead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncertaintyConfig {
    /// Channels of the network's last features.
    pub features: usize,
    /// Hidden channels.
    pub hidden: usize,
}

impl UncertaintyConfig {
    /// # Errors
    /// [`Error::Weights`] if no such head can exist for a network with so many last features, or one so large cannot be
    /// meant.
    pub fn validate(&self, features: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights(format!("uncertainty config: {what}")));
        if self.features != features {
            return wrong(format!(
                "{} features where the network has {features}",
                self.features
            ));
        }
        if !(1..=1024).contains(&self.hidden) {
            return wrong(format!("{} hidden channels cannot be", self.hidden));
        }
        Ok(())
    }

    /// A head that expects the same of all pixels until it is trained.
    pub fn init(&self, device: &Device) -> UncertaintyHead {
        let mut output = Conv::pointwise(self.hidden, 1, true, device);
        let shape = output.weight.dims();
        output.weight = Param::from_tensor(Tensor::zeros(shape, device));
        let bias = Tensor::from_floats([FIRST.ln()], device);
        output.bias = Some(Param::from_tensor(bias));
        let [low, high] = LOGS;
        let knot = |at: usize| (low + (high - low) * at as f64 / (KNOTS - 1) as f64) as f32;
        let knots: [f32; KNOTS] = std::array::from_fn(knot);
        let inputs = self.features + BESIDES;
        UncertaintyHead {
            centre: Initializer::Zeros.init([inputs], device),
            spread: Initializer::Ones.init([inputs], device),
            look: Conv::full(inputs, self.hidden, true, device),
            output,
            curve: Param::from_tensor(Tensor::from_floats([knots, knots], device)),
        }
    }
}

/// Tells the expected absolute error of each pixel.
#[derive(Module, Debug)]
pub struct UncertaintyHead {
    /// Means in training of what it sees, `[features + BESIDES]`.
    pub centre: Param<Tensor<1>>,
    /// Their deviations, `[features + BESIDES]`.
    pub spread: Param<Tensor<1>>,
    /// 3x3, `features + BESIDES -> hidden`: a pixel and its neighbours.
    pub look: Conv,
    /// 1x1, `hidden -> 1`: the logarithm of the expected error.
    pub output: Conv,
    /// `[2, KNOTS]`: ascending logarithms of the output, and those of the real mean errors there, which do not fall. Between two
    /// knots the curve is straight. Below the first knot the factor stays the same; above the last the curve is level, because
    /// the network cannot be that far off.
    pub curve: Param<Tensor<2>>,
}

impl UncertaintyHead {
    /// Its sizes.
    pub fn config(&self) -> UncertaintyConfig {
        let [hidden, seen, ..] = self.look.weight.dims();
        UncertaintyConfig {
            features: seen - BESIDES,
            hidden,
        }
    }

    /// Floats for each pixel that it takes at its peak: the features, also as the network left them, and with them what
    /// else it sees, before and after it is scaled; its hidden channels, before and after the activation; the sides of the curve,
    /// before and after they are scaled; and the result.
    pub(crate) fn floats(&self) -> usize {
        let UncertaintyConfig { features, hidden } = self.config();
        4 * features + 5 * BESIDES + 2 * hidden.max(KNOTS) + 4
    }

    /// The expected absolute error, mean over red, green and blue: 0.02 is about five 8-bit levels.
    ///
    /// # Shapes
    /// - `features`: `[batch, features, height, width]`, the network's last ones; height and width multiples of 8
    /// - `image`, `restored`: `[batch, 3, height, width]`, RGB in 0..1
    /// - output: `[batch, 1, height, width]`, above 0, at most 1
    pub fn forward(&self, features: Tensor<4>, image: Tensor<4>, restored: Tensor<4>) -> Tensor<4> {
        self.calibrated(self.logs(seen(features, image, restored)))
            .exp()
    }

    /// The logarithms after calibration by the curve.
    ///
    /// # Shapes
    /// - `logs`, output: `[batch, 1, height, width]`, natural logarithms
    fn calibrated(&self, logs: Tensor<4>) -> Tensor<4> {
        let sides = KNOTS - 1;
        let curve = self.curve.val();
        let part = |row: usize, from: usize, count: usize| {
            let values = curve.clone().narrow(0, row, 1).narrow(1, from, count);
            values.reshape([1, count, 1, 1])
        };
        let lengths = |row: usize| part(row, 1, sides) - part(row, 0, sides);
        // Of each side, how far along it is.
        let along = ((logs.clone() - part(0, 0, sides)) / lengths(0)).clamp(0.0, 1.0);
        let below = (logs - part(0, 0, 1)).clamp_max(0.0);
        (along * lengths(1)).sum_dim(1) + part(1, 0, 1) + below
    }

    /// Natural logarithms of the output, before calibration.
    ///
    /// # Shapes
    /// - `seen`: as [`seen`] gives it
    /// - output: `[batch, 1, height, width]`
    pub fn logs(&self, seen: Tensor<4>) -> Tensor<4> {
        let [centre, spread] = [&self.centre, &self.spread].map(|values| {
            let values = values.val();
            let inputs = values.dims()[0];
            values.reshape([1, inputs, 1, 1])
        });
        let hidden = ops::gelu(self.look.forward((seen - centre) / spread));
        let [low, high] = LOGS;
        self.output.forward(hidden).clamp(low, high)
    }
}

/// What the head sees of each pixel.
///
/// # Shapes
/// - as [`UncertaintyHead::forward`] takes them
/// - output: `[batch, features + BESIDES, height, width]`
pub fn seen(features: Tensor<4>, image: Tensor<4>, restored: Tensor<4>) -> Tensor<4> {
    let change = (restored.clone() - image).abs().mean_dim(1);
    let around = AROUND.map(|side| around(change.clone(), side));
    let scaled = |change: Tensor<4>| (change + LEAST_CHANGE).log();
    let mut seen = vec![features, restored, scaled(change)];
    seen.extend(around.map(scaled));
    Tensor::cat(seen, 1)
}

/// Means over some `side` pixels along each side, which change slowly from place to place.
fn around(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let [rows, columns] = [height, width].map(|length| (length / side).max(1));
    let [down, across] =
        [(height, rows), (width, columns)].map(|(from, to)| Axis::bilinear_antialias(from, to));
    let means = resize(x, down, across);
    let [down, across] =
        [(rows, height), (columns, width)].map(|(from, to)| Axis::bilinear(from, to));
    // Bilinear weights are positive, so it stays so.
    resize(means, down, across)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    const FEATURES: usize = 3;
    const SIDES: [usize; 2] = [16, 24];

    fn random(channels: usize, spread: f64) -> Tensor<4> {
        let shape = [2, channels, SIDES[0], SIDES[1]];
        Tensor::random(shape, Distribution::Normal(0.0, spread), &Device::flex())
    }

    /// A head that says something else of each pixel.
    fn head() -> UncertaintyHead {
        let config = UncertaintyConfig {
            features: FEATURES,
            hidden: 4,
        };
        let mut head = config.init(&Device::flex());
        assert_eq!(head.config(), config);
        let weights = Tensor::<1>::from_floats([0.6, -0.5, 0.4, -0.3], &Device::flex());
        let inputs = FEATURES + BESIDES;
        let scale = |from: f32| -> Tensor<1> {
            let values: Vec<f32> = (0..inputs).map(|at| from + 0.1 * at as f32).collect();
            Tensor::from_floats(&values[..], &Device::flex())
        };
        head.centre = Param::from_tensor(scale(-0.3));
        head.spread = Param::from_tensor(scale(0.8));
        head.output.weight = Param::from_tensor(weights.reshape([1, 4, 1, 1]));
        head
    }

    fn values(x: &Tensor<4>) -> Vec<f32> {
        x.to_data().iter().collect()
    }

    /// The mean over the neighbourhood, by the definition of a triangular filter on blocks.
    fn around_of(change: &[f32], side: usize, y: usize, x: usize) -> f32 {
        let weights = |at: usize, length: usize| -> Vec<f32> {
            let count = (length / side).max(1);
            let side = length as f32 / count as f32;
            let place = (at as f32 + 0.5) / side - 0.5;
            let last = (count - 1) as f32;
            let place = place.clamp(0.0, last);
            let block = |index: usize| (1.0 - (place - index as f32).abs()).max(0.0);
            // Each block's mean is itself a triangle over the pixels, cut off at the border.
            let triangle = |index: usize| -> Vec<f32> {
                let middle = (index as f32 + 0.5) * side;
                let tent = |at: usize| {
                    let far = (at as f32 + 0.5 - middle).abs() / side;
                    (1.0 - far).max(0.0)
                };
                let sum: f32 = (0..length).map(tent).sum();
                (0..length).map(|at| tent(at) / sum).collect()
            };
            let mut weights = vec![0.0; length];
            for index in 0..count {
                for (weight, part) in weights.iter_mut().zip(triangle(index)) {
                    *weight += block(index) * part;
                }
            }
            weights
        };
        let (down, across) = (weights(y, SIDES[0]), weights(x, SIDES[1]));
        let rows = change.chunks_exact(SIDES[1]).zip(&down);
        rows.map(|(row, down)| {
            let sum: f32 = row.iter().zip(&across).map(|(a, b)| a * b).sum();
            down * sum
        })
        .sum()
    }

    #[test]
    fn it_computes_its_definition() {
        let head = head();
        let (features, image, restored) = (random(FEATURES, 1.0), random(3, 0.3), random(3, 0.3));
        let found = head.forward(features.clone(), image.clone(), restored.clone());
        let found = values(&found);
        let within = |error: &&f32| (0.001..0.9).contains(*error);
        assert!(found.iter().filter(within).count() > found.len() / 2);
        let [height, width] = SIDES;
        let plane = height * width;
        let (look, look_bias) = (values(&head.look.weight.val()), &head.look.bias);
        let look_bias: Vec<f32> = look_bias
            .as_ref()
            .expect("a bias")
            .to_data()
            .iter()
            .collect();
        let output = values(&head.output.weight.val());
        let bias: Vec<f32> = head
            .output
            .bias
            .as_ref()
            .expect("a bias")
            .to_data()
            .iter()
            .collect();
        for item in 0..2 {
            let of = |x: &Tensor<4>| values(&x.clone().narrow(0, item, 1));
            let (image, restored) = (of(&image), of(&restored));
            let change: Vec<f32> = (0..plane)
                .map(|at| {
                    let of = |channel: usize| channel * plane + at;
                    (0..3)
                        .map(|c| (restored[of(c)] - image[of(c)]).abs())
                        .sum::<f32>()
                        / 3.0
                })
                .collect();
            let log = |value: f32| (value + LEAST_CHANGE as f32).ln();
            let mut seen = of(&features);
            seen.extend(&restored);
            seen.extend(change.iter().map(|&value| log(value)));
            for side in AROUND {
                let around = |at: usize| log(around_of(&change, side, at / width, at % width));
                seen.extend((0..plane).map(around));
            }
            let scaled: Vec<f32> = seen
                .chunks_exact(plane)
                .enumerate()
                .flat_map(|(at, plane)| {
                    let more = 0.1 * at as f32;
                    plane
                        .iter()
                        .map(move |value| (value + 0.3 - more) / (0.8 + more))
                })
                .collect();
            for (y, x) in [(0usize, 0usize), (5, 7), (15, 23), (8, 0), (0, 11)] {
                let hidden = |unit: usize| {
                    let mut sum = look_bias[unit];
                    for (channel, plane) in scaled.chunks_exact(plane).enumerate() {
                        for (dy, dx) in (0..9).map(|at| (at / 3, at % 3)) {
                            let (y, x) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                            if y < height && x < width {
                                let at =
                                    ((unit * (FEATURES + BESIDES) + channel) * 3 + dy) * 3 + dx;
                                sum += look[at] * plane[y * width + x];
                            }
                        }
                    }
                    Tensor::<1>::from_floats([sum], &Device::flex())
                };
                let log: f32 = (0..4)
                    .map(|unit| output[unit] * ops::gelu(hidden(unit)).into_scalar::<f32>())
                    .sum::<f32>()
                    + bias[0];
                let expected = log.clamp(LOGS[0] as f32, LOGS[1] as f32).exp();
                let found = found[item * plane + y * width + x];
                assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_curve_is_straight_between_its_knots_and_level_above() {
        let mut head = head();
        let said: [f32; KNOTS] = std::array::from_fn(|at| -8.0 + 0.5 * at as f32);
        let came: [f32; KNOTS] = std::array::from_fn(|at| -7.0 + (at as f32).sqrt());
        let cpu = Device::flex();
        head.curve = Param::from_tensor(Tensor::from_floats([said, came], &cpu));
        let logs = [-9.0, -8.0, -7.75, -5.6, -3.5, -1.0];
        let last = came[KNOTS - 1];
        let expected = [
            -8.0,
            -7.0,
            -6.5,
            came[4] + 0.8 * (came[5] - came[4]),
            last,
            last,
        ];
        let logs = Tensor::<1>::from_floats(logs, &cpu).reshape([1, 1, 2, 3]);
        for (found, expected) in values(&head.calibrated(logs)).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn untrained_it_expects_the_same_of_all_pixels_and_never_more_than_there_is() {
        let config = head().config();
        let (features, image, restored) = (random(FEATURES, 1.0), random(3, 0.3), random(3, 0.3));
        let of = |head: &UncertaintyHead| {
            values(&head.forward(features.clone(), image.clone(), restored.clone()))
        };
        let first = of(&config.init(&Device::flex()));
        assert!(first.iter().all(|error| (error - FIRST).abs() < 1e-6));
        let mut loud = head();
        loud.output.weight = Param::from_tensor(loud.output.weight.val() * 1000.0);
        let found = of(&loud);
        assert!(found.iter().all(|error| (2e-4..=1.0).contains(error)));
        assert!(found.contains(&1.0) && found.iter().any(|error| *error < 3e-4));
    }

    #[test]
    fn another_networks_head_is_refused() {
        let config = head().config();
        assert!(config.validate(FEATURES).is_ok());
        assert!(matches!(config.validate(16), Err(Error::Weights(_))));
        let none = UncertaintyConfig {
            hidden: 0,
            ..config
        };
        assert!(none.validate(FEATURES).is_err());
    }
}
