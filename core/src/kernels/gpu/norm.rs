//! Layer norms.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::dots::total;
use super::launch::{contiguous, cubes, dims, empty, vector};

/// Added to the variance.
const EPSILON: f32 = 1e-5;

/// Over the channels of each pixel; with `beta` the mean is taken off.
pub(super) fn channel_norm(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: Option<CubeTensor>,
) -> CubeTensor {
    let (x, gamma) = (contiguous(x), contiguous(gamma));
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels, height, width]);
    let vector = vector(&[height * width]);
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
            EPSILON,
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
