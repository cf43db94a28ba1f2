//! Sums over pixels of products of rows with rows, `c = a b^T`: few rows, each very long. They are the gradients of
//! weights, and the products of MDTA's channels.
//!
//! A cube keeps one tile of `c` in registers, and brings a chunk of both matrices' rows at a time into shared memory.
//! Where there are fewer tiles than the GPU can work on, each cube has one piece of the pixels, and what the pieces
//! computed is added in a fixed order: a run can be repeated bit for bit.

pub(super) mod chunk;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

pub(super) use self::chunk::Sums;
use self::chunk::{CHUNK, Chunk, Launch, lay_chunk, read_chunk, tile};
use super::launch::{Layout, Place, empty, reshaped, vector};
use super::matmul_nt::total;
use super::tensor_cores;

/// Cubes that keep a large GPU busy.
const CUBES: usize = 1024;
/// Chunks of pixels that a cube should have at least: fewer are not worth the adding.
const CHUNKS: usize = 8;
/// Threads that add one result of the pieces.
const SLICES: usize = 8;

/// How `b`'s rows are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Columns {
    /// As they are.
    Rows,
    /// Nine for each plane of an image this wide: the pixels around, of a 3x3 convolution.
    Around { width: usize },
}

/// The sums, `[images, heads, rows, columns]`, or `[1, 1, rows, columns]` over the images.
pub(super) fn row_sums(
    a: CubeTensor,
    b: CubeTensor,
    of: Sums,
    columns: Columns,
    [a_layout, b_layout]: [Layout; 2],
) -> CubeTensor {
    let around = matches!(columns, Columns::Around { .. });
    let width = match columns {
        Columns::Rows => of.pixels,
        Columns::Around { width } => width,
    };
    let steps = [&[of.pixels], &a_layout.steps()[..], &b_layout.steps()[..]].concat();
    let vector = if around { 1 } else { vector(&steps) };
    let (tile_rows, tile_columns) = (tile(of.rows), tile(of.columns));
    let tiles = of.rows.div_ceil(tile_rows) * of.columns.div_ceil(tile_columns);
    let (matrices, images_each) = match of.over_images {
        true => (1, of.images),
        false => (of.images * of.heads, 1),
    };
    let chunks = images_each * of.pixels.div_ceil(CHUNK);
    let pieces = (CUBES.div_ceil(tiles * matrices)).min(chunks.div_ceil(CHUNKS));
    let result = empty(&a, [pieces, matrices, of.rows, of.columns]);
    let cubes = CubeCount::Static(tiles as u32, matrices as u32, pieces as u32);
    let launch = Launch {
        cubes,
        vector,
        width,
        images_each,
        around,
    };
    let pieces = match tensor_cores::supports_sums(&a, of) {
        true => tensor_cores::row_sums(a, b, result, of, [a_layout, b_layout], launch),
        false => in_f32(a, b, result, of, [a_layout, b_layout], launch),
    };
    let (images, heads) = match of.over_images {
        true => (1, 1),
        false => (of.images, of.heads),
    };
    reshaped(fold(pieces), [images, heads, of.rows, of.columns])
}

fn in_f32(
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
    } = launch;
    let (tile_rows, tile_columns) = (tile(of.rows), tile(of.columns));
    let side = if tile_rows * tile_columns > 512 { 4 } else { 2 };
    let threads = tile_rows / side * (tile_columns / side);
    // SAFETY: rows and pixels past the last are read as zeros and not written; the layouts lie in the buffers.
    unsafe {
        row_sums_kernel::launch_unchecked(
            &result.client,
            cubes,
            CubeDim::new_1d(threads as u32),
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            result.clone().into_buffer_arg(),
            a_layout.argument(vector),
            b_layout.argument(vector),
            of.heads as u32,
            of.rows as u32,
            of.columns as u32,
            (of.pixels / vector) as u32,
            width as u32,
            images_each as u32,
            tile_rows,
            tile_columns,
            side,
            CHUNK / vector,
            around,
        );
    }
    result
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn row_sums_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    c: &mut [f32],
    a_place: Place,
    b_place: Place,
    heads: u32,
    rows: u32,
    columns: u32,
    pixels: u32,
    width: u32,
    images_each: u32,
    #[comptime] tile_rows: usize,
    #[comptime] tile_columns: usize,
    #[comptime] side: usize,
    #[comptime] chunk: usize,
    #[comptime] around: bool,
) {
    // One more than a chunk from row to row, so that the threads' rows lie in different banks.
    let stride = comptime!(chunk + 1);
    let mut a_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile_rows * (chunk + 1)));
    let mut b_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile_columns * (chunk + 1)));
    let across = comptime!(tile_columns / side);
    let down = comptime!(tile_rows / side);
    // Whole chunks: at least 64.
    let threads = comptime!((tile_columns / side) * (tile_rows / side));

    let tiles_across = columns.div_ceil(tile_columns as u32);
    let first_row = CUBE_POS_X / tiles_across * tile_rows as u32;
    let first_column = CUBE_POS_X % tiles_across * tile_columns as u32;
    let matrix = CUBE_POS_Y;
    let piece = CUBE_POS_Z;
    let unit = UNIT_POS;
    let my_row = unit / across as u32;
    let my_column = unit % across as u32;
    let first_image = matrix / heads;
    let head = matrix % heads;

    let in_image = pixels.div_ceil(chunk as u32);
    let chunks = images_each * in_image;
    let each = chunks.div_ceil(CUBE_COUNT_Z);
    let begin = piece * each;
    let end = u32::min(begin + each, chunks);

    let mut sums = Array::<Vector<f32, N>>::new(comptime!(side * side));
    #[unroll]
    for i in 0..side * side {
        sums[i] = Vector::new(0.0);
    }
    // What each thread brings of a chunk: read while the chunk before is summed. It has the same place in each row.
    let rows_each = comptime!(threads / chunk);
    let a_turns = comptime!(tile_rows.div_ceil(threads / chunk));
    let b_turns = comptime!(tile_columns.div_ceil(threads / chunk));
    let my_k = unit % chunk as u32;
    let my_line = unit / chunk as u32;
    let mut a_next = Array::<Vector<f32, N>>::new(a_turns);
    let mut b_next = Array::<Vector<f32, N>>::new(b_turns);
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
        }
        if at > begin {
            for k in 0..chunk as u32 {
                let mut left = Array::<Vector<f32, N>>::new(side);
                #[unroll]
                for i in 0..side {
                    let row = my_row + (i * down) as u32;
                    left[i] = a_tile[(row * stride as u32 + k) as usize];
                }
                #[unroll]
                for j in 0..side {
                    let row = my_column + (j * across) as u32;
                    let right = b_tile[(row * stride as u32 + k) as usize];
                    #[unroll]
                    for i in 0..side {
                        sums[i * side + j] = fma(left[i], right, sums[i * side + j]);
                    }
                }
            }
            sync_cube();
        }
    }
    let start = (piece * CUBE_COUNT_Y + matrix) * rows * columns;
    #[unroll]
    for i in 0..side {
        #[unroll]
        for j in 0..side {
            let row = first_row + my_row + (i * down) as u32;
            let column = first_column + my_column + (j * across) as u32;
            if row < rows && column < columns {
                c[(start + row * columns + column) as usize] = total(sums[i * side + j]);
            }
        }
    }
}

/// The sum over the first axis, in a fixed order.
pub(super) fn fold(pieces: CubeTensor) -> CubeTensor {
    let [count, sums] = flat(&pieces);
    if count == 1 {
        return reshaped(pieces, [sums]);
    }
    let result = empty(&pieces, [sums]);
    // SAFETY: threads past the last sum write nothing.
    unsafe {
        fold_kernel::launch_unchecked(
            &result.client,
            CubeCount::Static(sums.div_ceil(32) as u32, 1, 1),
            CubeDim::new_1d((32 * SLICES) as u32),
            pieces.into_buffer_arg(),
            result.clone().into_buffer_arg(),
            count as u32,
            sums as u32,
            SLICES,
        );
    }
    result
}

/// The first axis, and all others.
fn flat(tensor: &CubeTensor) -> [usize; 2] {
    let count = tensor.meta.shape()[0];
    [count, tensor.meta.num_elements() / count]
}

/// A cube adds 32 sums, each in `slices` parts.
#[cube(launch_unchecked)]
fn fold_kernel(
    pieces: &[f32],
    result: &mut [f32],
    count: u32,
    sums: u32,
    #[comptime] slices: usize,
) {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(32 * slices));
    let unit = UNIT_POS;
    let at = CUBE_POS_X * 32 + unit % 32;
    let mut sum = 0.0f32;
    if at < sums {
        let mut piece = unit / 32;
        while piece < count {
            sum += pieces[(piece * sums + at) as usize];
            piece += slices as u32;
        }
    }
    parts[unit as usize] = sum;
    sync_cube();
    if unit < 32 && at < sums {
        let mut sum = 0.0f32;
        for slice in 0..slices as u32 {
            sum += parts[(slice * 32 + unit) as usize];
        }
        result[at as usize] = sum;
    }
}
