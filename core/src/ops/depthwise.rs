//! Depthwise 3x3 convolution: each channel with its own filter.

#[cfg(feature = "gpu")]
use super::gpu;
use super::{
    flex::{contiguous, dims, tensor, values},
    on_cpu,
    record::record,
};
use crate::cpu::{
    output::Output,
    simd::{MAX_LANES, Simd, simd_fn},
};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops},
};
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// Convolves every channel with its own 3x3 filter, zero padding 1, stride 1, no bias.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - weight: `[channels, 1, 3, 3]`
/// - output: as x
pub fn depthwise3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    assert_eq!(
        weight.dims(),
        [x.dims()[1], 1, 3, 3],
        "one 3x3 filter per channel"
    );
    if on_cpu(&x) && on_cpu(&weight) {
        Tensor::from_dispatch(<Dispatch as DepthwiseOps>::depthwise3x3(
            x.into_dispatch(),
            weight.into_dispatch(),
        ))
    } else {
        #[cfg(feature = "gpu")]
        if gpu::trains(&x) && gpu::trains(&weight) {
            return gpu::depthwise3x3(x, weight);
        }
        plain(x, weight)
    }
}

fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], channels);
    conv2d(x, weight, None, options)
}

#[backend_extension(Flex, Autodiff)]
trait DepthwiseOps: Backend {
    fn depthwise3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl DepthwiseOps for Flex {
    fn depthwise3x3(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let shape = dims(&x);
        tensor(forward(values(&x), values(&weight), shape), shape)
    }
}

impl<C: CheckpointStrategy> DepthwiseOps for Autodiff<Flex, C> {
    fn depthwise3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(DepthwiseBackward, x, weight, Flex::depthwise3x3)
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

impl Backward<Flex, 2> for DepthwiseBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let shape = dims(&x);
        let (dx, dweight) = backward(values(&x), values(&weight), values(&dy), shape);
        let [x_parent, weight_parent] = ops.parents;
        if let Some(node) = x_parent {
            grads.register::<Flex>(node.id, tensor(dx, shape));
        }
        if let Some(node) = weight_parent {
            grads.register::<Flex>(node.id, tensor(dweight, [shape[1], 1, 3, 3]));
        }
    }
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

/// Convolution of all planes.
fn forward(x: &[f32], weight: &[f32], [batch, channels, height, width]: [usize; 4]) -> Vec<f32> {
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

/// Gradients with respect to x (a convolution with the reversed filters) and to the filters.
fn backward(
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
    /// `y` is the start of a writable plane of that size.
    unsafe fn convolve_plane(
        x: &[f32], size: [usize; 2], filter: &[f32], strip: &mut [f32], y: *mut f32,
    ) = convolve_plane_body
}

/// # Safety
/// `y` is the start of a writable plane of that size.
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
    let mut taps = [s.splat(0.0); 9];
    for (tap, &value) in taps.iter_mut().zip(filter) {
        *tap = s.splat(value);
    }
    let mut first = 0;
    while first < height {
        let rows = STRIP_ROWS.min(height - first);
        copy_strip(x, [height, width], first, rows, strip);
        let mut row = 0;
        while row < rows {
            // SAFETY: `rows + 2` rows of the strip are filled, with margins of `MARGIN` columns
            // around each; the output has rows `first .. first + rows`.
            unsafe {
                let from = strip.as_ptr().add(row * stride + MARGIN);
                let to = y.add((first + row) * width);
                if row + 4 <= rows {
                    convolve_rows::<S, 4>(s, from, stride, &taps, to, width);
                    row += 4;
                } else {
                    convolve_rows::<S, 1>(s, from, stride, &taps, to, width);
                    row += 1;
                }
            }
        }
        first += rows;
    }
}

/// `R` rows of output from `R + 2` rows of a strip: each loaded vector serves up to three rows.
///
/// # Safety
/// `from` is the first column of the row above the first, in a strip with room to read
/// `MAX_LANES` columns on both sides of `R + 2` rows; `to` takes `R` rows of `width`.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn convolve_rows<S: Simd, const R: usize>(
    s: S,
    from: *const f32,
    stride: usize,
    taps: &[S::V; 9],
    to: *mut f32,
    width: usize,
) {
    let mut x = 0;
    while x < width {
        let mut sums = [s.splat(0.0); R];
        for i in 0..R + 2 {
            // SAFETY: at most one column before and `LANES` after the row, inside its margins.
            let row = unsafe {
                let p = from.add(i * stride + x);
                [s.load(p.sub(1)), s.load(p), s.load(p.add(1))]
            };
            // Row `i` is tap row `k` of output row `i - k`.
            for k in 0..3 {
                if i >= k && i - k < R {
                    for j in 0..3 {
                        sums[i - k] = s.mul_add(row[j], taps[k * 3 + j], sums[i - k]);
                    }
                }
            }
        }
        for (r, &sum) in sums.iter().enumerate() {
            // SAFETY: `width - x` columns are left in row `r`.
            unsafe { s.store_up_to(to.add(r * width + x), sum, width - x) };
        }
        x += S::LANES;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            check(
                &[[2, 5, height, width], [5, 1, 3, 3]],
                1e-5,
                |t| depthwise3x3(t[0].clone(), t[1].clone()),
                |t| plain(t[0].clone(), t[1].clone()),
            );
        }
    }
}
