//! Layers that the baselines have and ours does not.

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

/// A 2x2 convolution with bias and stride 2: half the height and width.
pub fn halve(inputs: usize, outputs: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([inputs, outputs], [2, 2])
        .with_stride([2, 2])
        .init(device)
}

/// Layer norm over the channels of each pixel, epsilon 1e-6.
#[derive(Module, Debug)]
pub struct LayerNorm2d {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm2d {
    /// The identity scale and shift.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, channels, _, _] = x.dims();
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let normal = centred / (variance + 1e-6).sqrt();
        let channel = |param: &Param<Tensor<1>>| param.val().reshape([1, channels, 1, 1]);
        normal * channel(&self.weight) + channel(&self.bias)
    }
}
