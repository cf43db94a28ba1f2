//! The gradients of attention between channels.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::launch::{Layout, contiguous, cubes, dims, empty, reshaped};
use super::super::product::{product, product_and_own};
use super::super::row_sums::{Columns, fold, row_sums};
use super::heads::Heads;
use crate::constants::LEAST_NORM;

/// The gradients of q, k and v and of the temperatures.
///
/// With the cosine `s = q k / (|q| |k|)` and its gradient `ds`, q's gradient is
/// `sum over k of ds k / (|q| |k|) - q sum of ds s / |q|^2`, and k's likewise.
pub(in crate::ops) fn gradients(state: [CubeTensor; 4], dy: CubeTensor) -> [CubeTensor; 2] {
    let [qkv, temperature, sums, attention] = state;
    let dy = contiguous(dy);
    let [heads, ..] = dims::<3>(&temperature);
    let [images, all, height, width] = dims(&qkv);
    let of = Heads::new(&qkv, heads);
    let (side, channels) = (of.side, of.channels());
    let dattention = row_sums(
        dy.clone(),
        qkv.clone(),
        of.channel_products(),
        Columns::Rows,
        [of.output(), of.part(2)],
    );
    let matrix = || empty(&qkv, [images, heads, side, side]);
    let row = || empty(&qkv, [images, heads, side]);
    // What takes k to dq and q to dk, dy to dv, and q and k to what normalising takes from their gradients.
    let (across, across_back, attention_back) = (matrix(), matrix(), matrix());
    let (dcosine, q_pull, k_pull, dtemperature) = (matrix(), row(), row(), row());
    let rows = images * channels;
    let (count, dim) = cubes(&qkv, rows);
    // SAFETY: threads past the last row end at once.
    unsafe {
        row_gradient_kernel::launch_unchecked(
            &qkv.client,
            count.clone(),
            dim,
            sums.clone().into_buffer_arg(),
            temperature.into_buffer_arg(),
            attention.clone().into_buffer_arg(),
            dattention.into_buffer_arg(),
            across.clone().into_buffer_arg(),
            dcosine.clone().into_buffer_arg(),
            q_pull.clone().into_buffer_arg(),
            dtemperature.clone().into_buffer_arg(),
            images as u32,
            heads as u32,
            side as u32,
            LEAST_NORM,
        );
        column_gradient_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            sums.into_buffer_arg(),
            attention.into_buffer_arg(),
            across.clone().into_buffer_arg(),
            dcosine.into_buffer_arg(),
            across_back.clone().into_buffer_arg(),
            attention_back.clone().into_buffer_arg(),
            k_pull.clone().into_buffer_arg(),
            images as u32,
            heads as u32,
            side as u32,
            LEAST_NORM,
        );
    }
    let dqkv = empty(&qkv, [images, all, height, width]);
    let [q, k, v] = [0, 1, 2].map(|index| of.part(index));
    let own = |pull: CubeTensor, layout: Layout| Some((qkv.clone(), pull, layout));
    product_and_own(
        across,
        qkv.clone(),
        &dqkv,
        of.size(),
        [of.map(), k, q],
        own(q_pull, q),
    );
    product_and_own(
        across_back,
        qkv.clone(),
        &dqkv,
        of.size(),
        [of.map(), q, k],
        own(k_pull, k),
    );
    product(
        attention_back,
        dy,
        &dqkv,
        of.size(),
        [of.map(), of.output(), v],
    );
    // Over images, then over the rows of a head.
    let dtemperature = fold(dtemperature);
    let dtemperature = CubeBackend::float_sum_dim(reshaped(dtemperature, [heads, side]), 1);
    [dqkv, reshaped(dtemperature, [heads, 1, 1])]
}

/// Each thread has one row of a map: the gradients of its cosines.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn row_gradient_kernel(
    sums: &[f32],
    temperature: &[f32],
    attention: &[f32],
    dattention: &[f32],
    across: &mut [f32],
    dcosine: &mut [f32],
    q_pull: &mut [f32],
    dtemperature: &mut [f32],
    images: u32,
    heads: u32,
    side: u32,
    least: f32,
) {
    let row = ABSOLUTE_POS as u32;
    let channels = heads * side;
    if row >= images * channels {
        terminate!();
    }
    let channel = row % channels;
    let head = channel / side;
    let products = row / channels * (channels * side + 2 * channels);
    let q = products + channels * side;
    let k = q + channels + head * side;
    let norm = f32::max(sums[(q + channel) as usize].sqrt(), least);
    let temperature = temperature[head as usize];
    let start = row * side;

    let mut mean = 0.0f32;
    for column in 0..side {
        let at = (start + column) as usize;
        mean += attention[at] * dattention[at];
    }
    let mut gradient = 0.0f32;
    let mut pull = 0.0f32;
    for column in 0..side {
        let at = (start + column) as usize;
        let norms = norm * f32::max(sums[(k + column) as usize].sqrt(), least);
        let cosine = sums[(products + channel * side + column) as usize] / norms;
        let dlogit = attention[at] * (dattention[at] - mean);
        gradient += dlogit * cosine;
        let gradient = temperature * dlogit;
        pull += gradient * cosine;
        across[at] = gradient / norms;
        dcosine[at] = gradient * cosine;
    }
    dtemperature[row as usize] = gradient;
    q_pull[row as usize] = pull_of(pull, norm, least);
}

/// Each thread has one column of a map: the transposed matrices, and what normalising takes from k's gradient.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn column_gradient_kernel(
    sums: &[f32],
    attention: &[f32],
    across: &[f32],
    dcosine: &[f32],
    across_back: &mut [f32],
    attention_back: &mut [f32],
    k_pull: &mut [f32],
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
    let column = task % side;
    let start = task / side * side * side;
    let mut pull = 0.0f32;
    for row in 0..side {
        let at = (start + row * side + column) as usize;
        let back = (start + column * side + row) as usize;
        pull += dcosine[at];
        across_back[back] = across[at];
        attention_back[back] = attention[at];
    }
    let image = task / channels;
    let k = image * (channels * side + 2 * channels) + channels * side + channels;
    let norm = f32::max(sums[(k + task % channels) as usize].sqrt(), least);
    k_pull[task as usize] = pull_of(pull, norm, least);
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
