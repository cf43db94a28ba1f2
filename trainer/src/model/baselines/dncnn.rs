//! DnCNN (Zhang et al. 2017): plain 3x3 convolutions that predict the noise. Batch norm is left out, as in the
//! published weights, where it is merged into the convolutions.

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use dino_ir::model::layers::Conv;
use serde::{Deserialize, Serialize};

/// Sizes of a [`DnCnn`]; the default is the published one for colour photos of unknown noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnCnnConfig {
    /// Channels.
    pub width: usize,
    /// Convolutions.
    pub depth: usize,
}

impl Default for DnCnnConfig {
    fn default() -> Self {
        Self {
            width: 64,
            depth: 20,
        }
    }
}

impl DnCnnConfig {
    pub(super) fn validate(&self) -> Result<()> {
        ensure!(
            (1..=1024).contains(&self.width) && (2..=256).contains(&self.depth),
            "dncnn: width must be in 1..=1024, depth in 2..=256"
        );
        Ok(())
    }

    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> DnCnn {
        let convs = (0..self.depth).map(|index| {
            let inputs = if index == 0 { 3 } else { self.width };
            let outputs = if index + 1 == self.depth {
                3
            } else {
                self.width
            };
            Conv::full(inputs, outputs, true, device)
        });
        DnCnn {
            convs: convs.collect(),
        }
    }
}

/// The net.
#[derive(Module, Debug)]
pub struct DnCnn {
    /// 3x3 with bias; ReLU between them.
    pub convs: Vec<Conv>,
}

impl DnCnn {
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut convs = self.convs.iter();
        let first = convs.next().map(|conv| conv.forward(image.clone()));
        let noise = convs.fold(first, |x, conv| x.map(|x| conv.forward(relu(x))));
        match noise {
            Some(noise) => image - noise,
            None => image,
        }
    }
}

/// The published name of a parameter of ours: every other module there is a ReLU.
pub fn published_name(ours: &str) -> String {
    let parts: Vec<&str> = ours.split('.').collect();
    match parts.as_slice() {
        ["convs", index, rest] => match index.parse::<usize>() {
            Ok(index) => format!("model.{}.{rest}", 2 * index),
            Err(_) => ours.to_owned(),
        },
        _ => ours.to_owned(),
    }
}
