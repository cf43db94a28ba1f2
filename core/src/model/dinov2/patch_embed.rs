//! Image to patch tokens.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

/// Side of a patch in pixels.
pub const PATCH: usize = 14;

/// A 14x14 convolution with stride 14.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// `[width, 3, 14, 14]`.
    pub weight: Param<Tensor<4>>,
    /// `[width]`.
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// A randomly initialised layer.
    pub fn new(width: usize, device: &Device) -> Self {
        let bound = 1.0 / ((3 * PATCH * PATCH) as f64).sqrt();
        let init = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            weight: init.init([width, 3, PATCH, PATCH], device),
            bias: init.init([width], device),
        }
    }

    /// # Shapes
    /// - `image`: `[batch, 3, height, width]`, multiples of [`PATCH`]
    /// - output: `[batch, patches, width]`, patches in row order
    pub fn forward(&self, image: Tensor<4>) -> Tensor<3> {
        let stride = ConvOptions::new([PATCH, PATCH], [0, 0], [1, 1], 1);
        conv2d(image, self.weight.val(), Some(self.bias.val()), stride)
            .flatten::<3>(2, 3)
            .swap_dims(1, 2)
    }
}
