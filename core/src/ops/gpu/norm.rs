//! Layer norms.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::cube_sum;
use super::launch::{contiguous, cubes, dims, empty, vector};
use super::matmul_nt::total;
use super::row_sums::fold;
use crate::constants::NORM_EPSILON;

/// Threads that sum for one channel's gradient together.
const THREADS: usize = 128;
/// Vectors of pixels that each of them should have.
const SPAN: usize = 32;
/// Inputs whose gradients a cube has together.
const INPUTS: usize = 16;
/// Threads that add one input's.
const SLICES: usize = 16;

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
    let [dx, statistics] = input_gradient(x.clone(), gamma, dy.clone(), centred, None);
    let vector = pixel_vector(images, height * width);
    let pixels = height * width / vector;
    let pieces = (images * pixels).div_ceil(THREADS * SPAN);
    let sums = || empty(&dx, [pieces, channels]);
    let (dgamma, dbeta) = (sums(), sums());
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
            dgamma.clone().into_buffer_arg(),
            dbeta.clone().into_buffer_arg(),
            images as u32,
            channels as u32,
            pixels as u32,
            centred,
            THREADS,
        );
    }
    let [dgamma, dbeta] = fold([dgamma, dbeta]);
    [dx, dgamma, dbeta]
}

/// The gradient of `x`, plus another that it has, and what `x` was normalised by: the mean (0 if not `centred`) and
/// 1 / deviation of each pixel, `[images, 2, pixels]`.
pub(super) fn input_gradient(
    x: CubeTensor,
    gamma: CubeTensor,
    dy: CubeTensor,
    centred: bool,
    other: Option<CubeTensor>,
) -> [CubeTensor; 2] {
    let [images, channels, height, width] = dims(&x);
    let dx = empty(&x, [images, channels, height, width]);
    let statistics = empty(&x, [images, 2, height * width]);
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
            x.into_buffer_arg(),
            gamma.into_buffer_arg(),
            dy.into_buffer_arg(),
            other.map(|other| other.into_buffer_arg()).into(),
            dx.clone().into_buffer_arg(),
            statistics.clone().into_buffer_arg(),
            images as u32,
            channels as u32,
            pixels as u32,
            NORM_EPSILON,
            centred,
        );
    }
    [dx, statistics]
}

/// Each thread has one vector of pixels, with all its channels.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn norm_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gamma: &[f32],
    dy: &[Vector<f32, N>],
    other: ComptimeOption<&[Vector<f32, N>]>,
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
        let gradient = (gradient - sum - (x[at] - mean) * pull) * scale;
        #[comptime]
        match &other {
            ComptimeOption::Some(other) => dx[at] = gradient + other[at],
            ComptimeOption::None => dx[at] = gradient,
        }
    }
    let at = image * 2 * pixels + task % pixels;
    if comptime!(centred) {
        statistics[at as usize] = mean;
    } else {
        statistics[at as usize] = Vector::new(0.0);
    }
    statistics[(at + pixels) as usize] = scale;
}

/// A cube sums for one channel.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn scale_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    statistics: &[Vector<f32, N>],
    dgammas: &mut [f32],
    dbetas: &mut [f32],
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
        let at = (CUBE_POS_Y * channels + channel) as usize;
        dgammas[at] = dgamma;
        dbetas[at] = dbeta;
    }
}

/// A layer norm and the 1x1 convolution behind it: what the gradients of their weights are made of.
///
/// They need no pass over the pixels: with the sums `r` of the convolution's gradient times the normalised pixels, and `s` of the
/// gradient alone, the weight's is `r gamma + s beta`, and gamma's and beta's are the sums of `weight r` and `weight s` over
/// the convolution's outputs.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    /// `[pieces, 1, outputs * inputs + outputs]`, r and then s; without pieces for [`projected_gradients`].
    pub sums: CubeTensor,
    /// `[outputs, inputs, 1, 1]`.
    pub weight: CubeTensor,
    /// `[inputs]`.
    pub gamma: CubeTensor,
    /// `[inputs]`.
    pub beta: Option<CubeTensor>,
}

/// The gradients of weight, gamma and beta (which means nothing without a beta), of one or two in one launch.
pub(super) fn projected_gradients<const N: usize>(of: [Projection; N]) -> [[CubeTensor; 3]; N] {
    const { assert!(N == 1 || N == 2) };
    let size = |at: usize| {
        let [outputs, inputs, ..] = dims::<4>(&of[at.min(N - 1)].weight);
        [outputs, inputs]
    };
    let sizes = [size(0), size(1)];
    let gradients = sizes.map(|[outputs, inputs]| {
        [
            empty(&of[0].sums, [outputs, inputs, 1, 1]),
            empty(&of[0].sums, [inputs]),
            empty(&of[0].sums, [inputs]),
        ]
    });
    let [one, other] = [&of[0], &of[N - 1]].map(Projection::clone);
    let [[a, b, c], [d, e, f]] = gradients
        .clone()
        .map(|of| of.map(CubeTensor::into_buffer_arg));
    let [[outputs, inputs], [other_outputs, other_inputs]] = sizes;
    let cubes = inputs.max(other_inputs).div_ceil(INPUTS);
    let client = one.sums.client.clone();
    let beta = |beta: Option<CubeTensor>| beta.map(|beta| beta.into_buffer_arg());
    // SAFETY: threads past the last input write nothing.
    unsafe {
        projected_gradient_kernel::launch_unchecked(
            &client,
            CubeCount::Static(cubes as u32, N as u32, 1),
            CubeDim::new_1d((INPUTS * SLICES) as u32),
            one.sums.into_buffer_arg(),
            one.weight.into_buffer_arg(),
            one.gamma.into_buffer_arg(),
            beta(one.beta).into(),
            a,
            b,
            c,
            other.sums.into_buffer_arg(),
            other.weight.into_buffer_arg(),
            other.gamma.into_buffer_arg(),
            beta(other.beta).into(),
            d,
            e,
            f,
            outputs as u32,
            inputs as u32,
            other_outputs as u32,
            other_inputs as u32,
            INPUTS,
            SLICES,
        );
    }
    let [one, other] = gradients;
    let mut found = [one, other].into_iter();
    core::array::from_fn(|_| found.next().expect("at most two"))
}

/// Cubes of the first row are for one, those of the second for the other.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn projected_gradient_kernel(
    sums: &[f32],
    weight: &[f32],
    gamma: &[f32],
    beta: ComptimeOption<&[f32]>,
    dweight: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
    other_sums: &[f32],
    other_weight: &[f32],
    other_gamma: &[f32],
    other_beta: ComptimeOption<&[f32]>,
    other_dweight: &mut [f32],
    other_dgamma: &mut [f32],
    other_dbeta: &mut [f32],
    outputs: u32,
    inputs: u32,
    other_outputs: u32,
    other_inputs: u32,
    #[comptime] width: usize,
    #[comptime] slices: usize,
) {
    if CUBE_POS_Y == 0 {
        projected_gradient(
            sums, weight, gamma, &beta, dweight, dgamma, dbeta, outputs, inputs, width, slices,
        );
    } else {
        projected_gradient(
            other_sums,
            other_weight,
            other_gamma,
            &other_beta,
            other_dweight,
            other_dgamma,
            other_dbeta,
            other_outputs,
            other_inputs,
            width,
            slices,
        );
    }
}

/// A cube has `width` inputs; the outputs are divided into `slices`.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn projected_gradient(
    sums: &[f32],
    weight: &[f32],
    gamma: &[f32],
    beta: &ComptimeOption<&[f32]>,
    dweight: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
    outputs: u32,
    inputs: u32,
    #[comptime] width: usize,
    #[comptime] slices: usize,
) {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(2 * width * slices));
    let unit = UNIT_POS;
    let mine = unit % width as u32;
    let input = CUBE_POS_X * width as u32 + mine;
    let mut scale_sum = 0.0f32;
    let mut shift_sum = 0.0f32;
    if input < inputs {
        let scale = gamma[input as usize];
        let mut shift = 0.0f32;
        #[comptime]
        match beta {
            ComptimeOption::Some(beta) => shift = beta[input as usize],
            ComptimeOption::None => {}
        }
        let mut output = unit / width as u32;
        while output < outputs {
            let at = (output * inputs + input) as usize;
            let product = sums[at];
            let sum = sums[(outputs * inputs + output) as usize];
            dweight[at] = product * scale + sum * shift;
            scale_sum = fma(weight[at], product, scale_sum);
            shift_sum = fma(weight[at], sum, shift_sum);
            output += slices as u32;
        }
    }
    parts[unit as usize] = scale_sum;
    parts[unit as usize + width * slices] = shift_sum;
    sync_cube();
    if unit < width as u32 && input < inputs {
        let mut scale_sum = 0.0f32;
        let mut shift_sum = 0.0f32;
        for slice in 0..slices as u32 {
            let at = (slice * width as u32 + mine) as usize;
            scale_sum += parts[at];
            shift_sum += parts[at + width * slices];
        }
        dgamma[input as usize] = scale_sum;
        dbeta[input as usize] = shift_sum;
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
