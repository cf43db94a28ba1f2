//! Dense 3x3 convolution, as a matrix product whose right factor is never written down: row
//! `9 i + t` of it is channel `i` of the padded image, moved by tap `t`.

#[cfg(feature = "gpu")]
use super::gpu;
use super::{
    flex::{contiguous, dims, tensor, values},
    on_cpu,
    record::record,
};
use crate::cpu::{
    gemm::{RowProducts, add, multiply_rows},
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

/// 3x3 convolution, zero padding 1, stride 1, no bias.
///
/// # Shapes
/// - x: `[batch, channels in, height, width]`
/// - weight: `[channels out, channels in, 3, 3]`
/// - output: `[batch, channels out, height, width]`
pub fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    assert_eq!(
        weight.dims()[1..],
        [x.dims()[1], 3, 3],
        "3x3 filters of x's channels"
    );
    if on_cpu(&x) && on_cpu(&weight) {
        Tensor::from_dispatch(<Dispatch as ConvOps>::conv3x3(
            x.into_dispatch(),
            weight.into_dispatch(),
        ))
    } else {
        #[cfg(feature = "gpu")]
        if gpu::trains(&x) && gpu::trains(&weight) {
            return gpu::conv3x3(x, weight);
        }
        plain(x, weight)
    }
}

fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    conv2d(x, weight, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
}

#[backend_extension(Flex, Autodiff)]
trait ConvOps: Backend {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl ConvOps for Flex {
    fn conv3x3(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let [batch, _, height, width] = dims(&x);
        let channels_out = dims(&weight)[0];
        let y = forward(values(&x), values(&weight), dims(&x), channels_out);
        tensor(y, [batch, channels_out, height, width])
    }
}

impl<C: CheckpointStrategy> ConvOps for Autodiff<Flex, C> {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(ConvBackward, x, weight, Flex::conv3x3)
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 2> for ConvBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let [channels_out, channels_in, ..] = dims(&weight);
        let [x_parent, weight_parent] = ops.parents;
        if let Some(node) = x_parent {
            // The gradient is a convolution with the filters reversed and the channels swapped.
            let reversed = reverse(values(&weight), channels_out, channels_in);
            let dx = forward(values(&dy), &reversed, dims(&dy), channels_in);
            grads.register::<Flex>(node.id, tensor(dx, dims(&x)));
        }
        if let Some(node) = weight_parent {
            let dweight = weight_gradient(values(&x), values(&dy), dims(&x), channels_out);
            grads.register::<Flex>(node.id, tensor(dweight, dims(&weight)));
        }
    }
}

/// Zeros after the last padded plane: vectors are read whole past the end of a row.
const SLACK: usize = 4 * MAX_LANES;

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

fn forward(
    x: &[f32],
    weight: &[f32],
    shape @ [batch, channels_in, height, width]: [usize; 4],
    channels_out: usize,
) -> Vec<f32> {
    assert_eq!(x.len(), shape.iter().product::<usize>());
    assert_eq!(weight.len(), channels_out * channels_in * 9);
    let stride = width + 2;
    let size = (height + 2) * stride;
    let padded = pad(x, shape);
    let offsets: Vec<usize> = (0..channels_in * 9)
        .map(|row| row / 9 * size + row % 9 / 3 * stride + row % 3)
        .collect();
    let mut y = Output::new(batch * channels_out * height * width);
    let out = y.shared();
    (0..batch * height).into_par_iter().for_each(|task| {
        let (sample, row) = (task / height, task % height);
        let image = &padded[sample * channels_in * size + row * stride..];
        let start = sample * channels_out * height * width + row * width;
        // SAFETY: this row of all output channels of this sample, which is this task's alone.
        unsafe {
            convolve_row(
                weight,
                channels_out,
                image,
                &offsets,
                width,
                out.at(start),
                height * width,
            )
        };
    });
    // SAFETY: every row has been written.
    unsafe { y.filled() }
}

simd_fn! {
    /// One row of all output channels, `channel_stride` apart.
    ///
    /// # Safety
    /// `width` floats are writable at `y` for each output channel.
    unsafe fn convolve_row(
        weight: &[f32], channels_out: usize, image: &[f32], offsets: &[usize], width: usize,
        y: *mut f32, channel_stride: usize,
    ) = convolve_row_body
}

/// # Safety
/// `width` floats are writable at `y` for each output channel.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn convolve_row_body<S: Simd>(
    s: S,
    weight: &[f32],
    channels_out: usize,
    image: &[f32],
    offsets: &[usize],
    width: usize,
    y: *mut f32,
    channel_stride: usize,
) {
    assert_eq!(weight.len(), channels_out * offsets.len());
    // Offsets grow, and the widest read is one panel past the last column.
    let last = offsets.last().map_or(0, |&offset| offset);
    assert!(image.len() >= last + width + SLACK);
    let mut x = 0;
    while x < width {
        let left = width - x;
        let vectors = if S::PANEL == 4 && left > 2 * S::LANES {
            4
        } else if left > S::LANES {
            2
        } else {
            1
        };
        // SAFETY: fewer than `SLACK - 2` floats are read past column `width`, and only `left`
        // columns are written.
        unsafe {
            let (image, y) = (image.as_ptr().add(x), y.add(x));
            let mut channel = 0;
            while channel < channels_out {
                let weight = &weight[channel * offsets.len()..];
                let y = y.add(channel * channel_stride);
                let rows = channels_out - channel;
                channel += match vectors {
                    4 => convolve_tiles::<S, 4>(
                        s,
                        weight,
                        rows,
                        image,
                        offsets,
                        y,
                        channel_stride,
                        left,
                    ),
                    2 => convolve_tiles::<S, 2>(
                        s,
                        weight,
                        rows,
                        image,
                        offsets,
                        y,
                        channel_stride,
                        left,
                    ),
                    _ => convolve_tiles::<S, 1>(
                        s,
                        weight,
                        rows,
                        image,
                        offsets,
                        y,
                        channel_stride,
                        left,
                    ),
                };
            }
        }
        x += vectors * S::LANES;
    }
}

/// One tile of six, three or one output channels; returns how many.
///
/// # Safety
/// As for [`convolve_tile`], with `rows` rows.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn convolve_tiles<S: Simd, const VECTORS: usize>(
    s: S,
    weight: &[f32],
    rows: usize,
    image: *const f32,
    offsets: &[usize],
    y: *mut f32,
    channel_stride: usize,
    columns: usize,
) -> usize {
    // SAFETY: the caller's.
    unsafe {
        if rows >= 6 {
            convolve_tile::<S, 6, VECTORS>(s, weight, image, offsets, y, channel_stride, columns);
            6
        } else if rows >= 3 {
            convolve_tile::<S, 3, VECTORS>(s, weight, image, offsets, y, channel_stride, columns);
            3
        } else {
            convolve_tile::<S, 1, VECTORS>(s, weight, image, offsets, y, channel_stride, columns);
            1
        }
    }
}

/// `ROWS` output channels by `VECTORS` vectors of pixels, held in registers.
///
/// # Safety
/// `VECTORS` vectors are readable at every offset of `image`; `columns` floats (or the tile's width,
/// if that is less) are writable at `y` for each of `ROWS` channels; the filters are there.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn convolve_tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    s: S,
    weight: &[f32],
    image: *const f32,
    offsets: &[usize],
    y: *mut f32,
    channel_stride: usize,
    columns: usize,
) {
    let mut sums = [[s.splat(0.0); VECTORS]; ROWS];
    assert!(weight.len() >= ROWS * offsets.len());
    // SAFETY: the caller's; the filters are checked above.
    unsafe {
        let weight = weight.as_ptr();
        for (k, &offset) in offsets.iter().enumerate() {
            let image = image.add(offset);
            let mut pixels = [s.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                pixels[v] = s.load(image.add(v * S::LANES));
            }
            for r in 0..ROWS {
                let factor = s.splat(*weight.add(r * offsets.len() + k));
                for v in 0..VECTORS {
                    sums[r][v] = s.mul_add(factor, pixels[v], sums[r][v]);
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let at = v * S::LANES;
                if at < columns {
                    s.store_up_to(y.add(r * channel_stride + at), sums[r][v], columns - at);
                }
            }
        }
    }
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
fn weight_gradient(
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
                    let product = RowProducts {
                        rows: channels_out,
                        columns: channels_in,
                        inner,
                        a: &strip,
                        a_stride: inner,
                        b: &image[(first + tap / 3) * stride + tap % 3..],
                        b_stride: size,
                    };
                    multiply_rows(&product, sums);
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            for [channels_in, channels_out] in [[1, 1], [3, 11], [8, 3]] {
                check(
                    &[
                        [2, channels_in, height, width],
                        [channels_out, channels_in, 3, 3],
                    ],
                    1e-5,
                    |t| conv3x3(t[0].clone(), t[1].clone()),
                    |t| plain(t[0].clone(), t[1].clone()),
                );
            }
        }
    }
}
