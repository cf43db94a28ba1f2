//! Layer norms.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::cube_sum;
use super::launch::{contiguous, cubes, dims, empty, reshaped, vector};
use super::matmul_nt::total;
use super::row_sums::fold;
use crate::constants::NORM_EPSILON;

/// Threads that sum for one channel's gradient together.
const THREADS: usize = 128;
/// Vectors of pixels that each of them should have.
const SPAN: usize = 32;

/// Pixels that one thread takes: one where there are few, so that all of a large GPU is at work.
fn pixel_vector(images: usize, pixels: usize) -> usize {
    match images * pixels {
        few if few < 1 << 18 => 1,
        _ => vector(&[pixels]),
    }
}

/// Over the channels of each pixel; with `beta` the mean is taken off.
pub(in crate::ops) fn channel_norm(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: Option<CubeTensor>,
) -> CubeTensor {
    let (x, gamma) = (contiguous(x), contiguous(gamma));
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels, height, width]);
    let vector = pixel_vector(images, height * width);
    let pixels = height * width / vector;
    let (count, dim) = cubes(&x, images * pixels);
    // SAFETY: threads past the last task end at once.
    unsafe {
        channel_norm_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            gamma.into_buffer_arg(),
            beta.map(|beta| contiguous(beta).into_buffer_arg()).into(),
            y.clone().into_buffer_arg(),
            images as u32,
            channels as u32,
            pixels as u32,
            NORM_EPSILON,
        );
    }
    y
}

/// Each thread has one vector of pixels, with all its channels.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn channel_norm_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gamma: &[f32],
    beta: ComptimeOption<&[f32]>,
    y: &mut [Vector<f32, N>],
    images: u32,
    channels: u32,
    pixels: u32,
    epsilon: f32,
) {
    let task = ABSOLUTE_POS as u32;
    let image = task / pixels;
    if image >= images {
        terminate!();
    }
    let first = image * channels * pixels + task % pixels;
    let count = Vector::<f32, N>::new(f32::cast_from(channels));

    let mut mean = Vector::<f32, N>::new(0.0);
    for channel in 0..channels {
        mean += x[(first + channel * pixels) as usize];
    }
    mean /= count;
    let mut variance = Vector::<f32, N>::new(0.0);
    for channel in 0..channels {
        let off = x[(first + channel * pixels) as usize] - mean;
        variance += off * off;
    }
    let deviation = (variance / count + Vector::new(epsilon)).sqrt();
    for channel in 0..channels {
        let at = (first + channel * pixels) as usize;
        let scale = Vector::new(gamma[channel as usize]);
        #[comptime]
        match &beta {
            ComptimeOption::Some(beta) => {
                let shift = Vector::new(beta[channel as usize]);
                y[at] = (x[at] - mean) / deviation * scale + shift;
            }
            ComptimeOption::None => y[at] = x[at] / deviation * scale,
        }
    }
}

/// The gradients of `x`, gamma and beta in [`channel_norm`]; `centred` if there is a beta.
pub(in crate::ops) fn channel_norm_gradients(
    x: CubeTensor,
    gamma: CubeTensor,
    dy: CubeTensor,
    centred: bool,
) -> [CubeTensor; 3] {
    let [x, gamma, dy] = [x, gamma, dy].map(contiguous);
    let [images, channels, height, width] = dims(&x);
    let dx = empty(&x, [images, channels, height, width]);
    let statistics = empty(&x, [images, 2, height, width]);
    let vector = pixel_vector(images, height * width);
    let pixels = height * width / vector;
    let (count, dim) = cubes(&x, images * pixels);
    // SAFETY: threads past the last task end at once.
    unsafe {
        norm_gradient_kernel::launch_unchecked(
            &dx.client,
            count,
            dim,
            vector,
            x.clone().into_buffer_arg(),
            gamma.into_buffer_arg(),
            dy.clone().into_buffer_arg(),
            dx.clone().into_buffer_arg(),
            statistics.clone().into_buffer_arg(),
            images as u32,
            channels as u32,
            pixels as u32,
            NORM_EPSILON,
            centred,
        );
    }
    let pieces = (images * pixels).div_ceil(THREADS * SPAN);
    let sums = empty(&dx, [pieces, 2, channels]);
    // SAFETY: threads without a pixel add nothing.
    unsafe {
        scale_gradient_kernel::launch_unchecked(
            &dx.client,
            CubeCount::Static(channels as u32, pieces as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            vector,
            x.into_buffer_arg(),
            dy.into_buffer_arg(),
            statistics.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            images as u32,
            channels as u32,
            pixels as u32,
            centred,
            THREADS,
        );
    }
    let sums = reshaped(fold(sums), [2, channels]);
    let part = |index: usize| {
        let row = CubeBackend::float_slice(sums.clone(), &[(index..index + 1).into()]);
        contiguous(reshaped(row, [channels]))
    };
    [dx, part(0), part(1)]
}

/// Each thread has one vector of pixels, with all its channels; mean and 1 / deviation are left in `statistics`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn norm_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gamma: &[f32],
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    statistics: &mut [Vector<f32, N>],
    images: u32,
    channels: u32,
    pixels: u32,
    epsilon: f32,
    #[comptime] centred: bool,
) {
    let task = ABSOLUTE_POS as u32;
    let image = task / pixels;
    if image >= images {
        terminate!();
    }
    let first = image * channels * pixels + task % pixels;
    let share = Vector::<f32, N>::new(1.0 / f32::cast_from(channels));

    let mut mean = Vector::<f32, N>::new(0.0);
    for channel in 0..channels {
        mean += x[(first + channel * pixels) as usize];
    }
    mean *= share;
    // Of the gradient behind gamma: its sum, and its sum with x as it was before gamma.
    let mut variance = Vector::<f32, N>::new(0.0);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut pull = Vector::<f32, N>::new(0.0);
    for channel in 0..channels {
        let at = (first + channel * pixels) as usize;
        let off = x[at] - mean;
        variance += off * off;
        let gradient = dy[at] * Vector::new(gamma[channel as usize]);
        if comptime!(centred) {
            sum += gradient;
            pull += gradient * off;
        } else {
            pull += gradient * x[at];
        }
    }
    let scale = Vector::new(1.0f32) / (variance * share + Vector::new(epsilon)).sqrt();
    let pull = pull * scale * scale * share;
    let sum = sum * share;
    for channel in 0..channels {
        let at = (first + channel * pixels) as usize;
        let gradient = dy[at] * Vector::new(gamma[channel as usize]);
        dx[at] = (gradient - sum - (x[at] - mean) * pull) * scale;
    }
    let at = image * 2 * pixels + task % pixels;
    statistics[at as usize] = mean;
    statistics[(at + pixels) as usize] = scale;
}

/// A cube sums for one channel.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn scale_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    statistics: &[Vector<f32, N>],
    sums: &mut [f32],
    images: u32,
    channels: u32,
    pixels: u32,
    #[comptime] centred: bool,
    #[comptime] threads: usize,
) {
    let channel = CUBE_POS_X;
    let mut dgamma = Vector::<f32, N>::new(0.0);
    let mut dbeta = Vector::<f32, N>::new(0.0);
    let mut task = CUBE_POS_Y * threads as u32 + UNIT_POS;
    while task < images * pixels {
        let image = task / pixels;
        let pixel = task % pixels;
        let at = ((image * channels + channel) * pixels + pixel) as usize;
        let statistic = image * 2 * pixels + pixel;
        let gradient = dy[at];
        let mut value = x[at];
        if comptime!(centred) {
            value -= statistics[statistic as usize];
        }
        dgamma += gradient * value * statistics[(statistic + pixels) as usize];
        dbeta += gradient;
        task += CUBE_COUNT_Y * threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let dgamma = cube_sum(total(dgamma), &mut shared, threads);
    let dbeta = cube_sum(total(dbeta), &mut shared, threads);
    if UNIT_POS == 0 {
        let at = CUBE_POS_Y * 2 * channels + channel;
        sums[at as usize] = dgamma;
        sums[(at + channels) as usize] = dbeta;
    }
}

/// Over each row of `[images, tokens, width]`.
pub(super) fn row_norm(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    epsilon: f32,
) -> CubeTensor {
    let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
    let [images, tokens, width] = dims(&x);
    let y = empty(&x, [images, tokens, width]);
    let vector = vector(&[width]);
    let (count, dim) = cubes(&x, images * tokens);
    // SAFETY: threads past the last row end at once.
    unsafe {
        row_norm_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            gamma.into_buffer_arg(),
            beta.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            (images * tokens) as u32,
            (width / vector) as u32,
            epsilon,
        );
    }
    y
}

/// Each thread has one row.
#[cube(launch_unchecked)]
fn row_norm_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gamma: &[Vector<f32, N>],
    beta: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    rows: u32,
    width: u32,
    epsilon: f32,
) {
    let row = ABSOLUTE_POS as u32;
    if row >= rows {
        terminate!();
    }
    let first = row * width;
    let count = f32::cast_from(width * N::value() as u32);
    let mut sum = Vector::<f32, N>::new(0.0);
    for column in 0..width {
        sum += x[(first + column) as usize];
    }
    let mean = Vector::new(total(sum) / count);
    let mut squares = Vector::<f32, N>::new(0.0);
    for column in 0..width {
        let off = x[(first + column) as usize] - mean;
        squares += off * off;
    }
    let scale = Vector::new(1.0 / (total(squares) / count + epsilon).sqrt());
    for column in 0..width {
        let at = (first + column) as usize;
        let column = column as usize;
        y[at] = (x[at] - mean) * scale * gamma[column] + beta[column];
    }
}
