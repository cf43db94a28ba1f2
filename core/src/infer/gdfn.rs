//! Gated-Dconv feed-forward network: the second sweep of a block.

use rayon::prelude::*;

use super::run::Workspace;
use super::weights::{Normed, is_supported, matrix, taps};
use crate::cpu::depthwise::{Inputs, Size, gated_depthwise};
use crate::cpu::matrix::Matrix;
use crate::cpu::pool::{Planes, Pool};
use crate::cpu::rows::PANEL;
use crate::cpu::rows::Rows;
use crate::cpu::rows::copy;
use crate::cpu::simd::MAX_LANES;
use crate::cpu::sweep::{BAND, Part, Ring, parts};
use crate::model::restormer::gdfn;
use crate::model::restormer::layer_norm::ChannelLayerNorm;

/// The feed-forward network of a block with the norm before it.
#[derive(Debug)]
pub(crate) struct Gdfn {
    project_in: Normed,
    taps: Vec<f32>,
    project_out: Matrix,
}

impl Gdfn {
    /// Nothing if there is more in the module than the sweep computes.
    pub(crate) fn new(norm: &ChannelLayerNorm, network: &gdfn::Gdfn) -> Option<Self> {
        let gdfn::Gdfn {
            project_in,
            dwconv,
            project_out,
        } = network;
        let supported = [project_in, dwconv, project_out]
            .into_iter()
            .all(is_supported);
        supported.then(|| Self {
            project_in: Normed::new(norm, project_in, 0),
            taps: taps(dwconv),
            project_out: matrix(project_out),
        })
    }

    /// Operations for each pixel.
    pub(crate) fn flops(&self) -> u64 {
        let hidden = self.project_out.inner() as u64;
        self.project_in.matrix.flops() + 36 * hidden + self.project_out.flops()
    }

    /// Computes `t + gdfn(norm(t))` for `t = x + attention v` into `y`.
    ///
    /// # Safety
    /// `x` and `v` are not written to meanwhile; `y`, of the same size, is this call's alone.
    pub(crate) unsafe fn forward(
        &self,
        workspace: &Workspace,
        x: Planes<'_>,
        attention: &Matrix,
        v: Planes<'_>,
        y: Planes<'_>,
    ) {
        parts(x.size(), self.project_in.matrix.rows())
            .par_iter()
            .with_max_len(1)
            // SAFETY: `x` and `v` are only read; parts of `y` do not overlap.
            .for_each(|part| unsafe {
                self.sweep(part, &workspace.scratch, x, attention, v, y);
            });
    }

    /// # Safety
    /// As for [`Self::forward`], for this part of `y`.
    unsafe fn sweep(
        &self,
        part: &Part,
        pool: &Pool,
        x: Planes<'_>,
        attention: &Matrix,
        v: Planes<'_>,
        y: Planes<'_>,
    ) {
        let hidden = self.project_out.inner();
        let inputs = part.inputs();
        let width = part.columns.len();
        let attended = pool.take(attention.rows() * PANEL);
        let attended = Rows {
            start: attended.start(),
            stride: PANEL,
        };
        let ring = Ring::new(pool, 2 * hidden, part);
        let outputs = ring.outputs();
        let row = width.next_multiple_of(MAX_LANES);
        let stride = BAND * row + MAX_LANES;
        let gated = pool.take(hidden * stride);
        let gated = Rows {
            start: gated.start(),
            stride,
        };

        let produce = |row: usize, to: Rows| {
            for first in (0..inputs.len()).step_by(PANEL) {
                let columns = PANEL.min(inputs.len() - first);
                let pixel = row * x.width + inputs.start + first;
                // SAFETY: columns of this row, of the panel and of the ring; the output's are
                // this part's.
                unsafe {
                    attention.multiply(v.at(0, pixel), Some(x.at(0, pixel)), attended, columns);
                    if part.owns(row) {
                        // The residual waits in the output for the rest.
                        let own = part.columns.start.max(inputs.start + first)
                            ..part.columns.end.min(inputs.start + first + columns);
                        let from = attended.right(own.start - inputs.start - first);
                        let to = y.at(0, row * y.width + own.start);
                        copy(from, to, y.channels, own.len());
                    }
                    self.project_in
                        .multiply(attended, attended.start, to.right(first), columns);
                }
            }
        };
        let consume = |top: usize, rows: usize, offsets: &_| {
            let size = Size {
                rows,
                columns: width,
            };
            for channel in 0..hidden {
                let inputs = |channel: usize| Inputs {
                    // SAFETY: a channel of the ring.
                    start: unsafe { outputs.row(channel) },
                    offsets,
                };
                let taps = |channel: usize| &self.taps[channel * 9..][..9];
                // SAFETY: rows of the ring, and a channel of the band.
                unsafe {
                    let to = Rows {
                        start: gated.row(channel),
                        stride: row,
                    };
                    gated_depthwise(
                        inputs(channel),
                        taps(channel),
                        inputs(hidden + channel),
                        taps(hidden + channel),
                        to,
                        size,
                    );
                }
            }
            for r in 0..rows {
                let pixel = (top + r) * y.width + part.columns.start;
                for first in (0..width).step_by(PANEL) {
                    let to = y.at(0, pixel + first);
                    // SAFETY: columns of the band and of this part of the output.
                    unsafe {
                        let gated = gated.right(r * row + first);
                        let columns = PANEL.min(width - first);
                        self.project_out.multiply(gated, Some(to), to, columns);
                    }
                }
            }
        };
        part.sweep(&ring, produce, consume);
    }
}
