//! `A B^T`: the inner products of the rows of two matrices, as gradients of weights, attention between channels and
//! D-R fusion need them. Both factors are read along their rows, so neither is packed.

use super::add;
use super::rows::Strided;
use super::simd::{Simd, simd_fn};
use rayon::prelude::*;

/// The factors of `A B^T`.
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a> {
    /// Rows of A and of C.
    pub(crate) rows: usize,
    /// Rows of B, columns of C.
    pub(crate) columns: usize,
    /// Columns of A and of B.
    pub(crate) inner: usize,
    pub(crate) a: Strided<'a>,
    pub(crate) b: Strided<'a>,
}

/// Adds the products to `c`, `rows` times `columns` floats without gaps.
pub(crate) fn matmul_nt(factors: &Factors<'_>, c: &mut [f32]) {
    let f = factors;
    if f.rows == 0 || f.columns == 0 || f.inner == 0 {
        return;
    }
    f.a.check(f.rows, f.inner);
    f.b.check(f.columns, f.inner);
    assert_eq!(c.len(), f.rows * f.columns);
    // SAFETY: A, B and C have the rows and columns that were just checked.
    unsafe { add_products(f, c) }
}

simd_fn! {
    /// # Safety
    /// A, B and C are as long as the product needs.
    unsafe fn add_products(factors: &Factors<'_>, c: &mut [f32]) = add_products_body
}

/// Columns of A and B taken at a time, so that a block of their rows stays in the first cache.
const INNER_BLOCK: usize = 512;

/// # Safety
/// A, B and C are as long as the product needs.
#[inline(always)]
unsafe fn add_products_body<S: Simd>(s: S, factors: &Factors<'_>, c: &mut [f32]) {
    let mut first = 0;
    while first < factors.inner {
        let inner = INNER_BLOCK.min(factors.inner - first);
        // SAFETY: the columns `first .. first + inner` are inside A and B.
        unsafe {
            if S::PANEL == 4 {
                add_block::<S, 4>(s, factors, first, inner, c);
            } else {
                add_block::<S, 2>(s, factors, first, inner, c);
            }
        }
        first += inner;
    }
}

/// Rows of A in a tile of products.
const TILE_ROWS: usize = 4;

/// # Safety
/// A, B and C are as long as the product needs, `first + inner` is within.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn add_block<S: Simd, const COLUMNS: usize>(
    s: S,
    f: &Factors<'_>,
    first: usize,
    inner: usize,
    c: &mut [f32],
) {
    let mut row = 0;
    while row < f.rows {
        let mut column = 0;
        while column < f.columns {
            // Tiles at the edges repeat the last row and drop the result.
            let mut a = [f.a.values.as_ptr(); TILE_ROWS];
            let mut b = [f.b.values.as_ptr(); COLUMNS];
            let mut sums = [[s.splat(0.0); COLUMNS]; TILE_ROWS];
            // SAFETY: rows below `rows` and `columns`, columns `first .. first + inner`.
            unsafe {
                for i in 0..TILE_ROWS {
                    a[i] = a[i].add((row + i).min(f.rows - 1) * f.a.stride + first);
                }
                for j in 0..COLUMNS {
                    b[j] = b[j].add((column + j).min(f.columns - 1) * f.b.stride + first);
                }
                let mut x = 0;
                while x + S::LANES <= inner {
                    let mut right = [s.splat(0.0); COLUMNS];
                    for j in 0..COLUMNS {
                        right[j] = s.load(b[j].add(x));
                    }
                    for i in 0..TILE_ROWS {
                        let left = s.load(a[i].add(x));
                        for j in 0..COLUMNS {
                            sums[i][j] = s.mul_add(left, right[j], sums[i][j]);
                        }
                    }
                    x += S::LANES;
                }
                if x < inner {
                    let mut right = [s.splat(0.0); COLUMNS];
                    for j in 0..COLUMNS {
                        right[j] = s.load_partial(b[j].add(x), inner - x);
                    }
                    for i in 0..TILE_ROWS {
                        let left = s.load_partial(a[i].add(x), inner - x);
                        for j in 0..COLUMNS {
                            sums[i][j] = s.mul_add(left, right[j], sums[i][j]);
                        }
                    }
                }
            }
            for i in 0..TILE_ROWS.min(f.rows - row) {
                for j in 0..COLUMNS.min(f.columns - column) {
                    c[(row + i) * f.columns + column + j] += s.sum(sums[i][j]);
                }
            }
            column += COLUMNS;
        }
        row += TILE_ROWS;
    }
}

/// The products of a batch of matrices, `[batch, rows, columns]`.
///
/// `factors(sample)` are A and B of that sample, from their first element; rows are `pixels` long and `pixels` apart.
pub(crate) fn batched<'a>(
    batch: usize,
    [rows, columns]: [usize; 2],
    pixels: usize,
    factors: impl Fn(usize) -> [&'a [f32]; 2] + Sync,
) -> Vec<f32> {
    let chunk = pixels.div_ceil(2).next_multiple_of(16).clamp(64, 2048);
    let chunks = pixels.div_ceil(chunk);
    let parts: Vec<Vec<f32>> = (0..batch * chunks)
        .into_par_iter()
        .map(|task| {
            let first = task % chunks * chunk;
            let [a, b] = factors(task / chunks).map(|values| Strided {
                values: &values[first..],
                stride: pixels,
            });
            let mut part = vec![0.0; rows * columns];
            let factors = Factors {
                rows,
                columns,
                inner: chunk.min(pixels - first),
                a,
                b,
            };
            matmul_nt(&factors, &mut part);
            part
        })
        .collect();
    let mut sums = vec![0.0; batch * rows * columns];
    for (task, part) in parts.iter().enumerate() {
        let sum = &mut sums[task / chunks * rows * columns..][..rows * columns];
        add(sum, part);
    }
    sums
}
