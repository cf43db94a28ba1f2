//! Attention between channels, with the 1x1 convolution after it. Both are matrices: `project_out (map v)` is computed as
//! `(project_out map) v`, with one small matrix for each image and one pass over its pixels.

mod gathered;
mod gradients;
mod heads;
mod sums;
pub(super) mod training;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use self::heads::Heads;
pub(super) use self::sums::sums;
use super::attention::softmax_row;
use super::launch::{Layout, Size3, contiguous, cubes, dims, empty};
use super::product::Product;
use crate::constants::LEAST_NORM;

/// `x + project_out(map v)`, with the map that these sums give.
pub(super) fn attend(
    x: CubeTensor,
    qkv: CubeTensor,
    sums: CubeTensor,
    temperature: CubeTensor,
    project_out: CubeTensor,
) -> CubeTensor {
    let [x, qkv, sums] = [x, qkv, sums].map(contiguous);
    let [temperature, project_out] = [temperature, project_out].map(contiguous);
    let [heads, ..] = dims::<3>(&temperature);
    let of = Heads::new(&qkv, heads);
    let map = map(sums, temperature, [of.images, heads, of.side]);
    let whole = projected(&of, project_out, map);
    add(&of, whole, qkv, x)
}

/// `project_out map` for each image: `[images, channels, channels]`.
fn projected(of: &Heads, project_out: CubeTensor, map: CubeTensor) -> CubeTensor {
    let channels = of.channels();
    let whole = empty(&map, [of.images, channels, channels]);
    let size = Size3 {
        images: of.images,
        heads: of.heads,
        rows: channels,
        inner: of.side,
        columns: of.side,
    };
    // The columns of a head.
    let columns = |image| Layout {
        start: 0,
        row: channels,
        image,
        head: of.side,
    };
    let layouts = [columns(0), of.map(), columns(channels * channels)];
    Product::new(size, layouts).write(project_out, map, &whole);
    whole
}

/// `x + whole v`.
fn add(of: &Heads, whole: CubeTensor, qkv: CubeTensor, x: CubeTensor) -> CubeTensor {
    let y = empty(&x, x.meta.shape().clone());
    let layouts = [of.whole(), of.part(2), of.output()];
    Product::new(of.whole_size(), layouts)
        .with_own(x, None)
        .write(whole, qkv, &y);
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
    if row >= images * heads * side {
        terminate!();
    }
    map_row(sums, temperature, map, row, heads, side, least);
}

/// One row of the map, counted over all images and heads.
#[cube]
fn map_row(
    sums: &[f32],
    temperature: &[f32],
    map: &mut [f32],
    row: u32,
    heads: u32,
    side: u32,
    least: f32,
) {
    let channels = heads * side;
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
