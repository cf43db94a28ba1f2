//! Restormer, wired as in the model: the skip connections are computed where the decoder reads
//! them, so that nothing is concatenated.

use super::block::{Block, run_all, run_into};
use super::dr_fusion::DrFusion;
use super::run::{Run, Stage, Workspace};
use super::weights::{conv3x3, matrix};
use crate::cpu::arrange::Arrange;
use crate::cpu::conv3x3::Conv3x3;
use crate::cpu::matrix::Matrix;
use crate::cpu::pointwise::pointwise;
use crate::cpu::pool::{Map, Planes};
use crate::model::restormer;

/// The restoration net with its weights packed.
#[derive(Debug)]
pub(crate) struct Restormer {
    patch_embed: Conv3x3,
    encoder: Vec<Vec<Block>>,
    down: Vec<Conv3x3>,
    latent: Vec<Block>,
    up: Vec<Conv3x3>,
    reduce: Vec<Matrix>,
    decoder: Vec<Vec<Block>>,
    refinement: Vec<Block>,
    output: Conv3x3,
    unshuffle: usize,
    multiple: usize,
}

/// What guides the net: a map on the grid of patches, and a fusion for each stage that has one.
pub(crate) struct Guide<'a> {
    /// Nothing where the statistics are given.
    pub(crate) fused: Option<Planes<'a>>,
    pub(crate) fusion: &'a dyn Fn(usize) -> Option<&'a DrFusion>,
}

/// What the encoder leaves.
pub(crate) struct Encoded<'w> {
    pub(crate) latent: Map<'w>,
    /// Each level's features, with room before them for what comes up from below.
    skips: Vec<Map<'w>>,
}

impl Restormer {
    /// Nothing if there is a block that nobody has fused.
    pub(crate) fn new(net: &restormer::Restormer) -> Option<Self> {
        let blocks = |blocks: &Vec<restormer::block::Block>| -> Option<Vec<Block>> {
            blocks.iter().map(Block::new).collect()
        };
        let levels = |levels: &Vec<Vec<restormer::block::Block>>| -> Option<Vec<Vec<Block>>> {
            levels.iter().map(blocks).collect()
        };
        Some(Self {
            patch_embed: conv3x3(&net.patch_embed, Arrange::Same),
            encoder: levels(&net.encoder)?,
            down: net
                .down
                .iter()
                .map(|down| conv3x3(&down.conv, Arrange::Unshuffle))
                .collect(),
            latent: blocks(&net.latent)?,
            up: net
                .up
                .iter()
                .map(|up| conv3x3(&up.conv, Arrange::Shuffle))
                .collect(),
            reduce: net.reduce.iter().map(matrix).collect(),
            decoder: levels(&net.decoder)?,
            refinement: blocks(&net.refinement)?,
            output: conv3x3(
                &net.output,
                if net.unshuffle == 1 {
                    Arrange::Same
                } else {
                    Arrange::Shuffle
                },
            ),
            unshuffle: net.unshuffle,
            multiple: net.multiple(),
        })
    }

    /// Both sides of an image are multiples of this.
    pub(crate) fn multiple(&self) -> usize {
        self.multiple
    }

    /// The features that the correction is computed from.
    pub(crate) fn refine<'w>(
        &self,
        workspace: &'w Workspace,
        image: Planes<'_>,
        guide: Option<&Guide<'_>>,
        run: &mut Run<'_>,
    ) -> Map<'w> {
        let Encoded { latent, skips } = self.encode(workspace, image, guide, run);
        self.decode(workspace, latent, skips, run)
    }

    /// Down to the latent, which is guided.
    pub(crate) fn encode<'w>(
        &self,
        workspace: &'w Workspace,
        image: Planes<'_>,
        guide: Option<&Guide<'_>>,
        run: &mut Run<'_>,
    ) -> Encoded<'w> {
        let mut x = self.embed(workspace, image);
        (run.watch)(Stage::new(
            "patch embed",
            self.patch_embed.flops() * pixels(x.planes()),
            image.floats() + x.planes().floats(),
        ));
        let mut skips = Vec::with_capacity(self.encoder.len());
        for (level, (blocks, down)) in (1..).zip(self.encoder.iter().zip(&self.down)) {
            let from = x.planes();
            let (channels, size) = (from.channels, from.size());
            // Room for what comes up from below, and the skip connection after it.
            let both = Map::new(&workspace.maps, 2 * channels, size);
            let features = both.planes().narrow(channels, channels);
            // SAFETY: the map is this function's.
            unsafe { run_into(blocks, workspace, x, features, &mut run.stats) };
            (run.watch)(Stage::level(
                "encoder",
                level,
                flops(blocks) * pixels(features),
                2 * features.floats(),
            ));
            // SAFETY: the map is this function's.
            unsafe { self.guide(workspace, level, features, guide, run) };
            x = convolve(down, workspace, features);
            let operations = down.flops() * pixels(features);
            let floats = features.floats() + x.planes().floats();
            (run.watch)(Stage::level("down", level, operations, floats));
            skips.push(both);
        }
        let latent = self.encoder.len() + 1;
        x = run_all(&self.latent, workspace, x, &mut run.stats);
        (run.watch)(Stage::new(
            "latent",
            flops(&self.latent) * pixels(x.planes()),
            2 * x.planes().floats(),
        ));
        // SAFETY: the map is this function's.
        unsafe { self.guide(workspace, latent, x.planes(), guide, run) };
        Encoded { latent: x, skips }
    }

    /// And back up, to full resolution.
    fn decode<'w>(
        &self,
        workspace: &'w Workspace,
        mut x: Map<'w>,
        mut skips: Vec<Map<'w>>,
        run: &mut Run<'_>,
    ) -> Map<'w> {
        let latent = self.encoder.len() + 1;
        for (i, (up, blocks)) in self.up.iter().zip(&self.decoder).enumerate() {
            let level = latent - 1 - i;
            let Some(both) = skips.pop() else { break };
            let below = x.planes();
            let above = both.planes().narrow(0, both.planes().channels / 2);
            // SAFETY: both maps are this function's; the other channels are the skip connection's.
            unsafe { up.forward(&workspace.scratch, below, above) };
            let operations = up.flops() * pixels(below);
            let floats = below.floats() + above.floats();
            (run.watch)(Stage::level("up", level, operations, floats));
            x = match self.reduce.get(i) {
                None => both,
                Some(reduce) => {
                    let from = both.planes();
                    let y = Map::new(&workspace.maps, reduce.rows(), from.size());
                    // SAFETY: both maps are this function's.
                    unsafe { pointwise(reduce, from, None, y.planes()) };
                    let operations = reduce.flops() * pixels(from);
                    let floats = from.floats() + y.planes().floats();
                    (run.watch)(Stage::level("reduce", level, operations, floats));
                    y
                }
            };
            x = run_all(blocks, workspace, x, &mut run.stats);
            (run.watch)(Stage::level(
                "decoder",
                level,
                flops(blocks) * pixels(x.planes()),
                2 * x.planes().floats(),
            ));
        }
        x = run_all(&self.refinement, workspace, x, &mut run.stats);
        let planes = x.planes();
        (run.watch)(Stage::new(
            "refinement",
            flops(&self.refinement) * pixels(planes),
            2 * planes.floats(),
        ));
        x
    }

    /// From the last features what is to be added to the image.
    pub(crate) fn correction<'w>(
        &self,
        workspace: &'w Workspace,
        refined: Planes<'_>,
        run: &mut Run<'_>,
    ) -> Map<'w> {
        let y = convolve(&self.output, workspace, refined);
        let operations = self.output.flops() * pixels(refined);
        let floats = refined.floats() + y.planes().floats();
        (run.watch)(Stage::new("output", operations, floats));
        y
    }

    fn embed<'w>(&self, workspace: &'w Workspace, image: Planes<'_>) -> Map<'w> {
        if self.unshuffle == 1 {
            return convolve(&self.patch_embed, workspace, image);
        }
        let unshuffled = Map::unshuffled(&workspace.maps, image);
        convolve(&self.patch_embed, workspace, unshuffled.planes())
    }

    /// # Safety
    /// `features` are this call's alone.
    unsafe fn guide(
        &self,
        workspace: &Workspace,
        level: usize,
        features: Planes<'_>,
        guide: Option<&Guide<'_>>,
        run: &mut Run<'_>,
    ) {
        let Some(guide) = guide else { return };
        let Some(fusion) = (guide.fusion)(level) else {
            return;
        };
        // SAFETY: `features` are this call's alone; the fused features are only read.
        unsafe { fusion.forward(workspace, guide.fused, features, &mut run.stats) };
        let patches = guide.fused.map_or(0, |fused| fused.pixels());
        let flops = fusion.flops(features.pixels(), patches);
        let floats = 2 * features.floats();
        (run.watch)(Stage::level("dr fusion", level, flops, floats));
    }
}

fn convolve<'w>(conv: &Conv3x3, workspace: &'w Workspace, x: Planes<'_>) -> Map<'w> {
    let (channels, size) = conv.output(x.size());
    let y = Map::new(&workspace.maps, channels, size);
    // SAFETY: the map is this function's.
    unsafe { conv.forward(&workspace.scratch, x, y.planes()) };
    y
}

fn pixels(x: Planes<'_>) -> u64 {
    x.pixels() as u64
}

fn flops(blocks: &[Block]) -> u64 {
    blocks.iter().map(Block::flops).sum()
}
