//! Where the rows of a matrix are: addresses a fixed distance apart, or a slice with such a distance.

use super::simd::{MAX_LANES, Simd, simd_fn};

/// Columns that are worked on together: a panel of so many stays in the first cache. Panels have so many floats from row to
/// row.
pub(crate) const PANEL: usize = 64;

/// Addresses a fixed distance apart: the same column in the rows of a matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// In the first row.
    pub(crate) start: *mut f32,
    /// Floats to the next row.
    pub(crate) stride: usize,
}

impl Rows {
    /// The address in a row.
    ///
    /// # Safety
    /// The row is inside the buffer.
    #[inline(always)]
    pub(crate) unsafe fn row(self, row: usize) -> *mut f32 {
        // SAFETY: the row is inside the buffer.
        unsafe { self.start.add(row * self.stride) }
    }

    /// The same, `columns` further on.
    ///
    /// # Safety
    /// That is inside the buffer.
    #[inline(always)]
    pub(crate) unsafe fn right(self, columns: usize) -> Self {
        Self {
            // SAFETY: the column is inside the buffer.
            start: unsafe { self.start.add(columns) },
            ..self
        }
    }

    /// From a row on.
    ///
    /// # Safety
    /// The row is inside the buffer.
    #[inline(always)]
    pub(crate) unsafe fn below(self, rows: usize) -> Self {
        Self {
            // SAFETY: the row is inside the buffer.
            start: unsafe { self.row(rows) },
            ..self
        }
    }
}

/// A matrix in a slice that may end with its last element.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    /// From the first element on.
    pub(crate) values: &'a [f32],
    /// Floats to the next row.
    pub(crate) stride: usize,
}

impl<'a> Strided<'a> {
    /// # Panics
    /// If the slice is too short for so many rows and columns.
    pub(crate) fn check(self, rows: usize, columns: usize) {
        assert!(
            rows == 0 || self.values.len() >= (rows - 1) * self.stride + columns,
            "{rows} rows of {columns}, {} apart, in {}",
            self.stride,
            self.values.len()
        );
    }

    /// The same without its first columns.
    pub(crate) fn from(self, column: usize) -> Self {
        Self {
            values: &self.values[column..],
            ..self
        }
    }

    /// Its addresses, to be read.
    pub(crate) fn rows(self) -> Rows {
        Rows {
            start: self.values.as_ptr().cast_mut(),
            stride: self.stride,
        }
    }

    /// Its addresses, readable to whole vectors: where the last one would stick out, those of a copy in `panel`, filled up
    /// with zeros.
    ///
    /// # Panics
    /// If the slice is too short, or the panel, or there are more than [`PANEL`] columns.
    pub(crate) fn readable(self, rows: usize, columns: usize, panel: &mut [f32]) -> Rows {
        self.check(rows, columns);
        if columns.is_multiple_of(MAX_LANES) {
            return self.rows();
        }
        self.copied(rows, columns, panel)
    }

    /// The addresses of a copy in `panel`, filled up with zeros to whole vectors.
    ///
    /// # Panics
    /// As [`Self::readable`].
    pub(crate) fn copied(self, rows: usize, columns: usize, panel: &mut [f32]) -> Rows {
        self.check(rows, columns);
        assert!(columns <= PANEL && panel.len() >= rows * PANEL);
        let copied = Rows {
            start: panel.as_mut_ptr(),
            stride: PANEL,
        };
        // SAFETY: the rows and columns are in the slice, whole vectors of them in the panel.
        unsafe { copy_filled(self.rows(), copied, rows, columns) };
        copied
    }
}

simd_fn! {
    /// Copies rows, too short ones for a call each.
    ///
    /// # Safety
    /// Both have `rows` rows of `columns`, and no other thread touches those of `to`.
    pub(crate) unsafe fn copy(from: Rows, to: Rows, rows: usize, columns: usize) = copy_body::<_, false>
}

simd_fn! {
    /// The same, filled up with zeros to whole vectors.
    ///
    /// # Safety
    /// As for [`copy`]; whole vectors are written.
    unsafe fn copy_filled(from: Rows, to: Rows, rows: usize, columns: usize) = copy_body::<_, true>
}

/// # Safety
/// As for [`copy`], or if it is to be filled up, as for [`copy_filled`].
#[inline(always)]
unsafe fn copy_body<S: Simd, const FILLED: bool>(
    s: S,
    from: Rows,
    to: Rows,
    rows: usize,
    columns: usize,
) {
    for row in 0..rows {
        let mut first = 0;
        while first < columns {
            let left = columns - first;
            // SAFETY: the columns that are left in this row; to be filled up, the whole vector is there.
            unsafe {
                let value = s.load_up_to(from.row(row).add(first), left);
                let to = to.row(row).add(first);
                if FILLED {
                    s.store(to, value);
                } else {
                    s.store_up_to(to, value, left);
                }
            }
            first += S::LANES;
        }
    }
}
