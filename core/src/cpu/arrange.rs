//! Where the results of a convolution go. Pixel shuffle and unshuffle happen as they are written, not in a pass of their own.

use super::pool::Planes;
use super::rows::{Rows, copy};
use super::simd::{Simd, simd_fn};

/// What is done with the result of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrange {
    /// It stays as it is.
    Same,
    /// Pixel-unshuffle: half the size, four times the channels.
    Unshuffle,
    /// Pixel-shuffle: twice the size, a quarter of the channels.
    Shuffle,
}

impl Arrange {
    /// Writes `columns` results of a row of `channel` from `row`, `column` on to where they belong; to shuffle, those
    /// of this channel and the next one together, and for odd channels nothing.
    ///
    /// # Safety
    /// `from` has these channels; those pixels of `y` are this thread's alone.
    pub(crate) unsafe fn put(
        self,
        from: Rows,
        channel: usize,
        columns: usize,
        [row, column]: [usize; 2],
        y: Planes<'_>,
    ) {
        // SAFETY: pairs of columns of one row, or one, or two rows; the caller's pixels.
        unsafe {
            match self {
                Self::Same => {
                    let to = y.at(channel, row * y.width + column);
                    copy(from, to, 1, columns);
                }
                Self::Unshuffle => {
                    let pixel = row / 2 * y.width + column / 2;
                    let to = y.at(4 * channel + 2 * (row % 2), pixel);
                    unzip(from.start, columns / 2, to.start, to.row(1));
                }
                Self::Shuffle if channel.is_multiple_of(2) => {
                    let pixel = (2 * row + channel / 2 % 2) * y.width + 2 * column;
                    let to = y.at(channel / 4, pixel);
                    zip(from.start, from.row(1), columns, to.start);
                }
                Self::Shuffle => {}
            }
        }
    }
}

simd_fn! {
    /// Every second element of `2 count` to `even`, the others to `odd`.
    ///
    /// # Safety
    /// So many are readable and writable, and do not overlap.
    pub(crate) unsafe fn unzip(from: *const f32, count: usize, even: *mut f32, odd: *mut f32) = unzip_body
}

/// # Safety
/// As for [`unzip`].
#[inline(always)]
unsafe fn unzip_body<S: Simd>(_: S, from: *const f32, count: usize, even: *mut f32, odd: *mut f32) {
    // SAFETY: `2 count` elements are readable, `count` writable at each place, and they do not overlap.
    unsafe {
        let from = core::slice::from_raw_parts(from.cast::<[f32; 2]>(), count);
        let even = core::slice::from_raw_parts_mut(even, count);
        let odd = core::slice::from_raw_parts_mut(odd, count);
        for ((pair, even), odd) in from.iter().zip(even).zip(odd) {
            [*even, *odd] = *pair;
        }
    }
}

simd_fn! {
    /// `count` elements of each in turn.
    ///
    /// # Safety
    /// So many are readable and twice as many writable, and do not overlap.
    pub(crate) unsafe fn zip(even: *const f32, odd: *const f32, count: usize, to: *mut f32) = zip_body
}

/// # Safety
/// As for [`zip`].
#[inline(always)]
unsafe fn zip_body<S: Simd>(_: S, even: *const f32, odd: *const f32, count: usize, to: *mut f32) {
    // SAFETY: `count` elements are readable at each place, `2 count` writable, and they do not overlap.
    unsafe {
        let even = core::slice::from_raw_parts(even, count);
        let odd = core::slice::from_raw_parts(odd, count);
        let to = core::slice::from_raw_parts_mut(to.cast::<[f32; 2]>(), count);
        for ((pair, even), odd) in to.iter_mut().zip(even).zip(odd) {
            *pair = [*even, *odd];
        }
    }
}
