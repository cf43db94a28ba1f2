//! D-R fusion: everything but one pass over the features runs on the small grid of patches.

use rayon::prelude::*;

use super::Workspace;
use super::matrix::Matrix;
use super::mdta::softmax;
use super::pointwise::{pointwise, pointwise_in_place};
use super::pool::{Map, Planes};
use super::weights::{matrix, products, values};
use crate::kernels::gemm::{RowProducts, multiply_rows};
use crate::kernels::simd::{Simd, simd_fn};
use crate::model::dr_fusion;
use crate::model::resize::Axis;

/// The fusion of one stage.
#[derive(Debug)]
pub(crate) struct DrFusion {
    /// `W_k` after the adaption in channels.
    key: Matrix,
    /// `W_q`.
    query: Matrix,
    pixel_mean: bool,
}

impl DrFusion {
    pub(crate) fn new(fusion: &dr_fusion::DrFusion) -> Self {
        let [channels, fused, _, _] = fusion.adapt.weight.dims();
        let key = values(&fusion.key.weight);
        let adapt = values(&fusion.adapt.weight);
        let adapted = Matrix::from_fn(channels, fused, |row, column| {
            let key = &key[row * channels..][..channels];
            key.iter()
                .zip(adapt[column..].iter().step_by(fused))
                .map(|(key, adapt)| key * adapt)
                .sum()
        });
        let bias = fusion.adapt.bias.as_ref().map(values).unwrap_or_default();
        Self {
            key: if bias.is_empty() {
                adapted
            } else {
                adapted.with_bias(products(&key, channels, &bias))
            },
            query: matrix(&fusion.query),
            pixel_mean: fusion.pixel_mean,
        }
    }

    /// Operations on features of this size with a grid of so many patches.
    pub(crate) fn flops(&self, pixels: usize, patches: usize) -> u64 {
        let channels = self.query.rows() as u64;
        let small = self.key.flops() + 2 * self.query.flops();
        small * patches as u64 + (4 * channels + self.query.flops()) * pixels as u64
    }

    /// Replaces the features of the stage.
    ///
    /// # Safety
    /// `fused` is not written to meanwhile; `x` is this call's alone.
    pub(crate) unsafe fn forward(&self, workspace: &Workspace, fused: Planes<'_>, x: Planes<'_>) {
        let channels = x.channels;
        let grid = fused.size();
        let map = || Map::new(&workspace.maps, channels, grid);
        let (small, key, query) = (map(), map(), map());
        // SAFETY: the maps are this function's, `x` and `fused` the caller's.
        let mut attention = unsafe {
            shrink(x, small.planes());
            pointwise(&self.key, fused, None, key.planes());
            pointwise(&self.query, small.planes(), None, query.planes());
            outer_products(key.planes(), query.planes())
        };
        let pixels = if self.pixel_mean { x.pixels() } else { 1 };
        let scale = (1.0 / ((channels as f64).sqrt() * pixels as f64)) as f32;
        for (channel, row) in attention.chunks_exact_mut(channels).enumerate() {
            row.iter_mut().for_each(|value| *value *= scale);
            softmax(row);
            // The features themselves are added.
            row[channel] += 1.0;
        }
        let attention = Matrix::new(&attention, channels, channels);
        // SAFETY: the caller's.
        unsafe { pointwise_in_place(&attention, workspace, x) };
    }
}

/// The products of all channels of `a` with all of `b`, summed over pixels.
///
/// # Safety
/// Neither is written to meanwhile.
unsafe fn outer_products(a: Planes<'_>, b: Planes<'_>) -> Vec<f32> {
    /// Rows in one task.
    const ROWS: usize = 16;
    let mut products = vec![0.0; a.channels * b.channels];
    products
        .par_chunks_mut(ROWS * b.channels)
        .enumerate()
        .for_each(|(task, products)| {
            let rows = products.len() / b.channels;
            // SAFETY: the caller's.
            let (left, right) = unsafe { (a.narrow(task * ROWS, rows).all(), b.all()) };
            let product = RowProducts {
                rows,
                columns: b.channels,
                inner: a.pixels(),
                a: left,
                a_stride: a.stride,
                b: right,
                b_stride: b.stride,
            };
            multiply_rows(&product, products);
        });
    products
}

/// The adjoint of the bilinear resize from the size of `y` to that of `x`, applied to `x`.
///
/// # Safety
/// `x` is not written to meanwhile; `y` is this call's alone.
unsafe fn shrink(x: Planes<'_>, y: Planes<'_>) {
    let rows = Axis::bilinear(y.height, x.height).taps();
    let columns = Axis::bilinear(y.width, x.width).taps();
    (0..x.channels).into_par_iter().for_each_init(
        || vec![0.0f32; y.height * x.width],
        |sums, channel| {
            // SAFETY: the caller's; each channel is one task's.
            let (from, to) = unsafe { (x.channel(channel), y.channel_mut(channel)) };
            sums.fill(0.0);
            for (row, (first, weights)) in from.chunks_exact(x.width).zip(&rows) {
                for (weight, sum) in weights
                    .iter()
                    .zip(sums[*first * x.width..].chunks_exact_mut(x.width))
                {
                    add_scaled(row, *weight, sum);
                }
            }
            to.fill(0.0);
            for (row, to) in sums.chunks_exact(x.width).zip(to.chunks_exact_mut(y.width)) {
                for (value, (first, weights)) in row.iter().zip(&columns) {
                    for (weight, sum) in weights.iter().zip(&mut to[*first..]) {
                        *sum += value * weight;
                    }
                }
            }
        },
    );
}

simd_fn! {
    /// `sum += x * weight`
    fn add_scaled(x: &[f32], weight: f32, sum: &mut [f32]) = add_scaled_body
}

#[inline(always)]
fn add_scaled_body<S: Simd>(s: S, x: &[f32], weight: f32, sum: &mut [f32]) {
    let len = x.len().min(sum.len());
    let factor = s.splat(weight);
    let mut i = 0;
    while i < len {
        // SAFETY: `len - i` elements are left in both.
        unsafe {
            let at = sum.as_mut_ptr().add(i);
            let x = s.load_up_to(x.as_ptr().add(i), len - i);
            let value = s.mul_add(x, factor, s.load_up_to(at, len - i));
            s.store_up_to(at, value, len - i);
        }
        i += S::LANES;
    }
}
