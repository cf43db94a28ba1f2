//! Changes of level: half the size with twice the channels, and back.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::model::layers::Conv;

/// 3x3 to half the channels, then pixel-unshuffle: half the height and width, twice the channels.
#[derive(Module, Debug)]
pub struct Downsample {
    /// `[channels / 2, channels, 3, 3]`.
    pub conv: Conv,
}

impl Downsample {
    /// A randomly initialised layer.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            conv: Conv::full(channels, channels / 2, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`, even height and width
    /// - output: `[batch, 2 channels, height / 2, width / 2]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        pixel_unshuffle(self.conv.forward(x))
    }
}

/// 3x3 to twice the channels, then pixel-shuffle: twice the height and width, half the channels.
#[derive(Module, Debug)]
pub struct Upsample {
    /// `[2 channels, channels, 3, 3]`.
    pub conv: Conv,
}

impl Upsample {
    /// A randomly initialised layer.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            conv: Conv::full(channels, 2 * channels, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`
    /// - output: `[batch, channels / 2, 2 height, 2 width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        pixel_shuffle(self.conv.forward(x))
    }
}

fn pixel_unshuffle(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height / 2, 2, width / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, 4 * channels, height / 2, width / 2])
}

fn pixel_shuffle(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels / 4, 2, 2, height, width])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, channels / 4, 2 * height, 2 * width])
}
