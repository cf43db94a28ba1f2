//! The map of a training step, of the pieces that [`row_sums`](super::super::row_sums) leaves.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::depthwise::{cube_most, cube_sum};
use super::super::launch::empty;
use super::heads::Heads;
use crate::constants::LEAST_NORM;

/// Threads that have one row of a map together.
const THREADS: usize = 64;

/// The sums as [`sums`](super::sums::sums) gives them, and the softmax of the normalised products, `[images, heads, side, side]`.
///
/// # Shapes
/// - pieces: `[pieces, images * heads, side * side + 2 * side]`: products of q's channels with k's, then the squares of both
/// - temperature: `[heads, 1, 1]`
pub(super) fn gathered(of: &Heads, pieces: CubeTensor, temperature: CubeTensor) -> [CubeTensor; 2] {
    let (channels, count) = (of.channels(), pieces.meta.shape()[0]);
    let sums = empty(&pieces, [of.images, channels * of.side + 2 * channels]);
    let map = empty(&pieces, [of.images, of.heads, of.side, of.side]);
    // SAFETY: there is a cube for each row, and threads past the last column have none.
    unsafe {
        gathered_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(channels as u32, of.images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            pieces.into_buffer_arg(),
            temperature.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            map.clone().into_buffer_arg(),
            count as u32,
            of.heads as u32,
            of.side as u32,
            LEAST_NORM,
            THREADS,
        );
    }
    [sums, map]
}

/// Each cube has one row of an image's maps.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gathered_kernel(
    pieces: &[f32],
    temperature: &[f32],
    sums: &mut [f32],
    map: &mut [f32],
    count: u32,
    heads: u32,
    side: u32,
    least: f32,
    #[comptime] threads: usize,
) {
    let channel = CUBE_POS_X;
    let image = CUBE_POS_Y;
    let channels = heads * side;
    let head = channel / side;
    let row = channel % side;
    // Of a matrix, and of all of a piece.
    let each = side * side + 2 * side;
    let step = CUBE_COUNT_Y * heads * each;
    let matrix = (image * heads + head) * each;
    let products = image * (channels * side + 2 * channels);
    let q = products + channels * side;
    let k = q + channels + head * side;
    let start = (image * channels + channel) * side;

    let squares = gather(pieces, matrix + side * side + row, step, count);
    if UNIT_POS == 0 {
        sums[(q + channel) as usize] = squares;
    }
    let scale = temperature[head as usize] / f32::max(squares.sqrt(), least);
    let mut most = f32::min_value();
    let mut column = UNIT_POS;
    while column < side {
        let product = gather(pieces, matrix + row * side + column, step, count);
        let squares = gather(pieces, matrix + side * side + side + column, step, count);
        sums[(products + channel * side + column) as usize] = product;
        if row == 0 {
            sums[(k + column) as usize] = squares;
        }
        let logit = product * scale / f32::max(squares.sqrt(), least);
        map[(start + column) as usize] = logit;
        most = f32::max(most, logit);
        column += threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let most = cube_most(most, &mut shared, threads);
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < side {
        let value = (map[(start + column) as usize] - most).exp();
        map[(start + column) as usize] = value;
        sum += value;
        column += threads as u32;
    }
    let sum = cube_sum(sum, &mut shared, threads);
    let mut column = UNIT_POS;
    while column < side {
        map[(start + column) as usize] /= sum;
        column += threads as u32;
    }
}

/// The sum of what the pieces have at `at`.
#[cube]
fn gather(pieces: &[f32], at: u32, step: u32, count: u32) -> f32 {
    let mut sum = 0.0f32;
    for piece in 0..count {
        sum += pieces[(at + piece * step) as usize];
    }
    sum
}
