//! The map of a training step, of the pieces that [`row_sums`](super::super::row_sums) leaves.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::launch::empty;
use super::heads::Heads;
use super::map_row;
use crate::constants::LEAST_NORM;

/// Threads that have one head of an image together.
const THREADS: usize = 256;

/// The sums as [`sums`](super::sums::sums) gives them, the map, `[images, heads, side, side]`, and `project_out map`,
/// `[images, channels, channels]`.
///
/// # Shapes
/// - pieces: `[pieces, images * heads, side * side + 2 * side]`: products of q's channels with k's, then the squares of both
/// - temperature: `[heads, 1, 1]`
/// - project_out: `[channels, channels, 1, 1]`
pub(super) fn gathered(
    of: &Heads,
    pieces: CubeTensor,
    temperature: CubeTensor,
    project_out: CubeTensor,
) -> [CubeTensor; 3] {
    let (channels, count) = (of.channels(), pieces.meta.shape()[0]);
    let sums = empty(&pieces, [of.images, channels * of.side + 2 * channels]);
    let map = empty(&pieces, [of.images, of.heads, of.side, of.side]);
    let whole = empty(&pieces, [of.images, channels, channels]);
    // SAFETY: there is a cube for each head, and threads past the last value have none.
    unsafe {
        gathered_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(of.heads as u32, of.images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            pieces.into_buffer_arg(),
            temperature.into_buffer_arg(),
            project_out.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            map.clone().into_buffer_arg(),
            whole.clone().into_buffer_arg(),
            count as u32,
            of.heads as u32,
            of.side as u32,
            LEAST_NORM,
            THREADS,
        );
    }
    [sums, map, whole]
}

/// Each cube has one head of an image. What its threads leave for each other is in `sums` and `map`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gathered_kernel(
    pieces: &[f32],
    temperature: &[f32],
    project_out: &[f32],
    sums: &mut [f32],
    map: &mut [f32],
    whole: &mut [f32],
    count: u32,
    heads: u32,
    side: u32,
    least: f32,
    #[comptime] threads: usize,
) {
    let head = CUBE_POS_X;
    let image = CUBE_POS_Y;
    let channels = heads * side;
    // Of a matrix, and of all of a piece.
    let each = side * side + 2 * side;
    let step = CUBE_COUNT_Y * heads * each;
    let matrix = (image * heads + head) * each;
    let products = image * (channels * side + 2 * channels);
    let mut at = UNIT_POS;
    while at < each {
        let mut sum = 0.0f32;
        for piece in 0..count {
            sum += pieces[(matrix + at + piece * step) as usize];
        }
        // The products of the heads, q's squares and k's follow each other.
        let mut to = products + head * side * side + at;
        if at >= side * side {
            to = products + channels * side + head * side + at - side * side;
            if at >= side * side + side {
                to += channels - side;
            }
        }
        sums[to as usize] = sum;
        at += threads as u32;
    }
    sync_storage();

    let mut row = UNIT_POS;
    while row < side {
        let line = image * channels + head * side + row;
        map_row(
            &sums[0..sums.len()],
            temperature,
            map,
            line,
            heads,
            side,
            least,
        );
        row += threads as u32;
    }
    sync_storage();

    let start = (image * heads + head) * side * side;
    let mut at = UNIT_POS;
    while at < channels * side {
        let output = at / side;
        let column = at % side;
        let weights = output * channels + head * side;
        let mut sum = 0.0f32;
        for row in 0..side {
            let weight = project_out[(weights + row) as usize];
            sum = fma(weight, map[(start + row * side + column) as usize], sum);
        }
        let to = image * channels * channels + weights + column;
        whole[to as usize] = sum;
        at += threads as u32;
    }
}
