//! Depthwise 3x3 convolution.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty, reshaped};
use super::row_sums::fold;

/// Pixels of a row that one thread computes.
const PIXELS: usize = 4;
/// Rows of an image that one thread sums over at a time for the filters' gradient.
const ROWS: usize = 16;
/// Threads that sum for one filter together.
const THREADS: usize = 128;
/// Strips that each of them should have.
const STRIPS: usize = 4;

pub(super) fn depthwise3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
    convolve(x, weight, false)
}

/// The gradient of `x`: dy convolved with the reversed filters.
pub(super) fn input_gradient(dy: CubeTensor, weight: CubeTensor) -> CubeTensor {
    convolve(dy, weight, true)
}

fn convolve(x: CubeTensor, weight: CubeTensor, reversed: bool) -> CubeTensor {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels, height, width]);
    let strips = width.div_ceil(PIXELS);
    let (count, dim) = cubes(&x, images * channels * height * strips);
    // SAFETY: threads past the last task end at once; rows and columns outside the image are not read.
    unsafe {
        depthwise_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            (images * channels) as u32,
            channels as u32,
            height as u32,
            width as u32,
            PIXELS,
            reversed,
        );
    }
    y
}

/// Each thread computes a strip of `pixels` of a row of one channel.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn depthwise_kernel(
    x: &[f32],
    weight: &[f32],
    y: &mut [f32],
    planes: u32,
    channels: u32,
    height: u32,
    width: u32,
    #[comptime] pixels: usize,
    #[comptime] reversed: bool,
) {
    let task = ABSOLUTE_POS as u32;
    let strips = width.div_ceil(pixels as u32);
    let first = task % strips * pixels as u32;
    let rest = task / strips;
    let row = rest % height;
    let plane = rest / height;
    if plane >= planes {
        terminate!();
    }
    let filter = plane % channels * 9;
    let start = plane * height * width;

    let mut sums = Array::<f32>::new(pixels);
    #[unroll]
    for i in 0..pixels {
        sums[i] = 0.0;
    }
    #[unroll]
    for tap in 0..3usize {
        // One more than the row that is read, which may be above the image.
        let below = row + tap as u32;
        if below >= 1 && below <= height {
            let line = start + (below - 1) * width;
            let strip = read_strip(x, line, first, width, pixels);
            #[unroll]
            for j in 0..3usize {
                let at = comptime!(if reversed {
                    8 - 3 * tap - j
                } else {
                    3 * tap + j
                });
                let w = weight[(filter + at as u32) as usize];
                #[unroll]
                for i in 0..pixels {
                    sums[i] += w * strip[i + j];
                }
            }
        }
    }
    #[unroll]
    for i in 0..pixels {
        let column = first + i as u32;
        if column < width {
            y[(start + row * width + column) as usize] = sums[i];
        }
    }
}

/// Columns `first - 1 ..= first + pixels` of the line that begins at `line`, zero outside the image.
#[cube]
pub(super) fn read_strip(
    x: &[f32],
    line: u32,
    first: u32,
    width: u32,
    #[comptime] pixels: usize,
) -> Array<f32> {
    let mut strip = Array::<f32>::new(pixels + 2);
    #[unroll]
    for i in 0..pixels + 2 {
        let after = first + i as u32;
        strip[i] = 0.0;
        if after >= 1 && after <= width {
            strip[i] = x[(line + after - 1) as usize];
        }
    }
    strip
}

/// The gradient of the filters: for each tap the sum of dy times x moved by the tap.
pub(super) fn filter_gradient(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let [images, channels, height, width] = dims(&x);
    let tasks = images * height.div_ceil(ROWS) * width.div_ceil(PIXELS);
    let pieces = tasks.div_ceil(THREADS * STRIPS);
    let found = empty(&x, [pieces, channels, 1, 3, 3]);
    // SAFETY: threads without a strip add nothing; rows and columns outside the image are not read.
    unsafe {
        filter_gradient_kernel::launch_unchecked(
            &found.client,
            CubeCount::Static(channels as u32, pieces as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            x.into_buffer_arg(),
            dy.into_buffer_arg(),
            found.clone().into_buffer_arg(),
            tasks as u32,
            channels as u32,
            height as u32,
            width as u32,
            PIXELS,
            ROWS,
            THREADS,
        );
    }
    reshaped(fold(found), [channels, 1, 3, 3])
}

/// A cube sums for one channel; each thread takes strips of `pixels` columns and `rows` rows.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn filter_gradient_kernel(
    x: &[f32],
    dy: &[f32],
    found: &mut [f32],
    tasks: u32,
    channels: u32,
    height: u32,
    width: u32,
    #[comptime] pixels: usize,
    #[comptime] rows: usize,
    #[comptime] threads: usize,
) {
    let channel = CUBE_POS_X;
    let unit = UNIT_POS as u32;
    let strips = width.div_ceil(pixels as u32);
    let groups = height.div_ceil(rows as u32);

    let mut sums = Array::<f32>::new(9usize);
    #[unroll]
    for i in 0..9usize {
        sums[i] = 0.0;
    }
    let mut task = CUBE_POS_Y * threads as u32 + unit;
    while task < tasks {
        let first = task % strips * pixels as u32;
        let rest = task / strips;
        let top = rest % groups * rows as u32;
        let image = rest / groups;
        let start = (image * channels + channel) * height * width;

        let mut above = row_or_zeros(x, start, top, first, height, width, pixels);
        let mut level = row_or_zeros(x, start, top + 1, first, height, width, pixels);
        let bottom = u32::min(top + rows as u32, height);
        for row in top..bottom {
            let below = row_or_zeros(x, start, row + 2, first, height, width, pixels);
            let line = start + row * width;
            let gradient = read_strip(dy, line, first, width, pixels);
            #[unroll]
            for j in 0..3usize {
                #[unroll]
                for i in 0..pixels {
                    sums[j] += gradient[i + 1] * above[i + j];
                    sums[3 + j] += gradient[i + 1] * level[i + j];
                    sums[6 + j] += gradient[i + 1] * below[i + j];
                }
            }
            #[unroll]
            for i in 0..pixels + 2 {
                above[i] = level[i];
                level[i] = below[i];
            }
        }
        task += CUBE_COUNT_Y * threads as u32;
    }

    let mut shared = Shared::<[f32]>::new_slice(threads);
    #[unroll]
    for tap in 0..9usize {
        let sum = cube_sum(sums[tap], &mut shared, threads);
        if unit == 0 {
            found[((CUBE_POS_Y * channels + channel) * 9 + tap as u32) as usize] = sum;
        }
    }
}

/// As [`read_strip`], of row `below - 1`, which may be outside of the image.
#[cube]
fn row_or_zeros(
    x: &[f32],
    start: u32,
    below: u32,
    first: u32,
    height: u32,
    width: u32,
    #[comptime] pixels: usize,
) -> Array<f32> {
    let mut strip = Array::<f32>::new(pixels + 2);
    #[unroll]
    for i in 0..pixels + 2 {
        let after = first + i as u32;
        strip[i] = 0.0;
        if below >= 1 && below <= height && after >= 1 && after <= width {
            strip[i] = x[(start + (below - 1) * width + after - 1) as usize];
        }
    }
    strip
}

/// The sum of what all threads of a cube have, in a fixed order; the first thread gets it. `threads` is a power of two.
#[cube]
pub(super) fn cube_sum(value: f32, shared: &mut [f32], #[comptime] threads: usize) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    shared[unit] = value;
    sync_cube();
    let mut half = (threads / 2).runtime();
    while half > 0 {
        if unit < half {
            shared[unit] = shared[unit] + shared[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}
