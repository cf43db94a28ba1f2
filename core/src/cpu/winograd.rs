//! Wide 3x3 convolutions by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, 2015): four outputs from a tile of
//! 4x4 inputs, `A^T [(G g G^T) * (B^T d B)] A`, take 16 multiplications for a pair of channels instead of 36. For each of
//! the 16 points of the transforms the sums over input channels are one matrix product over many tiles.

use core::ops::Range;

use rayon::prelude::*;

use super::arrange::{Arrange, unzip, zip};
use super::filters::Filters;
use super::matrix::Matrix;
use super::pool::{Planes, Pool};
use super::rows::{PANEL, Rows};
use super::simd::{MAX_LANES, Simd, simd_fn};

/// Rows and columns of a tile of inputs; a tile of outputs has half as many.
const SIDE: usize = 4;

/// Elements of a transformed tile.
const POINTS: usize = SIDE * SIDE;

/// Tiles that are worked on together: the more, the less often the matrices pass through the cache.
const TILES: usize = 4 * PANEL;

/// Below so many channels, in or out, the transforms cost more than they save (measured).
const FEWEST_CHANNELS: usize = 16;

/// The matrix `G` that transforms filters, by rows.
const G: [[f32; 3]; SIDE] = [
    [1.0, 0.0, 0.0],
    [0.5, 0.5, 0.5],
    [0.5, -0.5, 0.5],
    [0.0, 0.0, 1.0],
];

/// A 3x3 convolution with its filters transformed.
#[derive(Debug)]
pub(crate) struct Winograd {
    /// One for each point, a row for each output channel.
    points: Vec<Matrix>,
}

impl Winograd {
    /// Whether a convolution of so many channels is faster this way.
    pub(crate) fn is_faster(inputs: usize, outputs: usize) -> bool {
        inputs.min(outputs) >= FEWEST_CHANNELS
    }

    pub(crate) fn new(filters: Filters<'_>) -> Self {
        let Filters {
            outputs,
            inputs,
            weight,
            bias,
        } = filters;
        let point = |i: usize, j: usize| {
            let matrix = Matrix::from_fn(outputs, inputs, |output, input| {
                let filter = &weight[(output * inputs + input) * 9..][..9];
                let taps = filter.iter().enumerate();
                taps.map(|(tap, value)| value * G[i][tap / 3] * G[j][tap % 3])
                    .sum()
            });
            match bias {
                // What is added to the second point of both axes reaches all four outputs.
                Some(bias) if (i, j) == (1, 1) => matrix.with_bias(bias.to_vec()),
                _ => matrix,
            }
        };
        let points = (0..POINTS).map(|at| point(at / SIDE, at % SIDE));
        Self {
            points: points.collect(),
        }
    }

    /// # Safety
    /// `x` is not written to meanwhile; `y`, of the output's size as arranged, is this call's alone.
    pub(crate) unsafe fn forward(
        &self,
        scratch: &Pool,
        x: Planes<'_>,
        arrange: Arrange,
        y: Planes<'_>,
    ) {
        let chunks = chunks(x.size());
        chunks.par_iter().with_max_len(1).for_each(|chunk| {
            // SAFETY: `x` is only read; chunks of `y` do not overlap.
            unsafe { self.convolve(chunk, scratch, x, arrange, y) }
        });
    }

    /// # Safety
    /// As for [`Self::forward`], for the outputs of this chunk.
    unsafe fn convolve(
        &self,
        chunk: &Chunk,
        pool: &Pool,
        x: Planes<'_>,
        arrange: Arrange,
        y: Planes<'_>,
    ) {
        let (inputs, outputs) = (self.points[0].inner(), self.points[0].rows());
        let stride = chunk.stride();
        let [from, to] = [inputs, outputs].map(|channels| pool.take(POINTS * channels * stride));
        let lines = pool.take(LINES * chunk.line());
        let lines = Rows {
            start: lines.start(),
            stride: chunk.line(),
        };
        // SAFETY: the buffers are this call's, and as long as the chunk says; `x` is only read, and this chunk's outputs are this call's.
        unsafe {
            for input in 0..inputs {
                let to = Rows {
                    start: from.start().add(input * stride),
                    stride: inputs * stride,
                };
                chunk.transform_inputs(x, input, lines, to);
            }
            for (at, point) in self.points.iter().enumerate() {
                let [from, to] = [(&from, inputs), (&to, outputs)].map(|(map, channels)| Rows {
                    start: map.start().add(at * channels * stride),
                    stride,
                });
                point.multiply(from, None, to, chunk.tiles());
            }
            for first in (0..outputs).step_by(2) {
                let from = Rows {
                    start: to.start().add(first * stride),
                    stride: outputs * stride,
                };
                let channels = first..outputs.min(first + 2);
                chunk.restore_outputs(from, channels, lines, x.size(), arrange, y);
            }
        }
    }
}

/// Some tiles of an image; places are in tiles.
struct Chunk {
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
}

/// Cuts an image into chunks, at least as many as there are threads where it has so many rows of tiles.
fn chunks([height, width]: [usize; 2]) -> Vec<Chunk> {
    let [bottom, right] = [height, width].map(|side| side.div_ceil(SIDE / 2));
    let strips = right.div_ceil(TILES);
    let columns = match strips {
        1 => right,
        _ => right.div_ceil(strips).next_multiple_of(MAX_LANES),
    };
    let shared = bottom.div_ceil(rayon::current_num_threads());
    let rows = (TILES / columns).clamp(1, shared);
    let mut chunks = Vec::new();
    for top in (0..bottom).step_by(rows) {
        for left in (0..right).step_by(columns) {
            chunks.push(Chunk {
                top,
                left,
                rows: rows.min(bottom - top),
                columns: columns.min(right - left),
            });
        }
    }
    chunks
}

/// Lines of scratch for one row of tiles: a padded row and its even and odd columns in four rows; or those of two
/// rows of results, and these rows of two channels.
const LINES: usize = 1 + 2 * SIDE;

impl Chunk {
    fn tiles(&self) -> usize {
        self.rows * self.columns
    }

    /// Floats from channel to channel: the tiles and a vector more, an odd number of cache lines.
    fn stride(&self) -> usize {
        ((self.tiles() / MAX_LANES + 2) | 1) * MAX_LANES
    }

    /// Floats of a line: the inputs of a row of tiles, and a vector more.
    fn line(&self) -> usize {
        (2 * self.columns + 2).next_multiple_of(MAX_LANES) + MAX_LANES
    }

    /// `B^T d B` of all tiles of a channel; row `p` of `to` takes point `p`.
    ///
    /// # Safety
    /// `x` has the channel; the lines and the rows of `to` are this thread's alone.
    unsafe fn transform_inputs(&self, x: Planes<'_>, channel: usize, lines: Rows, to: Rows) {
        for row in 0..self.rows {
            // SAFETY: rows of this row's tiles, in lines and in `to`, which are this thread's; `x` has the channel.
            unsafe {
                let taps = lines.below(1);
                for i in 0..SIDE {
                    // Counted from the row above the image.
                    let y = 2 * (self.top + row) + i;
                    let [even, odd] = [taps.row(2 * i), taps.row(2 * i + 1)];
                    if (1..=x.height).contains(&y) {
                        self.pad(x.at(channel, (y - 1) * x.width).start, x.width, lines.start);
                        unzip(lines.start, self.columns + 1, even, odd);
                    } else {
                        even.write_bytes(0, self.columns + 1);
                        odd.write_bytes(0, self.columns + 1);
                    }
                }
                transform(taps, self.columns, to.right(row * self.columns));
            }
        }
    }

    /// A row of the image from the column before the chunk to the one after it, zeros outside of the image.
    ///
    /// # Safety
    /// The row is so wide, and the line is this thread's.
    unsafe fn pad(&self, row: *const f32, width: usize, to: *mut f32) {
        // Counted from the column before the image.
        let (first, last) = (2 * self.left, 2 * (self.left + self.columns) + 1);
        let inside = first.max(1)..last.min(width) + 1;
        // SAFETY: columns of the row, and all of the line's.
        unsafe {
            to.write_bytes(0, inside.start - first);
            let at = to.add(inside.start - first);
            row.add(inside.start - 1)
                .copy_to_nonoverlapping(at, inside.len());
            at.add(inside.len()).write_bytes(0, last + 1 - inside.end);
        }
    }

    /// `A^T m A` of all tiles of one channel or two; row `p` of `from` has point `p` of the first.
    ///
    /// # Safety
    /// The rows of `from` are of these channels; the lines and these pixels of `y` are this thread's alone.
    unsafe fn restore_outputs(
        &self,
        from: Rows,
        channels: Range<usize>,
        lines: Rows,
        [height, width]: [usize; 2],
        arrange: Arrange,
        y: Planes<'_>,
    ) {
        let columns = (width - 2 * self.left).min(2 * self.columns);
        // SAFETY: lines as said at [`LINES`]; rows and columns inside the image, whose pixels are this thread's.
        unsafe {
            let results = lines.below(4);
            for row in 0..self.rows {
                for channel in channels.clone() {
                    let place = (channel - channels.start) * self.stride() + row * self.columns;
                    restore(from.right(place), self.columns, lines);
                    for i in 0..2 {
                        let to = results.row(2 * i + channel % 2);
                        zip(lines.row(2 * i), lines.row(2 * i + 1), self.columns, to);
                    }
                }
                let top = 2 * (self.top + row);
                for i in 0..2.min(height - top) {
                    for channel in channels.clone() {
                        let from = results.below(2 * i + channel % 2);
                        arrange.put(from, channel, columns, [top + i, 2 * self.left], y);
                    }
                }
            }
        }
    }
}

simd_fn! {
    /// `B^T d B` of a row of tiles: rows `2 i` and `2 i + 1` of `taps` are the even and odd columns of their row `i`.
    ///
    /// # Safety
    /// Whole vectors of `columns + 1` are readable, and whole vectors of `columns` at `to` this thread's alone.
    unsafe fn transform(taps: Rows, columns: usize, to: Rows) = transform_body
}

/// # Safety
/// As for [`transform`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "columns are taken across rows")]
unsafe fn transform_body<S: Simd>(s: S, taps: Rows, columns: usize, to: Rows) {
    for first in (0..columns).step_by(S::LANES) {
        // SAFETY: vectors that begin at one of `columns + 1` taps are readable; whole vectors of `columns` are writable.
        unsafe {
            let mut tile = [[s.splat(0.0); SIDE]; SIDE];
            for (i, row) in tile.iter_mut().enumerate() {
                for (j, tap) in row.iter_mut().enumerate() {
                    *tap = s.load(taps.row(2 * i + j % 2).add(first + j / 2));
                }
                *row = differences(s, *row);
            }
            for j in 0..SIDE {
                let column = differences(s, [tile[0][j], tile[1][j], tile[2][j], tile[3][j]]);
                for (i, point) in column.into_iter().enumerate() {
                    s.store(to.row(SIDE * i + j).add(first), point);
                }
            }
        }
    }
}

/// `B^T d`
#[inline(always)]
fn differences<S: Simd>(s: S, d: [S::V; SIDE]) -> [S::V; SIDE] {
    [
        s.sub(d[0], d[2]),
        s.add(d[1], d[2]),
        s.sub(d[2], d[1]),
        s.sub(d[1], d[3]),
    ]
}

simd_fn! {
    /// `A^T m A` of a row of tiles: rows `2 i` and `2 i + 1` of `to` become the even and odd columns of row `i`.
    ///
    /// # Safety
    /// Whole vectors of `columns` are readable, and those at `to` this thread's alone.
    unsafe fn restore(points: Rows, columns: usize, to: Rows) = restore_body
}

/// # Safety
/// As for [`restore`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "columns are taken across rows")]
unsafe fn restore_body<S: Simd>(s: S, points: Rows, columns: usize, to: Rows) {
    for first in (0..columns).step_by(S::LANES) {
        // SAFETY: whole vectors of `columns` are readable in each point's row, and writable in each row of `to`.
        unsafe {
            let mut rows = [[s.splat(0.0); 2]; SIDE];
            for (i, row) in rows.iter_mut().enumerate() {
                let mut points_of_row = [s.splat(0.0); SIDE];
                for (j, point) in points_of_row.iter_mut().enumerate() {
                    *point = s.load(points.row(SIDE * i + j).add(first));
                }
                *row = sums(s, points_of_row);
            }
            for j in 0..2 {
                let column = sums(s, [rows[0][j], rows[1][j], rows[2][j], rows[3][j]]);
                for (i, output) in column.into_iter().enumerate() {
                    s.store(to.row(2 * i + j).add(first), output);
                }
            }
        }
    }
}

/// `A^T m`
#[inline(always)]
fn sums<S: Simd>(s: S, m: [S::V; SIDE]) -> [S::V; 2] {
    [
        s.add(s.add(m[0], m[1]), m[2]),
        s.sub(s.sub(m[1], m[2]), m[3]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_tile_once() {
        for size @ [height, width] in [[1, 1], [2, 2], [64, 64], [37, 3], [9, 4001], [3, 600]] {
            let [rows, columns] = [height, width].map(|side: usize| side.div_ceil(2));
            let mut seen = vec![0; rows * columns];
            for chunk in chunks(size) {
                for y in chunk.top..chunk.top + chunk.rows {
                    for x in chunk.left..chunk.left + chunk.columns {
                        seen[y * columns + x] += 1;
                    }
                }
                assert!(chunk.tiles() <= TILES.max(chunk.columns), "{size:?}");
            }
            assert!(seen.iter().all(|&times| times == 1), "{size:?}");
        }
    }
}
