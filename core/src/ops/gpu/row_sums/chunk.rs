//! What the kernel in f32 and the one for tensor cores share: how the sums are divided between cubes, and how the threads of a
//! cube bring a chunk of pixels into shared memory.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use crate::ops::gpu::matmul_nt::total;

/// Pixels of a chunk.
pub(in crate::ops::gpu) const CHUNK: usize = 32;

/// What is summed: for each of `images * heads` pairs of matrices, or over the images if `over_images`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops::gpu) struct Sums {
    pub images: usize,
    pub heads: usize,
    pub rows: usize,
    pub columns: usize,
    pub pixels: usize,
    pub over_images: bool,
}

/// How the sums are shared between cubes.
pub(in crate::ops::gpu) struct Launch {
    pub cubes: CubeCount,
    /// Elements that are read at once.
    pub vector: usize,
    /// Of the images whose pixels around are summed.
    pub width: usize,
    /// Images that one result sums over.
    pub images_each: usize,
    /// Whether `b`'s rows are the pixels around.
    pub around: bool,
    /// Mean and 1 / deviation of each of `b`'s pixels, if they are to be normalised.
    pub statistics: Option<CubeTensor>,
    pub beside: Beside,
}

/// What is summed besides, in f32, and lies behind the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::ops::gpu) enum Beside {
    Nothing,
    /// `a`'s rows.
    Sums,
    /// The squares of `a`'s rows, then of `b`'s.
    Squares,
}

impl Beside {
    /// Values.
    pub fn count(self, of: Sums) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Sums => of.rows,
            Self::Squares => of.rows + of.columns,
        }
    }
}

/// Rows of a tile: all of them where they are few, so that the other matrix is read once.
pub(in crate::ops::gpu) fn tile(rows: usize) -> usize {
    rows.next_multiple_of(16).next_power_of_two().min(64)
}

/// Which rows of a matrix a tile has, and the pixels of a chunk.
#[derive(CubeType, Clone, Copy)]
pub(in crate::ops::gpu) struct Chunk {
    /// The tile's first row.
    pub first: u32,
    /// Rows of the matrix.
    pub rows: u32,
    /// This thread's pixel, in vectors.
    pub pixel: u32,
    /// Pixels of an image, and of its width if the rows are the pixels around.
    pub pixels: u32,
    pub width: u32,
}

/// Reads a thread's part of a chunk: one vector of every row that it has. What is past the last row or pixel is zero.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
pub(in crate::ops::gpu) fn read_chunk<N: Size>(
    matrix: &[Vector<f32, N>],
    start: u32,
    row_step: u32,
    of: Chunk,
    line: u32,
    next: &mut Array<Vector<f32, N>>,
    #[comptime] turns: usize,
    #[comptime] rows_each: usize,
    #[comptime] around: bool,
) {
    #[unroll]
    for turn in 0..turns {
        let row = of.first + line + (turn * rows_each) as u32;
        let mut value = Vector::<f32, N>::new(0.0);
        if row < of.rows && of.pixel < of.pixels {
            if comptime!(around) {
                // Both are one more than the place that is read, which may be outside of the image.
                let y = of.pixel / of.width + row % 9 / 3;
                let x = of.pixel % of.width + row % 3;
                if y >= 1 && y <= of.pixels / of.width && x >= 1 && x <= of.width {
                    let from = start + row / 9 * row_step;
                    value = matrix[(from + (y - 1) * of.width + x - 1) as usize];
                }
            } else {
                value = matrix[(start + row * row_step + of.pixel) as usize];
            }
        }
        next[turn] = value;
    }
}

/// Lays what was read into shared memory, rounded to its type.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
pub(in crate::ops::gpu) fn lay_chunk<E: Float, N: Size>(
    next: &Array<Vector<f32, N>>,
    tile: &mut [Vector<E, N>],
    line: u32,
    at: u32,
    #[comptime] rows: usize,
    #[comptime] stride: usize,
    #[comptime] turns: usize,
    #[comptime] rows_each: usize,
) {
    #[unroll]
    for turn in 0..turns {
        let row = line + (turn * rows_each) as u32;
        if row < rows as u32 {
            tile[(row * stride as u32 + at) as usize] = Vector::cast_from(next[turn]);
        }
    }
}

/// Normalises a thread's part of a chunk: its vectors are of the same pixels.
#[cube]
pub(in crate::ops::gpu) fn normalise<N: Size>(
    mean: Vector<f32, N>,
    scale: Vector<f32, N>,
    next: &mut Array<Vector<f32, N>>,
    #[comptime] turns: usize,
) {
    #[unroll]
    for turn in 0..turns {
        next[turn] = (next[turn] - mean) * scale;
    }
}

/// As [`Beside::count`], in a kernel.
#[cube]
pub(in crate::ops::gpu) fn beside_count(
    rows: u32,
    columns: u32,
    #[comptime] beside: Beside,
) -> u32 {
    let mut count = 0u32.runtime();
    if comptime!(beside != Beside::Nothing) {
        count += rows;
    }
    if comptime!(beside == Beside::Squares) {
        count += columns;
    }
    count
}

/// What a thread has summed of each of its rows so far.
#[cube]
pub(in crate::ops::gpu) fn zeros_beside<N: Size>(
    #[comptime] turns: usize,
) -> Array<Vector<f32, N>> {
    let mut sums = Array::<Vector<f32, N>>::new(turns);
    #[unroll]
    for turn in 0..turns {
        sums[turn] = Vector::new(0.0);
    }
    sums
}

/// Adds a thread's part of a chunk, or its squares.
#[cube]
pub(in crate::ops::gpu) fn add_beside<N: Size>(
    next: &Array<Vector<f32, N>>,
    sums: &mut Array<Vector<f32, N>>,
    #[comptime] turns: usize,
    #[comptime] beside: Beside,
) {
    #[unroll]
    for turn in 0..turns {
        if comptime!(beside == Beside::Sums) {
            sums[turn] += next[turn];
        } else if comptime!(beside == Beside::Squares) {
            sums[turn] = fma(next[turn], next[turn], sums[turn]);
        }
    }
}

/// Adds what the threads have of each row, and writes those of the tile before `rows` from `start` on.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
pub(in crate::ops::gpu) fn write_beside<N: Size>(
    sums: &Array<Vector<f32, N>>,
    c: &mut [f32],
    shared: &mut [f32],
    start: u32,
    rows: u32,
    first: u32,
    line: u32,
    at: u32,
    #[comptime] tile: usize,
    #[comptime] turns: usize,
    #[comptime] rows_each: usize,
    #[comptime] chunk: usize,
) {
    #[unroll]
    for turn in 0..turns {
        sync_cube();
        shared[UNIT_POS as usize] = total(sums[turn]);
        sync_cube();
        let row = line + (turn * rows_each) as u32;
        if at == 0 && row < tile as u32 && first + row < rows {
            let mut sum = 0.0f32;
            for i in 0..chunk as u32 {
                sum += shared[(UNIT_POS + i) as usize];
            }
            c[(start + first + row) as usize] = sum;
        }
    }
}
