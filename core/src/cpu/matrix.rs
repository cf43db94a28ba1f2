//! The matrix product: matrices of weights in the order in which they are used, times columns of pixels.
//!
//! Inference packs each matrix once; training packs it in every call, which costs a small part of the product with an
//! image. The right factor is read where it lies: rows a fixed distance apart ([`Matrix::multiply`]), rows anywhere
//! ([`Matrix::gather_multiply`], for convolutions), or a tensor's slice ([`Matrix::multiply_slice`]).

use core::cell::RefCell;

use rayon::prelude::*;

use super::rows::{PANEL, Rows, Strided};
use super::simd::{MAX_LANES, Simd, simd_fn};

/// Rows of a tile of the product: with four vectors of AVX-512, or two of AVX2, their sums fill
/// the registers. A browser's compiler needs some of them for itself: six rows there cost a third more time.
const TILE: usize = if cfg!(target_arch = "wasm32") { 4 } else { 6 };

/// Inner length of one pass: so many rows of a panel stay in the first cache while all rows of
/// the matrix pass.
const INNER: usize = 128;

/// Rows that are multiples of so many floats apart share few places in the cache.
const CONFLICT: usize = 256;

thread_local! {
    /// Where panels of slices are copied to, kept from call to call.
    static COPIED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Fewer tiles are not packed by more than one thread.
const FEWEST_TILES: usize = 16;

/// A matrix, and what is added to each row of its products.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    rows: usize,
    inner: usize,
    /// A tile's rows at a time, column by column; rows that do not exist are zero.
    tiles: Vec<f32>,
    /// As many as the tiles have rows, or none.
    bias: Vec<f32>,
}

impl Matrix {
    /// Packs a row-major matrix.
    pub(crate) fn new(values: &[f32], rows: usize, inner: usize) -> Self {
        assert_eq!(values.len(), rows * inner, "a matrix of {rows} x {inner}");
        Self::from_fn(rows, inner, |row, column| values[row * inner + column])
    }

    /// Packs the matrix of these elements.
    pub(crate) fn from_fn(
        rows: usize,
        inner: usize,
        element: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let mut tiles = vec![0.0; rows.next_multiple_of(TILE) * inner];
        let filled = tiles.par_chunks_exact_mut(TILE * inner.max(1)).enumerate();
        filled
            .with_min_len(FEWEST_TILES)
            .for_each(|(tile, values)| {
                let first = tile * TILE;
                for (column, values) in values.chunks_exact_mut(TILE).enumerate() {
                    for (row, value) in (first..rows).zip(values) {
                        *value = element(row, column);
                    }
                }
            });
        Self {
            rows,
            inner,
            tiles,
            bias: Vec::new(),
        }
    }

    /// With a number added to each row of its products.
    pub(crate) fn with_bias(mut self, mut bias: Vec<f32>) -> Self {
        assert_eq!(bias.len(), self.rows, "one bias per row");
        bias.resize(self.rows.next_multiple_of(TILE), 0.0);
        self.bias = bias;
        self
    }

    /// Rows: channels of a product.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: channels of what it is multiplied with.
    pub(crate) fn inner(&self) -> usize {
        self.inner
    }

    /// Operations of the product with one column.
    pub(crate) fn flops(&self) -> u64 {
        2 * (self.rows * self.inner) as u64
    }

    /// The product with columns of pixels: `c = A b + bias`, plus `add` where given (which may
    /// be `c`).
    ///
    /// # Safety
    /// `b` has `inner` rows, readable to whole vectors; `add` and `c` have `rows` rows of
    /// `columns`, and no other thread touches those of `c`.
    pub(crate) unsafe fn multiply(&self, b: Rows, add: Option<Rows>, c: Rows, columns: usize) {
        // SAFETY: B, the summand and C are as the entry asks.
        unsafe { multiply(self, b, add, c, columns) }
    }

    /// The product with columns of a slice, plus `add` where given (which may be `c`).
    ///
    /// # Safety
    /// `add` and `c` have `rows` rows of `columns`, and no other thread touches those of `c`.
    ///
    /// # Panics
    /// If the slice has not `inner` rows of `columns`.
    pub(crate) unsafe fn multiply_slice(
        &self,
        b: Strided<'_>,
        add: Option<Rows>,
        c: Rows,
        columns: usize,
    ) {
        b.check(self.inner, columns);
        // Rows a power of two apart fight for the same places in the cache: where several tiles read them, they are copied.
        let conflict = self.rows >= 2 * TILE && b.stride.is_multiple_of(CONFLICT);
        let direct = if conflict {
            0
        } else {
            columns / MAX_LANES * MAX_LANES
        };
        if direct > 0 {
            // SAFETY: whole vectors of the slice; the columns of `add` and `c` are the caller's.
            unsafe { self.multiply(b.rows(), add, c, direct) };
        }
        if direct == columns {
            return;
        }
        COPIED.with_borrow_mut(|panel| {
            if panel.len() < self.inner * PANEL {
                panel.resize(self.inner * PANEL, 0.0);
            }
            for first in (direct..columns).step_by(PANEL) {
                let columns = PANEL.min(columns - first);
                let b = b.from(first).copied(self.inner, columns, panel);
                // SAFETY: the copy has whole vectors; the columns of `add` and `c` are the caller's.
                unsafe {
                    let add = add.map(|add| add.right(first));
                    self.multiply(b, add, c.right(first), columns);
                }
            }
        });
    }

    /// The product with columns whose row `k` is at `image + offsets[k]`.
    ///
    /// # Safety
    /// As for [`Self::multiply`].
    pub(crate) unsafe fn gather_multiply(
        &self,
        image: *const f32,
        offsets: &[usize],
        c: Rows,
        columns: usize,
    ) {
        assert_eq!(offsets.len(), self.inner);
        // SAFETY: as many offsets as B has rows; B and C are as the entry asks.
        unsafe { gather_multiply(self, Gathered { image, offsets }, None, c, columns) }
    }
}

/// Where the rows of the right factor are.
trait Right: Copy {
    /// # Safety
    /// There is such a row.
    unsafe fn row(&self, k: usize) -> *const f32;

    /// The same, `columns` further on.
    ///
    /// # Safety
    /// That is inside the rows.
    unsafe fn right(self, columns: usize) -> Self;
}

impl Right for Rows {
    #[inline(always)]
    unsafe fn row(&self, k: usize) -> *const f32 {
        // SAFETY: there is such a row.
        unsafe { Rows::row(*self, k) }
    }

    #[inline(always)]
    unsafe fn right(self, columns: usize) -> Self {
        // SAFETY: the columns are inside the rows.
        unsafe { Rows::right(self, columns) }
    }
}

/// Row `k` at `image + offsets[k]`.
#[derive(Clone, Copy)]
struct Gathered<'a> {
    image: *const f32,
    offsets: &'a [usize],
}

impl Right for Gathered<'_> {
    #[inline(always)]
    unsafe fn row(&self, k: usize) -> *const f32 {
        // SAFETY: there is such a row; there are as many offsets as the matrix has columns.
        unsafe { self.image.add(*self.offsets.get_unchecked(k)) }
    }

    #[inline(always)]
    unsafe fn right(self, columns: usize) -> Self {
        Self {
            // SAFETY: the columns are inside the rows.
            image: unsafe { self.image.add(columns) },
            ..self
        }
    }
}

simd_fn! {
    /// # Safety
    /// As for [`Matrix::multiply`].
    unsafe fn multiply(matrix: &Matrix, b: Rows, add: Option<Rows>, c: Rows, columns: usize) = passes
}

simd_fn! {
    /// # Safety
    /// As for [`Matrix::gather_multiply`].
    unsafe fn gather_multiply(
        matrix: &Matrix, b: Gathered<'_>, add: Option<Rows>, c: Rows, columns: usize,
    ) = passes
}

/// One block of the matrix's columns after the other, so that it stays in the second cache while all panels pass.
///
/// # Safety
/// As for [`Matrix::multiply`].
#[inline(always)]
unsafe fn passes<S: Simd, B: Right>(
    s: S,
    matrix: &Matrix,
    b: B,
    mut add: Option<Rows>,
    c: Rows,
    columns: usize,
) {
    let mut bias = matrix.bias.as_slice();
    let mut first = 0;
    loop {
        let inner = INNER.min(matrix.inner - first);
        let mut column = 0;
        while column < columns {
            let vectors = panel_width::<S>(columns - column);
            // SAFETY: B, the summand and C have the columns from `column` on.
            unsafe {
                let b = b.right(column);
                let pass = Pass {
                    matrix,
                    first,
                    inner,
                    bias,
                    add: add.map(|add| add.right(column)),
                    c: c.right(column),
                    columns: columns - column,
                };
                match vectors {
                    4 if S::PANEL == 4 => multiply_panel::<S, B, 4>(s, b, &pass),
                    3 if S::PANEL == 4 => multiply_panel::<S, B, 3>(s, b, &pass),
                    2 => multiply_panel::<S, B, 2>(s, b, &pass),
                    _ => multiply_panel::<S, B, 1>(s, b, &pass),
                }
            }
            column += vectors * S::LANES;
        }
        first += inner;
        if first >= matrix.inner {
            return;
        }
        (add, bias) = (Some(c), &[]);
    }
}

/// Vectors of the next panel: as equal as can be, for narrow ones waste the processor.
#[inline(always)]
fn panel_width<S: Simd>(columns: usize) -> usize {
    let vectors = columns.div_ceil(S::LANES);
    vectors.div_ceil(vectors.div_ceil(S::PANEL))
}

/// A block of the matrix's columns times a panel.
struct Pass<'a> {
    matrix: &'a Matrix,
    /// First row of B.
    first: usize,
    inner: usize,
    bias: &'a [f32],
    add: Option<Rows>,
    c: Rows,
    columns: usize,
}

/// # Safety
/// As for [`Matrix::multiply`]; at most `VECTORS` vectors of the columns are done.
#[inline(always)]
unsafe fn multiply_panel<S: Simd, B: Right, const VECTORS: usize>(s: S, b: B, pass: &Pass<'_>) {
    let mut row = 0;
    while row < pass.matrix.rows {
        // SAFETY: tiles of the matrix and of C; B has `VECTORS` vectors in each row.
        unsafe {
            match (pass.matrix.rows - row).min(TILE) {
                1 => multiply_tile::<S, B, 1, VECTORS>(s, b, pass, row),
                2 => multiply_tile::<S, B, 2, VECTORS>(s, b, pass, row),
                3 => multiply_tile::<S, B, 3, VECTORS>(s, b, pass, row),
                4 => multiply_tile::<S, B, 4, VECTORS>(s, b, pass, row),
                5 => multiply_tile::<S, B, 5, VECTORS>(s, b, pass, row),
                _ => multiply_tile::<S, B, TILE, VECTORS>(s, b, pass, row),
            }
        }
        row += TILE;
    }
}

/// `ROWS` rows by `VECTORS` vectors of C, held in registers.
///
/// # Safety
/// As for [`Matrix::multiply`].
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn multiply_tile<S: Simd, B: Right, const ROWS: usize, const VECTORS: usize>(
    s: S,
    b: B,
    pass: &Pass<'_>,
    row: usize,
) {
    let mut sums = [[s.splat(0.0); VECTORS]; ROWS];
    if let Some(bias) = pass.bias.get(row..row + ROWS) {
        for r in 0..ROWS {
            sums[r] = [s.splat(bias[r]); VECTORS];
        }
    }
    // SAFETY: indices below `inner`, `ROWS` and `VECTORS`; of the last vector of C only the
    // columns that exist are read and written.
    unsafe {
        let start = row * pass.matrix.inner + pass.first * TILE;
        let tile = pass.matrix.tiles.as_ptr().add(start);
        let (add, c) = (pass.add.map(|add| add.below(row)), pass.c.below(row));
        for k in 0..pass.inner {
            let row = b.row(pass.first + k);
            let mut panel = [s.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                panel[v] = s.load(row.add(v * S::LANES));
            }
            let a = tile.add(k * TILE);
            for r in 0..ROWS {
                let factor = s.splat(*a.add(r));
                for v in 0..VECTORS {
                    sums[r][v] = s.mul_add(factor, panel[v], sums[r][v]);
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let at = v * S::LANES;
                if at < pass.columns {
                    let left = pass.columns - at;
                    let mut sum = sums[r][v];
                    if let Some(add) = add {
                        sum = s.add(sum, s.load_up_to(add.row(r).add(at), left));
                    }
                    s.store_up_to(c.row(r).add(at), sum, left);
                }
            }
        }
    }
}
