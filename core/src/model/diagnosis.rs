//! What is wrong with a photo, in numbers: noise, blur, rain, haze and compression, each with how sure that is.
//!
//! A two-layer perceptron judges windows of the photo. It is given the means and deviations of the network's features of a
//! window ([`DinoIr::describe`](crate::model::DinoIr::describe)), and [`statistics`] of the window's pixels. For each fault it
//! gives a mean and a variance. The diagnosis of the photo is the average over its windows, weighted by how sure each is.

pub mod statistics;
mod words;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::layers::Linear;
use crate::ops;
use crate::{Error, Result};

pub use statistics::SIDE;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Noise, as its standard deviation in 8-bit units.
    Noise,
    /// Blur, as the deviation in pixels of a Gaussian that spreads light as far.
    Blur,
    /// Rain, as the share of pixels that streaks touch.
    Rain,
    /// Haze, as one minus the mean share of their own light that reaches us from the pixels.
    Haze,
    /// JPEG compression, as its quality, 1 to 100; 100: none.
    Jpeg,
}

impl Fault {
    /// All, in the order of the perceptron's outputs.
    pub const ALL: [Self; 5] = [Self::Noise, Self::Blur, Self::Rain, Self::Haze, Self::Jpeg];

    /// In a word, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Rain => "rain",
            Self::Haze => "haze",
            Self::Jpeg => "jpeg",
        }
    }

    /// What becomes 1 for the perceptron.
    fn unit(self) -> f32 {
        match self {
            Self::Noise | Self::Jpeg => 25.0,
            Self::Blur => 1.0,
            Self::Rain => 0.2,
            Self::Haze => 0.3,
        }
    }

    /// The most there can be.
    fn most(self) -> f32 {
        match self {
            Self::Noise => 75.0,
            Self::Blur => 4.0,
            Self::Rain | Self::Haze => 1.0,
            Self::Jpeg => 99.0,
        }
    }

    /// From so much on it is called a fault; what good photos have of their own is below.
    pub fn threshold(self) -> f32 {
        match self {
            Self::Noise => 4.0,
            Self::Blur => 0.8,
            Self::Rain => 0.07,
            Self::Haze => 0.22,
            Self::Jpeg => 15.0,
        }
    }

    /// An error that still leaves the verdict useful: [`Diagnosis::confidence`] is the chance of a smaller one.
    fn tolerance(self) -> f32 {
        match self {
            Self::Noise => 5.0,
            Self::Blur => 0.5,
            Self::Rain => 0.1,
            Self::Haze => 0.15,
            Self::Jpeg => 15.0,
        }
    }
}

/// A number for each fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// [`Fault::Noise`], 0..=75.
    pub noise: f32,
    /// [`Fault::Blur`], 0..=4.
    pub blur: f32,
    /// [`Fault::Rain`], 0..=1.
    pub rain: f32,
    /// [`Fault::Haze`], 0..=1.
    pub haze: f32,
    /// [`Fault::Jpeg`], 1..=100.
    pub jpeg: f32,
}

impl Faults {
    /// A photo without faults.
    pub const NONE: Self = Self {
        noise: 0.0,
        blur: 0.0,
        rain: 0.0,
        haze: 0.0,
        jpeg: 100.0,
    };

    /// From how bad each is, 0 for not at all.
    fn from_badness(badness: impl Fn(Fault) -> f32) -> Self {
        Self {
            noise: badness(Fault::Noise),
            blur: badness(Fault::Blur),
            rain: badness(Fault::Rain),
            haze: badness(Fault::Haze),
            jpeg: 100.0 - badness(Fault::Jpeg),
        }
    }

    /// How bad a fault is, in its own units, 0 for not at all.
    pub fn badness(&self, fault: Fault) -> f32 {
        match fault {
            Fault::Noise => self.noise,
            Fault::Blur => self.blur,
            Fault::Rain => self.rain,
            Fault::Haze => self.haze,
            Fault::Jpeg => 100.0 - self.jpeg,
        }
    }

    /// What the perceptron is to say.
    pub fn targets(&self) -> [f32; 5] {
        Fault::ALL.map(|fault| self.badness(fault) / fault.unit())
    }
}

/// What is wrong with a photo, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diagnosis {
    /// How much there is of each fault.
    pub faults: Faults,
    /// Variances of the expected errors, in the order of [`Fault::ALL`] and the square of each fault's units.
    pub variances: [f32; 5],
}

impl Diagnosis {
    /// Whether there is so much of a fault that it is called one.
    pub fn finds(&self, fault: Fault) -> bool {
        self.faults.badness(fault) >= fault.threshold()
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        !Fault::ALL.into_iter().any(|fault| self.finds(fault))
    }

    /// How sure the number for a fault is, 0..=1: the chance that it is off by less than 5 levels of noise, half a pixel
    /// of blur, 0.1 of rain, 0.15 of haze, or 15 of JPEG quality.
    pub fn confidence(&self, fault: Fault) -> f32 {
        let variance = self.variances[fault as usize];
        chance_within(fault.tolerance() / variance.max(1e-12).sqrt())
    }
}

/// The chance that a normal variable is off by less than so many deviations (Abramowitz and Stegun, 7.1.26).
fn chance_within(deviations: f32) -> f32 {
    let x = deviations / std::f32::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_74,
        0.254_829_6,
    ];
    let polynomial = polynomial
        .into_iter()
        .fold(0.0, |sum, factor| sum * t + factor);
    1.0 - polynomial * t * (-x * x).exp()
}

/// The sizes of a [`DiagnosisHead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiagnosisConfig {
    /// Values that describe a window: the network's, then [`statistics::COUNT`].
    pub inputs: usize,
    /// Hidden values.
    pub hidden: usize,
}

impl DiagnosisConfig {
    /// # Errors
    /// [`Error::Weights`] if no such head can exist, or one so large cannot be meant.
    pub fn validate(&self) -> Result<()> {
        let sizes = [self.inputs, self.hidden];
        if self.inputs < statistics::COUNT || sizes.iter().any(|size| !(1..=1 << 16).contains(size))
        {
            return Err(Error::Weights(format!(
                "diagnosis config: {} inputs and {} hidden values cannot be",
                self.inputs, self.hidden
            )));
        }
        Ok(())
    }

    /// A randomly initialised head.
    pub fn init(&self, device: &Device) -> DiagnosisHead {
        DiagnosisHead {
            centre: Initializer::Zeros.init([self.inputs], device),
            spread: Initializer::Ones.init([self.inputs], device),
            fc1: Linear::new(self.inputs, self.hidden, device),
            fc2: Linear::new(self.hidden, 2 * Fault::ALL.len(), device),
        }
    }
}

/// Judges windows.
#[derive(Module, Debug)]
pub struct DiagnosisHead {
    /// Means of the inputs in training, `[inputs]`.
    pub centre: Param<Tensor<1>>,
    /// Their deviations, `[inputs]`.
    pub spread: Param<Tensor<1>>,
    /// `inputs -> hidden`.
    pub fc1: Linear,
    /// `hidden -> 10`: a mean for each fault, and the logarithms of their variances.
    pub fc2: Linear,
}

/// Inputs further from their mean than so many deviations say no more than that they are far.
const FARTHEST: f64 = 4.0;
/// Logarithms of variances are within these bounds: no window is quite sure, and none says nothing.
const LOG_VARIANCES: [f64; 2] = [-9.0, 4.0];

impl DiagnosisHead {
    /// Its sizes.
    pub fn config(&self) -> DiagnosisConfig {
        let [hidden, inputs] = self.fc1.weight.dims();
        DiagnosisConfig { inputs, hidden }
    }

    /// Means and logarithms of variances, in the units of [`Faults::targets`].
    ///
    /// # Shapes
    /// - `inputs`: `[windows, inputs]`
    /// - outputs: `[windows, 5]`
    pub fn forward(&self, inputs: Tensor<2>) -> [Tensor<2>; 2] {
        let centred = inputs - self.centre.val().unsqueeze();
        let scaled = centred / self.spread.val().unsqueeze();
        let scaled = scaled.clamp(-FARTHEST, FARTHEST);
        let hidden = ops::gelu(self.fc1.forward(scaled.unsqueeze()));
        let found = self.fc2.forward(hidden).squeeze_dim::<2>(0);
        let [means, logs] = [0, 5].map(|first| found.clone().narrow(1, first, 5));
        let [low, high] = LOG_VARIANCES;
        [means, logs.clamp(low, high)]
    }

    /// Judges a photo by its windows.
    ///
    /// # Errors
    /// [`Error::Weights`] if the inputs are not this head's, [`Error::Device`] if a result is not finite.
    pub fn judge(&self, windows: &[Vec<f32>]) -> Result<Diagnosis> {
        let inputs = self.config().inputs;
        let device = self.centre.val().device();
        if windows.is_empty() || windows.iter().any(|window| window.len() != inputs) {
            return Err(Error::Weights(format!(
                "the diagnosis takes {inputs} values for each window, the network gives others: \
                 it was trained on another network"
            )));
        }
        let shape = [windows.len(), inputs];
        let windows = Tensor::from_data(TensorData::new(windows.concat(), shape), &device);
        let [means, logs] = self.forward(windows);
        let (means, logs) = (ops::values(means)?, ops::values(logs)?);
        if means.iter().chain(&logs).any(|value| !value.is_finite()) {
            return Err(Error::Device(
                "the diagnosis is not finite: its weights or its device are broken".into(),
            ));
        }
        Ok(combined(&means, &logs))
    }
}

/// What the windows say together: means, a window counting less the larger the error it expects. Their errors are alike, so
/// many windows are not much surer than one.
fn combined(means: &[f32], logs: &[f32]) -> Diagnosis {
    let windows = || means.chunks_exact(5).zip(logs.chunks_exact(5));
    let estimate = |fault: Fault| {
        let at = fault as usize;
        let (mut sum, mut variance, mut weights) = (0.0, 0.0, 0.0);
        for (means, logs) in windows() {
            let weight = (-0.5 * logs[at]).exp();
            sum += weight * means[at];
            variance += weight * logs[at].exp();
            weights += weight;
        }
        (sum / weights, variance / weights)
    };
    Diagnosis {
        faults: Faults::from_badness(|fault| {
            (estimate(fault).0 * fault.unit()).clamp(0.0, fault.most())
        }),
        variances: Fault::ALL.map(|fault| estimate(fault).1 * fault.unit().powi(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(faults: Faults) -> Diagnosis {
        Diagnosis {
            faults,
            variances: [4.0, 0.01, 0.001, 0.01, 25.0],
        }
    }

    #[test]
    fn it_is_told_in_plain_words() {
        let none = Faults::NONE;
        assert_eq!(
            diagnosis(none).to_string(),
            "seems fine: no fault that this network knows was found"
        );
        let several = Faults {
            noise: 22.3,
            haze: 0.3,
            ..none
        };
        assert_eq!(
            diagnosis(several).to_string(),
            "noise about sigma 22; a little haze"
        );
        let others = Faults {
            blur: 2.04,
            rain: 0.2,
            jpeg: 34.0,
            ..none
        };
        assert_eq!(
            diagnosis(others).to_string(),
            "blur about sigma 2.0; rain; JPEG quality about 34"
        );
    }

    #[test]
    fn confidence_is_the_chance_of_a_small_error() {
        // 5 levels are two and a half deviations.
        assert!((diagnosis(Faults::NONE).confidence(Fault::Noise) - 0.9876).abs() < 1e-3);
        assert!((chance_within(1.0) - 0.6827).abs() < 1e-4);
        assert!(chance_within(0.0).abs() < 1e-6);
    }

    #[test]
    fn sure_windows_count_most() {
        // One window is sure of little noise, the other guesses much.
        let means = [[0.2, 0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 0.0]].concat();
        let logs = [[-6.0, 0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 0.0]].concat();
        let found = combined(&means, &logs);
        assert!((5.0..7.0).contains(&found.faults.noise), "{found:?}");
        let alone = combined(&means[..5], &logs[..5]);
        assert!(alone.variances[0] < found.variances[0]);
    }

    #[test]
    fn another_networks_windows_are_refused() {
        let sizes = DiagnosisConfig {
            inputs: statistics::COUNT + 4,
            hidden: 3,
        };
        let head = sizes.init(&Device::flex());
        let window = vec![0.5; sizes.inputs];
        let found = head
            .judge(&[window.clone(), window.clone()])
            .expect("judged");
        assert!((0.0..=75.0).contains(&found.faults.noise));
        for bad in [vec![], vec![window[1..].to_vec()]] {
            assert!(matches!(head.judge(&bad), Err(Error::Weights(_))));
        }
        let broken = head.judge(&[vec![f32::NAN; sizes.inputs]]);
        assert!(matches!(broken, Err(Error::Device(_))));
    }
}
