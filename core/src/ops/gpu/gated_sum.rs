//! Three maps added with the weights of a gate.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::cube_sum;
use super::launch::{cubes, dims, empty, reshaped, vector};
use super::matmul_nt::total;
use super::row_sums::fold;

/// Threads that sum the gradients of an image's logits together.
const THREADS: usize = 256;
/// Vectors of pixels that each of them should have.
const SPAN: usize = 8;

/// `logits`, `[images, 3]`, and three maps, `[images, channels, height, width]`.
pub(in crate::ops) type Inputs = [CubeTensor; 4];

/// The maps, each times its score, added: the scores are the softmax of the logits.
pub(in crate::ops) fn gated_sum([logits, shallow, medium, deep]: Inputs) -> CubeTensor {
    let [images, channels, height, width] = dims(&shallow);
    let y = empty(&shallow, [images, channels, height, width]);
    let values = channels * height * width;
    let vector = vector(&[values]);
    let values = values / vector;
    let (count, dim) = cubes(&y, images * values);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gated_sum_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            logits.into_buffer_arg(),
            shallow.into_buffer_arg(),
            medium.into_buffer_arg(),
            deep.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            images as u32,
            values as u32,
        );
    }
    y
}

/// Of all inputs, in their order.
pub(in crate::ops) fn gradients(inputs: Inputs, dy: CubeTensor) -> [CubeTensor; 4] {
    let [logits, shallow, medium, deep] = inputs;
    let [images, channels, height, width] = dims(&shallow);
    let values = channels * height * width;
    let vector = vector(&[values]);
    let values = values / vector;
    let pieces = values.div_ceil(THREADS * SPAN);
    let dmaps = [&shallow, &medium, &deep].map(|map| empty(map, map.meta.shape().clone()));
    let dlogits = empty(&logits, [pieces, images, 3]);
    let [dshallow, dmedium, ddeep] = dmaps.clone().map(CubeTensor::into_buffer_arg);
    // SAFETY: threads past an image's last vector add nothing.
    unsafe {
        gradient_kernel::launch_unchecked(
            &dy.client,
            CubeCount::Static(pieces as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            vector,
            logits.into_buffer_arg(),
            shallow.into_buffer_arg(),
            medium.into_buffer_arg(),
            deep.into_buffer_arg(),
            dy.clone().into_buffer_arg(),
            dshallow,
            dmedium,
            ddeep,
            dlogits.clone().into_buffer_arg(),
            values as u32,
            THREADS,
        );
    }
    let [dlogits] = fold([dlogits]);
    let [dshallow, dmedium, ddeep] = dmaps;
    [reshaped(dlogits, [images, 3]), dshallow, dmedium, ddeep]
}

/// The softmax of an image's logits.
#[cube]
fn scores(logits: &[f32], image: u32) -> Array<f32> {
    let first = image as usize * 3;
    let most = f32::max(
        f32::max(logits[first], logits[first + 1]),
        logits[first + 2],
    );
    let mut scores = Array::<f32>::new(3usize);
    let mut sum = 0.0f32;
    #[unroll]
    for k in 0..3usize {
        scores[k] = (logits[first + k] - most).exp();
        sum += scores[k];
    }
    #[unroll]
    for k in 0..3usize {
        scores[k] /= sum;
    }
    scores
}

/// Each thread computes one vector.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gated_sum_kernel<N: Size>(
    logits: &[f32],
    shallow: &[Vector<f32, N>],
    medium: &[Vector<f32, N>],
    deep: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    images: u32,
    values: u32,
) {
    let task = ABSOLUTE_POS as u32;
    let image = task / values;
    if image >= images {
        terminate!();
    }
    let at = task as usize;
    let scores = scores(logits, image);
    let mut sum = shallow[at] * Vector::new(scores[0]);
    sum = fma(medium[at], Vector::new(scores[1]), sum);
    y[at] = fma(deep[at], Vector::new(scores[2]), sum);
}

/// Each cube has a piece of an image: the gradients of its pixels, and what they add to those of the logits.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gradient_kernel<N: Size>(
    logits: &[f32],
    shallow: &[Vector<f32, N>],
    medium: &[Vector<f32, N>],
    deep: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    dshallow: &mut [Vector<f32, N>],
    dmedium: &mut [Vector<f32, N>],
    ddeep: &mut [Vector<f32, N>],
    dlogits: &mut [f32],
    values: u32,
    #[comptime] threads: usize,
) {
    let image = CUBE_POS_Y;
    let scores = scores(logits, image);
    let mut shallow_sum = Vector::<f32, N>::new(0.0);
    let mut medium_sum = Vector::<f32, N>::new(0.0);
    let mut deep_sum = Vector::<f32, N>::new(0.0);
    let mut value = CUBE_POS_X * threads as u32 + UNIT_POS;
    while value < values {
        let at = (image * values + value) as usize;
        let upstream = dy[at];
        dshallow[at] = upstream * Vector::new(scores[0]);
        dmedium[at] = upstream * Vector::new(scores[1]);
        ddeep[at] = upstream * Vector::new(scores[2]);
        shallow_sum = fma(upstream, shallow[at], shallow_sum);
        medium_sum = fma(upstream, medium[at], medium_sum);
        deep_sum = fma(upstream, deep[at], deep_sum);
        value += CUBE_COUNT_X * threads as u32;
    }
    // The gradients of the scores; those of the logits are `score (gradient - mean)`, the mean being weighted by the scores.
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let mut slopes = Array::<f32>::new(3usize);
    slopes[0] = cube_sum(total(shallow_sum), &mut shared, threads);
    slopes[1] = cube_sum(total(medium_sum), &mut shared, threads);
    slopes[2] = cube_sum(total(deep_sum), &mut shared, threads);
    let mean = scores[0] * slopes[0] + scores[1] * slopes[1] + scores[2] * slopes[2];
    if UNIT_POS == 0 {
        let first = (CUBE_POS_X * CUBE_COUNT_Y + image) as usize * 3;
        #[unroll]
        for k in 0..3usize {
            dlogits[first + k] = scores[k] * (slopes[k] - mean);
        }
    }
}
