//! Multi-head self-attention between tokens.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::model::layers::Linear;
use crate::ops;

/// Scaled dot-product attention.
#[derive(Module, Debug)]
pub struct Attention {
    /// `width -> 3 width`: queries, keys, values.
    pub qkv: Linear,
    /// `width -> width`.
    pub proj: Linear,
    pub(crate) heads: usize,
}

impl Attention {
    /// `width` must be a multiple of `heads`.
    pub fn new(width: usize, heads: usize, device: &Device) -> Self {
        Self {
            qkv: Linear::new(width, 3 * width, device),
            proj: Linear::new(width, width, device),
            heads,
        }
    }

    /// `x` with what is attended to in `normed`, times `scale`.
    ///
    /// # Shapes
    /// - `x`, `normed`, output: `[batch, tokens, width]`
    /// - `scale`: `[width]`
    pub fn add(&self, x: Tensor<3>, normed: Tensor<3>, scale: Tensor<1>) -> Tensor<3> {
        let mixed = ops::attention(self.qkv.forward(normed), self.heads);
        self.proj.add(x, mixed, scale)
    }
}
