//! The gradients of the small matrices of attention between channels.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::launch::empty;
use super::heads::Heads;
use crate::constants::LEAST_NORM;

/// Threads that have one head of an image together.
const THREADS: usize = 256;

/// What the gradients of q, k and the weights are made of.
pub(super) struct MapGradients {
    /// `[images, 2 * heads, side, side]`: what takes k to q's gradient, and q to k's, in each head.
    pub across: CubeTensor,
    /// `[images, 2 * heads, side]`: what normalising adds to them, in multiples of q and k.
    pub pulls: CubeTensor,
    /// Of each image: `[images, heads]`.
    pub dtemperature: CubeTensor,
    /// Of each image: `[images, channels, channels]`.
    pub dproject_out: CubeTensor,
}

/// With the cosine `s = q k / (|q| |k|)` and its gradient `ds`, q's gradient is
/// `sum over k of ds k / (|q| |k|) - q sum of ds s / |q|^2`, and k's likewise.
///
/// # Shapes
/// - dwhole: `[images, channels, channels]`, the gradient of `project_out map`
/// - project_out: `[channels, channels, 1, 1]`
/// - map: `[images, heads, side, side]`
/// - sums: as [`sums`](super::sums::sums) gives them
/// - temperature: `[heads, 1, 1]`
pub(super) fn map_gradients(
    of: &Heads,
    dwhole: CubeTensor,
    project_out: CubeTensor,
    map: CubeTensor,
    sums: CubeTensor,
    temperature: CubeTensor,
) -> MapGradients {
    let (images, heads, side, channels) = (of.images, of.heads, of.side, of.channels());
    let across = empty(&map, [images, 2 * heads, side, side]);
    let pulls = empty(&map, [images, 2 * heads, side]);
    let dtemperatures = empty(&map, [images, channels]);
    let dtemperature = empty(&map, [images, heads]);
    let dproject_out = empty(&map, [images, channels, channels]);
    // SAFETY: there is a cube for each head, and threads past the last value have none.
    unsafe {
        map_gradient_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(heads as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            dwhole.into_buffer_arg(),
            project_out.into_buffer_arg(),
            map.clone().into_buffer_arg(),
            sums.into_buffer_arg(),
            temperature.into_buffer_arg(),
            across.clone().into_buffer_arg(),
            pulls.clone().into_buffer_arg(),
            dtemperatures.into_buffer_arg(),
            dtemperature.clone().into_buffer_arg(),
            dproject_out.clone().into_buffer_arg(),
            heads as u32,
            side as u32,
            LEAST_NORM,
            THREADS,
        );
    }
    MapGradients {
        across,
        pulls,
        dtemperature,
        dproject_out,
    }
}

/// Each cube has one head of an image. What its threads leave for each other is in `across` and `dtemperatures`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn map_gradient_kernel(
    dwhole: &[f32],
    project_out: &[f32],
    map: &[f32],
    sums: &[f32],
    temperature: &[f32],
    across: &mut [f32],
    pulls: &mut [f32],
    dtemperatures: &mut [f32],
    dtemperature: &mut [f32],
    dproject_out: &mut [f32],
    heads: u32,
    side: u32,
    least: f32,
    #[comptime] threads: usize,
) {
    let head = CUBE_POS_X;
    let image = CUBE_POS_Y;
    let unit = UNIT_POS;
    let channels = heads * side;
    // The first channel of the head, in a matrix of all channels.
    let first = head * side;
    let matrix = image * channels * channels;
    let map_start = (image * heads + head) * side * side;
    let across_start = (image * 2 * heads + head) * side * side;
    let back_start = across_start + heads * side * side;
    let pulls_start = image * 2 * channels + first;
    let products = image * (channels * side + 2 * channels);
    let q = products + channels * side + first;
    let k = q + channels;

    // The gradients of project_out, and of the map, left in `across`.
    let mut at = unit;
    while at < channels * side {
        let output = at / side;
        let row = at % side;
        let line = matrix + output * channels + first;
        let mut sum = 0.0f32;
        for column in 0..side {
            let gradient = dwhole[(line + column) as usize];
            sum = fma(
                gradient,
                map[(map_start + row * side + column) as usize],
                sum,
            );
        }
        dproject_out[(line + row) as usize] = sum;
        at += threads as u32;
    }
    let mut at = unit;
    while at < side * side {
        let row = at / side;
        let column = at % side;
        let mut sum = 0.0f32;
        for output in 0..channels {
            let weight = project_out[(output * channels + first + row) as usize];
            let gradient = dwhole[(matrix + output * channels + first + column) as usize];
            sum = fma(weight, gradient, sum);
        }
        across[(across_start + at) as usize] = sum;
        at += threads as u32;
    }
    sync_storage();

    // Each thread has one row: the gradients of its cosines.
    let temperature = temperature[head as usize];
    let mut row = unit;
    while row < side {
        let norm = f32::max(sums[(q + row) as usize].sqrt(), least);
        let mut mean = 0.0f32;
        for column in 0..side {
            let at = row * side + column;
            let dmap = across[(across_start + at) as usize];
            mean = fma(map[(map_start + at) as usize], dmap, mean);
        }
        let mut sum = 0.0f32;
        let mut pull = 0.0f32;
        for column in 0..side {
            let at = row * side + column;
            let to = (across_start + at) as usize;
            let norms = norm * f32::max(sums[(k + column) as usize].sqrt(), least);
            let cosine = sums[(products + first * side + at) as usize] / norms;
            let dlogit = map[(map_start + at) as usize] * (across[to] - mean);
            sum += dlogit * cosine;
            let gradient = temperature * dlogit;
            pull += gradient * cosine;
            across[to] = gradient / norms;
        }
        dtemperatures[(image * channels + first + row) as usize] = sum;
        pulls[(pulls_start + row) as usize] = pull_of(pull, norm, least);
        row += threads as u32;
    }
    sync_storage();

    // Each thread has one column: the transposed matrix, and what normalising takes from k's gradient.
    let mut column = unit;
    while column < side {
        let mut pull = 0.0f32;
        for row in 0..side {
            let value = across[(across_start + row * side + column) as usize];
            let product = sums[(products + (first + row) * side + column) as usize];
            pull = fma(value, product, pull);
            across[(back_start + column * side + row) as usize] = value;
        }
        let norm = f32::max(sums[(k + column) as usize].sqrt(), least);
        pulls[(pulls_start + channels + column) as usize] = pull_of(pull, norm, least);
        column += threads as u32;
    }
    if unit == 0 {
        let mut sum = 0.0f32;
        for row in 0..side {
            sum += dtemperatures[(image * channels + first + row) as usize];
        }
        dtemperature[(image * heads + head) as usize] = sum;
    }
}

/// A norm at its floor is a constant.
#[cube]
fn pull_of(sum: f32, norm: f32, least: f32) -> f32 {
    let mut pull = 0.0f32;
    if norm > least {
        pull = -sum / norm / norm;
    }
    pull
}
