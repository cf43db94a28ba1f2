//! Depthwise 3x3 convolution on a few rows that lie anywhere, between margins of zeros.

use super::activations::normal;
use super::pool::Rows;
use super::simd::{Simd, simd_fn};

/// Rows of output at a time: each loaded vector serves up to three of them.
pub(crate) const BAND: usize = 4;

/// Rows that a band of output is made of.
pub(crate) const BAND_INPUTS: usize = BAND + 2;

/// The inputs of a band: one channel's address of the first output column, and where from there the
/// rows above, of and below the band are.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) start: *const f32,
    pub(crate) offsets: &'a [usize; BAND_INPUTS],
}

/// The size of a band of output.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// At most [`BAND`].
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

simd_fn! {
    /// One channel: nine taps and a bias.
    ///
    /// # Safety
    /// The rows above, of and below the band are readable from one column before the first to a
    /// vector past the last; `y` has the band's rows, this thread's alone.
    pub(crate) unsafe fn depthwise(x: Inputs<'_>, taps: &[f32], bias: f32, y: Rows, size: Size) = depthwise_body
}

/// # Safety
/// As for [`depthwise`].
#[inline(always)]
unsafe fn depthwise_body<S: Simd>(
    s: S,
    x: Inputs<'_>,
    taps: &[f32],
    bias: f32,
    y: Rows,
    size: Size,
) {
    let taps = splat_taps(s, taps);
    let bias = s.splat(bias);
    let mut column = 0;
    while column < size.columns {
        let left = size.columns - column;
        // SAFETY: the caller's.
        unsafe {
            let sums = convolve(s, x, &taps, bias, column);
            for (row, &sum) in sums.iter().enumerate() {
                if row < size.rows {
                    s.store_up_to(y.row(row).add(column), sum, left);
                }
            }
        }
        column += S::LANES;
    }
}

simd_fn! {
    /// Two channels and their gate: GELU of the one times the other.
    ///
    /// # Safety
    /// As for [`depthwise`].
    pub(crate) unsafe fn gated_depthwise(
        gate: Inputs<'_>, gate_taps: &[f32], value: Inputs<'_>, value_taps: &[f32],
        y: Rows, size: Size,
    ) = gated_depthwise_body
}

/// # Safety
/// As for [`depthwise`].
#[inline(always)]
unsafe fn gated_depthwise_body<S: Simd>(
    s: S,
    gate: Inputs<'_>,
    gate_taps: &[f32],
    value: Inputs<'_>,
    value_taps: &[f32],
    y: Rows,
    size: Size,
) {
    let gate_taps = splat_taps(s, gate_taps);
    let value_taps = splat_taps(s, value_taps);
    let zero = s.splat(0.0);
    let mut column = 0;
    while column < size.columns {
        let left = size.columns - column;
        // SAFETY: the caller's.
        unsafe {
            let gates = convolve(s, gate, &gate_taps, zero, column);
            let values = convolve(s, value, &value_taps, zero, column);
            for (row, (&gate, &value)) in gates.iter().zip(&values).enumerate() {
                if row < size.rows {
                    let gated = s.mul(s.mul(gate, normal(s, gate).0), value);
                    s.store_up_to(y.row(row).add(column), gated, left);
                }
            }
        }
        column += S::LANES;
    }
}

#[inline(always)]
fn splat_taps<S: Simd>(s: S, taps: &[f32]) -> [S::V; 9] {
    let mut splat = [s.splat(0.0); 9];
    for (splat, &tap) in splat.iter_mut().zip(&taps[..9]) {
        *splat = s.splat(tap);
    }
    splat
}

/// One vector of every row of a band.
///
/// # Safety
/// As for [`depthwise`].
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn convolve<S: Simd>(
    s: S,
    x: Inputs<'_>,
    taps: &[S::V; 9],
    bias: S::V,
    column: usize,
) -> [S::V; BAND] {
    let mut sums = [bias; BAND];
    for i in 0..BAND_INPUTS {
        // SAFETY: from one column before to a vector after.
        let row = unsafe {
            let at = x.start.add(x.offsets[i] + column);
            [s.load(at.sub(1)), s.load(at), s.load(at.add(1))]
        };
        // Row `i` is tap row `k` of output row `i - k`.
        for k in 0..3 {
            if i >= k && i - k < BAND {
                for j in 0..3 {
                    sums[i - k] = s.mul_add(row[j], taps[k * 3 + j], sums[i - k]);
                }
            }
        }
    }
    sums
}

simd_fn! {
    /// Adds the sum of squares of each of `sums.len()` rows of `columns` to its sum.
    ///
    /// # Safety
    /// The rows are readable.
    pub(crate) unsafe fn add_squares(x: Rows, columns: usize, sums: &mut [f32]) = add_squares_body
}

/// # Safety
/// As for [`add_squares`].
#[inline(always)]
unsafe fn add_squares_body<S: Simd>(s: S, x: Rows, columns: usize, sums: &mut [f32]) {
    for (row, total) in sums.iter_mut().enumerate() {
        let mut sums = [s.splat(0.0); 4];
        let mut column = 0;
        while column < columns {
            for (v, sum) in sums.iter_mut().enumerate() {
                let at = column + v * S::LANES;
                if at < columns {
                    // SAFETY: the columns that are left in this row.
                    let value = unsafe { s.load_up_to(x.row(row).add(at), columns - at) };
                    *sum = s.mul_add(value, value, *sum);
                }
            }
            column += 4 * S::LANES;
        }
        *total += s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])));
    }
}
