//! [`row_sums`](super::super::row_sums::row_sums) with a tile's sums in fragments.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::cmma::{self, MatrixLayout};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::{DEPTH, PLANE, Planes, SIDE, Tf32, VECTOR, is_usable, left, right, zeros};
use crate::ops::gpu::launch::{Layout, Place};
use crate::ops::gpu::row_sums::chunk::{
    Beside, CHUNK, Chunk, Launch, Sums, add_beside, beside_count, lay_chunk, normalise, read_chunk,
    tile, write_beside, zeros_beside,
};

/// Whether these sums run here: enough rows for the tiles.
pub(in crate::ops::gpu) fn supports_sums(a: &CubeTensor, of: Sums) -> bool {
    of.rows > 4 && of.columns > 4 && is_usable(a)
}

/// Writes the sums of each piece to `result`.
pub(in crate::ops::gpu) fn row_sums(
    a: CubeTensor,
    b: CubeTensor,
    result: CubeTensor,
    of: Sums,
    [a_layout, b_layout]: [Layout; 2],
    launch: Launch,
) -> CubeTensor {
    let Launch {
        cubes,
        vector,
        width,
        images_each,
        around,
        statistics,
        beside,
    } = launch;
    let planes = Planes::new(tile(of.rows), tile(of.columns));
    // SAFETY: rows and pixels past the last are read as zeros and not written; the layouts lie in the buffers.
    unsafe {
        row_sums_kernel::launch_unchecked(
            &result.client,
            cubes,
            CubeDim::new_1d(planes.threads() as u32),
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            statistics
                .map(|statistics| statistics.into_buffer_arg())
                .into(),
            result.clone().into_buffer_arg(),
            a_layout.argument(vector),
            b_layout.argument(vector),
            of.heads as u32,
            of.rows as u32,
            of.columns as u32,
            (of.pixels / vector) as u32,
            width as u32,
            images_each as u32,
            planes,
            CHUNK / vector,
            around,
            beside,
        );
    }
    result
}

/// As the f32 kernel of this name; each plane multiplies fragments of the chunk.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn row_sums_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    statistics: ComptimeOption<&[Vector<f32, N>]>,
    c: &mut [f32],
    a_place: Place,
    b_place: Place,
    heads: u32,
    rows: u32,
    columns: u32,
    pixels: u32,
    width: u32,
    images_each: u32,
    #[comptime] planes: Planes,
    #[comptime] chunk: usize,
    #[comptime] around: bool,
    #[comptime] beside: Beside,
) {
    let tile_rows = comptime!(planes.tile_rows());
    let tile_columns = comptime!(planes.tile_columns());
    // In vectors, and in elements.
    let stride = comptime!(chunk + VECTOR / (CHUNK / chunk));
    let row_elements = comptime!((CHUNK + VECTOR) as u32);
    let mut a_tile = Shared::<[Vector<Tf32, N>]>::new_slice(comptime!(
        planes.tile_rows() * (chunk + VECTOR / (CHUNK / chunk))
    ));
    let mut b_tile = Shared::<[Vector<Tf32, N>]>::new_slice(comptime!(
        planes.tile_columns() * (chunk + VECTOR / (CHUNK / chunk))
    ));

    let tiles_across = columns.div_ceil(tile_columns as u32);
    let first_row = CUBE_POS_X / tiles_across * tile_rows as u32;
    let first_column = CUBE_POS_X % tiles_across * tile_columns as u32;
    let matrix = CUBE_POS_Y;
    let piece = CUBE_POS_Z;
    let unit = UNIT_POS;
    let plane = unit / PLANE as u32;
    let my_rows = plane / planes.across as u32 * comptime!(planes.rows * SIDE) as u32;
    let my_columns = plane % planes.across as u32 * comptime!(planes.columns * SIDE) as u32;
    let first_image = matrix / heads;
    let head = matrix % heads;

    let in_image = pixels.div_ceil(chunk as u32);
    let chunks = images_each * in_image;
    let each = chunks.div_ceil(CUBE_COUNT_Z);
    let begin = piece * each;
    let end = u32::min(begin + each, chunks);

    let sums = zeros(comptime!(planes.rows * planes.columns));
    // What each thread brings of a chunk: read while the chunk before is summed. It has the same place in each row.
    let rows_each = comptime!(planes.threads() / chunk);
    let a_turns = comptime!(planes.tile_rows().div_ceil(planes.threads() / chunk));
    let b_turns = comptime!(planes.tile_columns().div_ceil(planes.threads() / chunk));
    let my_k = unit % chunk as u32;
    let my_line = unit / chunk as u32;
    let mut a_next = Array::<Vector<f32, N>>::new(a_turns);
    let mut b_next = Array::<Vector<f32, N>>::new(b_turns);
    let mut a_beside = zeros_beside::<N>(a_turns);
    let mut b_beside = zeros_beside::<N>(b_turns);
    for at in begin..end + 1 {
        if at > begin {
            lay_chunk(
                &a_next,
                &mut a_tile,
                my_line,
                my_k,
                tile_rows,
                stride,
                a_turns,
                rows_each,
            );
            lay_chunk(
                &b_next,
                &mut b_tile,
                my_line,
                my_k,
                tile_columns,
                stride,
                b_turns,
                rows_each,
            );
            sync_cube();
        }
        if at < end {
            let image = first_image + at / in_image;
            let pixel = at % in_image * chunk as u32 + my_k;
            let a_start = a_place.of(image, head);
            let b_start = b_place.of(image, head);
            let a_chunk = Chunk {
                first: first_row,
                rows,
                pixel,
                pixels,
                width,
            };
            let b_chunk = Chunk {
                first: first_column,
                rows: columns,
                pixel,
                pixels,
                width,
            };
            read_chunk(
                a,
                a_start,
                a_place.row,
                a_chunk,
                my_line,
                &mut a_next,
                a_turns,
                rows_each,
                false,
            );
            read_chunk(
                b,
                b_start,
                b_place.row,
                b_chunk,
                my_line,
                &mut b_next,
                b_turns,
                rows_each,
                around,
            );
            #[comptime]
            match &statistics {
                ComptimeOption::Some(statistics) => {
                    // A pixel past the last stays zero.
                    let mut mean = Vector::<f32, N>::new(0.0);
                    let mut scale = Vector::<f32, N>::new(0.0);
                    if pixel < pixels {
                        let at = image * 2 * pixels + pixel;
                        mean = statistics[at as usize];
                        scale = statistics[(at + pixels) as usize];
                    }
                    normalise(mean, scale, &mut b_next, b_turns);
                }
                ComptimeOption::None => {}
            }
            add_beside(&a_next, &mut a_beside, a_turns, beside);
            if comptime!(beside == Beside::Squares) {
                add_beside(&b_next, &mut b_beside, b_turns, beside);
            }
        }
        if at > begin {
            #[unroll]
            for step in 0..comptime!(CHUNK / DEPTH) {
                let k = comptime!(step * DEPTH * chunk / CHUNK);
                let mut lefts = Sequence::<cmma::Matrix<Tf32>>::new();
                #[unroll]
                for i in 0..comptime!(planes.rows) {
                    let row = my_rows + (i * SIDE) as u32;
                    let at = (row * stride as u32) as usize + k;
                    lefts.push(left(&a_tile[at..a_tile.len()], row_elements));
                }
                #[unroll]
                for j in 0..comptime!(planes.columns) {
                    let row = my_columns + (j * SIDE) as u32;
                    let at = (row * stride as u32) as usize + k;
                    let right = right(
                        &b_tile[at..b_tile.len()],
                        row_elements,
                        MatrixLayout::ColMajor,
                    );
                    #[unroll]
                    for i in 0..comptime!(planes.rows) {
                        let sum = &sums[comptime!(i * planes.columns + j)];
                        cmma::execute(&lefts[i], &right, sum, sum);
                    }
                }
            }
            sync_cube();
        }
    }

    // Fragments go through shared memory, so that what lies past the last row or column is left out.
    let mut scratch = Shared::<[f32]>::new_slice(comptime!(planes.threads() / PLANE * SIDE * SIDE));
    let mine = (plane * (SIDE * SIDE) as u32) as usize;
    let count = rows * columns + beside_count(rows, columns, beside);
    let start = (piece * CUBE_COUNT_Y + matrix) * count;
    if comptime!(beside != Beside::Nothing) {
        let mut shared = Shared::<[f32]>::new_slice(comptime!(planes.threads()));
        let a_end = if first_column == 0 {
            rows
        } else {
            0u32.runtime()
        };
        let a_rows = start + rows * columns;
        write_beside(
            &a_beside,
            c,
            &mut shared,
            a_rows,
            a_end,
            first_row,
            my_line,
            my_k,
            tile_rows,
            a_turns,
            rows_each,
            chunk,
        );
        if comptime!(beside == Beside::Squares) {
            let b_end = if first_row == 0 {
                columns
            } else {
                0u32.runtime()
            };
            let b_rows = a_rows + rows;
            write_beside(
                &b_beside,
                c,
                &mut shared,
                b_rows,
                b_end,
                first_column,
                my_line,
                my_k,
                tile_columns,
                b_turns,
                rows_each,
                chunk,
            );
        }
    }
    #[unroll]
    for i in 0..comptime!(planes.rows) {
        #[unroll]
        for j in 0..comptime!(planes.columns) {
            cmma::store(
                &mut scratch[mine..mine + SIDE * SIDE],
                &sums[comptime!(i * planes.columns + j)],
                SIDE as u32,
                MatrixLayout::RowMajor,
            );
            sync_plane();
            #[unroll]
            for turn in 0..comptime!(SIDE * SIDE / PLANE) {
                let at = (turn * PLANE) as u32 + unit % PLANE as u32;
                let row = first_row + my_rows + (i * SIDE) as u32 + at / SIDE as u32;
                let column = first_column + my_columns + (j * SIDE) as u32 + at % SIDE as u32;
                if row < rows && column < columns {
                    c[(start + row * columns + column) as usize] = scratch[mine + at as usize];
                }
            }
            sync_plane();
        }
    }
}
