//! One transformer block of Restormer.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::gdfn::Gdfn;
use super::layer_norm::{ChannelLayerNorm, NormKind};
use super::mdta::Mdta;
use crate::model::global_statistics::GlobalStatistics;
use crate::ops;

/// Attention and feed-forward network, each normalised before and added to its input.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: ChannelLayerNorm,
    /// Attention between channels.
    pub attn: Mdta,
    /// Before the feed-forward network.
    pub norm2: ChannelLayerNorm,
    /// Feed-forward network.
    pub ffn: Gdfn,
}

impl Block {
    /// A randomly initialised block.
    pub fn new(
        channels: usize,
        heads: usize,
        expansion: f64,
        norm: NormKind,
        device: &Device,
    ) -> Self {
        Self {
            norm1: ChannelLayerNorm::new(channels, norm, device),
            attn: Mdta::new(channels, heads, device),
            norm2: ChannelLayerNorm::new(channels, norm, device),
            ffn: Gdfn::new(channels, expansion, device),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_with_stats(x, &mut GlobalStatistics::Own)
    }

    /// The same with other global statistics.
    pub fn forward_with_stats(&self, x: Tensor<4>, stats: &mut GlobalStatistics) -> Tensor<4> {
        let feed_forward = self.ffn.tensors(&self.norm2);
        match stats {
            GlobalStatistics::Own => ops::block(x, self.attn.tensors(&self.norm1), feed_forward),
            _ => {
                let x = self.attn.add_with_stats(x, &self.norm1, stats);
                ops::add_feed_forward(x, feed_forward)
            }
        }
    }
}
