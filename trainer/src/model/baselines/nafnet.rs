//! NAFNet (Chen et al. 2022): a U-net without activation functions; halves of channels multiply instead.

use anyhow::{Result, ensure};
use burn::module::{Initializer, Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use dino_ir::model::layers::Conv;
use dino_ir::model::restormer::resample::pixel_shuffle;
use serde::{Deserialize, Serialize};

use super::layers::{LayerNorm2d, halve};

/// Sizes of a [`NafNet`]; the default is the published one for noise (SIDD) at width 32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NafNetConfig {
    /// Channels at full resolution; each further level has twice as many.
    pub width: usize,
    /// Blocks of each level on the way down.
    pub encoder: Vec<usize>,
    /// Blocks at the lowest level.
    pub middle: usize,
    /// Blocks of each level on the way up, the lowest first.
    pub decoder: Vec<usize>,
}

impl Default for NafNetConfig {
    fn default() -> Self {
        Self {
            width: 32,
            encoder: vec![2, 2, 4, 8],
            middle: 12,
            decoder: vec![2, 2, 2, 2],
        }
    }
}

impl NafNetConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let levels = self.encoder.len();
        ensure!(
            (1..=1024).contains(&self.width) && levels <= 6 && levels == self.decoder.len(),
            "nafnet: width must be in 1..=1024, encoder and decoder have equally many levels, at most 6"
        );
        let counts = self.encoder.iter().chain(&self.decoder);
        ensure!(
            counts.chain([&self.middle]).all(|count| *count <= 256),
            "nafnet: more than 256 blocks in a level"
        );
        Ok(())
    }

    pub(super) fn multiple(&self) -> usize {
        1 << self.encoder.len()
    }

    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> NafNet {
        let blocks = |count: usize, channels: usize| -> Vec<Block> {
            (0..count).map(|_| Block::new(channels, device)).collect()
        };
        let levels = self.encoder.len();
        let channels = |level: usize| self.width << level;
        NafNet {
            intro: Conv::full(3, self.width, true, device),
            encoders: (0..levels)
                .map(|level| blocks(self.encoder[level], channels(level)))
                .collect(),
            downs: (0..levels)
                .map(|level| halve(channels(level), channels(level + 1), device))
                .collect(),
            middle_blks: blocks(self.middle, channels(levels)),
            ups: (0..levels)
                .rev()
                .map(|level| {
                    let inputs = channels(level + 1);
                    Conv::pointwise(inputs, 2 * inputs, false, device)
                })
                .collect(),
            decoders: (0..levels)
                .rev()
                .zip(&self.decoder)
                .map(|(level, count)| blocks(*count, channels(level)))
                .collect(),
            ending: Conv::full(self.width, 3, true, device),
        }
    }
}

/// The net; fields have the published names.
#[derive(Module, Debug)]
pub struct NafNet {
    /// 3x3, `3 -> width`.
    pub intro: Conv,
    /// Blocks on the way down.
    pub encoders: Vec<Vec<Block>>,
    /// To the next level.
    pub downs: Vec<Conv2d>,
    /// Blocks at the lowest level.
    pub middle_blks: Vec<Block>,
    /// 1x1 before the pixel shuffle back up.
    pub ups: Vec<Conv>,
    /// Blocks on the way up.
    pub decoders: Vec<Vec<Block>>,
    /// 3x3, `width -> 3`.
    pub ending: Conv,
}

impl NafNet {
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, multiples of two to the number of levels
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let run = |blocks: &[Block], x| blocks.iter().fold(x, |x, block| block.forward(x));
        let mut x = self.intro.forward(image.clone());
        let mut skips = Vec::with_capacity(self.downs.len());
        for (blocks, down) in self.encoders.iter().zip(&self.downs) {
            x = run(blocks, x);
            skips.push(x.clone());
            x = down.forward(x);
        }
        x = run(&self.middle_blks, x);
        for ((blocks, up), skip) in self
            .decoders
            .iter()
            .zip(&self.ups)
            .zip(skips.into_iter().rev())
        {
            x = run(blocks, pixel_shuffle(up.forward(x), 2) + skip);
        }
        self.ending.forward(x) + image
    }
}

/// Two residual halves: depthwise convolution with channel attention, and a gated 1x1 network.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the first half.
    pub norm1: LayerNorm2d,
    /// 1x1, `channels -> 2 channels`.
    pub conv1: Conv,
    /// Depthwise 3x3 on `2 channels`.
    pub conv2: Conv,
    /// 1x1 on the mean over all pixels: one factor for each channel.
    pub sca: Conv,
    /// 1x1, `channels -> channels`.
    pub conv3: Conv,
    /// Before the second half.
    pub norm2: LayerNorm2d,
    /// 1x1, `channels -> 2 channels`.
    pub conv4: Conv,
    /// 1x1, `channels -> channels`.
    pub conv5: Conv,
    /// Scale of the first half, `[1, channels, 1, 1]`; 0 at first.
    pub beta: Param<Tensor<4>>,
    /// Scale of the second half.
    pub gamma: Param<Tensor<4>>,
}

impl Block {
    fn new(channels: usize, device: &Device) -> Self {
        let pointwise = |outputs| Conv::pointwise(channels, outputs, true, device);
        let scale = || Initializer::Zeros.init([1, channels, 1, 1], device);
        Self {
            norm1: LayerNorm2d::new(channels, device),
            conv1: pointwise(2 * channels),
            conv2: Conv::depthwise(2 * channels, true, device),
            sca: pointwise(channels),
            conv3: pointwise(channels),
            norm2: LayerNorm2d::new(channels, device),
            conv4: pointwise(2 * channels),
            conv5: pointwise(channels),
            beta: scale(),
            gamma: scale(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mixed = gate(
            self.conv2
                .forward(self.conv1.forward(self.norm1.forward(x.clone()))),
        );
        let mean = mixed.clone().mean_dim(2).mean_dim(3);
        let attended = mixed * self.sca.forward(mean);
        let y = x + self.conv3.forward(attended) * self.beta.val();
        let fed = gate(self.conv4.forward(self.norm2.forward(y.clone())));
        y + self.conv5.forward(fed) * self.gamma.val()
    }
}

/// The product of the two halves of the channels.
fn gate(x: Tensor<4>) -> Tensor<4> {
    let half = x.dims()[1] / 2;
    x.clone().narrow(1, 0, half) * x.narrow(1, half, half)
}

/// The published name of a parameter of ours: there pooling and shuffling are modules of their own.
pub fn published_name(ours: &str) -> String {
    let mut parts: Vec<&str> = ours.split('.').collect();
    if let Some(at) = parts.iter().position(|part| *part == "sca") {
        parts.insert(at + 1, "1");
    }
    if parts.first() == Some(&"ups") {
        parts.insert(2, "0");
    }
    parts.join(".")
}
