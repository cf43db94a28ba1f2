//! Gated-Dconv feed-forward network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer_norm::ChannelLayerNorm;
use crate::model::layers::Conv;
use crate::ops;

/// `project_out(gelu(a) * b)`, `a` and `b` the halves of a 1x1 and a depthwise convolution.
#[derive(Module, Debug)]
pub struct Gdfn {
    /// 1x1, `channels -> 2 hidden`.
    pub project_in: Conv,
    /// Depthwise 3x3 on `2 hidden`.
    pub dwconv: Conv,
    /// 1x1, `hidden -> channels`.
    pub project_out: Conv,
}

impl Gdfn {
    /// `hidden = floor(channels * expansion)`.
    pub fn new(channels: usize, expansion: f64, device: &Device) -> Self {
        let hidden = (channels as f64 * expansion) as usize;
        Self {
            project_in: Conv::pointwise(channels, 2 * hidden, false, device),
            dwconv: Conv::depthwise(2 * hidden, false, device),
            project_out: Conv::pointwise(hidden, channels, false, device),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let halves = self.dwconv.forward(self.project_in.forward(x));
        self.project_out.forward(ops::gated_gelu(halves))
    }

    /// The input with what [`forward`](Self::forward) makes of it, normalised.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn add(&self, x: Tensor<4>, norm: &ChannelLayerNorm) -> Tensor<4> {
        ops::add_feed_forward(x, self.tensors(norm))
    }

    /// Its weights and those of the norm before it.
    pub(crate) fn tensors(&self, norm: &ChannelLayerNorm) -> ops::FeedForward {
        ops::FeedForward {
            norm: norm.tensors(),
            project_in: self.project_in.weight.val(),
            dwconv: self.dwconv.weight.val(),
            project_out: self.project_out.weight.val(),
        }
    }
}
