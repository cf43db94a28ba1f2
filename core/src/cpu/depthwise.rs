//! Depthwise 3x3 convolution: each channel with its own filter, zero padding 1.
//!
//! The innermost loop ([`depthwise`]) computes four rows of output from six rows that lie anywhere. Three ways lead to it: a
//! plane after the other in strips ([`forward`], [`backward`]: tensors of training, all channels of a pixel never needed
//! together); all channels of a band of rows ([`convolve`]); and the rings of the fused blocks ([`crate::infer`]), whose
//! rows are computed as they are needed.

use rayon::prelude::*;

use super::activations::gelu;
use super::output::Output;
use super::pool::{Planes, Pool};
use super::rows::Rows;
use super::simd::{MAX_LANES, Simd, simd_fn};
use super::sweep::{BAND, BAND_INPUTS, Ring, parts};

/// The inputs of a band: one channel's address of the first output column, and where from there the
/// rows above, of and below the band are.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) start: *const f32,
    pub(crate) offsets: &'a [usize; BAND_INPUTS],
}

impl Inputs<'_> {
    /// The same, `columns` further on.
    ///
    /// # Safety
    /// That is inside the rows.
    #[inline(always)]
    unsafe fn right(self, columns: usize) -> Self {
        Self {
            // SAFETY: the columns are inside the rows.
            start: unsafe { self.start.add(columns) },
            ..self
        }
    }
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
    // SAFETY: the rows and columns of the caller's band.
    unsafe { depthwise_band(s, x, &splat_taps(s, taps), s.splat(bias), y, size) }
}

/// # Safety
/// As for [`depthwise`].
#[inline(always)]
unsafe fn depthwise_band<S: Simd>(
    s: S,
    x: Inputs<'_>,
    taps: &[S::V; 9],
    bias: S::V,
    y: Rows,
    size: Size,
) {
    let mut column = 0;
    while column < size.columns {
        // SAFETY: the vector begins inside the band.
        unsafe {
            let sums = convolve_vector(s, x, taps, bias, column);
            store_vector(s, sums, y, column, size);
        }
        column += S::LANES;
    }
}

/// Columns that are convolved, and then gated: GELU is a long chain of operations, each waiting for the one before, so that many vectors
/// must be under way at a time, and none of them behind the many operations of a convolution.
const GATED: usize = 64;

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
    let (gate_taps, value_taps) = (splat_taps(s, gate_taps), splat_taps(s, value_taps));
    let zero = s.splat(0.0);
    let mut convolved = [[0.0f32; BAND * GATED]; 2];
    let [gates, values] = convolved.each_mut().map(|half| Rows {
        start: half.as_mut_ptr(),
        stride: GATED,
    });
    for first in (0..size.columns).step_by(GATED) {
        let columns = GATED.min(size.columns - first);
        let whole = Size {
            rows: BAND,
            columns: columns.next_multiple_of(S::LANES),
        };
        // SAFETY: whole vectors of the buffers, which begin inside the band; only the rows and columns that exist are written to it.
        unsafe {
            depthwise_band(s, gate.right(first), &gate_taps, zero, gates, whole);
            depthwise_band(s, value.right(first), &value_taps, zero, values, whole);
            for column in (0..columns).step_by(S::LANES) {
                // All rows of the band one after the other: their operations do not wait for each other.
                let mut gated = [zero; BAND];
                for (row, gated) in gated.iter_mut().enumerate() {
                    let gate = s.load(gates.row(row).add(column));
                    let value = s.load(values.row(row).add(column));
                    *gated = s.mul(gelu(s, gate), value);
                }
                store_vector(s, gated, y, first + column, size);
            }
        }
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
unsafe fn convolve_vector<S: Simd>(
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

/// Writes one vector of every row of a band that exists, and of it the columns that exist. Whole vectors have a way of their own: asked row by
/// row, a browser's compiler would compute each row apart, its inputs read again for each product.
///
/// # Safety
/// `y` has the band's rows, this thread's alone, and the column is one of them.
#[inline(always)]
unsafe fn store_vector<S: Simd>(s: S, band: [S::V; BAND], y: Rows, column: usize, size: Size) {
    let left = size.columns - column;
    // SAFETY: rows and columns of the band.
    unsafe {
        if size.rows == BAND && left >= S::LANES {
            for (row, &vector) in band.iter().enumerate() {
                s.store(y.row(row).add(column), vector);
            }
        } else {
            for (row, &vector) in band.iter().enumerate().take(size.rows) {
                s.store_up_to(y.row(row).add(column), vector, left);
            }
        }
    }
}

/// Depthwise 3x3 convolution with bias, then what `after` does with each band of a channel's rows.
///
/// # Safety
/// `x` is not written to meanwhile; `y`, of the same size, is this call's alone.
pub(crate) unsafe fn convolve(
    scratch: &Pool,
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
            let ring = Ring::new(scratch, x.channels, part);
            let outputs = ring.outputs();
            let columns = part.columns.len();
            let consume = |top: usize, rows: usize, offsets: &_| {
                for channel in 0..x.channels {
                    let to = part.band(y, channel, top);
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
            part.sweep(&ring, |row, to| part.copy_row(x, row, to), consume);
        });
}

/// Planes are convolved in strips of this many rows, copied between margins of zeros: the copy
/// stays in the first cache, and the inner loop has no borders to think of.
const STRIP_ROWS: usize = 16;
/// Columns of zeros before a strip's first; as many or more follow its last.
const MARGIN: usize = MAX_LANES;
/// Fewer planes than this are not worth a thread.
const PLANES_PER_TASK: usize = 4;

/// Floats from one row of a strip to the next.
fn strip_stride(width: usize) -> usize {
    MARGIN + width.next_multiple_of(MAX_LANES) + MARGIN
}

/// A strip of zeros for planes of this width, with the rows above and below it.
fn new_strip(width: usize) -> Vec<f32> {
    vec![0.0; (STRIP_ROWS + 2) * strip_stride(width)]
}

/// Copies rows `first - 1 .. first + rows + 1` of a plane, zeros where there are none.
fn copy_strip(
    plane: &[f32],
    [height, width]: [usize; 2],
    first: usize,
    rows: usize,
    strip: &mut [f32],
) {
    let stride = strip_stride(width);
    for (i, row) in strip.chunks_exact_mut(stride).take(rows + 2).enumerate() {
        let row = &mut row[MARGIN..MARGIN + width];
        match (first + i).checked_sub(1) {
            Some(y) if y < height => row.copy_from_slice(&plane[y * width..][..width]),
            _ => row.fill(0.0),
        }
    }
}

/// Convolution of all planes of a batch.
///
/// # Shapes
/// - x, result: `[batch, channels, height, width]`
/// - weight: `[channels, 9]`
pub(crate) fn forward(
    x: &[f32],
    weight: &[f32],
    [batch, channels, height, width]: [usize; 4],
) -> Vec<f32> {
    let plane = height * width;
    assert_eq!(x.len(), batch * channels * plane);
    assert_eq!(weight.len(), channels * 9);
    let mut y = Output::new(x.len());
    let out = y.shared();
    (0..batch * channels)
        .into_par_iter()
        .with_min_len(PLANES_PER_TASK)
        .for_each_init(
            || new_strip(width),
            |strip, i| {
                let x = &x[i * plane..][..plane];
                let filter = &weight[i % channels * 9..][..9];
                // SAFETY: plane `i` of the output, which no other task touches.
                unsafe { convolve_plane(x, [height, width], filter, strip, out.at(i * plane)) }
            },
        );
    // SAFETY: every plane has been written.
    unsafe { y.filled() }
}

/// Gradients with respect to x (a convolution with the reversed filters) and to the filters; shapes as for [`forward`].
pub(crate) fn backward(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    [batch, channels, height, width]: [usize; 4],
) -> (Vec<f32>, Vec<f32>) {
    let plane = height * width;
    assert_eq!(x.len(), batch * channels * plane);
    assert_eq!(dy.len(), x.len());
    assert_eq!(weight.len(), channels * 9);
    let mut reversed = weight.to_vec();
    reversed.chunks_exact_mut(9).for_each(<[f32]>::reverse);

    let mut dx = Output::new(x.len());
    let out = dx.shared();
    let mut of_plane = vec![0.0; batch * channels * 9];
    of_plane
        .par_chunks_mut(9)
        .with_min_len(PLANES_PER_TASK)
        .enumerate()
        .for_each_init(
            || (new_strip(width), new_strip(width)),
            |(x_strip, dy_strip), (i, dweight)| {
                let (x, dy) = (&x[i * plane..][..plane], &dy[i * plane..][..plane]);
                let filter = &reversed[i % channels * 9..][..9];
                let size = [height, width];
                // SAFETY: plane `i` of the output, which no other task touches.
                unsafe { convolve_plane(dy, size, filter, dy_strip, out.at(i * plane)) };
                correlate_planes(x, dy, size, x_strip, dy_strip, dweight);
            },
        );
    let mut dweight = vec![0.0; channels * 9];
    for of_sample in of_plane.chunks_exact(channels * 9) {
        for (sum, value) in dweight.iter_mut().zip(of_sample) {
            *sum += value;
        }
    }
    // SAFETY: every plane has been written.
    (unsafe { dx.filled() }, dweight)
}

simd_fn! {
    /// Convolves one plane into `y`.
    ///
    /// # Safety
    /// `y` is the start of a plane of that size, which this thread alone writes.
    unsafe fn convolve_plane(
        x: &[f32], size: [usize; 2], filter: &[f32], strip: &mut [f32], y: *mut f32,
    ) = convolve_plane_body
}

/// # Safety
/// As for [`convolve_plane`].
#[inline(always)]
unsafe fn convolve_plane_body<S: Simd>(
    s: S,
    x: &[f32],
    [height, width]: [usize; 2],
    filter: &[f32],
    strip: &mut [f32],
    y: *mut f32,
) {
    let stride = strip_stride(width);
    assert!(strip.len() >= (STRIP_ROWS + 2) * stride);
    let mut offsets = [0; BAND_INPUTS];
    for (row, offset) in offsets.iter_mut().enumerate() {
        *offset = row * stride;
    }
    let taps = splat_taps(s, filter);
    for first in (0..height).step_by(STRIP_ROWS) {
        let rows = STRIP_ROWS.min(height - first);
        copy_strip(x, [height, width], first, rows, strip);
        for row in (0..rows).step_by(BAND) {
            let size = Size {
                rows: BAND.min(rows - row),
                columns: width,
            };
            // SAFETY: the strip has whole bands and the rows above and below them, with margins of `MARGIN` columns around
            // each row; the plane has the rows `first .. first + rows`.
            unsafe {
                let from = Inputs {
                    start: strip.as_ptr().add(row * stride + MARGIN),
                    offsets: &offsets,
                };
                let to = Rows {
                    start: y.add((first + row) * width),
                    stride: width,
                };
                depthwise_band(s, from, &taps, s.splat(0.0), to, size);
            }
        }
    }
}

simd_fn! {
    /// The gradient of one filter: for each tap the sum of dy times x moved by the tap.
    fn correlate_planes(
        x: &[f32], dy: &[f32], size: [usize; 2],
        x_strip: &mut [f32], dy_strip: &mut [f32], dfilter: &mut [f32],
    ) = correlate_planes_body
}

#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
fn correlate_planes_body<S: Simd>(
    s: S,
    x: &[f32],
    dy: &[f32],
    [height, width]: [usize; 2],
    x_strip: &mut [f32],
    dy_strip: &mut [f32],
    dfilter: &mut [f32],
) {
    let stride = strip_stride(width);
    assert!(x_strip.len() >= (STRIP_ROWS + 2) * stride);
    assert!(dy_strip.len() >= (STRIP_ROWS + 2) * stride);
    let mut sums = [s.splat(0.0); 9];
    let mut first = 0;
    while first < height {
        let rows = STRIP_ROWS.min(height - first);
        copy_strip(x, [height, width], first, rows, x_strip);
        copy_strip(dy, [height, width], first, rows, dy_strip);
        let mut column = 0;
        while column < width {
            let mut row = 0;
            while row < rows {
                // Two rows of dy at a time; where there is only one, the second is masked by zero.
                let pair = row + 1 < rows;
                // SAFETY: rows up to `rows + 1` of the strips are filled; the columns read reach
                // into the margins, which are zero in dy's strip.
                unsafe {
                    let dy_row = dy_strip.as_ptr().add((row + 1) * stride + MARGIN + column);
                    let above = s.load(dy_row);
                    let below = if pair {
                        s.load(dy_row.add(stride))
                    } else {
                        s.splat(0.0)
                    };
                    let x_row = x_strip.as_ptr().add(row * stride + MARGIN + column);
                    for i in 0..4 {
                        if i == 3 && !pair {
                            break;
                        }
                        let p = x_row.add(i * stride);
                        let around = [s.load(p.sub(1)), s.load(p), s.load(p.add(1))];
                        for j in 0..3 {
                            if i < 3 {
                                sums[i * 3 + j] = s.mul_add(around[j], above, sums[i * 3 + j]);
                            }
                            if i > 0 {
                                let tap = (i - 1) * 3 + j;
                                sums[tap] = s.mul_add(around[j], below, sums[tap]);
                            }
                        }
                    }
                }
                row += 2;
            }
            column += S::LANES;
        }
        first += rows;
    }
    for (out, &sum) in dfilter.iter_mut().zip(&sums) {
        *out = s.sum(sum);
    }
}
