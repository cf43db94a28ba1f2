//! Matrix products for tensors whose rows are images: a small matrix times channels of pixels, and
//! the products of channels with channels.

use super::simd::{Simd, simd_fn};
use core::cell::RefCell;
use rayon::prelude::*;

/// `C = A B`, or `C += A B`. All matrices are row-major with their own distance between rows.
pub(crate) struct Product<'a> {
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of A, rows of B.
    pub inner: usize,
    /// Columns of B and C.
    pub columns: usize,
    /// A, from its first element.
    pub a: &'a [f32],
    /// Floats between rows of A.
    pub a_stride: usize,
    /// B, from its first element.
    pub b: &'a [f32],
    /// Floats between rows of B.
    pub b_stride: usize,
    /// Floats between rows of C.
    pub c_stride: usize,
    /// Whether to add to C instead of replacing it.
    pub accumulate: bool,
}

/// Runs `work(sample, first pixel, pixels)` for all samples in parallel, in chunks of pixels whose
/// `inner` channels stay in the second cache.
pub(crate) fn for_each_chunk(
    batch: usize,
    pixels: usize,
    inner: usize,
    work: impl Fn(usize, usize, usize) + Sync,
) {
    let cached = (1 << 17) / inner.max(1) / 64 * 64;
    let shared = pixels.div_ceil(8).next_multiple_of(64);
    let chunk = cached.clamp(64, 1024).min(shared);
    let chunks = pixels.div_ceil(chunk);
    (0..batch * chunks).into_par_iter().for_each(|task| {
        let first = task % chunks * chunk;
        work(task / chunks, first, chunk.min(pixels - first));
    });
}

thread_local! {
    /// Where panels of B are packed, kept from call to call.
    static PACKED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Computes a product into `c`.
///
/// # Safety
/// `rows` rows of `columns` floats, `c_stride` apart, are writable at `c` (and readable, to
/// accumulate), and no other thread touches them.
pub(crate) unsafe fn multiply(product: &Product<'_>, c: *mut f32) {
    let p = product;
    if p.rows == 0 || p.columns == 0 {
        return;
    }
    if p.inner > 0 {
        assert!(p.a.len() >= (p.rows - 1) * p.a_stride + p.inner);
        assert!(p.b.len() >= (p.inner - 1) * p.b_stride + p.columns);
    }
    PACKED.with_borrow_mut(|packed| {
        // SAFETY: A and B are checked above, C is the caller's.
        unsafe { multiply_with(p, packed, c) }
    });
}

simd_fn! {
    /// # Safety
    /// As for [`multiply`], and A and B are as long as the product needs.
    unsafe fn multiply_with(product: &Product<'_>, packed: &mut Vec<f32>, c: *mut f32) = multiply_body
}

/// # Safety
/// As for [`multiply`], and A and B are as long as the product needs.
#[inline(always)]
unsafe fn multiply_body<S: Simd>(s: S, product: &Product<'_>, packed: &mut Vec<f32>, c: *mut f32) {
    let p = product;
    let mut first = 0;
    while first < p.columns {
        let left = p.columns - first;
        let vectors = if S::PANEL == 4 && left > 2 * S::LANES {
            4
        } else if left > S::LANES {
            2
        } else {
            1
        };
        let width = vectors * S::LANES;
        let columns = left.min(width);
        // Rows a power of two apart fight for the same cache sets, and a panel that sticks out of
        // B must not be read there: both are copied, the second with zeros.
        let conflict = p.rows >= 12 && p.b_stride.is_multiple_of(256);
        // SAFETY: the panel is inside B, or is the copy; C's rows have `columns` columns left.
        unsafe {
            let (mut b, mut stride) = (p.b.as_ptr().add(first), p.b_stride);
            if conflict || columns < width {
                if packed.len() < p.inner * width {
                    packed.resize(p.inner * width, 0.0);
                }
                for k in 0..p.inner {
                    let (from, to) = (b.add(k * stride), packed.as_mut_ptr().add(k * width));
                    for v in 0..vectors {
                        let at = v * S::LANES;
                        let row = if at < columns {
                            s.load_up_to(from.add(at), columns - at)
                        } else {
                            s.splat(0.0)
                        };
                        s.store(to.add(at), row);
                    }
                }
                (b, stride) = (packed.as_ptr(), width);
            }
            let c = c.add(first);
            match vectors {
                4 => multiply_panel::<S, 4>(s, p, b, stride, c, columns),
                2 => multiply_panel::<S, 2>(s, p, b, stride, c, columns),
                _ => multiply_panel::<S, 1>(s, p, b, stride, c, columns),
            }
        }
        first += width;
    }
}

/// All rows of A times a panel of `VECTORS` vectors.
///
/// # Safety
/// `b` has `inner` rows of whole vectors; `c` has `rows` rows of `columns`.
#[inline(always)]
unsafe fn multiply_panel<S: Simd, const VECTORS: usize>(
    s: S,
    p: &Product<'_>,
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    columns: usize,
) {
    let mut row = 0;
    while row < p.rows {
        // SAFETY: the tiles cover the rows of A and C once.
        unsafe {
            let c = c.add(row * p.c_stride);
            match p.rows - row {
                1 => multiply_tile::<S, 1, VECTORS>(s, p, row, b, b_stride, c, columns),
                2 => multiply_tile::<S, 2, VECTORS>(s, p, row, b, b_stride, c, columns),
                3 => multiply_tile::<S, 3, VECTORS>(s, p, row, b, b_stride, c, columns),
                4 => multiply_tile::<S, 4, VECTORS>(s, p, row, b, b_stride, c, columns),
                5 => multiply_tile::<S, 5, VECTORS>(s, p, row, b, b_stride, c, columns),
                _ => multiply_tile::<S, 6, VECTORS>(s, p, row, b, b_stride, c, columns),
            }
        }
        row += 6;
    }
}

/// `ROWS` rows by `VECTORS` vectors of C, held in registers.
///
/// # Safety
/// As for [`multiply_panel`]; A has `ROWS` rows from `row`.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn multiply_tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    s: S,
    p: &Product<'_>,
    row: usize,
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    columns: usize,
) {
    let mut sums = [[s.splat(0.0); VECTORS]; ROWS];
    // SAFETY: indices below `inner`, `ROWS` and `VECTORS`; the last vector may stick out of C,
    // where only the columns that exist are read and written.
    unsafe {
        let a = p.a.as_ptr().add(row * p.a_stride);
        for k in 0..p.inner {
            let b = b.add(k * b_stride);
            let mut panel = [s.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                panel[v] = s.load(b.add(v * S::LANES));
            }
            for r in 0..ROWS {
                let factor = s.splat(*a.add(r * p.a_stride + k));
                for v in 0..VECTORS {
                    sums[r][v] = s.mul_add(factor, panel[v], sums[r][v]);
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let at = v * S::LANES;
                if at < columns {
                    let c = c.add(r * p.c_stride + at);
                    let mut sum = sums[r][v];
                    if p.accumulate {
                        sum = s.add(sum, s.load_up_to(c, columns - at));
                    }
                    s.store_up_to(c, sum, columns - at);
                }
            }
        }
    }
}

/// `C += A B^T`, the inner products of the rows of A with the rows of B.
pub(crate) struct RowProducts<'a> {
    /// Rows of A and of C.
    pub rows: usize,
    /// Rows of B, columns of C.
    pub columns: usize,
    /// Columns of A and of B.
    pub inner: usize,
    /// A, from its first element.
    pub a: &'a [f32],
    /// Floats between rows of A.
    pub a_stride: usize,
    /// B, from its first element.
    pub b: &'a [f32],
    /// Floats between rows of B.
    pub b_stride: usize,
}

/// Adds the products to `c`, `rows` times `columns` floats without gaps.
pub(crate) fn multiply_rows(product: &RowProducts<'_>, c: &mut [f32]) {
    let p = product;
    if p.rows == 0 || p.columns == 0 || p.inner == 0 {
        return;
    }
    assert!(p.a.len() >= (p.rows - 1) * p.a_stride + p.inner);
    assert!(p.b.len() >= (p.columns - 1) * p.b_stride + p.inner);
    assert_eq!(c.len(), p.rows * p.columns);
    // SAFETY: the lengths are checked above.
    unsafe { multiply_rows_with(p, c) }
}

simd_fn! {
    /// # Safety
    /// A, B and C are as long as the product needs.
    unsafe fn multiply_rows_with(product: &RowProducts<'_>, c: &mut [f32]) = multiply_rows_body
}

/// Columns of A and B taken at a time, so that a block of their rows stays in the first cache.
const INNER_BLOCK: usize = 512;

/// # Safety
/// A, B and C are as long as the product needs.
#[inline(always)]
unsafe fn multiply_rows_body<S: Simd>(s: S, product: &RowProducts<'_>, c: &mut [f32]) {
    let mut first = 0;
    while first < product.inner {
        let inner = INNER_BLOCK.min(product.inner - first);
        // SAFETY: the caller's, for columns `first .. first + inner`.
        unsafe {
            if S::PANEL == 4 {
                row_product_block::<S, 4>(s, product, first, inner, c);
            } else {
                row_product_block::<S, 2>(s, product, first, inner, c);
            }
        }
        first += inner;
    }
}

/// Rows of A in a tile of row products.
const TILE_ROWS: usize = 4;

/// # Safety
/// A, B and C are as long as the product needs, `first + inner` is within.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn row_product_block<S: Simd, const COLUMNS: usize>(
    s: S,
    p: &RowProducts<'_>,
    first: usize,
    inner: usize,
    c: &mut [f32],
) {
    let mut row = 0;
    while row < p.rows {
        let mut column = 0;
        while column < p.columns {
            // Tiles at the edges repeat the last row and drop the result.
            let mut a = [p.a.as_ptr(); TILE_ROWS];
            let mut b = [p.b.as_ptr(); COLUMNS];
            let mut sums = [[s.splat(0.0); COLUMNS]; TILE_ROWS];
            // SAFETY: rows below `rows` and `columns`, columns `first .. first + inner`.
            unsafe {
                for i in 0..TILE_ROWS {
                    a[i] = a[i].add((row + i).min(p.rows - 1) * p.a_stride + first);
                }
                for j in 0..COLUMNS {
                    b[j] = b[j].add((column + j).min(p.columns - 1) * p.b_stride + first);
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
            for i in 0..TILE_ROWS.min(p.rows - row) {
                for j in 0..COLUMNS.min(p.columns - column) {
                    c[(row + i) * p.columns + column + j] += s.sum(sums[i][j]);
                }
            }
            column += COLUMNS;
        }
        row += TILE_ROWS;
    }
}

/// The products of the rows of matrices in a batch, `[batch, rows, columns]`.
///
/// `operands(sample)` are A and B of that sample, from their first element; rows are `pixels`
/// long and `pixels` apart.
pub(crate) fn row_products<'a>(
    batch: usize,
    [rows, columns]: [usize; 2],
    pixels: usize,
    operands: impl Fn(usize) -> (&'a [f32], &'a [f32]) + Sync,
) -> Vec<f32> {
    let chunk = pixels.div_ceil(2).next_multiple_of(16).clamp(64, 2048);
    let chunks = pixels.div_ceil(chunk);
    let parts: Vec<Vec<f32>> = (0..batch * chunks)
        .into_par_iter()
        .map(|task| {
            let first = task % chunks * chunk;
            let (a, b) = operands(task / chunks);
            let mut part = vec![0.0; rows * columns];
            let product = RowProducts {
                rows,
                columns,
                inner: chunk.min(pixels - first),
                a: &a[first..],
                a_stride: pixels,
                b: &b[first..],
                b_stride: pixels,
            };
            multiply_rows(&product, &mut part);
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

/// `sum += part`
pub(crate) fn add(sum: &mut [f32], part: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(part) {
        *sum += value;
    }
}
