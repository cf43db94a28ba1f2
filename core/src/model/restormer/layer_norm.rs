//! Layer norm over the channels of each pixel.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::ops::{self, ChannelNorm};

/// Restormer's two norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Centred, scaled and shifted.
    #[default]
    WithBias,
    /// Scaled by the deviation only, neither centred nor shifted.
    BiasFree,
}

/// Layer norm over channels, epsilon 1e-5.
#[derive(Module, Debug)]
pub struct ChannelLayerNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`; absent in the bias-free norm.
    pub bias: Option<Param<Tensor<1>>>,
}

impl ChannelLayerNorm {
    /// The identity scale and shift.
    pub fn new(channels: usize, kind: NormKind, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: (kind == NormKind::WithBias).then(|| Initializer::Zeros.init([channels], device)),
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, channels, height, width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ChannelNorm { gamma, beta } = self.tensors();
        ops::channel_layer_norm(x, gamma, beta)
    }

    /// Its scale and shift.
    pub(crate) fn tensors(&self) -> ChannelNorm {
        ChannelNorm {
            gamma: self.weight.val(),
            beta: self.bias.as_ref().map(|bias| bias.val()),
        }
    }
}
