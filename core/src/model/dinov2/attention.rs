//! Multi-head self-attention between tokens.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::model::layers::Linear;

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

    /// # Shapes
    /// - `x`, output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head = width / self.heads;
        let qkv = self.qkv.forward(x);
        let part = |i: usize| {
            qkv.clone()
                .narrow(2, i * width, width)
                .reshape([batch, tokens, self.heads, head])
                .swap_dims(1, 2)
        };
        let (q, k, v) = (part(0), part(1), part(2));
        let scale = 1.0 / (head as f32).sqrt();
        let map = softmax((q * scale).matmul(k.swap_dims(2, 3)), 3);
        let mixed = map
            .matmul(v)
            .swap_dims(1, 2)
            .reshape([batch, tokens, width]);
        self.proj.forward(mixed)
    }
}
