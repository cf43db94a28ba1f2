//! Feed-forward networks of the backbone's blocks.

use burn::module::Module;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use crate::model::layers::Linear;

/// `fc2(gelu(fc1(x)))`, four times as wide inside.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `width -> hidden`.
    pub fc1: Linear,
    /// `hidden -> width`.
    pub fc2: Linear,
}

/// `w3(silu(a) * b)`, `a` and `b` the halves of `w12(x)`: ViT-g's feed-forward network.
#[derive(Module, Debug)]
pub struct SwiGlu {
    /// `width -> 2 hidden`.
    pub w12: Linear,
    /// `hidden -> width`.
    pub w3: Linear,
}

/// Either feed-forward network.
#[derive(Module, Debug)]
pub enum FeedForward {
    /// ViT-S, B, L.
    Mlp(Mlp),
    /// ViT-g.
    SwiGlu(SwiGlu),
}

impl FeedForward {
    /// A randomly initialised network.
    pub fn new(width: usize, swiglu: bool, device: &Device) -> Self {
        if swiglu {
            // Two thirds of the usual width, rounded up to a multiple of eight.
            let hidden = (4 * width * 2 / 3).div_ceil(8) * 8;
            Self::SwiGlu(SwiGlu {
                w12: Linear::new(width, 2 * hidden, device),
                w3: Linear::new(hidden, width, device),
            })
        } else {
            Self::Mlp(Mlp {
                fc1: Linear::new(width, 4 * width, device),
                fc2: Linear::new(4 * width, width, device),
            })
        }
    }

    /// `x` with the network's result for `normed`, times `scale`.
    ///
    /// # Shapes
    /// - `x`, `normed`, output: `[batch, tokens, width]`
    /// - `scale`: `[width]`
    pub fn add(&self, x: Tensor<3>, normed: Tensor<3>, scale: Tensor<1>) -> Tensor<3> {
        match self {
            Self::Mlp(Mlp { fc1, fc2 }) => fc2.add(x, fc1.forward_gelu(normed), scale),
            Self::SwiGlu(SwiGlu { w12, w3 }) => {
                let both = w12.forward(normed);
                let hidden = both.dims()[2] / 2;
                let gate = silu(both.clone().narrow(2, 0, hidden));
                w3.add(x, gate * both.narrow(2, hidden, hidden), scale)
            }
        }
    }
}
