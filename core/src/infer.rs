//! The networks for inference on the CPU: weights packed once, steps fused so that what is between
//! them stays in the cache, no graph for gradients. The arithmetic is that of `crate::cpu`.
//! [`crate::model`] is the reference; this gives the same results within rounding (1e-5 for each part).
//!
//! | file | what |
//! |---|---|
//! | `mdta`, `gdfn`, `block` | a transformer block in two sweeps |
//! | `run` | buffers and reports of a run |
//! | `global_statistics` | sums over pixels, the image's own or those of a calibration pass |
//! | `dinov2`, `psf`, `dr_fusion`, `restormer` | the parts of the method |
//! | `resize` | the image as the backbone takes it |
//! | `peak_memory` | what a run needs at its peak |
//! | `backbone`, `peak` | the backbone alone, and what the processor could do, for measurements |
//!
//! Kernels address memory through `cpu::rows::Rows`, because threads write interleaved parts of one
//! map. Who calls an `unsafe` function here says that nobody else touches what it writes; sizes are
//! asserted where planes become addresses.

mod backbone;
mod block;
mod dinov2;
mod dr_fusion;
mod gdfn;
mod global_statistics;
mod mdta;
mod peak;
mod peak_memory;
mod psf;
mod resize;
mod restormer;
mod run;
#[cfg(test)]
mod tests;
mod weights;

pub use backbone::Backbone;
pub use peak::peak_flops;
pub(crate) use peak_memory::{peak_bytes, statistics_bytes};
pub use run::Stage;

use crate::cpu::pool::{Map, Planes};
use crate::model::psf::DEPTHS;
use crate::model::{self, DinoIr};
use dinov2::Dinov2;
use dr_fusion::DrFusion;
use global_statistics::GlobalStatistics;
use psf::{Depth, Psf};
use restormer::{Guide, Restormer};
use run::{Run, Workspace};

/// A network with its weights packed for the CPU.
#[derive(Debug)]
pub struct Packed {
    restormer: Restormer,
    guidance: Option<Guidance>,
    workspace: Workspace,
}

#[derive(Debug)]
struct Guidance {
    backbone: Dinov2,
    psf: Psf,
    dr_fusion: Vec<DrFusion>,
    depths: [usize; DEPTHS],
    stages: Vec<usize>,
}

impl Packed {
    /// Packs the weights of a model; nothing if it has a part that nobody has fused: then [`crate::model`] computes it.
    pub fn new(model: &DinoIr) -> Option<Self> {
        Some(Self {
            restormer: Restormer::new(&model.restormer)?,
            guidance: model.guidance.as_ref().map(Guidance::new),
            workspace: Workspace::default(),
        })
    }

    /// Restores.
    ///
    /// # Shapes
    /// - `image`, result: `[3, height, width]`, RGB in 0..1, multiples of
    ///   [`RestormerConfig::multiple`](crate::model::restormer::RestormerConfig::multiple)
    ///
    /// # Panics
    /// If the size is not as said.
    pub fn forward(&self, image: &[f32], size: [usize; 2]) -> Vec<f32> {
        self.forward_watched(image, size, &mut |_| {})
    }

    /// The [global statistics](crate::model::global_statistics) that [`forward`](Self::forward) computes on its way: of all
    /// channel attentions and D-R fusions one after the other.
    ///
    /// # Shapes
    /// - `image`: `[3, height, width]`, `size` being height and width
    ///
    /// # Panics
    /// If the size is not as said.
    pub fn global_statistics(&self, image: &[f32], size: [usize; 2]) -> Vec<f32> {
        let mut kept = Vec::new();
        let stats = GlobalStatistics::Recorded(&mut kept);
        let watch = &mut |_| {};
        self.run(image, size, &mut Run { stats, watch });
        kept
    }

    /// As [`forward`](Self::forward), with the global statistics of a calibration pass.
    ///
    /// # Shapes
    /// - `image`, output: `[3, height, width]`, `size` being height and width
    /// - `stats`: as [`global_statistics`](Self::global_statistics) gives them, of an image of any size
    ///
    /// # Panics
    /// If the size is not as said, or the statistics are of another net.
    pub fn forward_with_stats(&self, image: &[f32], size: [usize; 2], stats: &[f32]) -> Vec<f32> {
        let stats = GlobalStatistics::Given(stats);
        let watch = &mut |_| {};
        self.run(image, size, &mut Run { stats, watch })
    }

    /// The same; `watch` is called after each stage.
    ///
    /// # Panics
    /// If the size is not as said.
    pub fn forward_watched(
        &self,
        image: &[f32],
        size: [usize; 2],
        watch: &mut dyn FnMut(Stage),
    ) -> Vec<f32> {
        let stats = GlobalStatistics::Own;
        self.run(image, size, &mut Run { stats, watch })
    }

    /// As [`forward`](Self::forward), or with given `stats`, with the features that the result is computed from:
    /// `[features, height / unshuffle, width / unshuffle]`.
    ///
    /// # Panics
    /// As [`forward_with_stats`](Self::forward_with_stats).
    pub fn forward_with_features(
        &self,
        image: &[f32],
        size: [usize; 2],
        stats: Option<&[f32]>,
    ) -> [Vec<f32>; 2] {
        let stats = stats.map_or(GlobalStatistics::Own, GlobalStatistics::Given);
        let watch = &mut |_| {};
        let run = &mut Run { stats, watch };
        let refined = self.refine(image, size, run);
        let features = refined.planes();
        let of_channel = |channel| {
            // SAFETY: nobody writes to the map any more.
            unsafe { features.channel(channel) }
        };
        let features = (0..features.channels)
            .flat_map(of_channel)
            .copied()
            .collect();
        [self.corrected(image, refined.planes(), run), features]
    }

    fn run(&self, image: &[f32], size: [usize; 2], run: &mut Run<'_>) -> Vec<f32> {
        let refined = self.refine(image, size, run);
        self.corrected(image, refined.planes(), run)
    }

    /// The features that the result is computed from.
    fn refine(&self, image: &[f32], size: [usize; 2], run: &mut Run<'_>) -> Map<'_> {
        let map = self.map_of(image, size);
        let fused = self.guidance.as_ref().map(|guidance| {
            // Fused features serve for the sums of D-R fusion only.
            let needed = !run.stats.is_given() && !guidance.stages.is_empty();
            let fused = needed.then(|| guidance.fuse(&self.workspace, map.planes(), run));
            (guidance, fused)
        });
        match &fused {
            None => self
                .restormer
                .refine(&self.workspace, map.planes(), None, run),
            Some((guidance, fused)) => {
                let guide = Guide {
                    fused: fused.as_ref().map(Map::planes),
                    fusion: &|level| guidance.fusion(level),
                };
                self.restormer
                    .refine(&self.workspace, map.planes(), Some(&guide), run)
            }
        }
    }

    /// The image with the correction that its last features give.
    fn corrected(&self, image: &[f32], refined: Planes<'_>, run: &mut Run<'_>) -> Vec<f32> {
        let residual = self.restormer.correction(&self.workspace, refined, run);
        let pixels = image.len() / 3;
        let mut restored = image.to_vec();
        for (channel, values) in restored.chunks_exact_mut(pixels).enumerate() {
            // SAFETY: nobody writes to the map any more.
            let residual = unsafe { residual.planes().channel(channel) };
            for (value, residual) in values.iter_mut().zip(residual) {
                *value += residual;
            }
        }
        restored
    }

    /// What a diagnosis is made of ([`crate::model::diagnosis`]): mean and deviation over all pixels of each channel of the
    /// fused features, where there is guidance, and of the latent.
    ///
    /// # Shapes
    /// - `image`: `[3, height, width]`, `size` being height and width
    /// - result: `[2 (fused + latent)]`, for each map the means first
    ///
    /// # Panics
    /// If the size is not as said.
    pub fn describe(&self, image: &[f32], size: [usize; 2]) -> Vec<f32> {
        let map = self.map_of(image, size);
        let run = &mut Run {
            stats: GlobalStatistics::Own,
            watch: &mut |_| {},
        };
        let workspace = &self.workspace;
        let guidance = self.guidance.as_ref();
        let fused = guidance.map(|guidance| guidance.fuse(workspace, map.planes(), run));
        let fusion = |level| guidance.and_then(|guidance| guidance.fusion(level));
        let guide = fused.as_ref().map(|fused| Guide {
            fused: Some(fused.planes()),
            fusion: &fusion,
        });
        let encoded = self
            .restormer
            .encode(workspace, map.planes(), guide.as_ref(), run);
        let maps = fused.iter().chain([&encoded.latent]);
        maps.flat_map(|map| moments(map.planes())).collect()
    }

    /// The image as a map.
    ///
    /// # Panics
    /// If the size is not one that the net takes.
    fn map_of(&self, image: &[f32], size: [usize; 2]) -> Map<'_> {
        let [height, width] = size;
        assert!(
            size.iter()
                .all(|side| side.is_multiple_of(self.restormer.multiple()) && *side > 0),
            "{height} x {width} are multiples of {}",
            self.restormer.multiple()
        );
        let map = Map::new(&self.workspace.maps, 3, size);
        map.fill(image);
        map
    }

    /// Gives the buffers back that are kept for the next image.
    pub fn release(&self) {
        self.workspace.maps.clear();
        self.workspace.scratch.clear();
    }
}

/// Means of all channels, then their deviations.
fn moments(map: Planes<'_>) -> Vec<f32> {
    let moments = |channel| {
        // SAFETY: nobody writes to the map any more.
        let values = unsafe { map.channel(channel) };
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
        [mean as f32, (squares.sum::<f64>() / count).sqrt() as f32]
    };
    let moments: Vec<[f32; 2]> = (0..map.channels).map(moments).collect();
    let part = |part: usize| moments.iter().map(move |moments| moments[part]);
    part(0).chain(part(1)).collect()
}

impl Guidance {
    fn new(guidance: &model::Guidance) -> Self {
        Self {
            backbone: Dinov2::new(&guidance.backbone),
            psf: Psf::new(&guidance.psf),
            dr_fusion: guidance.dr_fusion.iter().map(DrFusion::new).collect(),
            depths: guidance.depths,
            stages: guidance.stages.clone(),
        }
    }

    /// Equations 1 to 4 on the image.
    fn fuse<'w>(&self, workspace: &'w Workspace, image: Planes<'_>, run: &mut Run<'_>) -> Map<'w> {
        let resized = resize::fit(workspace, image);
        let floats = image.floats() + resized.planes().floats();
        (run.watch)(Stage::new("resize", 0, floats));
        let mut depths: [Option<Depth<'w>>; DEPTHS] = [const { None }; DEPTHS];
        let last = self.depths[DEPTHS - 1];
        let mut patches = 0;
        self.backbone
            .forward(workspace, resized.planes(), last, |number, features| {
                patches = features.pixels();
                for (depth, slot) in depths.iter_mut().enumerate() {
                    if self.depths[depth] == number {
                        *slot = Some(self.psf.depth(workspace, depth, features));
                    }
                }
            });
        let flops = self.backbone.flops(last, patches) + self.psf.flops(patches);
        let depths = depths.map(|depth| depth.expect("the depths are blocks of the backbone"));
        let fused = self.psf.fuse(depths);
        let floats = resized.planes().floats() + fused.planes().floats();
        (run.watch)(Stage::new("dinov2 + psf", flops, floats));
        fused
    }

    fn fusion(&self, level: usize) -> Option<&DrFusion> {
        let stage = self.stages.iter().position(|&stage| stage == level)?;
        Some(&self.dr_fusion[stage])
    }
}
