//! Dense 3x3 convolution, zero padding 1: tap by tap, or wide ones by [`Winograd`].
//!
//! Tap by tap it is a matrix product whose right factor is never written down: row `9 i + t` of it is channel `i` of the
//! padded image, moved by tap `t`. Inference and training (with the filters of the moment, sample by sample) run the same
//! code; training adds the gradient of the filters.

use rayon::prelude::*;

use super::arrange::Arrange;
use super::matmul_nt::{Factors, matmul_nt};
use super::matrix::Matrix;
use super::output::Output;
use super::pool::{Planes, Pool};
use super::rows::{PANEL, Rows, Strided};
use super::simd::MAX_LANES;
use super::sweep::{BAND_INPUTS, Part, Ring, parts};
use super::winograd::Winograd;
use super::{add, filters::Filters};

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
    pub(crate) fn new(filters: Filters<'_>, arrange: Arrange) -> Self {
        let Filters {
            outputs, inputs, ..
        } = filters;
        let method = if Winograd::is_faster(inputs, outputs) {
            Method::Winograd(Winograd::new(filters))
        } else {
            Method::Taps(filters.matrix())
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
    pub(crate) unsafe fn forward(&self, scratch: &Pool, x: Planes<'_>, y: Planes<'_>) {
        assert_eq!(x.channels, self.inputs);
        assert_eq!((y.channels, y.size()), self.output(x.size()));
        match &self.method {
            Method::Winograd(winograd) => {
                // SAFETY: nobody writes to `x`; `y` is this call's alone.
                unsafe { winograd.forward(scratch, x, self.arrange, y) }
            }
            Method::Taps(taps) => {
                parts(x.size(), x.channels)
                    .par_iter()
                    .with_max_len(1)
                    // SAFETY: nobody writes to `x`; parts of `y` do not overlap.
                    .for_each(|part| unsafe { self.sweep(taps, part, scratch, x, y) });
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
        part.sweep(&ring, |row, to| part.copy_row(x, row, to), consume);
    }
}

/// The convolution of all images of a batch.
///
/// # Shapes
/// - x: `shape`, `[batch, channels, height, width]`
/// - result: as x, with the filters' outputs as channels
pub(crate) fn forward(
    x: &[f32],
    filters: Filters<'_>,
    shape @ [batch, inputs, height, width]: [usize; 4],
) -> Vec<f32> {
    assert_eq!(x.len(), shape.iter().product::<usize>());
    assert_eq!(filters.inputs, inputs);
    let (outputs, size) = (filters.outputs, [height, width]);
    let conv = Conv3x3::new(filters, Arrange::Same);
    let scratch = Pool::default();
    let pixels = height * width;
    let mut y = Output::new(batch * outputs * pixels);
    let out = y.shared();
    (0..batch).into_par_iter().for_each(|sample| {
        let x = &x[sample * inputs * pixels..][..inputs * pixels];
        let x = Planes::of_slice(x, inputs, size);
        let y = Planes::of_result(out, sample * outputs * pixels, outputs, size);
        // SAFETY: nobody writes to `x`; this sample of the output is this task's alone.
        unsafe { conv.forward(&scratch, x, y) };
    });
    // SAFETY: every sample has been written.
    unsafe { y.filled() }
}

/// The gradient of the input: a convolution with the filters reversed and their channels swapped.
///
/// # Shapes
/// - dy: `shape`
/// - weight: `[channels of dy, channels_in, 3, 3]`
/// - result: as dy, with `channels_in` channels
pub(crate) fn input_gradient(
    dy: &[f32],
    weight: &[f32],
    shape @ [_, channels_out, ..]: [usize; 4],
    channels_in: usize,
) -> Vec<f32> {
    let filters = Filters {
        outputs: channels_in,
        inputs: channels_out,
        weight: &reverse(weight, channels_out, channels_in),
        bias: None,
    };
    forward(dy, filters, shape)
}

/// Zeros after the last padded plane: a plane moved by a tap sticks out.
const SLACK: usize = MAX_LANES;

/// A copy of all planes with a border of zeros.
fn pad(x: &[f32], [batch, channels, height, width]: [usize; 4]) -> Vec<f32> {
    let stride = width + 2;
    let size = (height + 2) * stride;
    let mut padded = vec![0.0; batch * channels * size + SLACK];
    padded
        .par_chunks_exact_mut(size)
        .take(batch * channels)
        .zip(x.par_chunks_exact(height * width))
        .with_min_len(8)
        .for_each(|(padded, plane)| {
            for (to, from) in padded[stride..]
                .chunks_exact_mut(stride)
                .zip(plane.chunks_exact(width))
            {
                to[1..=width].copy_from_slice(from);
            }
        });
    padded
}

/// Filters `[out, in, 3, 3]` as `[in, out, 3, 3]`, each reversed in both directions.
fn reverse(weight: &[f32], channels_out: usize, channels_in: usize) -> Vec<f32> {
    let mut reversed = Vec::with_capacity(weight.len());
    for i in 0..channels_in {
        for o in 0..channels_out {
            reversed.extend(weight[(o * channels_in + i) * 9..][..9].iter().rev());
        }
    }
    reversed
}

/// Rows of dy multiplied with x at a time, and strips of so many rows in one task.
const STRIP_ROWS: usize = 8;
const STRIPS_PER_TASK: usize = 4;

/// The gradient of the filters: for each tap, dy's channels times x's channels moved by the tap.
///
/// # Shapes
/// - x: `shape`
/// - dy: as x, with `channels_out` channels
/// - result: `[channels_out, channels_in, 3, 3]`
pub(crate) fn filter_gradient(
    x: &[f32],
    dy: &[f32],
    shape @ [batch, channels_in, height, width]: [usize; 4],
    channels_out: usize,
) -> Vec<f32> {
    assert_eq!(x.len(), shape.iter().product::<usize>());
    assert_eq!(dy.len(), batch * channels_out * height * width);
    let padded = pad(x, shape);
    let stride = width + 2;
    let size = (height + 2) * stride;
    let of_tap = channels_out * channels_in;
    let task_rows = STRIP_ROWS * STRIPS_PER_TASK;
    let tasks = height.div_ceil(task_rows);
    let parts: Vec<Vec<f32>> = (0..batch * tasks)
        .into_par_iter()
        .map(|task| {
            let sample = task / tasks;
            let first = task % tasks * task_rows;
            let end = height.min(first + task_rows);
            let image = &padded[sample * channels_in * size..];
            let dy = &dy[sample * channels_out * height * width..];
            let mut sums = vec![0.0; 9 * of_tap];
            // dy's rows with x's stride, so that both are walked as one long row; the two columns
            // between rows are zero and cancel x's border.
            let mut strip = vec![0.0; channels_out * STRIP_ROWS * stride];
            for first in (first..end).step_by(STRIP_ROWS) {
                let rows = STRIP_ROWS.min(end - first);
                let inner = rows * stride;
                for (o, plane) in strip.chunks_exact_mut(inner).take(channels_out).enumerate() {
                    for (r, row) in plane.chunks_exact_mut(stride).enumerate() {
                        let from = (o * height + first + r) * width;
                        row[..width].copy_from_slice(&dy[from..][..width]);
                        row[width..].fill(0.0);
                    }
                }
                for (tap, sums) in sums.chunks_exact_mut(of_tap).enumerate() {
                    let factors = Factors {
                        rows: channels_out,
                        columns: channels_in,
                        inner,
                        a: Strided {
                            values: &strip,
                            stride: inner,
                        },
                        b: Strided {
                            values: &image[(first + tap / 3) * stride + tap % 3..],
                            stride: size,
                        },
                    };
                    matmul_nt(&factors, sums);
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; 9 * of_tap];
    for part in &parts {
        add(&mut sums, part);
    }
    let mut dweight = Vec::with_capacity(9 * of_tap);
    for filter in 0..of_tap {
        dweight.extend((0..9).map(|tap| sums[tap * of_tap + filter]));
    }
    dweight
}
