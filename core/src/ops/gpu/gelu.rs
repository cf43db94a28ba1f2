//! GELU, and the gate of Restormer's feed-forward network.

use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::{ROWS, convolved, shuffles};
use super::launch::{contiguous, cubes, dims, empty, vector};
use crate::ops::operation::{Differentiable, operation};

operation! { [Cube] GeluOps: Gelu, pub(in crate::ops) fn gelu(x: Tensor<1>) -> Tensor<1> }

#[derive(Debug)]
struct Gelu;

impl Differentiable<CubeBackend, 1> for Gelu {
    type Saved = CubeTensor;

    fn forward([x]: [CubeTensor; 1]) -> (CubeTensor, Self::Saved) {
        let x = contiguous(x);
        (of_each(&x, None), x)
    }

    fn backward(x: Self::Saved, dy: CubeTensor, _wanted: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(of_each(&x, Some(contiguous(dy))))]
    }
}

/// The GELU of each element, or its gradient.
fn of_each(x: &CubeTensor, dy: Option<CubeTensor>) -> CubeTensor {
    let [count] = dims(x);
    let y = empty(x, [count]);
    let vector = vector(&[count]);
    let (cubes, dim) = cubes(x, count / vector);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gelu_kernel::launch_unchecked(
            &y.client,
            cubes,
            dim,
            vector,
            x.clone().into_buffer_arg(),
            dy.map(|dy| dy.into_buffer_arg()).into(),
            y.clone().into_buffer_arg(),
            (count / vector) as u32,
        );
    }
    y
}

#[cube(launch_unchecked)]
fn gelu_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: ComptimeOption<&[Vector<f32, N>]>,
    y: &mut [Vector<f32, N>],
    count: u32,
) {
    let task = ABSOLUTE_POS as u32;
    if task >= count {
        terminate!();
    }
    let at = task as usize;
    #[comptime]
    match &dy {
        ComptimeOption::Some(dy) => y[at] = dy[at] * gelu_slope(x[at]),
        ComptimeOption::None => y[at] = gelu_of(x[at]),
    }
}

/// `Phi(x) + x phi(x)` of one vector.
#[cube]
fn gelu_slope<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let root = Vector::new(0.707_106_77f32);
    let half = Vector::new(0.5f32);
    let one = Vector::new(1.0f32);
    // 1 / sqrt(2 pi).
    let density = Vector::new(0.398_942_3f32) * (x * x * Vector::new(-0.5f32)).exp();
    ((x * root).erf() + one) * half + x * density
}

/// `x Phi(x)` of one vector.
#[cube]
pub(super) fn gelu_of<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let root = Vector::new(0.707_106_77f32);
    let half = Vector::new(0.5f32);
    let one = Vector::new(1.0f32);
    x * half * ((x * root).erf() + one)
}

/// One half of a depthwise convolution's channels, through GELU, times the other half; the convolution's result is not kept.
///
/// # Shapes
/// - x: `[images, 2 * channels, height, width]`
/// - weight: `[2 * channels, 1, 3, 3]`
/// - output: `[images, channels, height, width]`
pub(super) fn convolved_gate(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels / 2, height, width]);
    let vector = vector(&[width]);
    let columns = width / vector;
    let planes = images * channels / 2;
    let (count, dim) = cubes(&x, planes * height.div_ceil(ROWS) * columns);
    // SAFETY: threads past the last task end at once; rows and columns outside the image are not read.
    unsafe {
        convolved_gate_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            planes as u32,
            (channels / 2) as u32,
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
fn convolved_gate_kernel<N: Size>(
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
    let channel = plane % channels;
    let size = height * columns;
    let gate_start = (plane + plane / channels * channels) * size;
    let value_start = gate_start + channels * size;
    let gates = convolved(
        x,
        weight,
        channel * 9,
        gate_start,
        first,
        column,
        height,
        columns,
        rows,
        shuffles,
    );
    let value_filter = (channel + channels) * 9;
    let values = convolved(
        x,
        weight,
        value_filter,
        value_start,
        first,
        column,
        height,
        columns,
        rows,
        shuffles,
    );
    #[unroll]
    for row in 0..rows {
        let line = first + row as u32;
        if line < height {
            y[(plane * size + line * columns + column) as usize] =
                gelu_of(gates[row]) * values[row];
        }
    }
}

/// The gradient of the depthwise convolution's result in [`convolved_gate`], computed again: `[images, 2 * channels, height, width]`.
pub(super) fn convolved_gate_gradient(
    x: CubeTensor,
    weight: CubeTensor,
    dy: CubeTensor,
) -> CubeTensor {
    let [images, channels, height, width] = dims(&x);
    let gradient = empty(&x, [images, channels, height, width]);
    let vector = vector(&[width]);
    let columns = width / vector;
    let planes = images * channels / 2;
    let (count, dim) = cubes(&x, planes * height.div_ceil(ROWS) * columns);
    // SAFETY: threads past the last task end at once; rows and columns outside the image are not read.
    unsafe {
        convolved_gate_gradient_kernel::launch_unchecked(
            &gradient.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            dy.into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            planes as u32,
            (channels / 2) as u32,
            height as u32,
            columns as u32,
            ROWS,
            shuffles(&gradient),
        );
    }
    gradient
}

/// Each thread computes `rows` rows of one vector of columns of a channel's gate and value.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn convolved_gate_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[f32],
    dy: &[Vector<f32, N>],
    gradient: &mut [Vector<f32, N>],
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
    let channel = plane % channels;
    let size = height * columns;
    let gate_start = (plane + plane / channels * channels) * size;
    let value_start = gate_start + channels * size;
    let gates = convolved(
        x,
        weight,
        channel * 9,
        gate_start,
        first,
        column,
        height,
        columns,
        rows,
        shuffles,
    );
    let value_filter = (channel + channels) * 9;
    let values = convolved(
        x,
        weight,
        value_filter,
        value_start,
        first,
        column,
        height,
        columns,
        rows,
        shuffles,
    );
    #[unroll]
    for row in 0..rows {
        let line = first + row as u32;
        if line < height {
            let at = line * columns + column;
            let upstream = dy[(plane * size + at) as usize];
            let (gate, value) = (gates[row], values[row]);
            gradient[(gate_start + at) as usize] = upstream * value * gelu_slope(gate);
            gradient[(value_start + at) as usize] = upstream * gelu_of(gate);
        }
    }
}
