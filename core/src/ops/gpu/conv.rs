//! Dense 3x3 convolution.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Layout, contiguous, cubes, dims, empty, reshaped};
use super::row_sums::{Columns, Sums, row_sums};

/// Pixels of a row that one thread computes.
const PIXELS: usize = 4;
/// Output channels that it computes of each.
const CHANNELS: usize = 4;

pub(in crate::ops) fn conv3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
    convolve(x, weight, false)
}

/// The gradient of `x`: dy convolved with the reversed filters, inputs and outputs exchanged.
pub(in crate::ops) fn input_gradient(dy: CubeTensor, weight: CubeTensor) -> CubeTensor {
    convolve(dy, weight, true)
}

fn convolve(x: CubeTensor, weight: CubeTensor, backwards: bool) -> CubeTensor {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let [images, channels_in, height, width] = dims(&x);
    let [outputs, inputs, ..] = dims::<4>(&weight);
    let channels_out = if backwards { inputs } else { outputs };
    let y = empty(&x, [images, channels_out, height, width]);
    let blocks = channels_out.div_ceil(CHANNELS);
    let (count, dim) = cubes(&x, images * blocks * height * width.div_ceil(PIXELS));
    // SAFETY: threads past the last task end at once; rows and columns outside the image are not read.
    unsafe {
        conv_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            images as u32,
            channels_in as u32,
            channels_out as u32,
            height as u32,
            width as u32,
            backwards,
            PIXELS,
            CHANNELS,
        );
    }
    y
}

/// The gradient of the filters: for each tap the sums of dy times x moved by the tap.
pub(in crate::ops) fn filter_gradient(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let [images, inputs, height, width] = dims(&x);
    let [_, outputs, ..] = dims::<4>(&dy);
    let pixels = height * width;
    let of = Sums {
        images,
        heads: 1,
        rows: outputs,
        columns: 9 * inputs,
        pixels,
        over_images: true,
    };
    let layouts = [
        Layout::matrices(outputs, pixels),
        Layout::matrices(inputs, pixels),
    ];
    let gradient = row_sums(dy, x, of, Columns::Around { width }, layouts);
    reshaped(gradient, [outputs, inputs, 3, 3])
}

/// Each thread computes a strip of `pixels` of a row of `block` channels.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn conv_kernel(
    x: &[f32],
    weight: &[f32],
    y: &mut [f32],
    images: u32,
    channels_in: u32,
    channels_out: u32,
    height: u32,
    width: u32,
    #[comptime] backwards: bool,
    #[comptime] pixels: usize,
    #[comptime] block: usize,
) {
    let task = ABSOLUTE_POS as u32;
    let strips = width.div_ceil(pixels as u32);
    let first = task % strips * pixels as u32;
    let rest = task / strips;
    let row = rest % height;
    let rest = rest / height;
    let blocks = channels_out.div_ceil(block as u32);
    let channel = rest % blocks * block as u32;
    let image = rest / blocks;
    if image >= images {
        terminate!();
    }

    let mut sums = Array::<f32>::new(pixels * block);
    #[unroll]
    for i in 0..pixels * block {
        sums[i] = 0.0;
    }
    for input in 0..channels_in {
        let start = (image * channels_in + input) * height * width;
        #[unroll]
        for tap in 0..3usize {
            // One more than the row that is read, which may be above the image.
            let below = row + tap as u32;
            if below >= 1 && below <= height {
                let strip = read_strip(x, start + (below - 1) * width, first, width, pixels);
                #[unroll]
                for c in 0..block {
                    // Channels past the last are computed as the last, and not written.
                    let output = u32::min(channel + c as u32, channels_out - 1);
                    let mut filter = (output * channels_in + input) * 9;
                    if comptime!(backwards) {
                        filter = (input * channels_out + output) * 9;
                    }
                    #[unroll]
                    for j in 0..3usize {
                        let at = comptime!(if backwards {
                            8 - (3 * tap + j)
                        } else {
                            3 * tap + j
                        });
                        let w = weight[(filter + at as u32) as usize];
                        #[unroll]
                        for i in 0..pixels {
                            sums[c * pixels + i] += w * strip[i + j];
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for c in 0..block {
        let output = channel + c as u32;
        let line = ((image * channels_out + output) * height + row) * width;
        #[unroll]
        for i in 0..pixels {
            let column = first + i as u32;
            if output < channels_out && column < width {
                y[(line + column) as usize] = sums[c * pixels + i];
            }
        }
    }
}

/// Columns `first - 1 ..= first + pixels` of the line that begins at `line`, zero outside the image.
#[cube]
fn read_strip(
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
