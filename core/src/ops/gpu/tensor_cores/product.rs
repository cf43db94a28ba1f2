//! [`product`](super::super::product::product) by tiles of rows and columns.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::cmma::{self, MatrixLayout};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::{DEPTH, PLANE, Planes, SIDE, Tf32, VECTOR, is_usable, left, right, zeros};
use crate::ops::gpu::launch::{Place, vector};
use crate::ops::gpu::product::Product;

/// Columns of a tile.
const TILE_COLUMNS: usize = 128;
/// What a tile sums over at a time.
const CHUNK: usize = 32;

/// Whether it runs here: whole vectors of `b`, of the result and of what is added, and no tile that is mostly empty.
pub(in crate::ops::gpu) fn supports_product(c: &CubeTensor, product: &Product) -> bool {
    let size = product.size;
    let [_, b_layout, c_layout] = product.layouts;
    let own_layout = product.own.as_ref().map_or(c_layout, |own| own.layout);
    let steps = [b_layout, c_layout, own_layout].map(|layout| layout.steps());
    let is_whole = size.columns.is_multiple_of(VECTOR) && vector(&steps.concat()) == VECTOR;
    is_whole && size.columns >= SIDE && size.rows > 4 && size.inner > 4 && is_usable(c)
}

/// Writes the products to `c`.
pub(in crate::ops::gpu) fn product(a: CubeTensor, b: CubeTensor, c: &CubeTensor, of: Product) {
    let Product {
        size,
        layouts: [a_layout, b_layout, c_layout],
        transposed,
        ahead,
        own,
        bias,
    } = of;
    let own_layout = own.as_ref().map_or(c_layout, |own| own.layout);
    let (own, scales) = match own {
        Some(own) => (Some(own.values), own.scales),
        None => (None, None),
    };
    let tile_rows = size.rows.next_multiple_of(SIDE).next_power_of_two().min(64);
    let planes = Planes::new(tile_rows, TILE_COLUMNS);
    let tiles = size.rows.div_ceil(tile_rows) * size.columns.div_ceil(TILE_COLUMNS);
    let batch = size.images * size.heads;
    // SAFETY: what lies past the last row or column is read as zero and not written, and the layouts lie in the buffers.
    unsafe {
        tile_kernel::launch_unchecked(
            &c.client,
            CubeCount::Static(tiles as u32, batch as u32, 1),
            CubeDim::new_1d(planes.threads() as u32),
            VECTOR,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            own.map(|own| own.into_buffer_arg()).into(),
            scales.map(|scales| scales.into_buffer_arg()).into(),
            bias.map(|bias| bias.into_buffer_arg()).into(),
            c.clone().into_buffer_arg(),
            a_layout.argument(1),
            b_layout.argument(VECTOR),
            own_layout.argument(VECTOR),
            c_layout.argument(VECTOR),
            size.heads as u32,
            ahead as u32,
            size.rows as u32,
            size.inner as u32,
            (size.columns / VECTOR) as u32,
            transposed,
            planes,
        );
    }
}

/// Each cube computes a tile: it brings a chunk of `a` and of `b` at a time into shared memory, and its planes multiply.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn tile_kernel<N: Size>(
    a: &[f32],
    b: &[Vector<f32, N>],
    own: ComptimeOption<&[Vector<f32, N>]>,
    scales: ComptimeOption<&[f32]>,
    bias: ComptimeOption<&[f32]>,
    c: &mut [Vector<f32, N>],
    a_place: Place,
    b_place: Place,
    own_place: Place,
    c_place: Place,
    heads: u32,
    ahead: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    #[comptime] transposed: bool,
    #[comptime] planes: Planes,
) {
    let tile_rows = comptime!(planes.tile_rows());
    let tile_vectors = comptime!(planes.tile_columns() / VECTOR);
    let threads = comptime!(planes.threads());
    // Rows of shared memory, in elements and in vectors.
    let a_stride = comptime!(CHUNK + VECTOR);
    let b_stride = comptime!(planes.tile_columns() / VECTOR + 1);
    let mut a_tile = Shared::<[Tf32]>::new_slice(comptime!(planes.tile_rows() * (CHUNK + VECTOR)));
    let mut b_tile = Shared::<[Vector<Tf32, N>]>::new_slice(comptime!(
        CHUNK * (planes.tile_columns() / VECTOR + 1)
    ));

    let down = rows.div_ceil(tile_rows as u32);
    let first_row = CUBE_POS_X % down * tile_rows as u32;
    let first_column = CUBE_POS_X / down * tile_vectors as u32;
    let matrix = CUBE_POS_Y;
    let image = matrix / heads;
    let head = matrix % heads;
    let a_start = a_place.of(image, head);
    let b_start = b_place.of(image, (head + ahead) % heads) + first_column;
    let unit = UNIT_POS;
    let plane = unit / PLANE as u32;
    let my_rows = plane / planes.across as u32 * comptime!(planes.rows * SIDE) as u32;
    let my_columns =
        plane % planes.across as u32 * comptime!(planes.columns * SIDE / VECTOR) as u32;

    let sums = zeros(comptime!(planes.rows * planes.columns));
    for chunk in 0..inner.div_ceil(CHUNK as u32) {
        let start = chunk * CHUNK as u32;
        #[unroll]
        for turn in 0..comptime!((planes.tile_rows() * CHUNK).div_ceil(planes.threads())) {
            let at = (turn * threads) as u32 + unit;
            // Threads beside each other read what lies beside each other.
            let mut row = at / CHUNK as u32;
            let mut k = at % CHUNK as u32;
            let mut from = a_start + (first_row + row) * a_place.row + start + k;
            if comptime!(transposed) {
                row = at % tile_rows as u32;
                k = at / tile_rows as u32;
                from = a_start + (start + k) * a_place.row + first_row + row;
            }
            let mut value = 0.0f32;
            if first_row + row < rows && start + k < inner {
                value = a[from as usize];
            }
            a_tile[(row * a_stride as u32 + k) as usize] = Tf32::cast_from(value);
        }
        #[unroll]
        for turn in
            0..comptime!((CHUNK * planes.tile_columns() / VECTOR).div_ceil(planes.threads()))
        {
            let at = (turn * threads) as u32 + unit;
            let k = at / tile_vectors as u32;
            let column = at % tile_vectors as u32;
            let mut value = Vector::<f32, N>::new(0.0);
            if start + k < inner && first_column + column < columns {
                value = b[(b_start + (start + k) * b_place.row + column) as usize];
            }
            b_tile[(k * b_stride as u32 + column) as usize] = Vector::cast_from(value);
        }
        sync_cube();
        #[unroll]
        for step in 0..comptime!(CHUNK / DEPTH) {
            let mut lefts = Sequence::<cmma::Matrix<Tf32>>::new();
            #[unroll]
            for i in 0..comptime!(planes.rows) {
                let row = my_rows + (i * SIDE) as u32;
                let at = (row * a_stride as u32) as usize + step * DEPTH;
                lefts.push(left(&a_tile[at..a_tile.len()], a_stride as u32));
            }
            #[unroll]
            for j in 0..comptime!(planes.columns) {
                let column = my_columns + (j * SIDE / VECTOR) as u32;
                let at = (column + (step * DEPTH * b_stride) as u32) as usize;
                let tile = &b_tile[at..b_tile.len()];
                let right = right(tile, (b_stride * VECTOR) as u32, MatrixLayout::RowMajor);
                #[unroll]
                for i in 0..comptime!(planes.rows) {
                    let sum = &sums[comptime!(i * planes.columns + j)];
                    cmma::execute(&lefts[i], &right, sum, sum);
                }
            }
        }
        sync_cube();
    }

    // Fragments go through shared memory, so that what lies past the last row or column is left out.
    let stride = comptime!(SIDE / VECTOR + 1);
    let mut scratch = Shared::<[Vector<f32, N>]>::new_slice(comptime!(
        planes.threads() / PLANE * SIDE * (SIDE / VECTOR + 1)
    ));
    let mine = plane * (SIDE * stride) as u32;
    let c_start = c_place.of(image, head);
    let own_start = own_place.of(image, head);
    #[unroll]
    for i in 0..comptime!(planes.rows) {
        #[unroll]
        for j in 0..comptime!(planes.columns) {
            let end = mine as usize + SIDE * stride;
            cmma::store(
                &mut scratch[mine as usize..end],
                &sums[comptime!(i * planes.columns + j)],
                (stride * VECTOR) as u32,
                MatrixLayout::RowMajor,
            );
            sync_plane();
            #[unroll]
            for turn in 0..comptime!(SIDE * SIDE / VECTOR / PLANE) {
                let at = (turn * PLANE) as u32 + unit % PLANE as u32;
                let line = at / comptime!(SIDE / VECTOR) as u32;
                let vector = at % comptime!(SIDE / VECTOR) as u32;
                let row = first_row + my_rows + (i * SIDE) as u32 + line;
                let column = first_column + my_columns + (j * SIDE / VECTOR) as u32 + vector;
                if row < rows && column < columns {
                    let mut sum = scratch[(mine + line * stride as u32 + vector) as usize];
                    #[comptime]
                    match &bias {
                        ComptimeOption::Some(bias) => sum += Vector::new(bias[row as usize]),
                        ComptimeOption::None => {}
                    }
                    let at = (c_start + row * c_place.row + column) as usize;
                    #[comptime]
                    match &own {
                        ComptimeOption::Some(own) => {
                            let value = own[(own_start + row * own_place.row + column) as usize];
                            #[comptime]
                            match &scales {
                                ComptimeOption::Some(scales) => {
                                    let scale = Vector::new(scales[(matrix * rows + row) as usize]);
                                    c[at] = fma(scale, value, sum);
                                }
                                ComptimeOption::None => c[at] = sum + value,
                            }
                        }
                        ComptimeOption::None => c[at] = sum,
                    }
                }
            }
            sync_plane();
        }
    }
}
