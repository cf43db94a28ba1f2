//! The gradients of the small matrices of attention between channels.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::depthwise::cube_sum;
use super::super::launch::{cubes, empty};
use super::heads::Heads;
use crate::constants::LEAST_NORM;

/// Threads that have one row of a map together.
const THREADS: usize = 64;

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
    // SAFETY: there is a cube for each row, and threads past the last column have none.
    unsafe {
        row_gradient_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(channels as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            dwhole.into_buffer_arg(),
            project_out.into_buffer_arg(),
            map.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            temperature.into_buffer_arg(),
            across.clone().into_buffer_arg(),
            pulls.clone().into_buffer_arg(),
            dtemperatures.clone().into_buffer_arg(),
            dproject_out.clone().into_buffer_arg(),
            heads as u32,
            side as u32,
            LEAST_NORM,
            THREADS,
        );
    }
    let (count, dim) = cubes(&map, images * channels);
    // SAFETY: threads past the last column end at once.
    unsafe {
        column_gradient_kernel::launch_unchecked(
            &map.client,
            count,
            dim,
            sums.into_buffer_arg(),
            dtemperatures.into_buffer_arg(),
            across.clone().into_buffer_arg(),
            pulls.clone().into_buffer_arg(),
            dtemperature.clone().into_buffer_arg(),
            images as u32,
            heads as u32,
            side as u32,
            LEAST_NORM,
        );
    }
    MapGradients {
        across,
        pulls,
        dtemperature,
        dproject_out,
    }
}

/// Each cube has one row of an image's maps: the gradients of its cosines, and of project_out's column.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn row_gradient_kernel(
    dwhole: &[f32],
    project_out: &[f32],
    map: &[f32],
    sums: &[f32],
    temperature: &[f32],
    across: &mut [f32],
    pulls: &mut [f32],
    dtemperatures: &mut [f32],
    dproject_out: &mut [f32],
    heads: u32,
    side: u32,
    least: f32,
    #[comptime] threads: usize,
) {
    let channel = CUBE_POS_X;
    let image = CUBE_POS_Y;
    let channels = heads * side;
    let head = channel / side;
    let products = image * (channels * side + 2 * channels);
    let q = products + channels * side;
    let k = q + channels + head * side;
    // In the maps, and in `across`, which has as many again for each image.
    let start = (image * channels + channel) * side;
    let across_start = start + image * channels * side;
    let matrix = image * channels * channels + head * side;

    // The gradients of the map, left in `across`.
    let mut mean = 0.0f32;
    let mut column = UNIT_POS;
    while column < side {
        let mut dmap = 0.0f32;
        for output in 0..channels {
            let weight = project_out[(output * channels + channel) as usize];
            let gradient = dwhole[(matrix + output * channels + column) as usize];
            dmap = fma(weight, gradient, dmap);
        }
        across[(across_start + column) as usize] = dmap;
        mean = fma(map[(start + column) as usize], dmap, mean);
        column += threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let mean = cube_sum(mean, &mut shared, threads);

    let norm = f32::max(sums[(q + channel) as usize].sqrt(), least);
    let temperature = temperature[head as usize];
    let mut dtemperature = 0.0f32;
    let mut pull = 0.0f32;
    let mut column = UNIT_POS;
    while column < side {
        let at = (across_start + column) as usize;
        let norms = norm * f32::max(sums[(k + column) as usize].sqrt(), least);
        let cosine = sums[(products + channel * side + column) as usize] / norms;
        let dlogit = map[(start + column) as usize] * (across[at] - mean);
        dtemperature += dlogit * cosine;
        let gradient = temperature * dlogit;
        pull += gradient * cosine;
        across[at] = gradient / norms;
        column += threads as u32;
    }
    let dtemperature = cube_sum(dtemperature, &mut shared, threads);
    let pull = cube_sum(pull, &mut shared, threads);
    if UNIT_POS == 0 {
        dtemperatures[(image * channels + channel) as usize] = dtemperature;
        pulls[(image * 2 * channels + channel) as usize] = pull_of(pull, norm, least);
    }

    let mut output = UNIT_POS;
    while output < channels {
        let row = matrix + output * channels;
        let mut sum = 0.0f32;
        for column in 0..side {
            let gradient = dwhole[(row + column) as usize];
            sum = fma(gradient, map[(start + column) as usize], sum);
        }
        dproject_out[((image * channels + output) * channels + channel) as usize] = sum;
        output += threads as u32;
    }
}

/// Each thread has one column of a map: the transposed matrix, and what normalising takes from k's gradient. The first
/// one of a head also adds its temperature's gradients.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn column_gradient_kernel(
    sums: &[f32],
    dtemperatures: &[f32],
    across: &mut [f32],
    pulls: &mut [f32],
    dtemperature: &mut [f32],
    images: u32,
    heads: u32,
    side: u32,
    least: f32,
) {
    let task = ABSOLUTE_POS as u32;
    let channels = heads * side;
    if task >= images * channels {
        terminate!();
    }
    let image = task / channels;
    let channel = task % channels;
    let head = channel / side;
    let column = channel % side;
    let products = image * (channels * side + 2 * channels);
    let k = products + channels * side + channels;
    let start = (image * 2 * heads + head) * side * side;
    let back = start + heads * side * side + column * side;
    let mut pull = 0.0f32;
    for row in 0..side {
        let value = across[(start + row * side + column) as usize];
        let product = sums[(products + (head * side + row) * side + column) as usize];
        pull = fma(value, product, pull);
        across[(back + row) as usize] = value;
    }
    let norm = f32::max(sums[(k + channel) as usize].sqrt(), least);
    let at = image * 2 * channels + channels + channel;
    pulls[at as usize] = pull_of(pull, norm, least);
    if column == 0 {
        let mut sum = 0.0f32;
        for row in 0..side {
            sum += dtemperatures[(task + row) as usize];
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
