//! Pixel-semantic fusion (equations 1 to 4): shallow, medium and deep backbone features, each
//! through its own expert, added with the weights of a gate.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::model::layers::{Conv, Linear};
use crate::ops;

/// Depths of features: shallow, medium, deep.
pub const DEPTHS: usize = 3;

/// A CNN expert `E_k`: 1x1, then a residual depthwise 3x3, GELU, 1x1.
#[derive(Module, Debug)]
pub struct Expert {
    /// 1x1, `width -> fused`.
    pub project_in: Conv,
    /// Depthwise 3x3.
    pub dwconv: Conv,
    /// 1x1, `fused -> fused`.
    pub project_out: Conv,
}

impl Expert {
    fn new(width: usize, fused: usize, device: &Device) -> Self {
        Self {
            project_in: Conv::pointwise(width, fused, true, device),
            dwconv: Conv::depthwise(fused, true, device),
            project_out: Conv::pointwise(fused, fused, true, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.project_in.forward(x);
        x.clone() + self.project_out.forward(ops::gelu(self.dwconv.forward(x)))
    }
}

/// The gating network: global average pool, two-layer MLP, softmax.
#[derive(Module, Debug)]
pub struct Gate {
    /// `3 width -> hidden`.
    pub fc1: Linear,
    /// `hidden -> 3`.
    pub fc2: Linear,
}

impl Gate {
    /// The logits of the scores, `[batch, 3]`.
    fn forward(&self, features: Tensor<4>) -> Tensor<2> {
        let [batch, ..] = features.dims();
        let pooled = features.flatten::<3>(2, 3).mean_dim(2).unsqueeze_dim(3);
        let hidden = ops::gelu(self.fc1.forward_map(pooled));
        self.fc2.forward_map(hidden).reshape([batch, DEPTHS])
    }
}

/// Fuses the three depths into one map.
#[derive(Module, Debug)]
pub struct Psf {
    /// Scores of the three depths.
    pub gate: Gate,
    /// Shallow, medium, deep.
    pub experts: Vec<Expert>,
}

/// What [`Psf::forward`] returns.
#[derive(Clone, Debug)]
pub struct Fused {
    /// `F_fused`, `[batch, fused, rows, columns]`.
    pub features: Tensor<4>,
    /// What the scores are made of, `[batch, 3]`.
    pub logits: Tensor<2>,
}

impl Fused {
    /// `S_S, S_M, S_D`, `[batch, 3]`, summing to one.
    pub fn scores(&self) -> Tensor<2> {
        softmax(self.logits.clone(), 1)
    }
}

impl Psf {
    /// Backbone `width`, `hidden` width of the gate, channels of the `fused` map.
    pub fn new(width: usize, hidden: usize, fused: usize, device: &Device) -> Self {
        Self {
            gate: Gate {
                fc1: Linear::new(DEPTHS * width, hidden, device),
                fc2: Linear::new(hidden, DEPTHS, device),
            },
            experts: (0..DEPTHS)
                .map(|_| Expert::new(width, fused, device))
                .collect(),
        }
    }

    /// # Shapes
    /// - `depths`: shallow, medium, deep, each `[batch, width, rows, columns]`
    pub fn forward(&self, depths: [Tensor<4>; DEPTHS]) -> Fused {
        let logits = self.gate.forward(Tensor::cat(depths.to_vec(), 1));
        let expert = |k: usize, x: Tensor<4>| self.experts[k].forward(x);
        let [shallow, medium, deep] = depths;
        let maps = [expert(0, shallow), expert(1, medium), expert(2, deep)];
        Fused {
            features: ops::gated_sum(logits.clone(), maps),
            logits,
        }
    }
}
