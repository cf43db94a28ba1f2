//! Depthwise 3x3 convolution.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty};

/// Pixels of a row that one thread computes.
const PIXELS: usize = 4;

pub(super) fn depthwise3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
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
                let w = weight[(filter + (3 * tap + j) as u32) as usize];
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
