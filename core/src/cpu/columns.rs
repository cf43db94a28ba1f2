//! What is done to panels of columns between matrix products: norms, activations, softmax. A panel
//! has [`PANEL`](super::matrix::PANEL) floats from row to row, and whole vectors of it may be
//! written whatever the number of columns.

use super::activations::{exp, normal};
use super::matrix::PANEL;
use super::pool::Rows;
use super::simd::{Simd, simd_fn};

simd_fn! {
    /// Divides each column by its standard deviation (of variance plus epsilon), after taking
    /// off its mean if `centred`.
    ///
    /// # Safety
    /// `x` has `rows` rows, readable to whole vectors, and may be the panel; the panel at `to` is
    /// this thread's alone.
    pub(crate) unsafe fn standardise(
        x: Rows, rows: usize, columns: usize, centred: bool, epsilon: f32, to: *mut f32,
    ) = standardise_body
}

/// # Safety
/// As for [`standardise`].
#[inline(always)]
unsafe fn standardise_body<S: Simd>(
    s: S,
    x: Rows,
    rows: usize,
    columns: usize,
    centred: bool,
    epsilon: f32,
    to: *mut f32,
) {
    let mut first = 0;
    while first < columns {
        let left = (columns - first).div_ceil(S::LANES);
        // SAFETY: the caller's, for the columns from `first` on.
        unsafe {
            let (x, to) = (x.right(first), to.add(first));
            if left >= 4 {
                standardise_vectors::<S, 4>(s, x, rows, centred, epsilon, to);
                first += 4 * S::LANES;
            } else {
                standardise_vectors::<S, 1>(s, x, rows, centred, epsilon, to);
                first += S::LANES;
            }
        }
    }
}

/// # Safety
/// As for [`standardise`].
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn standardise_vectors<S: Simd, const VECTORS: usize>(
    s: S,
    x: Rows,
    rows: usize,
    centred: bool,
    epsilon: f32,
    to: *mut f32,
) {
    let share = s.splat(1.0 / rows as f32);
    // SAFETY: the caller's.
    unsafe {
        let mut mean = [s.splat(0.0); VECTORS];
        for row in 0..rows {
            for v in 0..VECTORS {
                let value = s.load(x.row(row).add(v * S::LANES));
                s.store(to.add(row * PANEL + v * S::LANES), value);
                mean[v] = s.add(mean[v], value);
            }
        }
        let mut variance = [s.splat(0.0); VECTORS];
        for v in 0..VECTORS {
            mean[v] = s.mul(mean[v], share);
        }
        for row in 0..rows {
            for v in 0..VECTORS {
                let value = s.sub(s.load(to.add(row * PANEL + v * S::LANES)), mean[v]);
                variance[v] = s.mul_add(value, value, variance[v]);
            }
        }
        let mut scale = variance;
        for v in 0..VECTORS {
            let variance = s.mul_add(variance[v], share, s.splat(epsilon));
            scale[v] = s.div(s.splat(1.0), s.sqrt(variance));
            if !centred {
                mean[v] = s.splat(0.0);
            }
        }
        for row in 0..rows {
            for v in 0..VECTORS {
                let at = to.add(row * PANEL + v * S::LANES);
                s.store(at, s.mul(s.sub(s.load(at), mean[v]), scale[v]));
            }
        }
    }
}

simd_fn! {
    /// Copies rows, too short ones for a call each.
    ///
    /// # Safety
    /// `rows` rows of `columns`, of which those written are this thread's alone.
    pub(crate) unsafe fn copy(from: Rows, to: Rows, rows: usize, columns: usize) = copy_body
}

/// # Safety
/// As for [`copy`].
#[inline(always)]
unsafe fn copy_body<S: Simd>(s: S, from: Rows, to: Rows, rows: usize, columns: usize) {
    for row in 0..rows {
        let mut first = 0;
        while first < columns {
            let left = columns - first;
            // SAFETY: the columns that are left in this row.
            unsafe {
                let value = s.load_up_to(from.row(row).add(first), left);
                s.store_up_to(to.row(row).add(first), value, left);
            }
            first += S::LANES;
        }
    }
}

/// An activation of one operand.
macro_rules! elementwise {
    ($(#[$meta:meta])* $name:ident, $body:ident, |$s:ident, $x:ident| $value:expr) => {
        simd_fn! {
            $(#[$meta])*
            ///
            /// # Safety
            /// `rows` rows of `columns` are this thread's alone.
            pub(crate) unsafe fn $name(x: Rows, rows: usize, columns: usize) = $body
        }

        /// # Safety
        /// `rows` rows of `columns` are this thread's alone.
        #[inline(always)]
        unsafe fn $body<S: Simd>($s: S, x: Rows, rows: usize, columns: usize) {
            for row in 0..rows {
                let mut first = 0;
                while first < columns {
                    // SAFETY: the columns that are left in this row.
                    unsafe {
                        let at = x.row(row).add(first);
                        let $x = $s.load_up_to(at, columns - first);
                        $s.store_up_to(at, $value, columns - first);
                    }
                    first += S::LANES;
                }
            }
        }
    };
}

elementwise! {
    /// GELU in place.
    gelu, gelu_body, |s, x| s.mul(x, normal(s, x).0)
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
