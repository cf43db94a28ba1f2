//! DINO-IR: the restoration net and its guidance, wired as in the paper's figure 2.

pub mod diagnosis;
pub mod dinov2;
pub mod dr_fusion;
pub mod global_statistics;
pub mod layers;
pub mod psf;
pub mod resize;
pub mod restormer;
pub mod steering;
pub mod uncertainty;

use std::cell::LazyCell;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use dinov2::{Dinov2, Dinov2Config};
use dr_fusion::DrFusion;
use global_statistics::GlobalStatistics;
use psf::{DEPTHS, Fused, Psf};
use restormer::resample::pixel_shuffle;
use restormer::{LEVELS, Restormer, RestormerConfig};

/// The whole model; without guidance it is the plain Restormer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DinoIrConfig {
    /// The restoration net.
    #[serde(default)]
    pub restormer: RestormerConfig,
    /// What guides it.
    #[serde(default)]
    pub guidance: Option<GuidanceConfig>,
}

/// The backbone and how its features reach the restoration net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuidanceConfig {
    /// The backbone.
    pub backbone: Dinov2Config,
    /// Shallow, medium and deep block, counted from 1.
    pub depths: [usize; DEPTHS],
    /// Channels of the fused features.
    pub fused: usize,
    /// Hidden width of the gate.
    pub gate_hidden: usize,
    /// Stages that are guided: encoder levels 1 to 3 and the latent, 4.
    pub stages: Vec<usize>,
    /// See [`DrFusion::new`]; equation (5) to the letter is `false`.
    #[serde(default = "yes")]
    pub pixel_mean: bool,
}

fn yes() -> bool {
    true
}

impl GuidanceConfig {
    /// The last block of each third, every stage.
    pub fn new(backbone: Dinov2Config, fused: usize, gate_hidden: usize) -> Self {
        let depths = [1, 2, 3].map(|third| (third * backbone.depth / 3).max(1));
        Self {
            backbone,
            depths,
            fused,
            gate_hidden,
            stages: (1..=LEVELS).collect(),
            pixel_mean: true,
        }
    }

    fn validate(&self) -> Result<()> {
        self.backbone.validate()?;
        let wrong = |what: String| Err(Error::Weights(format!("guidance config: {what}")));
        let blocks = 1..=self.backbone.depth;
        if !self.depths.is_sorted() || self.depths.iter().any(|block| !blocks.contains(block)) {
            return wrong(format!(
                "depths {:?} are not ascending blocks in {blocks:?}",
                self.depths
            ));
        }
        let stages_valid = self.stages.iter().all(|stage| (1..=LEVELS).contains(stage));
        if !stages_valid || !self.stages.is_sorted_by(|a, b| a < b) {
            return wrong(format!(
                "stages {:?} are not ascending numbers in 1..={LEVELS}",
                self.stages
            ));
        }
        if self.fused == 0 || self.fused > 8192 || self.gate_hidden == 0 || self.gate_hidden > 8192
        {
            return wrong("fused and gate_hidden must be in 1..=8192".into());
        }
        Ok(())
    }
}

impl DinoIrConfig {
    /// Paper parity: the published Restormer guided by DINOv2 ViT-S/14. One thing is ours: D-R fusion's products are
    /// means over pixels (`pixel_mean`), so that they do not depend on the size of the tile.
    pub fn full() -> Self {
        Self {
            restormer: RestormerConfig::default(),
            guidance: Some(GuidanceConfig::new(Dinov2Config::small(), 384, 384)),
        }
    }

    /// The embedded default: small enough for a laptop's CPU and a browser.
    pub fn nano() -> Self {
        Self {
            restormer: RestormerConfig {
                dim: 16,
                blocks: [1, 6, 6, 5],
                refinement: 8,
                ..RestormerConfig::default()
            },
            guidance: Some(GuidanceConfig::new(Dinov2Config::nano(), 64, 64)),
        }
    }

    /// # Errors
    /// [`Error::Weights`] if no such model can exist.
    pub fn validate(&self) -> Result<()> {
        self.restormer.validate()?;
        self.guidance
            .as_ref()
            .map_or(Ok(()), GuidanceConfig::validate)
    }

    /// Channels of the features that the result is computed from, for each pixel of the image.
    pub fn last_features(&self) -> usize {
        2 * self.restormer.dim / self.restormer.unshuffle.pow(2)
    }

    /// A randomly initialised model; the backbone is frozen.
    pub fn init(&self, device: &Device) -> DinoIr {
        DinoIr {
            restormer: self.restormer.init(device),
            guidance: self
                .guidance
                .as_ref()
                .map(|guidance| Guidance::new(guidance, &self.restormer, device)),
        }
    }
}

/// The restoration net with its guidance.
#[derive(Module, Debug)]
pub struct DinoIr {
    /// The restoration net.
    pub restormer: Restormer,
    /// Absent in the plain Restormer.
    pub guidance: Option<Guidance>,
}

/// Backbone, pixel-semantic fusion and one D-R fusion for each guided stage.
#[derive(Module, Debug)]
pub struct Guidance {
    /// Frozen DINOv2.
    pub backbone: Dinov2,
    /// Fusion of depths.
    pub psf: Psf,
    /// In the order of `stages`.
    pub dr_fusion: Vec<DrFusion>,
    pub(crate) depths: [usize; DEPTHS],
    pub(crate) stages: Vec<usize>,
}

impl DinoIr {
    /// Restores.
    ///
    /// # Shapes
    /// - `image`, output: `[batch, 3, height, width]`, RGB in 0..1, multiples of
    ///   [`RestormerConfig::multiple`]
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        self.forward_with_stats(image, &mut GlobalStatistics::Own)
    }

    /// As [`forward`](Self::forward), with its shapes, with the global statistics that it is told to take.
    pub fn forward_with_stats(&self, image: Tensor<4>, stats: &mut GlobalStatistics) -> Tensor<4> {
        let refined = self.refine(image.clone(), stats);
        self.restormer.finish(refined, image)
    }

    /// As [`forward_with_stats`](Self::forward_with_stats), with the features that the result is computed from:
    /// `[batch, last features, height, width]`, as many as [`DinoIrConfig::last_features`] says.
    pub fn forward_with_features(
        &self,
        image: Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> [Tensor<4>; 2] {
        let refined = self.refine(image.clone(), stats);
        let features = pixel_shuffle(refined.clone(), self.restormer.unshuffle);
        [self.restormer.finish(refined, image), features]
    }

    fn refine(&self, image: Tensor<4>, stats: &mut GlobalStatistics) -> Tensor<4> {
        match &self.guidance {
            Some(guidance) if !guidance.stages.is_empty() => {
                // Not computed if the statistics are given.
                let fused = LazyCell::new(|| guidance.fuse(image.clone()).features);
                let guide = |stage, features, stats: &mut GlobalStatistics| {
                    guidance.guide(stage, || fused.clone(), features, stats)
                };
                self.restormer.refine(image.clone(), guide, stats)
            }
            _ => {
                let unguided = |_, features, _: &mut GlobalStatistics| features;
                self.restormer.refine(image, unguided, stats)
            }
        }
    }
}

impl DinoIr {
    /// What a [diagnosis] is made of: mean and deviation over all pixels of each channel of the fused features, where there
    /// is guidance, and of the latent.
    ///
    /// # Shapes
    /// - `image`: as [`forward`](Self::forward) takes it
    /// - output: `[batch, 2 (fused + latent)]`, for each map the means first
    pub fn describe(&self, image: Tensor<4>) -> Tensor<2> {
        let stats = &mut GlobalStatistics::Own;
        let Some(guidance) = &self.guidance else {
            let unguided = |_, features, _: &mut GlobalStatistics| features;
            return moments(self.restormer.encode(image, unguided, stats).0);
        };
        let fused = guidance.fuse(image.clone()).features;
        let guide = |stage, features, stats: &mut GlobalStatistics| {
            guidance.guide(stage, || fused.clone(), features, stats)
        };
        let (latent, _) = self.restormer.encode(image, guide, stats);
        Tensor::cat(vec![moments(fused), moments(latent)], 1)
    }
}

/// Means of all channels, then their deviations: `[batch, channels, height, width]` to `[batch, 2 channels]`.
fn moments(map: Tensor<4>) -> Tensor<2> {
    let values = map.flatten::<3>(2, 3);
    let means = values.clone().mean_dim(2);
    let variances = (values - means.clone()).square().mean_dim(2);
    Tensor::cat(vec![means, variances.sqrt()], 1).squeeze_dim(2)
}

impl Guidance {
    fn new(config: &GuidanceConfig, restormer: &RestormerConfig, device: &Device) -> Self {
        let fusion = |&stage: &usize| {
            DrFusion::new(
                config.fused,
                restormer.channels(stage),
                config.pixel_mean,
                device,
            )
        };
        Self {
            backbone: config.backbone.init(device).no_grad(),
            psf: Psf::new(
                config.backbone.width,
                config.gate_hidden,
                config.fused,
                device,
            ),
            dr_fusion: config.stages.iter().map(fusion).collect(),
            depths: config.depths,
            stages: config.stages.clone(),
        }
    }

    /// Equations 1 to 4 on the image.
    ///
    /// # Shapes
    /// - `image`: `[batch, 3, height, width]`, RGB in 0..1
    pub fn fuse(&self, image: Tensor<4>) -> Fused {
        let mut blocks = self.depths.to_vec();
        blocks.dedup();
        let features = self.backbone.features_as_trained(image, &blocks);
        let depth = |block: usize| {
            let i = blocks.iter().position(|&b| b == block).unwrap_or(0);
            features.map(i)
        };
        self.psf.forward(self.depths.map(depth))
    }

    fn guide(
        &self,
        stage: usize,
        fused: impl FnOnce() -> Tensor<4>,
        features: Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> Tensor<4> {
        match self.stages.iter().position(|&guided| guided == stage) {
            Some(i) => self.dr_fusion[i].forward_with_stats(fused, features, stats),
            None => features,
        }
    }
}
