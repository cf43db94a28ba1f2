//! D-R fusion: everything but one pass over the features runs on the small grid of patches.

use rayon::prelude::*;

use super::global_statistics::GlobalStatistics;
use super::run::Workspace;
use super::weights::values;
use crate::cpu::activations::softmax;
use crate::cpu::matmul_nt::{Factors, matmul_nt};
use crate::cpu::matrix::Matrix;
use crate::cpu::pointwise::{pointwise, pointwise_in_place};
use crate::cpu::pool::{Map, Planes};
use crate::cpu::rows::Strided;
use crate::cpu::simd::{Simd, simd_fn};
use crate::model::dr_fusion;
use crate::model::resize::Axis;

/// The fusion of one stage. The products of all keys with all queries, summed over patches, are
/// `(W_k F) (W_q Q)^T = (W_k (F Q^T)) W_q^T`: the weights are multiplied with one small matrix instead of
/// with every patch.
#[derive(Debug)]
pub(crate) struct DrFusion {
    /// `W_k` after the adaption in channels; its bias is the weight of one more feature, which is one
    /// everywhere.
    key: Matrix,
    /// `W_q`, row by row.
    query: Vec<f32>,
    channels: usize,
    pixel_mean: bool,
}

impl DrFusion {
    pub(crate) fn new(fusion: &dr_fusion::DrFusion) -> Self {
        let [channels, fused, _, _] = fusion.adapt.weight.dims();
        let adapt = values(&fusion.adapt.weight);
        let bias = match &fusion.adapt.bias {
            Some(bias) => values(bias),
            None => vec![0.0; channels],
        };
        let rows = values(&fusion.key.weight);
        let key = Matrix::from_fn(channels, fused + 1, |row, feature| {
            let key = &rows[row * channels..][..channels];
            let product = |column: &mut dyn Iterator<Item = &f32>| -> f32 {
                key.iter().zip(column).map(|(a, b)| a * b).sum()
            };
            if feature < fused {
                product(&mut adapt[feature..].iter().step_by(fused))
            } else {
                product(&mut bias.iter())
            }
        });
        Self {
            key,
            query: values(&fusion.query.weight),
            channels,
            pixel_mean: fusion.pixel_mean,
        }
    }

    /// Operations on features of this size with a grid of so many patches.
    pub(crate) fn flops(&self, pixels: usize, patches: usize) -> u64 {
        let [channels, features] = [self.channels as u64, self.key.inner() as u64];
        let products = 2 * channels * features * (patches as u64 + 2 * channels);
        products + (4 * channels + 2 * channels * channels) * pixels as u64
    }

    /// Replaces the features of the stage. `fused` is needed unless the statistics are given.
    ///
    /// # Safety
    /// `fused` is not written to meanwhile; `x` is this call's alone.
    pub(crate) unsafe fn forward(
        &self,
        workspace: &Workspace,
        fused: Option<Planes<'_>>,
        x: Planes<'_>,
        stats: &mut GlobalStatistics<'_>,
    ) {
        let channels = self.channels;
        assert_eq!(x.channels, channels);
        let features = self.key.inner();
        let products = stats.take(features * channels, || {
            let fused = fused.expect("fused features where no statistics are given");
            // SAFETY: nobody writes to `fused` and `x` meanwhile.
            unsafe { self.products(workspace, fused, x) }
        });
        let [from, keys] =
            [features, channels].map(|rows| Map::new(&workspace.maps, rows, [1, channels]));
        from.fill(&products);
        // SAFETY: the maps are this function's.
        let keys = unsafe {
            pointwise(&self.key, from.planes(), None, keys.planes());
            RowMajor::of(keys.planes())
        };
        let mut attention = outer_products(keys, RowMajor::new(&self.query, channels));
        let scale = 1.0 / (channels as f32).sqrt();
        let rows = attention.par_chunks_exact_mut(channels).with_min_len(32);
        rows.enumerate().for_each(|(channel, row)| {
            row.iter_mut().for_each(|value| *value *= scale);
            softmax(row);
            // The features themselves are added.
            row[channel] += 1.0;
        });
        let attention = Matrix::new(&attention, channels, channels);
        // SAFETY: `x` is this call's alone.
        unsafe { pointwise_in_place(&attention, &workspace.scratch, x) };
    }

    /// The products of the fused features, and of one, with the features of the stage: sums over pixels, or means.
    ///
    /// # Safety
    /// Nobody writes to `fused` and `x` meanwhile.
    unsafe fn products(&self, workspace: &Workspace, fused: Planes<'_>, x: Planes<'_>) -> Vec<f32> {
        assert_eq!(fused.channels + 1, self.key.inner());
        let small = Map::new(&workspace.maps, self.channels, fused.size());
        // SAFETY: the map is this function's, `x` and `fused` the caller's.
        let (fused, small) = unsafe {
            shrink(x, small.planes());
            (RowMajor::of(fused), RowMajor::of(small.planes()))
        };
        let one = vec![1.0; small.len];
        let mut products = outer_products(fused, small);
        products.extend(outer_products(RowMajor::new(&one, small.len), small));
        if self.pixel_mean {
            let share = 1.0 / x.pixels() as f32;
            products.iter_mut().for_each(|product| *product *= share);
        }
        products
    }
}

/// A matrix row by row.
#[derive(Clone, Copy)]
struct RowMajor<'a> {
    values: &'a [f32],
    rows: usize,
    len: usize,
    stride: usize,
}

impl<'a> RowMajor<'a> {
    /// Rows without gaps.
    fn new(values: &'a [f32], len: usize) -> Self {
        Self {
            values,
            rows: values.len() / len,
            len,
            stride: len,
        }
    }

    /// The channels of an image.
    ///
    /// # Safety
    /// Nobody writes to it while these rows are used.
    unsafe fn of(planes: Planes<'a>) -> Self {
        Self {
            // SAFETY: nobody writes to the image while these rows are used.
            values: unsafe { planes.all() },
            rows: planes.channels,
            len: planes.pixels(),
            stride: planes.stride,
        }
    }
}

/// `A B^T`, the inner products of all rows of `a` with all of `b`.
fn outer_products(a: RowMajor<'_>, b: RowMajor<'_>) -> Vec<f32> {
    /// Rows in one task.
    const ROWS: usize = 16;
    let mut products = vec![0.0; a.rows * b.rows];
    products
        .par_chunks_mut(ROWS * b.rows)
        .enumerate()
        .for_each(|(task, products)| {
            let factors = Factors {
                rows: products.len() / b.rows,
                columns: b.rows,
                inner: a.len,
                a: Strided {
                    values: &a.values[task * ROWS * a.stride..],
                    stride: a.stride,
                },
                b: Strided {
                    values: b.values,
                    stride: b.stride,
                },
            };
            matmul_nt(&factors, products);
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
    let columns = match x.width * y.width {
        ..=LARGEST_MATRIX => Columns::Matrix(transposed(&columns, y.width)),
        _ => Columns::Taps(columns),
    };
    (0..x.channels).into_par_iter().for_each_init(
        || vec![0.0f32; y.height * x.width],
        |sums, channel| {
            // SAFETY: nobody writes to `x` meanwhile.
            let from = unsafe { x.channel(channel) };
            sums.fill(0.0);
            for (row, (first, weights)) in from.chunks_exact(x.width).zip(&rows) {
                let sums = sums[first * x.width..].chunks_exact_mut(x.width);
                for (weight, sum) in weights.iter().zip(sums) {
                    add_scaled(row, *weight, sum);
                }
            }
            // SAFETY: each channel of the caller's map is one task's; its rows lie one after the other.
            let to = unsafe {
                core::slice::from_raw_parts_mut(y.at(channel, 0).start, y.height * y.width)
            };
            match &columns {
                Columns::Matrix(matrix) => {
                    let factors = Factors {
                        rows: y.height,
                        columns: y.width,
                        inner: x.width,
                        a: Strided {
                            values: sums,
                            stride: x.width,
                        },
                        b: Strided {
                            values: matrix,
                            stride: x.width,
                        },
                    };
                    to.fill(0.0);
                    matmul_nt(&factors, to);
                }
                Columns::Taps(taps) => {
                    let rows = sums.chunks_exact(x.width).zip(to.chunks_exact_mut(y.width));
                    rows.for_each(|(from, to)| scatter(from, taps, to));
                }
            }
        },
    );
}

/// The matrix of the adjoint, `width` rows.
fn transposed(taps: &[(usize, Vec<f32>)], width: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; width * taps.len()];
    for (column, (first, weights)) in taps.iter().enumerate() {
        for (row, &weight) in (*first..).zip(weights) {
            matrix[row * taps.len() + column] = weight;
        }
    }
    matrix
}

/// The adjoint of gathering by taps: adds each value of `from`, times the weights, to where its taps came from.
fn scatter(from: &[f32], taps: &[(usize, Vec<f32>)], to: &mut [f32]) {
    to.fill(0.0);
    for (value, (first, weights)) in from.iter().zip(taps) {
        for (to, weight) in to[*first..].iter_mut().zip(weights) {
            *to += value * weight;
        }
    }
}

/// Weights of a larger matrix are taken one by one: a long side would make it as large as its square.
const LARGEST_MATRIX: usize = 1 << 20;

/// How rows are shrunk.
enum Columns {
    /// By a product with the whole matrix, a row for each column of the result: faster than its few numbers one by one.
    Matrix(Vec<f32>),
    /// By the weights of each column, [`Axis::taps`].
    Taps(Vec<(usize, Vec<f32>)>),
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
