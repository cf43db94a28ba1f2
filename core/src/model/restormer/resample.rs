//! Changes of level: half the size with more channels (in the published net twice as many), and back.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::model::layers::Conv;

/// 3x3, then pixel-unshuffle: half the height and width.
#[derive(Module, Debug)]
pub struct Downsample {
    /// `[below / 4, channels, 3, 3]`.
    pub conv: Conv,
}

impl Downsample {
    /// A randomly initialised layer to the `below` channels of the level below, a multiple of 4.
    pub fn new(channels: usize, below: usize, device: &Device) -> Self {
        Self {
            conv: Conv::full(channels, below / 4, false, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`, even height and width
    /// - output: `[batch, below, height / 2, width / 2]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        pixel_unshuffle(self.conv.forward(x), 2)
    }
}

/// 3x3, then pixel-shuffle: twice the height and width.
#[derive(Module, Debug)]
pub struct Upsample {
    /// `[4 above, channels, 3, 3]`.
    pub conv: Conv,
}

impl Upsample {
    /// A randomly initialised layer to the `above` channels of the level above.
    pub fn new(channels: usize, above: usize, device: &Device) -> Self {
        Self {
            conv: Conv::full(channels, 4 * above, false, device),
        }
    }

    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`
    /// - output: `[batch, above, 2 height, 2 width]`
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
