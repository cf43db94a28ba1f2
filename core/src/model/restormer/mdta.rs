//! Multi-Dconv head transposed attention: attention between channels instead of pixels.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::layer_norm::ChannelLayerNorm;
use crate::model::global_statistics::GlobalStatistics;
use crate::model::layers::Conv;
use crate::ops;

/// Queries, keys and values from a 1x1 and a depthwise convolution; the map is
/// `channels x channels` within each head, so the cost grows linearly with the pixels.
#[derive(Module, Debug)]
pub struct Mdta {
    /// `[heads, 1, 1]`: scales the cosine of queries and keys.
    pub temperature: Param<Tensor<3>>,
    /// 1x1, `channels -> 3 channels`.
    pub qkv: Conv,
    /// Depthwise 3x3 on `3 channels`.
    pub qkv_dwconv: Conv,
    /// 1x1, `channels -> channels`.
    pub project_out: Conv,
}

impl Mdta {
    /// `channels` must be a multiple of `heads`.
    pub fn new(channels: usize, heads: usize, device: &Device) -> Self {
        Self {
            temperature: Initializer::Ones.init([heads, 1, 1], device),
            qkv: Conv::pointwise(channels, 3 * channels, false, device),
            qkv_dwconv: Conv::depthwise(3 * channels, false, device),
            project_out: Conv::pointwise(channels, channels, false, device),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let qkv = self.qkv_dwconv.forward(self.qkv.forward(x));
        self.project_out
            .forward(ops::mdta(qkv, self.temperature.val()))
    }

    /// The input with what [`forward`](Self::forward) makes of it, normalised, with these global statistics.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn add_with_stats(
        &self,
        x: Tensor<4>,
        norm: &ChannelLayerNorm,
        stats: &mut GlobalStatistics,
    ) -> Tensor<4> {
        let [batch, channels, ..] = x.dims();
        let [heads, ..] = self.temperature.dims();
        ops::add_attention_with_stats(x, self.tensors(norm), |qkv| {
            let shape = [batch, channels * (channels / heads + 2)];
            stats.take(shape, || ops::mdta_statistics(qkv.clone(), heads))
        })
    }

    /// Its weights and those of the norm before it.
    pub(crate) fn tensors(&self, norm: &ChannelLayerNorm) -> ops::Attention {
        ops::Attention {
            norm: norm.tensors(),
            qkv: self.qkv.weight.val(),
            dwconv: self.qkv_dwconv.weight.val(),
            temperature: self.temperature.val(),
            project_out: self.project_out.weight.val(),
        }
    }
}
