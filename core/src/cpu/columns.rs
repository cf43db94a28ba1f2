//! Activations and softmax on panels of columns, between matrix products. The rows of a panel are
//! [`PANEL`](super::rows::PANEL) floats apart, and whole vectors of it may be written, whatever the number of columns.

use super::activations::{self, exp};
use super::rows::{PANEL, Rows};
use super::simd::{Simd, simd_fn};

simd_fn! {
    /// GELU in place.
    ///
    /// # Safety
    /// `rows` rows of `columns` are this thread's alone.
    pub(crate) unsafe fn gelu(x: Rows, rows: usize, columns: usize) = gelu_body
}

/// # Safety
/// As for [`gelu`].
#[inline(always)]
unsafe fn gelu_body<S: Simd>(s: S, x: Rows, rows: usize, columns: usize) {
    for row in 0..rows {
        let mut first = 0;
        while first < columns {
            // SAFETY: the columns that are left in this row.
            unsafe {
                let at = x.row(row).add(first);
                let value = s.load_up_to(at, columns - first);
                s.store_up_to(at, activations::gelu(s, value), columns - first);
            }
            first += S::LANES;
        }
    }
}

simd_fn! {
    /// `a * sigmoid(a) * b`, into `a`.
    ///
    /// # Safety
    /// `rows` rows of `columns` of both are this thread's alone.
    pub(crate) unsafe fn gated_silu(a: Rows, b: Rows, rows: usize, columns: usize) = gated_silu_body
}

/// # Safety
/// As for [`gated_silu`].
#[inline(always)]
unsafe fn gated_silu_body<S: Simd>(s: S, a: Rows, b: Rows, rows: usize, columns: usize) {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    for row in 0..rows {
        let mut first = 0;
        while first < columns {
            let left = columns - first;
            // SAFETY: the columns that are left in this row.
            unsafe {
                let at = a.row(row).add(first);
                let x = s.load_up_to(at, left);
                let value = s.load_up_to(b.row(row).add(first), left);
                // Neither exponential can overflow.
                let below = s.min(x, zero);
                let falling = s.sub(below, s.max(x, zero));
                let sigmoid = s.div(exp(s, below), s.add(one, exp(s, falling)));
                s.store_up_to(at, s.mul(s.mul(x, sigmoid), value), left);
            }
            first += S::LANES;
        }
    }
}

simd_fn! {
    /// Replaces each column of a panel by the exponentials of its distances from its largest
    /// element, and writes one over their sums to `scales`.
    ///
    /// # Safety
    /// A panel of `rows` rows at `x` and one row at `scales`, this thread's alone.
    pub(crate) unsafe fn softmax_columns(x: *mut f32, rows: usize, columns: usize, scales: *mut f32) = softmax_columns_body
}

/// # Safety
/// As for [`softmax_columns`].
#[inline(always)]
unsafe fn softmax_columns_body<S: Simd>(
    s: S,
    x: *mut f32,
    rows: usize,
    columns: usize,
    scales: *mut f32,
) {
    let mut first = 0;
    while first < columns {
        // SAFETY: whole vectors of a panel.
        unsafe {
            let x = x.add(first);
            // Two chains each, for an addition takes longer than the rest.
            let mut largest = s.load(x);
            for row in 1..rows {
                largest = s.max(largest, s.load(x.add(row * PANEL)));
            }
            let mut sums = [s.splat(0.0); 2];
            for row in 0..rows {
                let at = x.add(row * PANEL);
                let value = exp(s, s.sub(s.load(at), largest));
                s.store(at, value);
                sums[row % 2] = s.add(sums[row % 2], value);
            }
            let sum = s.add(sums[0], sums[1]);
            s.store(scales.add(first), s.div(s.splat(1.0), sum));
        }
        first += S::LANES;
    }
}

simd_fn! {
    /// Multiplies each column of a panel by its scale.
    ///
    /// # Safety
    /// A panel of `rows` rows at `x` and one row at `scales`, this thread's alone.
    pub(crate) unsafe fn scale_columns(x: *mut f32, rows: usize, columns: usize, scales: *const f32) = scale_columns_body
}

/// # Safety
/// As for [`scale_columns`].
#[inline(always)]
unsafe fn scale_columns_body<S: Simd>(
    s: S,
    x: *mut f32,
    rows: usize,
    columns: usize,
    scales: *const f32,
) {
    let mut first = 0;
    while first < columns {
        // SAFETY: whole vectors of a panel.
        unsafe {
            let scale = s.load(scales.add(first));
            for row in 0..rows {
                let at = x.add(row * PANEL + first);
                s.store(at, s.mul(s.load(at), scale));
            }
        }
        first += S::LANES;
    }
}
