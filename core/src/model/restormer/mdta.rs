//! Multi-Dconv head transposed attention: attention between channels instead of pixels.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

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
        self.forward_with_stats(x, &mut GlobalStatistics::Own)
    }

    /// The same with other global statistics.
    pub fn forward_with_stats(&self, x: Tensor<4>, stats: &mut GlobalStatistics) -> Tensor<4> {
        let [batch, channels, ..] = x.dims();
        let qkv = self.qkv_dwconv.forward(self.qkv.forward(x));
        let temperature = self.temperature.val();
        let attended = match stats {
            GlobalStatistics::Own => ops::mdta(qkv, temperature),
            _ => {
                let [heads, ..] = temperature.dims();
                let shape = [batch, channels * (channels / heads + 2)];
                let sums = stats.take(shape, || ops::mdta_statistics(qkv.clone(), heads));
                ops::mdta_with_stats(qkv, sums, temperature)
            }
        };
        self.project_out.forward(attended)
    }
}
