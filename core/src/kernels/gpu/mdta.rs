//! Attention between channels.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::attention::softmax_row;
use super::dots::{Size4, dots, total};
use super::launch::{Layout, contiguous, cubes, dims, empty, vector};
use super::product::{Size3, product};
use crate::kernels::mdta::LEAST_NORM;

/// Pixels that one thread sums over.
const SPAN: usize = 1024;

pub(super) fn mdta(qkv: CubeTensor, temperature: CubeTensor) -> CubeTensor {
    let (qkv, temperature) = (contiguous(qkv), contiguous(temperature));
    let [images, channels, height, width] = dims(&qkv);
    let [heads, ..] = dims::<3>(&temperature);
    let (channels, pixels) = (channels / 3, height * width);
    let side = channels / heads;
    let part = |index: usize| Layout {
        start: index * channels * pixels,
        row: pixels,
        image: 3 * channels * pixels,
        head: side * pixels,
    };
    let map_layout = Layout {
        start: 0,
        row: side,
        image: heads * side * side,
        head: side * side,
    };

    let pieces = pixels.div_ceil(SPAN);
    let products = empty(&qkv, [pieces, images * channels, side]);
    let size = Size4 {
        images,
        heads,
        rows: side,
        columns: side,
        inner: pixels,
        pieces,
    };
    let layouts = [part(0), part(1), map_layout];
    dots(qkv.clone(), qkv.clone(), None, &products, size, layouts);
    let squares = squares(&qkv, [images, channels, pixels, pieces]);
    let map = map(
        &products,
        squares,
        temperature,
        [images, heads, side, pieces],
    );

    let y = empty(&qkv, [images, channels, height, width]);
    let y_layout = Layout {
        start: 0,
        row: pixels,
        image: channels * pixels,
        head: side * pixels,
    };
    let size = Size3 {
        images,
        heads,
        rows: side,
        inner: side,
        columns: pixels,
    };
    product(map, qkv, &y, size, [map_layout, part(2), y_layout]);
    y
}

/// The sums of the squares of q's and k's channels, `[pieces, images * 2 * channels]`.
fn squares(qkv: &CubeTensor, [images, channels, pixels, pieces]: [usize; 4]) -> CubeTensor {
    let rows = images * 2 * channels;
    let sums = empty(qkv, [pieces, rows]);
    let vector = vector(&[pixels]);
    let (count, dim) = cubes(qkv, pieces * rows);
    // SAFETY: threads past the last task end at once.
    unsafe {
        squares_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            vector,
            qkv.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            pieces as u32,
            images as u32,
            channels as u32,
            (pixels / vector) as u32,
        );
    }
    sums
}

#[cube(launch_unchecked)]
fn squares_kernel<N: Size>(
    qkv: &[Vector<f32, N>],
    sums: &mut [f32],
    pieces: u32,
    images: u32,
    channels: u32,
    pixels: u32,
) {
    let task = ABSOLUTE_POS as u32;
    let row = task % (images * 2 * channels);
    let piece = task / (images * 2 * channels);
    if piece >= pieces {
        terminate!();
    }
    let image = row / (2 * channels);
    let channel = row % (2 * channels);
    let start = (image * 3 * channels + channel) * pixels;
    let span = pixels.div_ceil(pieces);
    let begin = piece * span;
    let end = u32::min(begin + span, pixels);
    let mut sum = Vector::<f32, N>::new(0.0);
    for pixel in begin..end {
        let value = qkv[(start + pixel) as usize];
        sum += value * value;
    }
    sums[task as usize] = total(sum);
}

/// The softmax of the normalised products, `[images, heads, side, side]`.
fn map(
    products: &CubeTensor,
    squares: CubeTensor,
    temperature: CubeTensor,
    [images, heads, side, pieces]: [usize; 4],
) -> CubeTensor {
    let map = empty(products, [images, heads, side, side]);
    let (count, dim) = cubes(&map, images * heads * side);
    // SAFETY: threads past the last row end at once.
    unsafe {
        map_kernel::launch_unchecked(
            &map.client,
            count,
            dim,
            products.clone().into_buffer_arg(),
            squares.into_buffer_arg(),
            temperature.into_buffer_arg(),
            map.clone().into_buffer_arg(),
            pieces as u32,
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
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn map_kernel(
    products: &[f32],
    squares: &[f32],
    temperature: &[f32],
    map: &mut [f32],
    pieces: u32,
    images: u32,
    heads: u32,
    side: u32,
    least: f32,
) {
    let row = ABSOLUTE_POS as u32;
    let channels = heads * side;
    let rows = images * channels;
    if row >= rows {
        terminate!();
    }
    let channel = row % channels;
    let head = channel / side;
    // Where the squares of this image's q begin; k's follow.
    let q = row / channels * 2 * channels;
    let k = q + channels + head * side;
    let norm = gathered(squares, q + channel, 2 * rows, pieces).sqrt();
    let scale = temperature[head as usize] / f32::max(norm, least);
    for column in 0..side {
        let at = row * side + column;
        let product = gathered(products, at, rows * side, pieces);
        let norm = gathered(squares, k + column, 2 * rows, pieces).sqrt();
        map[at as usize] = product * scale / f32::max(norm, least);
    }
    softmax_row(map, row * side, side, 1.0);
}

/// The sum of what the pieces have at `at`.
#[cube]
fn gathered(sums: &[f32], at: u32, step: u32, pieces: u32) -> f32 {
    let mut sum = 0.0f32;
    for piece in 0..pieces {
        sum += sums[(at + piece * step) as usize];
    }
    sum
}
