//! Depthwise 3x3 convolution.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::features::Plane;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty, reshaped, vector};
use super::row_sums::fold;

/// Rows that one thread computes of a vector of columns.
pub(super) const ROWS: usize = 4;
/// Rows of an image that one thread takes at a time for the gradients.
const SUMMED_ROWS: usize = 8;
/// Threads that sum for one filter together.
const THREADS: usize = 128;
/// Strips that each of them should have.
const STRIPS: usize = 4;

pub(in crate::ops) fn depthwise3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels, height, width]);
    let vector = vector(&[width]);
    let columns = width / vector;
    let planes = images * channels;
    let (count, dim) = cubes(&x, planes * height.div_ceil(ROWS) * columns);
    // SAFETY: threads past the last task end at once; rows and columns outside the image are not read.
    unsafe {
        depthwise_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            planes as u32,
            channels as u32,
            height as u32,
            columns as u32,
            ROWS,
            shuffles(&y),
        );
    }
    y
}

/// Each thread computes `rows` rows of one vector of columns of one channel.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn depthwise_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    y: &mut [Vector<f32, N>],
    planes: u32,
    channels: u32,
    height: u32,
    columns: u32,
    #[comptime] rows: usize,
    #[comptime] shuffles: bool,
) {
    let task = ABSOLUTE_POS as u32;
    let column = task % columns;
    let rest = task / columns;
    let blocks = height.div_ceil(rows as u32);
    let first = rest % blocks * rows as u32;
    let plane = rest / blocks;
    if plane >= planes {
        terminate!();
    }
    let start = plane * height * columns;
    let filter = plane % channels * 9;
    let sums = convolved(
        x, weight, filter, start, first, column, height, columns, rows, shuffles,
    );
    #[unroll]
    for row in 0..rows {
        let line = first + row as u32;
        if line < height {
            y[(start + line * columns + column) as usize] = sums[row];
        }
    }
}

/// `rows` rows from `first` on of one vector of columns of the plane that begins at `start`, convolved with a filter.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
pub(super) fn convolved<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    filter: u32,
    start: u32,
    first: u32,
    column: u32,
    height: u32,
    columns: u32,
    #[comptime] rows: usize,
    #[comptime] shuffles: bool,
) -> Array<Vector<f32, N>> {
    let mut taps = Array::<f32>::new(9usize);
    #[unroll]
    for i in 0..9usize {
        taps[i] = weight[(filter + i as u32) as usize];
    }
    let lanes = N::value();
    let mut sums = Array::<f32>::new(comptime!(rows * lanes));
    #[unroll]
    for i in 0..comptime!(rows * lanes) {
        sums[i] = 0.0;
    }
    #[unroll]
    for i in 0..rows + 2 {
        // One more than the row that is read, which may be outside of the image.
        let strip = read_strip(
            x,
            start,
            first + i as u32,
            column,
            height,
            columns,
            shuffles,
        );
        #[unroll]
        for row in 0..rows {
            if comptime!(i >= row && i - row < 3) {
                let tap = comptime!(if i >= row { 3 * (i - row) } else { 0 });
                #[unroll]
                for j in 0..3usize {
                    #[unroll]
                    for lane in 0..lanes {
                        let at = comptime!(row * lanes + lane);
                        sums[at] = fma(taps[tap + j], strip[lane + j], sums[at]);
                    }
                }
            }
        }
    }
    let mut vectors = Array::<Vector<f32, N>>::new(rows);
    #[unroll]
    for row in 0..rows {
        let mut together = Vector::<f32, N>::new(0.0);
        #[unroll]
        for lane in 0..lanes {
            together.insert(lane, sums[comptime!(row * lanes + lane)]);
        }
        vectors[row] = together;
    }
    vectors
}

/// Whether a GPU's neighbouring threads can hand each other values. Browsers refuse that after threads have ended.
pub(super) fn shuffles(tensor: &CubeTensor) -> bool {
    let properties = tensor.client.properties();
    let hardware = &properties.hardware;
    cfg!(not(target_family = "wasm"))
        && properties.features.plane.contains(Plane::Ops)
        && hardware.plane_size_min == hardware.plane_size_max
        && hardware.plane_size_min >= 8
}

/// A vector of columns of row `below - 1` with the pixels before and after it, zero outside of the image.
///
/// With `shuffles` those two come from the neighbouring threads, which have read them; then all threads must get here
/// together, and threads that follow each other must have columns that do.
#[cube]
fn read_strip<N: Size>(
    x: &[Vector<f32, N>],
    start: u32,
    below: u32,
    column: u32,
    height: u32,
    columns: u32,
    #[comptime] shuffles: bool,
) -> Array<f32> {
    let lanes = N::value();
    let last = comptime!(lanes - 1);
    let is_inside = below >= 1 && below <= height;
    let at = start + (below - 1) * columns + column;
    let mut level = Vector::<f32, N>::new(0.0);
    if is_inside {
        level = x[at as usize];
    }
    let mut before = 0.0f32;
    let mut after = 0.0f32;
    if comptime!(shuffles) {
        before = plane_shuffle_up(level.extract(last), 1);
        after = plane_shuffle_down(level.extract(0usize), 1);
    }
    // Without a thread that has them they are read.
    let first_thread = comptime!(!shuffles).runtime() || UNIT_POS_PLANE == 0;
    let last_thread = comptime!(!shuffles).runtime() || UNIT_POS_PLANE + 1 == PLANE_DIM;
    if first_thread && is_inside && column >= 1 {
        before = x[(at - 1) as usize].extract(last);
    }
    if last_thread && is_inside && column + 1 < columns {
        after = x[(at + 1) as usize].extract(0usize);
    }
    if column == 0 {
        before = 0.0;
    }
    if column + 1 == columns {
        after = 0.0;
    }
    let mut strip = Array::<f32>::new(comptime!(lanes + 2));
    strip[0] = before;
    #[unroll]
    for i in 0..lanes {
        strip[i + 1] = level.extract(i);
    }
    strip[comptime!(lanes + 1)] = after;
    strip
}

/// The gradients of `x` and of the filters.
pub(in crate::ops) fn all_gradients(
    x: CubeTensor,
    weight: CubeTensor,
    dy: CubeTensor,
) -> [CubeTensor; 2] {
    let shape = dims::<4>(&weight);
    let [dx, dweight] = gradients(x, weight, dy);
    let [dweight] = fold([dweight]);
    [dx, reshaped(dweight, shape)]
}

/// The gradients of `x`, and of the filters in pieces, `[pieces, channels, 1, 3, 3]`: [`fold`] adds
/// them.
///
/// Both take the same pixels of dy around each of `x`'s: one pass over memory is for both.
pub(super) fn gradients(x: CubeTensor, weight: CubeTensor, dy: CubeTensor) -> [CubeTensor; 2] {
    let [images, channels, height, width] = dims(&x);
    let vector = vector(&[width]);
    let columns = width / vector;
    let tasks = images * height.div_ceil(SUMMED_ROWS) * columns;
    let pieces = tasks.div_ceil(THREADS * STRIPS);
    let dx = empty(&x, [images, channels, height, width]);
    let dweight = empty(&x, [pieces, channels, 1, 3, 3]);
    // SAFETY: threads without a strip add nothing; rows and columns outside the image are not read.
    unsafe {
        gradient_kernel::launch_unchecked(
            &dx.client,
            CubeCount::Static(channels as u32, pieces as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            vector,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            dy.into_buffer_arg(),
            dx.clone().into_buffer_arg(),
            dweight.clone().into_buffer_arg(),
            tasks as u32,
            channels as u32,
            height as u32,
            columns as u32,
            SUMMED_ROWS,
            THREADS,
        );
    }
    [dx, dweight]
}

/// A cube has one channel; each thread takes strips of a vector of columns and `rows` rows.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    dweight: &mut [f32],
    tasks: u32,
    channels: u32,
    height: u32,
    columns: u32,
    #[comptime] rows: usize,
    #[comptime] threads: usize,
) {
    let channel = CUBE_POS_X;
    let unit = UNIT_POS;
    let groups = height.div_ceil(rows as u32);
    let lanes = N::value();

    // Reversed: a pixel of x has its gradient from the pixel above by the tap below.
    let mut taps = Array::<f32>::new(9usize);
    let mut sums = Array::<f32>::new(9usize);
    #[unroll]
    for i in 0..9usize {
        taps[i] = weight[(channel * 9 + (8 - i) as u32) as usize];
        sums[i] = 0.0;
    }
    let mut task = CUBE_POS_Y * threads as u32 + unit;
    while task < tasks {
        let column = task % columns;
        let rest = task / columns;
        let top = rest % groups * rows as u32;
        let image = rest / groups;
        let start = (image * channels + channel) * height * columns;

        let mut above = read_strip(dy, start, top, column, height, columns, false);
        let mut level = read_strip(dy, start, top + 1, column, height, columns, false);
        let bottom = u32::min(top + rows as u32, height);
        for row in top..bottom {
            let below = read_strip(dy, start, row + 2, column, height, columns, false);
            let at = (start + row * columns + column) as usize;
            let value = x[at];
            let mut together = Vector::<f32, N>::new(0.0);
            #[unroll]
            for i in 0..lanes {
                let value = value.extract(i);
                let mut gradient = 0.0f32;
                #[unroll]
                for j in 0..3usize {
                    sums[j] = fma(value, above[i + j], sums[j]);
                    sums[3 + j] = fma(value, level[i + j], sums[3 + j]);
                    sums[6 + j] = fma(value, below[i + j], sums[6 + j]);
                    gradient = fma(taps[j], above[i + j], gradient);
                    gradient = fma(taps[3 + j], level[i + j], gradient);
                    gradient = fma(taps[6 + j], below[i + j], gradient);
                }
                together.insert(i, gradient);
            }
            dx[at] = together;
            #[unroll]
            for i in 0..comptime!(lanes + 2) {
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
            let at = (CUBE_POS_Y * channels + channel) * 9 + (8 - tap) as u32;
            dweight[at as usize] = sum;
        }
    }
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
            shared[unit] += shared[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}

/// As [`cube_sum`], the largest.
#[cube]
pub(super) fn cube_most(value: f32, shared: &mut [f32], #[comptime] threads: usize) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    shared[unit] = value;
    sync_cube();
    let mut half = (threads / 2).runtime();
    while half > 0 {
        if unit < half {
            shared[unit] = f32::max(shared[unit], shared[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}
