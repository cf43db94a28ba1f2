//! 3x3 convolutions, with the changes of level that come after them: tap by tap, or wide ones by
//! [`Winograd`].

use rayon::prelude::*;

use super::Workspace;
use super::weights::matrix;
use super::winograd::Winograd;
use crate::cpu::columns::copy;
use crate::cpu::matrix::{Matrix, PANEL};
use crate::cpu::pool::{Planes, Pool, Rows};
use crate::cpu::rows::{BAND_INPUTS, Inputs, Size, depthwise};
use crate::cpu::simd::{Simd, simd_fn};
use crate::cpu::sweep::{Part, Ring, parts};
use crate::model::layers;

/// What is done with the result of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrange {
    /// It stays as it is.
    Same,
    /// Pixel-unshuffle: half the size, four times the channels.
    Unshuffle,
    /// Pixel-shuffle: twice the size, a quarter of the channels.
    Shuffle,
}

impl Arrange {
    /// Writes `columns` results of a row of `channel` from `row`, `column` on to where they belong; to shuffle, those
    /// of this channel and the next one together, and for odd channels nothing.
    ///
    /// # Safety
    /// `from` has these channels; those pixels of `y` are this thread's alone.
    pub(crate) unsafe fn put(
        self,
        from: Rows,
        channel: usize,
        columns: usize,
        [row, column]: [usize; 2],
        y: Planes<'_>,
    ) {
        // SAFETY: pairs of columns of one row, or one, or two rows; the caller's pixels.
        unsafe {
            match self {
                Self::Same => {
                    let to = y.at(channel, row * y.width + column);
                    copy(from, to, 1, columns);
                }
                Self::Unshuffle => {
                    let pixel = row / 2 * y.width + column / 2;
                    let to = y.at(4 * channel + 2 * (row % 2), pixel);
                    unzip(from.start, columns / 2, to.start, to.row(1));
                }
                Self::Shuffle if channel.is_multiple_of(2) => {
                    let pixel = (2 * row + channel / 2 % 2) * y.width + 2 * column;
                    let to = y.at(channel / 4, pixel);
                    zip(from.start, from.row(1), columns, to.start);
                }
                Self::Shuffle => {}
            }
        }
    }
}

/// A dense 3x3 convolution with zero padding.
#[derive(Debug)]
pub(crate) struct Conv3x3 {
    inputs: usize,
    outputs: usize,
    method: Method,
    arrange: Arrange,
}

/// How it is computed.
#[derive(Debug)]
enum Method {
    /// One row for each output channel, one column for each tap of an input channel.
    Taps(Matrix),
    Winograd(Winograd),
}

impl Conv3x3 {
    pub(crate) fn new(conv: &layers::Conv, arrange: Arrange) -> Self {
        let [outputs, inputs, ..] = conv.weight.dims();
        let method = if Winograd::pays(inputs, outputs) {
            Method::Winograd(Winograd::new(conv))
        } else {
            Method::Taps(matrix(conv))
        };
        Self {
            inputs,
            outputs,
            method,
            arrange,
        }
    }

    /// Operations for each pixel of the input, tap by tap.
    pub(crate) fn flops(&self) -> u64 {
        2 * (self.outputs * self.inputs * 9) as u64
    }

    /// Channels and size of the output.
    pub(crate) fn output(&self, [height, width]: [usize; 2]) -> (usize, [usize; 2]) {
        let channels = self.outputs;
        match self.arrange {
            Arrange::Same => (channels, [height, width]),
            Arrange::Unshuffle => (channels * 4, [height / 2, width / 2]),
            Arrange::Shuffle => (channels / 4, [height * 2, width * 2]),
        }
    }

    /// # Safety
    /// `x` is not written to meanwhile; `y`, of the output's size, is this call's alone.
    pub(crate) unsafe fn forward(&self, workspace: &Workspace, x: Planes<'_>, y: Planes<'_>) {
        assert_eq!(x.channels, self.inputs);
        assert_eq!((y.channels, y.size()), self.output(x.size()));
        match &self.method {
            Method::Winograd(winograd) => {
                // SAFETY: the caller's.
                unsafe { winograd.forward(workspace, x, self.arrange, y) }
            }
            Method::Taps(taps) => {
                parts(x.size(), x.channels)
                    .par_iter()
                    .with_max_len(1)
                    // SAFETY: the caller's; parts do not overlap.
                    .for_each(|part| unsafe { self.sweep(taps, part, &workspace.scratch, x, y) });
            }
        }
    }

    /// # Safety
    /// As for [`Self::forward`], for this part of `y`.
    unsafe fn sweep(
        &self,
        matrix: &Matrix,
        part: &Part,
        pool: &Pool,
        x: Planes<'_>,
        y: Planes<'_>,
    ) {
        let ring = Ring::new(pool, x.channels, part);
        let outputs = ring.outputs();
        let panel = pool.take(self.outputs * PANEL);
        let panel = Rows {
            start: panel.start(),
            stride: PANEL,
        };
        let width = part.columns.len();
        let mut taps = Vec::with_capacity(x.channels * 9);
        let consume = |top: usize, rows: usize, offsets: &[usize; BAND_INPUTS]| {
            for r in 0..rows {
                taps.clear();
                for channel in 0..x.channels {
                    for offset in &offsets[r..r + 3] {
                        let start = channel * outputs.stride + offset;
                        taps.extend([start, start + 1, start + 2]);
                    }
                }
                for first in (0..width).step_by(PANEL) {
                    let columns = PANEL.min(width - first);
                    let place = [top + r, part.columns.start + first];
                    // SAFETY: from one column before the output to one after, in the ring; the
                    // panel is this sweep's, and these pixels of the output too.
                    unsafe {
                        let image = outputs.start.add(first).sub(1);
                        if self.arrange == Arrange::Same {
                            let to = y.at(0, place[0] * y.width + place[1]);
                            matrix.gather_multiply(image, &taps, to, columns);
                        } else {
                            matrix.gather_multiply(image, &taps, panel, columns);
                            for channel in 0..self.outputs {
                                let from = panel.below(channel);
                                self.arrange.put(from, channel, columns, place, y);
                            }
                        }
                    }
                }
            }
        };
        part.sweep(&ring, |row, to| copy_row(x, part, row, to), consume);
    }
}

/// Copies the input columns of a row.
fn copy_row(x: Planes<'_>, part: &Part, row: usize, to: Rows) {
    let inputs = part.inputs();
    let from = x.at(0, row * x.width + inputs.start);
    for channel in 0..x.channels {
        // SAFETY: the columns of this row in `x`, and of the ring.
        unsafe {
            from.row(channel)
                .copy_to_nonoverlapping(to.row(channel), inputs.len());
        }
    }
}

/// Depthwise 3x3 convolution with bias, then what `after` does with each band of a channel's rows.
///
/// # Safety
/// `x` is not written to meanwhile; `y`, of the same size, is this call's alone.
pub(crate) unsafe fn depthwise3x3(
    workspace: &Workspace,
    x: Planes<'_>,
    taps: &[f32],
    bias: &[f32],
    y: Planes<'_>,
    after: impl Fn(Rows, usize, usize) + Sync,
) {
    parts(x.size(), x.channels)
        .par_iter()
        .with_max_len(1)
        .for_each(|part| {
            let ring = Ring::new(&workspace.scratch, x.channels, part);
            let outputs = ring.outputs();
            let columns = part.columns.len();
            let consume = |top: usize, rows: usize, offsets: &_| {
                for channel in 0..x.channels {
                    let pixel = top * y.width + part.columns.start;
                    let to = Rows {
                        start: y.at(channel, pixel).start,
                        stride: y.width,
                    };
                    let taps = &taps[channel * 9..][..9];
                    // SAFETY: rows of the ring; this part of the output.
                    unsafe {
                        let inputs = Inputs {
                            start: outputs.row(channel),
                            offsets,
                        };
                        depthwise(inputs, taps, bias[channel], to, Size { rows, columns });
                    }
                    after(to, rows, columns);
                }
            };
            part.sweep(&ring, |row, to| copy_row(x, part, row, to), consume);
        });
}

simd_fn! {
    /// Every second element of `2 count` to `even`, the others to `odd`.
    ///
    /// # Safety
    /// So many are readable and writable, and do not overlap.
    pub(super) unsafe fn unzip(from: *const f32, count: usize, even: *mut f32, odd: *mut f32) = unzip_body
}

/// # Safety
/// As for [`unzip`].
#[inline(always)]
unsafe fn unzip_body<S: Simd>(_: S, from: *const f32, count: usize, even: *mut f32, odd: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let from = core::slice::from_raw_parts(from.cast::<[f32; 2]>(), count);
        let even = core::slice::from_raw_parts_mut(even, count);
        let odd = core::slice::from_raw_parts_mut(odd, count);
        for ((pair, even), odd) in from.iter().zip(even).zip(odd) {
            [*even, *odd] = *pair;
        }
    }
}

simd_fn! {
    /// `count` elements of each in turn.
    ///
    /// # Safety
    /// So many are readable and twice as many writable, and do not overlap.
    pub(super) unsafe fn zip(even: *const f32, odd: *const f32, count: usize, to: *mut f32) = zip_body
}

/// # Safety
/// As for [`zip`].
#[inline(always)]
unsafe fn zip_body<S: Simd>(_: S, even: *const f32, odd: *const f32, count: usize, to: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let even = core::slice::from_raw_parts(even, count);
        let odd = core::slice::from_raw_parts(odd, count);
        let to = core::slice::from_raw_parts_mut(to.cast::<[f32; 2]>(), count);
        for ((pair, even), odd) in to.iter_mut().zip(even).zip(odd) {
            *pair = [*even, *odd];
        }
    }
}
