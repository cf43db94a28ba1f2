//! DINO's projection head.

use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use dino_ir::model::layers::Linear;
use serde::{Deserialize, Serialize};

/// Sizes of a [`Head`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Width of what is compared with the prototypes.
    pub bottleneck: usize,
    /// Prototypes: classes that the student and the teacher must agree on.
    pub prototypes: usize,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            hidden: 256,
            bottleneck: 64,
            prototypes: 512,
        }
    }
}

/// Three layers, then cosines with the prototypes.
#[derive(Module, Debug)]
pub struct Head {
    first: Linear,
    second: Linear,
    third: Linear,
    prototypes: Linear,
}

impl Head {
    /// A randomly initialised head for tokens of `width`.
    pub fn new(width: usize, config: &HeadConfig, device: &Device) -> Self {
        Self {
            first: Linear::new(width, config.hidden, device),
            second: Linear::new(config.hidden, config.hidden, device),
            third: Linear::new(config.hidden, config.bottleneck, device),
            prototypes: Linear::new(config.bottleneck, config.prototypes, device),
        }
    }

    /// # Shapes
    /// - `tokens`: `[batch, tokens, width]`
    /// - output: `[batch, tokens, prototypes]`, in -1..1
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let x = gelu(self.first.forward(tokens));
        let x = unit(self.third.forward(gelu(self.second.forward(x))), 2);
        let [batch, tokens, width] = x.dims();
        let prototypes = unit(self.prototypes.weight.val(), 1);
        let [count, _] = prototypes.dims();
        x.reshape([batch * tokens, width])
            .matmul(prototypes.transpose())
            .reshape([batch, tokens, count])
    }
}

/// Vectors along `axis` at length one.
fn unit<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let length = (x.clone().square().sum_dim(axis) + 1e-12).sqrt();
    x / length
}
