//! One transformer block of the backbone.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::attention::Attention;
use super::config::Dinov2Config;
use super::mlp::FeedForward;
use crate::model::layers::LayerNorm;

/// DINOv2's LayerNorm epsilon.
pub const EPSILON: f64 = 1e-6;

/// Attention and feed-forward network, each normalised before, scaled (LayerScale) and added.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Attention between tokens.
    pub attn: Attention,
    /// LayerScale of the attention, `[width]`.
    pub ls1: Param<Tensor<1>>,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Feed-forward network.
    pub mlp: FeedForward,
    /// LayerScale of the feed-forward network, `[width]`.
    pub ls2: Param<Tensor<1>>,
}

impl Block {
    /// A randomly initialised block.
    pub fn new(config: &Dinov2Config, device: &Device) -> Self {
        let width = config.width;
        let scale = || Initializer::Ones.init([width], device);
        Self {
            norm1: LayerNorm::new(width, EPSILON, device),
            attn: Attention::new(width, config.heads, device),
            ls1: scale(),
            norm2: LayerNorm::new(width, EPSILON, device),
            mlp: FeedForward::new(width, config.swiglu, device),
            ls2: scale(),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = self.attn.add(x, normed, self.ls1.val());
        let normed = self.norm2.forward(x.clone());
        self.mlp.add(x, normed, self.ls2.val())
    }
}
