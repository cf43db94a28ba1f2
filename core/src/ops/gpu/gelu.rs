//! GELU, and the gate of Restormer's feed-forward network.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty, vector};

pub(in crate::ops) fn gated_gelu(x: CubeTensor) -> CubeTensor {
    let x = contiguous(x);
    let [images, channels, height, width] = dims(&x);
    let y = empty(&x, [images, channels / 2, height, width]);
    let half = channels / 2 * height * width;
    let vector = vector(&[half]);
    let half = half / vector;
    let (count, dim) = cubes(&x, images * half);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gate_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            images as u32,
            half as u32,
        );
    }
    y
}

/// Of each element.
pub(super) fn gelu(x: CubeTensor) -> CubeTensor {
    let x = contiguous(x);
    let y = empty(&x, x.meta.shape().clone());
    let count = x.meta.num_elements();
    let vector = vector(&[count]);
    let (cubes, dim) = cubes(&x, count / vector);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gelu_kernel::launch_unchecked(
            &y.client,
            cubes,
            dim,
            vector,
            x.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            (count / vector) as u32,
        );
    }
    y
}

#[cube(launch_unchecked)]
fn gelu_kernel<N: Size>(x: &[Vector<f32, N>], y: &mut [Vector<f32, N>], count: u32) {
    let task = ABSOLUTE_POS as u32;
    if task >= count {
        terminate!();
    }
    y[task as usize] = gelu_of(x[task as usize]);
}

#[cube(launch_unchecked)]
fn gate_kernel<N: Size>(x: &[Vector<f32, N>], y: &mut [Vector<f32, N>], images: u32, half: u32) {
    let task = ABSOLUTE_POS as u32;
    let image = task / half;
    if image >= images {
        terminate!();
    }
    let at = task + image * half;
    let gate = x[at as usize];
    let value = x[(at + half) as usize];
    y[task as usize] = gelu_of(gate) * value;
}

/// The gradient of `x`, from that of [`gated_gelu`]'s output.
pub(in crate::ops) fn gate_gradient(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let [images, channels, height, width] = dims(&x);
    let dx = empty(&x, [images, channels, height, width]);
    let half = channels / 2 * height * width;
    let vector = vector(&[half]);
    let half = half / vector;
    let (count, dim) = cubes(&x, images * half);
    // SAFETY: threads past the last task end at once.
    unsafe {
        gate_gradient_kernel::launch_unchecked(
            &dx.client,
            count,
            dim,
            vector,
            x.into_buffer_arg(),
            dy.into_buffer_arg(),
            dx.clone().into_buffer_arg(),
            images as u32,
            half as u32,
        );
    }
    dx
}

/// With `gelu'(x) = Phi(x) + x phi(x)`.
#[cube(launch_unchecked)]
fn gate_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    images: u32,
    half: u32,
) {
    let task = ABSOLUTE_POS as u32;
    let image = task / half;
    if image >= images {
        terminate!();
    }
    let at = task + image * half;
    let gate = x[at as usize];
    let value = x[(at + half) as usize];
    let gradient = dy[task as usize];
    let root = Vector::new(0.707_106_77f32);
    let half_one = Vector::new(0.5f32);
    let one = Vector::new(1.0f32);
    // 1 / sqrt(2 pi).
    let density = Vector::new(0.398_942_3f32) * (gate * gate * Vector::new(-0.5f32)).exp();
    let slope = ((gate * root).erf() + one) * half_one + gate * density;
    dx[at as usize] = gradient * value * slope;
    dx[(at + half) as usize] = gradient * gelu_of(gate);
}

/// `x Phi(x)` of one vector.
#[cube]
fn gelu_of<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let root = Vector::new(0.707_106_77f32);
    let half = Vector::new(0.5f32);
    let one = Vector::new(1.0f32);
    x * half * ((x * root).erf() + one)
}
