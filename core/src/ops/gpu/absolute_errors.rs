//! Mean absolute differences of images.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::cube_sum;
use super::launch::{cubes, dims, empty, vector};
use super::matmul_nt::total;
use super::row_sums::fold;

/// Threads that sum together.
const THREADS: usize = 256;
/// Vectors of values that each of them should have.
const SPAN: usize = 8;

/// Of each image, `[images]`.
///
/// # Shapes
/// - a, b: `[images, channels, height, width]`
pub(in crate::ops) fn absolute_errors(a: CubeTensor, b: CubeTensor) -> CubeTensor {
    let [images, channels, height, width] = dims(&a);
    let count = channels * height * width;
    let vector = vector(&[count]);
    let values = count / vector;
    let pieces = values.div_ceil(THREADS * SPAN);
    let errors = empty(&a, [pieces, images]);
    // SAFETY: threads past an image's last vector add nothing.
    unsafe {
        errors_kernel::launch_unchecked(
            &errors.client,
            CubeCount::Static(pieces as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            errors.clone().into_buffer_arg(),
            values as u32,
            (count as f32).recip(),
            THREADS,
        );
    }
    let [errors] = fold([errors]);
    errors
}

/// That of `a`; the other's is the same with both exchanged.
pub(in crate::ops) fn gradient(a: CubeTensor, b: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let [images, channels, height, width] = dims(&a);
    let da = empty(&a, [images, channels, height, width]);
    let count = channels * height * width;
    let vector = vector(&[count]);
    let values = count / vector;
    let (cubes, dim) = cubes(&da, images * values);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gradient_kernel::launch_unchecked(
            &da.client,
            cubes,
            dim,
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            dy.into_buffer_arg(),
            da.clone().into_buffer_arg(),
            images as u32,
            values as u32,
            (count as f32).recip(),
        );
    }
    da
}

/// Each cube sums a piece of an image; `share` is what one value counts.
#[cube(launch_unchecked)]
fn errors_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    errors: &mut [f32],
    values: u32,
    share: f32,
    #[comptime] threads: usize,
) {
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut value = CUBE_POS_X * threads as u32 + UNIT_POS;
    while value < values {
        let at = (CUBE_POS_Y * values + value) as usize;
        sum += (a[at] - b[at]).abs();
        value += CUBE_COUNT_X * threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let sum = cube_sum(total(sum), &mut shared, threads);
    if UNIT_POS == 0 {
        errors[(CUBE_POS_X * CUBE_COUNT_Y + CUBE_POS_Y) as usize] = sum * share;
    }
}

/// Each thread has one vector: the sign of its difference, times what it counts.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gradient_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    dy: &[f32],
    da: &mut [Vector<f32, N>],
    images: u32,
    values: u32,
    share: f32,
) {
    let task = ABSOLUTE_POS as u32;
    let image = task / values;
    if image >= images {
        terminate!();
    }
    let at = task as usize;
    let slope = dy[image as usize] * share;
    let difference = a[at] - b[at];
    let mut gradient = Vector::<f32, N>::new(0.0);
    #[unroll]
    for i in 0..N::value() {
        let value = difference.extract(i);
        if value > 0.0 {
            gradient.insert(i, slope);
        } else if value < 0.0 {
            gradient.insert(i, -slope);
        }
    }
    da[at] = gradient;
}
