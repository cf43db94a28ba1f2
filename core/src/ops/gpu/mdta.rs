//! Attention between channels, in two steps: the sums over pixels, and the values by them.

mod gradients;
mod heads;
mod sums;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

pub(in crate::ops) use self::gradients::gradients;
use self::heads::Heads;
pub(super) use self::sums::sums;
use self::sums::{gather, row_squares};
use super::attention::softmax_row;
use super::launch::{contiguous, cubes, dims, empty};
use super::product::product;
use super::row_sums::{Columns, row_sums};
use crate::constants::LEAST_NORM;

/// What the forward pass leaves for the gradients.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Attended {
    pub y: CubeTensor,
    /// As [`sums`] gives them.
    pub sums: CubeTensor,
    /// Softmax, `[images, heads, side, side]`.
    pub map: CubeTensor,
}

/// The values by the map of the own sums.
pub(in crate::ops) fn attend(qkv: CubeTensor, temperature: CubeTensor) -> Attended {
    let [qkv, temperature] = [qkv, temperature].map(contiguous);
    let [heads, ..] = dims::<3>(&temperature);
    let [_, _, height, width] = dims(&qkv);
    let of = Heads::new(&qkv, heads);
    let channels = of.channels();
    let products = row_sums(
        qkv.clone(),
        qkv.clone(),
        of.channel_products(),
        Columns::Rows,
        [of.part(0), of.part(1)],
    );
    let squares = row_squares(&qkv, [of.images, channels, of.pixels]);
    let sums = gather(products, squares, [of.images, channels, of.side, 1]);
    let map = map(sums.clone(), temperature, [of.images, heads, of.side]);
    let y = empty(&qkv, [of.images, channels, height, width]);
    let layouts = [of.map(), of.part(2), of.output()];
    product(map.clone(), qkv, &y, of.size(), layouts);
    Attended { y, sums, map }
}

/// The values by the map that these sums give.
pub(super) fn attend_with_stats(
    qkv: CubeTensor,
    sums: CubeTensor,
    temperature: CubeTensor,
) -> CubeTensor {
    let [qkv, sums, temperature] = [qkv, sums, temperature].map(contiguous);
    let [heads, ..] = dims::<3>(&temperature);
    let [_, _, height, width] = dims(&qkv);
    let of = Heads::new(&qkv, heads);
    let (images, channels) = (of.images, of.channels());
    let map = map(sums, temperature, [images, heads, of.side]);
    let y = empty(&qkv, [images, channels, height, width]);
    product(map, qkv, &y, of.size(), [of.map(), of.part(2), of.output()]);
    y
}

/// The softmax of the normalised products, `[images, heads, side, side]`.
fn map(sums: CubeTensor, temperature: CubeTensor, [images, heads, side]: [usize; 3]) -> CubeTensor {
    let map = empty(&sums, [images, heads, side, side]);
    let (count, dim) = cubes(&map, images * heads * side);
    // SAFETY: threads past the last row end at once.
    unsafe {
        map_kernel::launch_unchecked(
            &map.client,
            count,
            dim,
            sums.into_buffer_arg(),
            temperature.into_buffer_arg(),
            map.clone().into_buffer_arg(),
            images as u32,
            heads as u32,
            side as u32,
            LEAST_NORM,
        );
    }
    map
}

/// Each thread has one row of the map.
#[cube(launch_unchecked)]
fn map_kernel(
    sums: &[f32],
    temperature: &[f32],
    map: &mut [f32],
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
    let norm = sums[(q + channel) as usize].sqrt();
    let scale = temperature[head as usize] / f32::max(norm, least);
    for column in 0..side {
        let product = sums[(products + channel * side + column) as usize];
        let norm = sums[(k + column) as usize].sqrt();
        map[(row * side + column) as usize] = product * scale / f32::max(norm, least);
    }
    softmax_row(map, row * side, side, 1.0);
}
