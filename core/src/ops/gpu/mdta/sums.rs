//! The sums over pixels: the products of q's channels with k's, and the squares of both.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::super::launch::{contiguous, cubes, empty, vector};
use super::super::matmul_nt::{After, Size4, matmul_nt, total};
use super::heads::Heads;

/// Pixels that one thread sums over. No thread waits for another, which browsers and drivers do best.
const SPAN: usize = 1024;

/// The products of q's channels with k's, then the squares of q's and of k's.
pub(in crate::ops::gpu) fn sums(qkv: CubeTensor, heads: usize) -> CubeTensor {
    let qkv = contiguous(qkv);
    let of = Heads::new(&qkv, heads);
    let (images, channels, pixels) = (of.images, of.channels(), of.pixels);
    let pieces = pixels.div_ceil(SPAN);
    let products = empty(&qkv, [pieces, images * channels, of.side]);
    let size = Size4 {
        images,
        heads,
        rows: of.side,
        columns: of.side,
        inner: pixels,
        pieces,
    };
    let layouts = [of.part(0), of.part(1), of.map()];
    matmul_nt(
        qkv.clone(),
        qkv.clone(),
        After::default(),
        &products,
        size,
        layouts,
    );
    let squares = squares(&qkv, [images, channels, pixels, pieces]);
    gather(products, squares, [images, channels, of.side, pieces])
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

/// What the pieces of both have, added and beside each other: `[images, channels * side + 2 * channels]`.
fn gather(
    products: CubeTensor,
    squares: CubeTensor,
    [images, channels, side, pieces]: [usize; 4],
) -> CubeTensor {
    let count = channels * side + 2 * channels;
    let sums = empty(&products, [images, count]);
    let (cubes, dim) = cubes(&sums, images * count);
    // SAFETY: threads past the last sum end at once.
    unsafe {
        gather_kernel::launch_unchecked(
            &sums.client,
            cubes,
            dim,
            products.clone().into_buffer_arg(),
            squares.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            pieces as u32,
            images as u32,
            (channels * side) as u32,
            (2 * channels) as u32,
        );
    }
    sums
}

/// Each thread has one sum.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gather_kernel(
    products: &[f32],
    squares: &[f32],
    sums: &mut [f32],
    pieces: u32,
    images: u32,
    products_each: u32,
    squares_each: u32,
) {
    let task = ABSOLUTE_POS as u32;
    let each = products_each + squares_each;
    if task >= images * each {
        terminate!();
    }
    let image = task / each;
    let at = task % each;
    if at < products_each {
        let at = image * products_each + at;
        sums[task as usize] = gathered(products, at, images * products_each, pieces);
    } else {
        let at = image * squares_each + at - products_each;
        sums[task as usize] = gathered(squares, at, images * squares_each, pieces);
    }
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
