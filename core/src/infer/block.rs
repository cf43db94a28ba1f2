//! One transformer block of Restormer in two sweeps over the image.

use super::gdfn::Gdfn;
use super::global_statistics::GlobalStatistics;
use super::mdta::Mdta;
use super::run::Workspace;
use crate::cpu::pool::{Map, Planes};
use crate::model::restormer::block;

/// A block with its weights packed.
#[derive(Debug)]
pub(crate) struct Block {
    attn: Mdta,
    ffn: Gdfn,
}

impl Block {
    /// Nothing if there is more in the module than the two sweeps compute.
    pub(crate) fn new(block: &block::Block) -> Option<Self> {
        let block::Block {
            norm1,
            attn,
            norm2,
            ffn,
        } = block;
        Some(Self {
            attn: Mdta::new(norm1, attn)?,
            ffn: Gdfn::new(norm2, ffn)?,
        })
    }

    /// Operations for each pixel.
    pub(crate) fn flops(&self) -> u64 {
        self.attn.flops() + self.ffn.flops()
    }

    /// # Safety
    /// `x` is not written to meanwhile; `y`, of the same size, is this call's alone.
    pub(crate) unsafe fn forward(
        &self,
        workspace: &Workspace,
        x: Planes<'_>,
        y: Planes<'_>,
        stats: &mut GlobalStatistics<'_>,
    ) {
        let v = Map::new(&workspace.maps, x.channels, x.size());
        // SAFETY: `x` is only read; `y` is this call's, and `v` this function's.
        unsafe {
            let attention = self.attn.forward(workspace, x, v.planes(), stats);
            self.ffn.forward(workspace, x, &attention, v.planes(), y);
        }
    }
}

/// Runs blocks one after the other.
pub(crate) fn run_all<'w>(
    blocks: &[Block],
    workspace: &'w Workspace,
    x: Map<'w>,
    stats: &mut GlobalStatistics<'_>,
) -> Map<'w> {
    blocks.iter().fold(x, |x, block| {
        let from = x.planes();
        let y = Map::new(&workspace.maps, from.channels, from.size());
        // SAFETY: both maps are this function's.
        unsafe { block.forward(workspace, from, y.planes(), stats) };
        y
    })
}

/// Runs blocks one after the other, the last of them into `y`.
///
/// # Safety
/// `y`, of `x`'s size, is this call's alone.
pub(crate) unsafe fn run_into<'w>(
    blocks: &[Block],
    workspace: &'w Workspace,
    x: Map<'w>,
    y: Planes<'_>,
    stats: &mut GlobalStatistics<'_>,
) {
    match blocks.split_last() {
        Some((last, others)) => {
            let x = run_all(others, workspace, x, stats);
            // SAFETY: `x` is only read; `y` is this call's alone.
            unsafe { last.forward(workspace, x.planes(), y, stats) }
        }
        None => {
            for channel in 0..y.channels {
                // SAFETY: nobody writes to `x` any more; `y` is this call's alone.
                unsafe {
                    let from = x.planes().channel(channel);
                    y.channel_mut(channel).copy_from_slice(from);
                }
            }
        }
    }
}
