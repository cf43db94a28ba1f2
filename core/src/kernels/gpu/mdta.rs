//! Attention between channels, in two steps: the sums over pixels, and the values by them.

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

/// How the channels of an image and the pixels of a channel lie in q, k and v.
struct Heads {
    images: usize,
    heads: usize,
    /// Channels of a head.
    side: usize,
    pixels: usize,
}

impl Heads {
    fn new(qkv: &CubeTensor, heads: usize) -> Self {
        let [images, channels, height, width] = dims(qkv);
        Self {
            images,
            heads,
            side: channels / 3 / heads,
            pixels: height * width,
        }
    }

    fn channels(&self) -> usize {
        self.heads * self.side
    }

    /// q, k or v (0, 1, 2).
    fn part(&self, index: usize) -> Layout {
        Layout {
            start: index * self.channels() * self.pixels,
            row: self.pixels,
            image: 3 * self.channels() * self.pixels,
            head: self.side * self.pixels,
        }
    }

    /// The map, or what it is made of.
    fn map(&self) -> Layout {
        Layout {
            start: 0,
            row: self.side,
            image: self.heads * self.side * self.side,
            head: self.side * self.side,
        }
    }
}

/// The products of q's channels with k's, then the squares of q's and of k's.
pub(super) fn sums(qkv: CubeTensor, heads: usize) -> CubeTensor {
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
    dots(qkv.clone(), qkv.clone(), None, &products, size, layouts);
    let squares = squares(&qkv, [images, channels, pixels, pieces]);
    gather(products, squares, [images, channels, of.side, pieces])
}

/// The values by the map that these sums give.
pub(super) fn by(qkv: CubeTensor, sums: CubeTensor, temperature: CubeTensor) -> CubeTensor {
    let [qkv, sums, temperature] = [qkv, sums, temperature].map(contiguous);
    let [heads, ..] = dims::<3>(&temperature);
    let [_, _, height, width] = dims(&qkv);
    let of = Heads::new(&qkv, heads);
    let (images, channels, pixels) = (of.images, of.channels(), of.pixels);
    let map = map(sums, temperature, [images, heads, of.side]);
    let y = empty(&qkv, [images, channels, height, width]);
    let y_layout = Layout {
        start: 0,
        row: pixels,
        image: channels * pixels,
        head: of.side * pixels,
    };
    let size = Size3 {
        images,
        heads,
        rows: of.side,
        inner: of.side,
        columns: pixels,
    };
    product(map, qkv, &y, size, [of.map(), of.part(2), y_layout]);
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
