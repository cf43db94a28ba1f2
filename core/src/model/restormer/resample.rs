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
            conv: Conv::full(channels, channels / 2, false, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`, even height and width
    /// - output: `[batch, 2 channels, height / 2, width / 2]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        pixel_unshuffle(self.conv.forward(x), 2)
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
            conv: Conv::full(channels, 2 * channels, false, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`
    /// - output: `[batch, channels / 2, 2 height, 2 width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        pixel_shuffle(self.conv.forward(x), 2)
    }
}

/// Space to channels: each square of `factor x factor` pixels becomes `factor^2` channels, in
/// row order within each channel.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`, multiples of `factor`
/// - output: `[batch, factor^2 channels, height / factor, width / factor]`
pub fn pixel_unshuffle(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    x.reshape([batch, channels, rows, factor, columns, factor])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, factor * factor * channels, rows, columns])
}

/// Channels to space, the inverse of [`pixel_unshuffle`].
///
/// # Shapes
/// - `x`: `[batch, factor^2 channels, height, width]`
/// - output: `[batch, channels, factor height, factor width]`
pub fn pixel_shuffle(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    let channels = channels / (factor * factor);
    x.reshape([batch, channels, factor, factor, height, width])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, channels, factor * height, factor * width])
}
