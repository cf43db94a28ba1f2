//! Layers that both nets share: parameters in PyTorch's names and layouts, so that published
//! weights load without reshaping.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::ops;

/// Uniform in `+-1/sqrt(fan_in)`, PyTorch's default for convolutions and linear layers.
fn fan_in_uniform(fan_in: usize) -> Initializer {
    let bound = 1.0 / (fan_in as f64).sqrt();
    Initializer::Uniform {
        min: -bound,
        max: bound,
    }
}

/// `y = x W^T + b`, `weight` `[outputs, inputs]`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A randomly initialised layer.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let init = fan_in_uniform(inputs);
        Self {
            weight: init.init([outputs, inputs], device),
            bias: init.init([outputs], device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, tokens, inputs]`
    /// - output: `[batch, tokens, outputs]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::linear(x, self.weight.val(), self.bias.val())
    }

    /// The same, and its GELU.
    pub fn forward_gelu(&self, x: Tensor<3>) -> Tensor<3> {
        ops::gelu_linear(x, self.weight.val(), self.bias.val())
    }

    /// The same for each pixel: a 1x1 convolution.
    ///
    /// # Shapes
    /// - `x`: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`
    pub fn forward_map(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val().unsqueeze_dims(&[2, 3]);
        ops::pointwise_with_bias(x, weight, self.bias.val())
    }

    /// `x + scale forward(input)`.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, tokens, outputs]`
    /// - `input`: `[batch, tokens, inputs]`
    /// - `scale`: `[outputs]`
    pub fn add(&self, x: Tensor<3>, input: Tensor<3>, scale: Tensor<1>) -> Tensor<3> {
        ops::add_linear(x, input, self.weight.val(), self.bias.val(), scale)
    }
}

/// Layer norm over the last axis of tokens.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`.
    pub weight: Param<Tensor<1>>,
    /// `[width]`.
    pub bias: Param<Tensor<1>>,
    pub(crate) epsilon: f64,
}

impl LayerNorm {
    /// The identity scale and shift.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::layer_norm(x, self.weight.val(), self.bias.val(), self.epsilon)
    }
}

/// A convolution that keeps height and width: 1x1, depthwise 3x3 or 3x3 with zero padding.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[outputs, inputs / groups, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`; Restormer's convolutions have none.
    pub bias: Option<Param<Tensor<1>>>,
    pub(crate) depthwise: bool,
}

impl Conv {
    fn new(shape: [usize; 4], bias: bool, depthwise: bool, device: &Device) -> Self {
        let [outputs, inputs, kernel, _] = shape;
        let init = fan_in_uniform(inputs * kernel * kernel);
        Self {
            weight: init.init(shape, device),
            bias: bias.then(|| init.init([outputs], device)),
            depthwise,
        }
    }

    /// 1x1: mixes channels of each pixel.
    pub fn pointwise(inputs: usize, outputs: usize, bias: bool, device: &Device) -> Self {
        Self::new([outputs, inputs, 1, 1], bias, false, device)
    }

    /// 3x3 on each channel by itself.
    pub fn depthwise(channels: usize, bias: bool, device: &Device) -> Self {
        Self::new([channels, 1, 3, 3], bias, true, device)
    }

    /// 3x3 over all channels.
    pub fn full(inputs: usize, outputs: usize, bias: bool, device: &Device) -> Self {
        Self::new([outputs, inputs, 3, 3], bias, false, device)
    }

    /// # Shapes
    /// - `x`: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let [outputs, _, kernel, _] = weight.dims();
        let y = match (kernel, self.depthwise, &self.bias) {
            (1, _, Some(bias)) => return ops::pointwise_with_bias(x, weight, bias.val()),
            (1, _, None) => ops::pointwise(x, weight),
            (_, true, _) => ops::depthwise3x3(x, weight),
            (_, false, _) => ops::conv3x3(x, weight),
        };
        match &self.bias {
            Some(bias) => y + bias.val().reshape([1, outputs, 1, 1]),
            None => y,
        }
    }
}
