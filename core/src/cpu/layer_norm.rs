//! Layer norm over the channels of every pixel, a panel of pixels at a time.
//!
//! Inference needs [`standardise`] alone, since scale and shift are part of the matrix after the norm. Training needs them
//! as they are ([`forward`]), and the gradients ([`backward`]). All three get mean and deviation from [`moments`].

use rayon::prelude::*;

use super::output::Output;
use super::rows::{PANEL, Rows, Strided};
use super::simd::{MAX_LANES, Simd, simd_fn};

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
        // SAFETY: x is readable, and the panel writable, from this column to the end of the last vector.
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
/// As for [`standardise`], for `VECTORS` vectors of columns.
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
    // SAFETY: `VECTORS` vectors are readable in each row of x, and writable in each row of the panel.
    unsafe {
        let (mean, scale) = moments::<S, VECTORS>(s, x, rows, epsilon, to);
        let shift = if centred {
            mean
        } else {
            [s.splat(0.0); VECTORS]
        };
        for row in 0..rows {
            for v in 0..VECTORS {
                let at = to.add(row * PANEL + v * S::LANES);
                s.store(at, s.mul(s.sub(s.load(at), shift[v]), scale[v]));
            }
        }
    }
}

/// Mean and one over the standard deviation of each column, whose rows are copied to the panel `to`.
///
/// # Safety
/// `VECTORS` vectors are readable in each of `rows` rows of `x`, and writable in as many rows of the panel.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn moments<S: Simd, const VECTORS: usize>(
    s: S,
    x: Rows,
    rows: usize,
    epsilon: f32,
    to: *mut f32,
) -> ([S::V; VECTORS], [S::V; VECTORS]) {
    let share = s.splat(1.0 / rows as f32);
    let mut mean = [s.splat(0.0); VECTORS];
    let mut scale = [s.splat(0.0); VECTORS];
    // SAFETY: rows below `rows`, and columns below `VECTORS` vectors.
    unsafe {
        for row in 0..rows {
            for v in 0..VECTORS {
                let value = s.load(x.row(row).add(v * S::LANES));
                s.store(to.add(row * PANEL + v * S::LANES), value);
                mean[v] = s.add(mean[v], value);
            }
        }
        for v in 0..VECTORS {
            mean[v] = s.mul(mean[v], share);
        }
        for row in 0..rows {
            for v in 0..VECTORS {
                let value = s.sub(s.load(to.add(row * PANEL + v * S::LANES)), mean[v]);
                scale[v] = s.mul_add(value, value, scale[v]);
            }
        }
    }
    for v in 0..VECTORS {
        let variance = s.mul_add(scale[v], share, s.splat(epsilon));
        scale[v] = s.div(s.splat(1.0), s.sqrt(variance));
    }
    (mean, scale)
}

/// A norm with its scale for each channel, and its shift where the mean is taken off.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: Option<&'a [f32]>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

/// Panels of one task.
const PANELS_PER_TASK: usize = 8;

/// The norm of all pixels.
///
/// # Shapes
/// - x, result: `[batch, channels, pixels]`
pub(crate) fn forward(x: &[f32], norm: Norm<'_>, batch: usize, pixels: usize) -> Vec<f32> {
    let channels = norm.gamma.len();
    assert_eq!(x.len(), batch * channels * pixels);
    assert!(norm.beta.is_none_or(|beta| beta.len() == channels));
    let mut y = Output::new(x.len());
    let out = y.shared();
    let panels = pixels.div_ceil(PANEL);
    (0..batch * panels)
        .into_par_iter()
        .with_min_len(PANELS_PER_TASK)
        .for_each_init(
            || [channels; 2].map(|rows| vec![0.0; rows * PANEL]),
            |[panel, copy], task| {
                let first = task % panels * PANEL;
                let columns = PANEL.min(pixels - first);
                let start = task / panels * channels * pixels + first;
                let x = Strided {
                    values: &x[start..],
                    stride: pixels,
                };
                let x = x.readable(channels, columns, copy);
                let y = Rows {
                    start: out.at(start),
                    stride: pixels,
                };
                // SAFETY: these pixels in all channels of the output are this task's alone, the panel too.
                unsafe {
                    let centred = norm.beta.is_some();
                    let panel = panel.as_mut_ptr();
                    standardise(x, channels, columns, centred, norm.epsilon, panel);
                    scale_rows(panel, norm, y, columns);
                }
            },
        );
    // SAFETY: the panels cover all pixels.
    unsafe { y.filled() }
}

simd_fn! {
    /// Each row of a panel times its gamma, plus its beta.
    ///
    /// # Safety
    /// The panel has a row for each gamma, `y` has as many of `columns`, which this thread alone writes.
    unsafe fn scale_rows(panel: *const f32, norm: Norm<'_>, y: Rows, columns: usize) = scale_rows_body
}

/// # Safety
/// As for [`scale_rows`].
#[inline(always)]
unsafe fn scale_rows_body<S: Simd>(
    s: S,
    panel: *const f32,
    norm: Norm<'_>,
    y: Rows,
    columns: usize,
) {
    for (row, &gamma) in norm.gamma.iter().enumerate() {
        let gamma = s.splat(gamma);
        let beta = match norm.beta {
            Some(beta) => s.splat(beta[row]),
            None => s.splat(0.0),
        };
        let mut column = 0;
        while column < columns {
            // SAFETY: a vector of the panel; the columns that are left in this row of `y`.
            unsafe {
                let value = s.load(panel.add(row * PANEL + column));
                let value = s.mul_add(value, gamma, beta);
                s.store_up_to(y.row(row).add(column), value, columns - column);
            }
            column += S::LANES;
        }
    }
}

/// Gradients of the norm.
pub(crate) struct Gradients {
    pub(crate) dx: Vec<f32>,
    pub(crate) dgamma: Vec<f32>,
    pub(crate) dbeta: Vec<f32>,
}

/// What the gradients need of a norm.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) gamma: &'a [f32],
    /// Whether the mean was taken off.
    pub(crate) centred: bool,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

/// Gradients with respect to x, gamma and beta; shapes as for [`forward`].
pub(crate) fn backward(
    x: &[f32],
    scale: Scale<'_>,
    dy: &[f32],
    batch: usize,
    pixels: usize,
) -> Gradients {
    let channels = scale.gamma.len();
    assert_eq!(x.len(), batch * channels * pixels);
    assert_eq!(dy.len(), x.len());
    let mut dx = Output::new(x.len());
    let out = dx.shared();
    let task_pixels = 8 * PANELS_PER_TASK * PANEL;
    let tasks = pixels.div_ceil(task_pixels);
    let parts: Vec<Vec<f32>> = (0..batch * tasks)
        .into_par_iter()
        .map(|task| {
            let task_start = task % tasks * task_pixels;
            let end = pixels.min(task_start + task_pixels);
            let [mut panels, mut copy] = [2, 1].map(|n| vec![0.0; n * channels * PANEL]);
            // For each channel a vector of dgamma; then of dbeta.
            let mut sums = vec![0.0; 2 * channels * MAX_LANES];
            for first in (task_start..end).step_by(PANEL) {
                let columns = PANEL.min(end - first);
                let start = task / tasks * channels * pixels + first;
                let [x, dy] = [x, dy].map(|values| Strided {
                    values: &values[start..],
                    stride: pixels,
                });
                dy.check(channels, columns);
                let block = Block {
                    x: x.readable(channels, columns, &mut copy),
                    dy: dy.rows(),
                    dx: Rows {
                        start: out.at(start),
                        stride: pixels,
                    },
                    columns,
                    panels: panels.as_mut_ptr(),
                };
                // SAFETY: these pixels in all channels of the gradient are this task's alone, the panels too.
                unsafe { block_gradients(block, scale, &mut sums) };
            }
            sums.chunks_exact(MAX_LANES)
                .map(|lanes| lanes.iter().sum())
                .collect()
        })
        .collect();
    let mut dgamma = vec![0.0; 2 * channels];
    for part in &parts {
        super::add(&mut dgamma, part);
    }
    let dbeta = dgamma.split_off(channels);
    // SAFETY: the panels cover all pixels.
    let dx = unsafe { dx.filled() };
    Gradients { dx, dgamma, dbeta }
}

/// At most [`PANEL`] pixels of one sample.
#[derive(Clone, Copy)]
struct Block {
    /// Readable to whole vectors.
    x: Rows,
    dy: Rows,
    dx: Rows,
    columns: usize,
    /// Room for x and then dy, without what lies between their rows.
    panels: *mut f32,
}

simd_fn! {
    /// Gradients of a block; adds to `sums`, a vector of dgamma for each channel and then of dbeta.
    ///
    /// # Safety
    /// The rows have a channel for each gamma; `dx` and the panels are this thread's alone.
    unsafe fn block_gradients(block: Block, scale: Scale<'_>, sums: &mut [f32]) = block_gradients_body
}

/// # Safety
/// As for [`block_gradients`].
#[inline(always)]
unsafe fn block_gradients_body<S: Simd>(s: S, block: Block, scale: Scale<'_>, sums: &mut [f32]) {
    assert_eq!(sums.len(), 2 * scale.gamma.len() * MAX_LANES);
    let mut first = 0;
    while first < block.columns {
        let left = (block.columns - first).div_ceil(S::LANES);
        // SAFETY: the vectors begin inside the block.
        unsafe {
            if left >= 4 {
                vector_gradients::<S, 4>(s, block, scale, first, sums);
                first += 4 * S::LANES;
            } else {
                vector_gradients::<S, 1>(s, block, scale, first, sums);
                first += S::LANES;
            }
        }
    }
}

/// With `u = x - mean` (or `u = x`), `r = 1 / sqrt(var + eps)` and `h = dy gamma`:
/// `dx = r (h - mean(h)) - r^3 (x - mean) mean(h u)`, where `mean(h)` is only there if centred.
///
/// # Safety
/// As for [`block_gradients`]; `VECTORS` vectors from column `first` on begin inside the block.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn vector_gradients<S: Simd, const VECTORS: usize>(
    s: S,
    block: Block,
    scale: Scale<'_>,
    first: usize,
    sums: &mut [f32],
) {
    let channels = scale.gamma.len();
    let zero = [s.splat(0.0); VECTORS];
    let (mut mean_h, mut mean_hu) = (zero, zero);
    // SAFETY: rows below `channels`. Whole vectors of x and of the panels are there; of dy and dx only the columns that exist
    // are read and written, and what fills up the last vector of dy is zero. A vector of sums has `MAX_LANES` floats.
    unsafe {
        let x = block.panels.add(first);
        let dy = x.add(channels * PANEL);
        let (mean, inverse) =
            moments::<S, VECTORS>(s, block.x.right(first), channels, scale.epsilon, x);
        let shift = if scale.centred { mean } else { zero };
        for channel in 0..channels {
            let gamma = s.splat(scale.gamma[channel]);
            let dgamma = sums.as_mut_ptr().add(channel * MAX_LANES);
            let dbeta = dgamma.add(channels * MAX_LANES);
            let (mut of_gamma, mut of_beta) = (s.load(dgamma), s.load(dbeta));
            for v in 0..VECTORS {
                let at = channel * PANEL + v * S::LANES;
                let column = first + v * S::LANES;
                let from = block.dy.row(channel).add(column);
                let d = s.load_up_to(from, block.columns - column);
                s.store(dy.add(at), d);
                let u = s.sub(s.load(x.add(at)), shift[v]);
                of_gamma = s.mul_add(d, s.mul(u, inverse[v]), of_gamma);
                of_beta = s.add(of_beta, d);
                let h = s.mul(d, gamma);
                mean_h[v] = s.add(mean_h[v], h);
                mean_hu[v] = s.mul_add(h, u, mean_hu[v]);
            }
            s.store(dgamma, of_gamma);
            s.store(dbeta, of_beta);
        }
        let share = s.splat(1.0 / channels as f32);
        for v in 0..VECTORS {
            mean_h[v] = s.mul(mean_h[v], share);
            let cube = s.mul(s.mul(inverse[v], inverse[v]), inverse[v]);
            mean_hu[v] = s.mul(s.mul(mean_hu[v], share), cube);
        }
        if !scale.centred {
            mean_h = zero;
        }
        for channel in 0..channels {
            let gamma = s.splat(scale.gamma[channel]);
            for v in 0..VECTORS {
                let at = channel * PANEL + v * S::LANES;
                let column = first + v * S::LANES;
                let h = s.mul(s.load(dy.add(at)), gamma);
                let off = s.mul(s.sub(s.load(x.add(at)), mean[v]), mean_hu[v]);
                let dx = s.sub(s.mul(inverse[v], s.sub(h, mean_h[v])), off);
                let to = block.dx.row(channel).add(column);
                s.store_up_to(to, dx, block.columns - column);
            }
        }
    }
}
