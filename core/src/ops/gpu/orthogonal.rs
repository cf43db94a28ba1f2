//! Newton-Schulz steps for many matrices of a buffer, whatever their sizes: each product is one launch for all of them.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::cube_sum;
use super::launch::{contiguous, dims, empty};

/// Rows and columns of a result that a cube computes.
pub(in crate::ops) const TILE: usize = 32;
/// What it sums over at a time.
const CHUNK: usize = 16;
/// Rows and columns of a thread.
const SIDE: usize = 4;
/// Threads of a cube.
const THREADS: usize = (TILE / SIDE) * (TILE / SIDE);
/// Numbers that say where a matrix lies.
pub(in crate::ops) const NUMBERS: usize = 6;
/// A matrix of zeros stays one.
const SMALLEST_NORM: f32 = 1e-7;

/// Which of a step's three products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Product {
    /// `A = X X^T`.
    Squares,
    /// `B = a + b A + c A A`.
    Factor,
    /// `B X`.
    Next,
}

/// The matrices `X` of `buffer`, each divided by its norm, after `steps` steps `a X + (b A + c A A) X` with `A = X X^T`,
/// times their reach; zero between them.
///
/// # Shapes
/// - buffer, output: `[values]`
/// - reach: `[matrices]`
/// - the tables, of i32. Places: `[matrices * NUMBERS]`: the first value of a matrix, rows, columns (not fewer), from row to row, from column to
///   column, and the first value of its `A` among all. Squares and products: `[tiles * 3]`: matrix, first row and first
///   column of each tile of `A`, and of `X`
pub(super) fn orthogonal(
    buffer: CubeTensor,
    reach: CubeTensor,
    [places, squares, products]: [CubeTensor; 3],
    [a, b, c]: [f32; 3],
    steps: usize,
    squared_values: usize,
) -> CubeTensor {
    let mut x = contiguous(buffer);
    let [values] = dims(&x);
    let run = |left: &CubeTensor, right: &CubeTensor, result: &CubeTensor, product, is_end| {
        let tiles = match product {
            Product::Next => &products,
            _ => &squares,
        };
        let [numbers] = dims(tiles);
        // SAFETY: a cube for each tile; what is past a matrix's last row or column is neither read nor written.
        unsafe {
            product_kernel::launch_unchecked(
                &result.client,
                CubeCount::Static((numbers / 3) as u32, 1, 1),
                CubeDim::new_1d(THREADS as u32),
                left.clone().into_buffer_arg(),
                right.clone().into_buffer_arg(),
                result.clone().into_buffer_arg(),
                reach.clone().into_buffer_arg(),
                places.clone().into_buffer_arg(),
                tiles.clone().into_buffer_arg(),
                a,
                b,
                c,
                SMALLEST_NORM,
                product,
                is_end,
            );
        }
    };
    for step in 0..steps {
        let (is_first, is_last) = (step == 0, step + 1 == steps);
        let square = empty(&x, [squared_values]);
        let factor = empty(&x, [squared_values]);
        let next = match is_last {
            true => {
                let (shape, device) = (x.meta.shape().clone(), x.device.clone());
                CubeBackend::float_zeros(shape, &device, DType::F32.into())
            }
            false => empty(&x, [values]),
        };
        run(&x, &x, &square, Product::Squares, false);
        run(&square, &square, &factor, Product::Factor, is_first);
        run(&factor, &x, &next, Product::Next, is_last);
        x = next;
    }
    x
}

/// Each cube computes one tile of a product; the rows of `left` are multiplied with the columns of `right`. At the beginning the factor
/// also divides by the norm, and at the end the reach is multiplied in.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn product_kernel(
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
    reach: &[f32],
    places: &[i32],
    tiles: &[i32],
    a: f32,
    b: f32,
    c: f32,
    least: f32,
    #[comptime] product: Product,
    #[comptime] is_end: bool,
) {
    let tile = CUBE_POS_X * 3;
    let matrix = tiles[tile as usize] as u32;
    let first_row = tiles[(tile + 1) as usize] as u32;
    let first_column = tiles[(tile + 2) as usize] as u32;
    let place = matrix * comptime!(NUMBERS as u32);
    let start = places[place as usize] as u32;
    let rows = places[(place + 1) as usize] as u32;
    let columns = places[(place + 2) as usize] as u32;
    let row_step = places[(place + 3) as usize] as u32;
    let column_step = places[(place + 4) as usize] as u32;
    let square = places[(place + 5) as usize] as u32;

    // Of a square matrix, unless it is X.
    let mut left_lines = Lines {
        start: square,
        count: rows,
        step: rows,
        inner: 1u32.runtime(),
    };
    let mut right_lines = Lines {
        start: square,
        count: rows,
        step: rows,
        inner: 1u32.runtime(),
    };
    let mut length = rows;
    if comptime!(product == Product::Squares) {
        left_lines.start = start;
        left_lines.step = row_step;
        left_lines.inner = column_step;
        right_lines.start = start;
        right_lines.step = row_step;
        right_lines.inner = column_step;
        length = columns;
    }
    if comptime!(product == Product::Next) {
        right_lines.start = start;
        right_lines.count = columns;
        right_lines.step = column_step;
        right_lines.inner = row_step;
    }

    let unit = UNIT_POS;
    // What the squares are to be multiplied by: 1 / norm^2, the norm being the root of their trace.
    let mut scale = 1.0f32;
    if comptime!(product == Product::Factor && is_end) {
        let mut shared = Shared::<[f32]>::new_slice(THREADS);
        let mut trace = 0.0f32;
        let mut row = unit;
        while row < rows {
            trace += left[(square + row * rows + row) as usize];
            row += comptime!(THREADS as u32);
        }
        let trace = cube_sum(trace, &mut shared, THREADS);
        scale = 1.0 / f32::max(trace.sqrt(), least);
    }
    let squared_scale = scale * scale;

    let stride = comptime!(CHUNK + 1);
    let across = comptime!((TILE / SIDE) as u32);
    let mut left_tile = Shared::<[f32]>::new_slice(comptime!(TILE * (CHUNK + 1)));
    let mut right_tile = Shared::<[f32]>::new_slice(comptime!(TILE * (CHUNK + 1)));
    let my_row = unit / across;
    let my_column = unit % across;
    let mut sums = Array::<f32>::new(comptime!(SIDE * SIDE));
    #[unroll]
    for i in 0..comptime!(SIDE * SIDE) {
        sums[i] = 0.0;
    }
    for chunk in 0..length.div_ceil(CHUNK as u32) {
        let k = chunk * comptime!(CHUNK as u32);
        lay(
            left,
            &mut left_tile,
            &left_lines,
            first_row,
            k,
            length,
            squared_scale,
        );
        lay(
            right,
            &mut right_tile,
            &right_lines,
            first_column,
            k,
            length,
            squared_scale,
        );
        sync_cube();
        #[unroll]
        for k in 0..CHUNK {
            let mut rights = Array::<f32>::new(SIDE);
            #[unroll]
            for j in 0..SIDE {
                let column = my_column + j as u32 * across;
                rights[j] = right_tile[column as usize * stride + k];
            }
            #[unroll]
            for i in 0..SIDE {
                let row = my_row + i as u32 * across;
                let value = left_tile[row as usize * stride + k];
                #[unroll]
                for j in 0..SIDE {
                    sums[i * SIDE + j] = fma(value, rights[j], sums[i * SIDE + j]);
                }
            }
        }
        sync_cube();
    }

    #[unroll]
    for i in 0..SIDE {
        #[unroll]
        for j in 0..SIDE {
            let row = first_row + my_row + i as u32 * across;
            let column = first_column + my_column + j as u32 * across;
            if row < rows && column < right_lines.count {
                let mut value = sums[i * SIDE + j];
                let mut at = square + row * rows + column;
                if comptime!(product == Product::Factor) {
                    value = c * value + b * (left[at as usize] * squared_scale);
                    if row == column {
                        value += a;
                    }
                    value *= scale;
                }
                if comptime!(product == Product::Next) {
                    at = start + row * row_step + column * column_step;
                    if comptime!(is_end) {
                        value *= reach[matrix as usize];
                    }
                }
                result[at as usize] = value;
            }
        }
    }
}

/// Lines of a matrix that are multiplied with another's.
#[derive(CubeType)]
struct Lines {
    start: u32,
    count: u32,
    /// From one line to the next, and from one value of a line to the next.
    step: u32,
    inner: u32,
}

/// Brings a chunk of a tile's lines, times `scale`, into shared memory. What is past the last is zero.
#[cube]
fn lay(
    matrix: &[f32],
    tile: &mut [f32],
    lines: &Lines,
    first: u32,
    k: u32,
    length: u32,
    scale: f32,
) {
    #[unroll]
    for turn in 0..comptime!(TILE * CHUNK / THREADS) {
        let at = UNIT_POS + comptime!((turn * THREADS) as u32);
        // Threads beside each other read what lies beside each other.
        let mut line = at / CHUNK as u32;
        let mut along = at % CHUNK as u32;
        if lines.inner != 1 {
            line = at % TILE as u32;
            along = at / TILE as u32;
        }
        let mut value = 0.0f32;
        if first + line < lines.count && k + along < length {
            let from = lines.start + (first + line) * lines.step + (k + along) * lines.inner;
            value = matrix[from as usize] * scale;
        }
        tile[(line * comptime!((CHUNK + 1) as u32) + along) as usize] = value;
    }
}
