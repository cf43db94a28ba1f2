//! PromptIR (Potlapalli et al. 2023): a Restormer whose decoder is told the kind of degradation by learned prompts.
//!
//! Written from the paper. It leaves widths open; here a prompt is as wide as the features that it joins.

use anyhow::{Result, ensure};
use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use dino_ir::model::layers::{Conv, Linear};
use dino_ir::model::resize::{Axis, resize};
use dino_ir::model::restormer::block::Block;
use dino_ir::model::restormer::{LEVELS, Restormer, RestormerConfig};
use serde::{Deserialize, Serialize};

/// Sizes of a [`PromptIr`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptIrConfig {
    /// The net that is prompted.
    pub restormer: RestormerConfig,
    /// Prompts to mix at each level.
    pub prompts: usize,
    /// Side of a prompt at the latent level; each level above has twice that.
    pub side: usize,
}

impl Default for PromptIrConfig {
    fn default() -> Self {
        Self {
            restormer: RestormerConfig::default(),
            prompts: 5,
            side: 16,
        }
    }
}

/// Levels whose features get a prompt: the latent, then the decoder's 3 and 2.
const PROMPTED: [usize; 3] = [4, 3, 2];

impl PromptIrConfig {
    pub(super) fn validate(&self) -> Result<()> {
        self.restormer.validate()?;
        ensure!(
            self.restormer.unshuffle == 1,
            "promptir: unshuffle must be 1"
        );
        ensure!(
            (1..=64).contains(&self.prompts) && (1..=64).contains(&self.side),
            "promptir: prompts and side must be in 1..=64"
        );
        Ok(())
    }

    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> PromptIr {
        let prompt = |level: usize| {
            let side = self.side << (LEVELS - level);
            PromptBlock::new(self, level, side, device)
        };
        PromptIr {
            restormer: self.restormer.init(device),
            prompts: PROMPTED.into_iter().map(prompt).collect(),
        }
    }
}

/// The net.
#[derive(Module, Debug)]
pub struct PromptIr {
    /// The net that is prompted.
    pub restormer: Restormer,
    /// For levels 4, 3, 2, on the way up.
    pub prompts: Vec<PromptBlock>,
}

impl PromptIr {
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, multiples of 8
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let net = &self.restormer;
        let run = |blocks: &[Block], x| blocks.iter().fold(x, |x, block| block.forward(x));
        let mut x = net.patch_embed.forward(image.clone());
        let mut skips = Vec::with_capacity(net.down.len());
        for (blocks, down) in net.encoder.iter().zip(&net.down) {
            x = run(blocks, x);
            skips.push(x.clone());
            x = down.forward(x);
        }
        x = run(&net.latent, x);
        let prompts = self.prompts.iter();
        let ways_up = net.up.iter().zip(&net.decoder).zip(skips.into_iter().rev());
        for (level, (((up, blocks), skip), prompt)) in ways_up.zip(prompts).enumerate() {
            x = Tensor::cat(vec![up.forward(prompt.forward(x)), skip], 1);
            if let Some(reduce) = net.reduce.get(level) {
                x = reduce.forward(x);
            }
            x = run(blocks, x);
        }
        net.output.forward(run(&net.refinement, x)) + image
    }
}

/// Makes a prompt for the features at hand, and lets them meet it.
#[derive(Module, Debug)]
pub struct PromptBlock {
    /// `[prompts, channels, side, side]`.
    pub components: Param<Tensor<4>>,
    /// Mean features to a weight for each component.
    pub weigh: Linear,
    /// 3x3 on the mixed prompt.
    pub conv: Conv,
    /// On features and prompt together.
    pub block: Block,
    /// 1x1 back to the features' width.
    pub reduce: Conv,
}

impl PromptBlock {
    fn new(config: &PromptIrConfig, level: usize, side: usize, device: &Device) -> Self {
        let restormer = &config.restormer;
        let channels = restormer.channels(level);
        let init = Initializer::Uniform { min: 0.0, max: 1.0 };
        let heads = restormer.heads[level - 1];
        Self {
            components: init.init([config.prompts, channels, side, side], device),
            weigh: Linear::new(channels, config.prompts, device),
            conv: Conv::full(channels, channels, true, device),
            block: Block::new(
                2 * channels,
                heads,
                restormer.expansion,
                restormer.norm,
                device,
            ),
            reduce: Conv::pointwise(2 * channels, channels, false, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let components = self.components.val();
        let [count, _, side, _] = components.dims();
        let pooled = x
            .clone()
            .mean_dim(2)
            .mean_dim(3)
            .reshape([batch, 1, channels]);
        let weights = softmax(self.weigh.forward(pooled), 2).reshape([batch, count]);
        let mixed = weights
            .matmul(components.reshape([count, channels * side * side]))
            .reshape([batch, channels, side, side]);
        let axis = |to: usize| Axis::bilinear(side, to);
        let prompt = self.conv.forward(resize(mixed, axis(height), axis(width)));
        self.reduce
            .forward(self.block.forward(Tensor::cat(vec![x, prompt], 1)))
    }
}
