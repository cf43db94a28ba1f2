//! Attention between channels, in two steps: the sums over pixels, and the values by them.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::attention::softmax_row;
use super::depthwise::cube_sum;
use super::launch::{Layout, contiguous, cubes, dims, empty, reshaped, vector};
use super::matmul_nt::{Size4, matmul_nt, total};
use super::product::{Size3, product, product_and_own};
use super::row_sums::{Columns, Sums, fold, row_sums};
use crate::constants::LEAST_NORM;

/// Pixels that one thread sums over.
const SPAN: usize = 1024;
/// Threads that sum the squares of one channel together.
const THREADS: usize = 128;

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

    /// The output.
    fn output(&self) -> Layout {
        Layout {
            start: 0,
            row: self.pixels,
            image: self.channels() * self.pixels,
            head: self.side * self.pixels,
        }
    }

    /// Products of maps with channels.
    fn size(&self) -> Size3 {
        Size3 {
            images: self.images,
            heads: self.heads,
            rows: self.side,
            inner: self.side,
            columns: self.pixels,
        }
    }

    /// Products of channels with channels.
    fn channel_products(&self) -> Sums {
        Sums {
            images: self.images,
            heads: self.heads,
            rows: self.side,
            columns: self.side,
            pixels: self.pixels,
            over_images: false,
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
    matmul_nt(qkv.clone(), qkv.clone(), None, &products, size, layouts);
    let squares = squares(&qkv, [images, channels, pixels, pieces]);
    gather(products, squares, [images, channels, of.side, pieces])
}

/// The values by the map that these sums give.
pub(super) fn by(qkv: CubeTensor, sums: CubeTensor, temperature: CubeTensor) -> CubeTensor {
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

/// As [`squares`], each by a cube whose threads wait for each other.
fn row_squares(qkv: &CubeTensor, [images, channels, pixels]: [usize; 3]) -> CubeTensor {
    let rows = images * 2 * channels;
    let sums = empty(qkv, [1, rows]);
    let vector = vector(&[pixels]);
    // SAFETY: threads past the last pixel add nothing.
    unsafe {
        row_squares_kernel::launch_unchecked(
            &qkv.client,
            CubeCount::Static((2 * channels) as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            vector,
            qkv.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            channels as u32,
            (pixels / vector) as u32,
            THREADS,
        );
    }
    sums
}

#[cube(launch_unchecked)]
fn row_squares_kernel<N: Size>(
    qkv: &[Vector<f32, N>],
    sums: &mut [f32],
    channels: u32,
    pixels: u32,
    #[comptime] threads: usize,
) {
    let start = (CUBE_POS_Y * 3 * channels + CUBE_POS_X) * pixels;
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut pixel = UNIT_POS;
    while pixel < pixels {
        let value = qkv[(start + pixel) as usize];
        sum = fma(value, value, sum);
        pixel += threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let sum = cube_sum(total(sum), &mut shared, threads);
    if UNIT_POS == 0 {
        sums[(CUBE_POS_Y * 2 * channels + CUBE_POS_X) as usize] = sum;
    }
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
