//! Sweeping an image from top to bottom in bands of rows: the 1x1 convolution before a depthwise
//! one is computed a row at a time, into a ring of the last six, so that it never leaves the cache.

use core::ops::Range;

use super::pool::{Buffer, Planes, Pool};
use super::rows::Rows;
use super::simd::MAX_LANES;

/// Rows of output at a time: each loaded vector serves up to three of them.
pub(crate) const BAND: usize = 4;

/// Rows that a band of output is made of.
pub(crate) const BAND_INPUTS: usize = BAND + 2;

/// Floats of a ring that stay in the second cache beside what else is in use.
const CACHED: usize = 1 << 18;

/// Strips are no narrower than this: their borders are computed twice.
const NARROWEST: usize = 128;

/// Tasks have at least so many rows: the rows above and below each are computed twice.
const FEWEST_ROWS: usize = 16;

/// A part of an image, swept by one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Rows of output.
    pub(crate) rows: Range<usize>,
    /// Columns of output.
    pub(crate) columns: Range<usize>,
    /// Whether the column before is inside the image, and needed.
    left: usize,
    /// Whether the column after is.
    right: usize,
    height: usize,
}

/// Cuts an image into parts whose ring of `channels` stays in the cache, at least as many as there
/// are threads.
pub(crate) fn parts([height, width]: [usize; 2], channels: usize) -> Vec<Part> {
    let widest = (CACHED / (channels * BAND_INPUTS)).saturating_sub(2 * MAX_LANES);
    let strips = width.div_ceil(widest.max(NARROWEST));
    let strip = if strips == 1 {
        width
    } else {
        // With the two columns beside it, whole vectors.
        (width.div_ceil(strips) + 2).next_multiple_of(MAX_LANES) - 2
    };
    let strips = width.div_ceil(strip);
    let threads = rayon::current_num_threads();
    let rows = if height * strips < 4 * FEWEST_ROWS * threads {
        // Too small for more than a part for each thread.
        (height * strips).div_ceil(threads)
    } else {
        (height * strips).div_ceil(3 * threads).max(FEWEST_ROWS)
    };
    let rows = rows.next_multiple_of(BAND).min(height);
    let mut parts = Vec::new();
    for y in (0..height).step_by(rows) {
        for x in (0..width).step_by(strip) {
            let end = (x + strip).min(width);
            parts.push(Part {
                rows: y..(y + rows).min(height),
                columns: x..end,
                left: usize::from(x > 0),
                right: usize::from(end < width),
                height,
            });
        }
    }
    parts
}

impl Part {
    /// Columns of input: those of output and what is inside the image beside them.
    pub(crate) fn inputs(&self) -> Range<usize> {
        self.columns.start - self.left..self.columns.end + self.right
    }

    /// Whether a row is of this part's output, not only of its input.
    pub(crate) fn owns(&self, row: usize) -> bool {
        self.rows.contains(&row)
    }

    /// Copies the input columns of a row of all channels of `x` to a ring.
    pub(crate) fn copy_row(&self, x: Planes<'_>, row: usize, to: Rows) {
        let inputs = self.inputs();
        let from = x.at(0, row * x.width + inputs.start);
        for channel in 0..x.channels {
            // SAFETY: the input columns are inside this row of `x`, and of the ring.
            unsafe {
                from.row(channel)
                    .copy_to_nonoverlapping(to.row(channel), inputs.len());
            }
        }
    }

    /// A channel of `y` at this part's columns, from a row on.
    pub(crate) fn band(&self, y: Planes<'_>, channel: usize, row: usize) -> Rows {
        let pixel = row * y.width + self.columns.start;
        Rows {
            start: y.at(channel, pixel).start,
            stride: y.width,
        }
    }

    /// Runs down the part: `produce(y, rows)` computes the input columns of row `y` of all channels, then
    /// `consume(y, count, offsets)` takes the band of `count` rows from `y` on; `offsets` are
    /// those of the rows `y - 1 ..= y + 4` in [`Ring::outputs`]. Rows outside the image are zero.
    pub(crate) fn sweep(
        &self,
        ring: &Ring<'_>,
        mut produce: impl FnMut(usize, Rows),
        mut consume: impl FnMut(usize, usize, &[usize; BAND_INPUTS]),
    ) {
        // Rows are numbered from the one above the image here.
        let mut next = self.rows.start;
        for y in self.rows.clone().step_by(BAND) {
            let count = BAND.min(self.rows.end - y);
            while next <= y + count + 1 {
                if next == 0 || next > self.height {
                    ring.clear(next);
                } else {
                    produce(next - 1, ring.row(next));
                }
                next += 1;
            }
            let offsets = core::array::from_fn(|i| ring.offset(y + i));
            consume(y, count, &offsets);
        }
    }
}

/// The last rows of many channels, each with zeros before and after it.
pub(crate) struct Ring<'pool> {
    buffer: Buffer<'pool>,
    channels: usize,
    columns: usize,
    left: usize,
}

impl<'pool> Ring<'pool> {
    /// A ring for a part.
    pub(crate) fn new(pool: &'pool Pool, channels: usize, part: &Part) -> Self {
        let columns = part.inputs().len();
        let ring = Self {
            buffer: pool.take(channels * plane(columns)),
            channels,
            columns,
            left: part.left,
        };
        // Only the input columns are written from here on: the margins stay zero.
        let gap = stride(columns) - columns;
        for channel in 0..channels {
            for row in 0..BAND_INPUTS {
                let start = channel * plane(columns) + row * stride(columns);
                // SAFETY: before and after the input columns of a row, in this ring's own buffer.
                unsafe {
                    let start = ring.buffer.start().add(start);
                    start.write_bytes(0, MAX_LANES);
                    let end = start.add(MAX_LANES + columns);
                    end.write_bytes(0, gap - MAX_LANES);
                }
            }
        }
        ring
    }

    /// All channels at the first output column.
    pub(crate) fn outputs(&self) -> Rows {
        Rows {
            // SAFETY: inside the first row.
            start: unsafe { self.buffer.start().add(MAX_LANES + self.left) },
            stride: plane(self.columns),
        }
    }

    /// Where a row starts.
    fn offset(&self, row: usize) -> usize {
        row % BAND_INPUTS * stride(self.columns)
    }

    /// All channels at the first input column of a row.
    fn row(&self, row: usize) -> Rows {
        Rows {
            // SAFETY: inside the buffer, which has `BAND_INPUTS` rows.
            start: unsafe { self.buffer.start().add(self.offset(row) + MAX_LANES) },
            stride: plane(self.columns),
        }
    }

    fn clear(&self, row: usize) {
        let rows = self.row(row);
        for channel in 0..self.channels {
            // SAFETY: the input columns of a row of a channel, which are this ring's alone.
            unsafe { core::ptr::write_bytes(rows.row(channel), 0, self.columns) };
        }
    }
}

/// Floats from row to row of a ring.
fn stride(columns: usize) -> usize {
    columns.next_multiple_of(MAX_LANES) + 2 * MAX_LANES
}

/// Floats from channel to channel of a ring: an odd number of cache lines.
fn plane(columns: usize) -> usize {
    BAND_INPUTS * stride(columns) + MAX_LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_pixel_once() {
        for size @ [height, width] in [[1, 1], [5, 3], [64, 64], [37, 700], [512, 511], [9, 4000]] {
            for channels in [1, 48, 3000] {
                let mut seen = vec![0; height * width];
                for part in parts(size, channels) {
                    assert!(part.rows.start % BAND == 0);
                    assert_eq!(part.inputs().start, part.columns.start.saturating_sub(1));
                    assert_eq!(part.inputs().end, (part.columns.end + 1).min(width));
                    for y in part.rows.clone() {
                        for x in part.columns.clone() {
                            seen[y * width + x] += 1;
                        }
                    }
                }
                assert!(seen.iter().all(|&times| times == 1), "{size:?} {channels}");
            }
        }
    }
}
