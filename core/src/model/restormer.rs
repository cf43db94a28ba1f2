//! Restormer: a four-level encoder and decoder of channel-attention blocks, with a place after
//! each encoder level and the latent where guidance can be fused in.

pub mod block;
pub mod gdfn;
pub mod layer_norm;
pub mod mdta;
pub mod resample;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::model::global_statistics::GlobalStatistics;
use crate::model::layers::Conv;
use crate::{Error, Result};
use block::Block;
pub use layer_norm::NormKind;
use resample::{Downsample, Upsample, pixel_shuffle, pixel_unshuffle};

/// Number of levels: three of the encoder and the latent.
pub const LEVELS: usize = 4;

/// Sizes of a [`Restormer`]; the default is the published one of 26.13 M parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestormerConfig {
    /// Channels of level 1; without `widths` each further level has twice as many.
    pub dim: usize,
    /// Channels of levels 1 to 4, the first of them `dim`: channels cost little where pixels are few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widths: Option<[usize; LEVELS]>,
    /// Blocks of levels 1 to 4.
    pub blocks: [usize; LEVELS],
    /// Attention heads of levels 1 to 4.
    pub heads: [usize; LEVELS],
    /// Blocks after the decoder, at full resolution and `2 dim` channels.
    pub refinement: usize,
    /// Width of the feed-forward network, in multiples of the channels.
    pub expansion: f64,
    /// Which layer norm.
    pub norm: NormKind,
    /// The net works on the image pixel-unshuffled by this factor, 1 (the published net) or 2, and
    /// shuffles its result back: at 2 each pixel costs a quarter at the same width, and the same
    /// blocks see twice as far.
    pub unshuffle: usize,
}

impl Default for RestormerConfig {
    fn default() -> Self {
        Self {
            dim: 48,
            widths: None,
            blocks: [4, 6, 6, 8],
            heads: [1, 2, 4, 8],
            refinement: 4,
            expansion: 2.66,
            norm: NormKind::WithBias,
            unshuffle: 1,
        }
    }
}

impl RestormerConfig {
    /// Channels of `level`, counted from 1.
    pub fn channels(&self, level: usize) -> usize {
        match self.widths {
            Some(widths) => widths[level - 1],
            None => self.dim << (level - 1),
        }
    }

    /// Height and width of the input must be multiples of this.
    pub fn multiple(&self) -> usize {
        self.unshuffle << (LEVELS - 1)
    }

    /// # Errors
    /// [`Error::Weights`] if no such net can exist, or is too large to be meant.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights(format!("restormer config: {what}")));
        if self.dim == 0 || !self.dim.is_multiple_of(2) || self.dim > 1024 {
            return wrong(format!("dim {} is not an even number up to 1024", self.dim));
        }
        if let Some(widths) = self.widths {
            let fit = |&width: &usize| (1..=8192).contains(&width) && width.is_multiple_of(4);
            if widths[0] != self.dim || !widths[1..].iter().all(fit) {
                return wrong(format!(
                    "widths {widths:?} are not dim, {}, and then multiples of 4 up to 8192",
                    self.dim
                ));
            }
        }
        if !(0.1..=16.0).contains(&self.expansion) {
            return wrong(format!("expansion {} is not in 0.1..=16", self.expansion));
        }
        if (self.dim as f64 * self.expansion) < 1.0 {
            return wrong(format!(
                "expansion {} leaves a feed-forward network of {} channels nothing",
                self.expansion, self.dim
            ));
        }
        if !(1..=2).contains(&self.unshuffle) {
            return wrong(format!("unshuffle {} is not 1 or 2", self.unshuffle));
        }
        let blocks = self.blocks.iter().chain([&self.refinement]);
        if blocks.clone().any(|&count| count > 256) {
            return wrong("more than 256 blocks in a level".into());
        }
        for (level, &heads) in (1..).zip(&self.heads) {
            if heads == 0 || !self.channels(level).is_multiple_of(heads) {
                return wrong(format!(
                    "{heads} heads do not divide the {} channels of level {level}",
                    self.channels(level)
                ));
            }
        }
        // Level 1 of the decoder has 2 dim channels in the heads of level 1: always divisible.
        Ok(())
    }

    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> Restormer {
        let level = |count: usize, channels: usize, heads: usize| -> Vec<Block> {
            (0..count)
                .map(|_| Block::new(channels, heads, self.expansion, self.norm, device))
                .collect()
        };
        let [d1, d2, d3, d4] = [1, 2, 3, 4].map(|level| self.channels(level));
        // What comes up to level 1 beside what was there.
        let full = 2 * d1;
        let [b1, b2, b3, b4] = self.blocks;
        let [h1, h2, h3, h4] = self.heads;
        let colours = 3 * self.unshuffle * self.unshuffle;
        Restormer {
            patch_embed: Conv::full(colours, d1, false, device),
            encoder: vec![level(b1, d1, h1), level(b2, d2, h2), level(b3, d3, h3)],
            down: [(d1, d2), (d2, d3), (d3, d4)]
                .map(|(d, below)| Downsample::new(d, below, device))
                .into(),
            latent: level(b4, d4, h4),
            up: [(d4, d3), (d3, d2), (d2, d1)]
                .map(|(d, above)| Upsample::new(d, above, device))
                .into(),
            reduce: [d3, d2]
                .map(|d| Conv::pointwise(2 * d, d, false, device))
                .into(),
            decoder: vec![level(b3, d3, h3), level(b2, d2, h2), level(b1, full, h1)],
            refinement: level(self.refinement, full, h1),
            output: Conv::full(full, colours, false, device),
            unshuffle: self.unshuffle,
        }
    }
}

/// The restoration net. Counting is from full resolution downwards in `encoder` and `down`,
/// and back upwards in `up`, `reduce` and `decoder`.
#[derive(Module, Debug)]
pub struct Restormer {
    /// 3x3, `3 unshuffle^2 -> dim`.
    pub patch_embed: Conv,
    /// Blocks of levels 1, 2, 3.
    pub encoder: Vec<Vec<Block>>,
    /// From levels 1, 2, 3 to 2, 3, 4.
    pub down: Vec<Downsample>,
    /// Blocks of level 4.
    pub latent: Vec<Block>,
    /// From levels 4, 3, 2 to 3, 2, 1.
    pub up: Vec<Upsample>,
    /// 1x1 after the concatenation with the encoder's output, at levels 3 and 2.
    pub reduce: Vec<Conv>,
    /// Blocks of levels 3, 2, 1; level 1 keeps `2 dim` channels.
    pub decoder: Vec<Vec<Block>>,
    /// Blocks at full resolution.
    pub refinement: Vec<Block>,
    /// 3x3, `2 dim -> 3 unshuffle^2`.
    pub output: Conv,
    /// As in [`RestormerConfig::unshuffle`].
    pub unshuffle: usize,
}

impl Restormer {
    /// As [`RestormerConfig::multiple`].
    pub fn multiple(&self) -> usize {
        self.unshuffle << (LEVELS - 1)
    }

    /// Restores without guidance.
    ///
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, multiples of
    ///   [`RestormerConfig::multiple`]
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        self.forward_guided(image, |_, features| features)
    }

    /// Restores; `guide(level, features)` replaces the features after each encoder level
    /// (1, 2, 3) and the latent (4).
    ///
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, multiples of
    ///   [`RestormerConfig::multiple`]
    /// - `features`: `[batch, channels(level), height / d, width / d]` with
    ///   `d = unshuffle 2^(level - 1)`
    pub fn forward_guided(
        &self,
        image: Tensor<4>,
        guide: impl Fn(usize, Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let guide = |level, features, _: &mut GlobalStatistics| guide(level, features);
        self.forward_with_stats(image, guide, &mut GlobalStatistics::Own)
    }

    /// The same with other global statistics.
    pub fn forward_with_stats(
        &self,
        image: Tensor<4>,
        guide: impl Fn(usize, Tensor<4>, &mut GlobalStatistics) -> Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> Tensor<4> {
        let refined = self.refine(image.clone(), guide, stats);
        self.finish(refined, image)
    }
}

impl Restormer {
    /// All but the last step: the features that the correction is computed from, `[batch, 2 dim, ..]`.
    pub(crate) fn refine(
        &self,
        image: Tensor<4>,
        guide: impl Fn(usize, Tensor<4>, &mut GlobalStatistics) -> Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> Tensor<4> {
        let (mut x, mut skips) = self.encode(image, guide, stats);
        for (i, (up, blocks)) in self.up.iter().zip(&self.decoder).enumerate() {
            let up = up.forward(x);
            x = match skips.pop() {
                Some(skip) => Tensor::cat(vec![up, skip], 1),
                None => up,
            };
            if let Some(reduce) = self.reduce.get(i) {
                x = reduce.forward(x);
            }
            x = run(blocks, x, stats);
        }
        run(&self.refinement, x, stats)
    }

    /// The last step: the image with the correction.
    pub(crate) fn finish(&self, refined: Tensor<4>, image: Tensor<4>) -> Tensor<4> {
        pixel_shuffle(self.output.forward(refined), self.unshuffle) + image
    }

    /// Down to the latent: its features, and those of the levels above, both guided.
    pub(crate) fn encode(
        &self,
        image: Tensor<4>,
        guide: impl Fn(usize, Tensor<4>, &mut GlobalStatistics) -> Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> (Tensor<4>, Vec<Tensor<4>>) {
        let mut x = self
            .patch_embed
            .forward(pixel_unshuffle(image, self.unshuffle));
        let mut skips = Vec::with_capacity(self.encoder.len());
        for (level, (blocks, down)) in (1..).zip(self.encoder.iter().zip(&self.down)) {
            let features = guide(level, run(blocks, x, stats), stats);
            x = down.forward(features.clone());
            skips.push(features);
        }
        (guide(LEVELS, run(&self.latent, x, stats), stats), skips)
    }
}

fn run(blocks: &[Block], x: Tensor<4>, stats: &mut GlobalStatistics) -> Tensor<4> {
    blocks
        .iter()
        .fold(x, |x, block| block.forward_with_stats(x, stats))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_that_fit_no_net_are_named() {
        let with = |widths| RestormerConfig {
            dim: 16,
            widths: Some(widths),
            ..RestormerConfig::default()
        };
        assert!(with([16, 32, 96, 192]).validate().is_ok());
        for widths in [[12, 32, 64, 128], [16, 34, 64, 128], [16, 32, 64, 0]] {
            let error = with(widths).validate().expect_err("no such net");
            assert!(error.to_string().contains("widths"), "{error}");
        }
        assert_eq!(with([16, 32, 96, 192]).channels(3), 96);
        assert_eq!(RestormerConfig::default().channels(3), 192);
    }
}
