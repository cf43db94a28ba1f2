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

pub(super) use self::chunk::{Beside, Sums};
use self::chunk::{
    CHUNK, Chunk, Launch, add_beside, beside_count, lay_chunk, normalise, read_chunk, tile,
    write_beside, zeros_beside,
};
use super::flat::view;
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
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// As they are.
    Rows,
    /// Nine for each plane of an image this wide: the pixels around, of a 3x3 convolution.
    Around { width: usize },
    /// Less the mean of their pixel, times 1 / deviation, both as `norm::input_gradient` leaves them (`[images, 2, pixels]`).
    Normalised { statistics: Box<CubeTensor> },
}

/// The sums, `[images, heads, rows, columns]`, or `[1, 1, rows, columns]` over the images.
pub(super) fn row_sums(
    a: CubeTensor,
    b: CubeTensor,
    of: Sums,
    columns: Columns,
    layouts: [Layout; 2],
) -> CubeTensor {
    let (images, heads) = match of.over_images {
        true => (1, 1),
        false => (of.images, of.heads),
    };
    let [sums] = fold([pieces(a, b, of, columns, Beside::Nothing, layouts)]);
    reshaped(sums, [images, heads, of.rows, of.columns])
}

/// The sums in pieces, `[pieces, matrices, rows * columns and what is beside them]`: [`fold`] adds them.
pub(super) fn pieces(
    a: CubeTensor,
    b: CubeTensor,
    of: Sums,
    columns: Columns,
    beside: Beside,
    [a_layout, b_layout]: [Layout; 2],
) -> CubeTensor {
    let (around, width, statistics) = match columns {
        Columns::Rows => (false, of.pixels, None),
        Columns::Around { width } => (true, width, None),
        Columns::Normalised { statistics } => (false, of.pixels, Some(*statistics)),
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
    let count = of.rows * of.columns + beside.count(of);
    let result = empty(&a, [pieces, matrices, count]);
    let cubes = CubeCount::Static(tiles as u32, matrices as u32, pieces as u32);
    let launch = Launch {
        cubes,
        vector,
        width,
        images_each,
        around,
        statistics,
        beside,
    };
    match tensor_cores::supports_sums(&a, of) {
        true => tensor_cores::row_sums(a, b, result, of, [a_layout, b_layout], launch),
        false => in_f32(a, b, result, of, [a_layout, b_layout], launch),
    }
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
        statistics,
        beside,
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
            tile_rows,
            tile_columns,
            side,
            CHUNK / vector,
            around,
            beside,
        );
    }
    result
}

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
    #[comptime] tile_rows: usize,
    #[comptime] tile_columns: usize,
    #[comptime] side: usize,
    #[comptime] chunk: usize,
    #[comptime] around: bool,
    #[comptime] beside: Beside,
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
    let count = rows * columns + beside_count(rows, columns, beside);
    let start = (piece * CUBE_COUNT_Y + matrix) * count;
    if comptime!(beside != Beside::Nothing) {
        let mut shared = Shared::<[f32]>::new_slice(threads);
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

/// Tensors that one launch of [`fold`] can take.
const PARTS: usize = 8;
/// Results of one tensor begin at multiples of this many values: from there kernels can read them where they lie.
const ALIGNMENT: usize = 128;

/// The sums of each tensor over its first axis, flat, in a fixed order. All in one launch.
pub(super) fn fold<const N: usize>(tensors: [CubeTensor; N]) -> [CubeTensor; N] {
    const { assert!(0 < N && N <= PARTS) };
    let sizes = tensors.each_ref().map(flat);
    if sizes.iter().all(|[count, _]| *count == 1) {
        return core::array::from_fn(|at| reshaped(tensors[at].clone(), [sizes[at][1]]));
    }
    let (mut cubes, mut values) = (0, 0);
    let places = sizes.map(|[_, sums]| {
        let place = (cubes, values);
        cubes += sums.div_ceil(32);
        values += sums.next_multiple_of(ALIGNMENT);
        place
    });
    let result = empty(&tensors[0], [values]);
    // One that is missing has no cubes.
    let part = |at: usize| tensors[at.min(N - 1)].clone().into_buffer_arg();
    let sizes_of = |at: usize| {
        let ([count, sums], (first, start)) = match at < N {
            true => (sizes[at], places[at]),
            false => ([0, 0], (cubes, 0)),
        };
        FoldedLaunch::new(count as u32, sums as u32, first as u32, start as u32)
    };
    // SAFETY: threads past the last sum write nothing.
    unsafe {
        fold_kernel::launch_unchecked(
            &result.client,
            CubeCount::Static(cubes as u32, 1, 1),
            CubeDim::new_1d((32 * SLICES) as u32),
            part(0),
            part(1),
            part(2),
            part(3),
            part(4),
            part(5),
            part(6),
            part(7),
            result.clone().into_buffer_arg(),
            sizes_of(0),
            sizes_of(1),
            sizes_of(2),
            sizes_of(3),
            sizes_of(4),
            sizes_of(5),
            sizes_of(6),
            sizes_of(7),
            SLICES,
        );
    }
    core::array::from_fn(|at| view(result.clone(), places[at].1, sizes[at][1]))
}

/// The first axis, and all others.
fn flat(tensor: &CubeTensor) -> [usize; 2] {
    let count = tensor.meta.shape()[0];
    [count, tensor.meta.num_elements() / count]
}

/// A tensor whose first axis is summed over.
#[derive(CubeType, CubeLaunch)]
struct Folded {
    /// Of the first axis, and of all others.
    count: u32,
    sums: u32,
    /// The first cube that adds for it.
    cube: u32,
    /// Where its results begin.
    start: u32,
}

/// A cube adds 32 sums of one tensor, each in `slices` parts.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "eight tensors")]
fn fold_kernel(
    a: &[f32],
    b: &[f32],
    c: &[f32],
    d: &[f32],
    e: &[f32],
    f: &[f32],
    g: &[f32],
    h: &[f32],
    result: &mut [f32],
    a_of: Folded,
    b_of: Folded,
    c_of: Folded,
    d_of: Folded,
    e_of: Folded,
    f_of: Folded,
    g_of: Folded,
    h_of: Folded,
    #[comptime] slices: usize,
) {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(32 * slices));
    let unit = UNIT_POS;
    let cube = CUBE_POS_X;
    if cube < b_of.cube {
        parts[unit as usize] = fold_part(a, &a_of, slices);
    } else if cube < c_of.cube {
        parts[unit as usize] = fold_part(b, &b_of, slices);
    } else if cube < d_of.cube {
        parts[unit as usize] = fold_part(c, &c_of, slices);
    } else if cube < e_of.cube {
        parts[unit as usize] = fold_part(d, &d_of, slices);
    } else if cube < f_of.cube {
        parts[unit as usize] = fold_part(e, &e_of, slices);
    } else if cube < g_of.cube {
        parts[unit as usize] = fold_part(f, &f_of, slices);
    } else if cube < h_of.cube {
        parts[unit as usize] = fold_part(g, &g_of, slices);
    } else {
        parts[unit as usize] = fold_part(h, &h_of, slices);
    }
    sync_cube();
    if unit < 32 {
        let mut sum = 0.0f32;
        for slice in 0..slices as u32 {
            sum += parts[(slice * 32 + unit) as usize];
        }
        if cube < b_of.cube {
            write_part(sum, result, &a_of);
        } else if cube < c_of.cube {
            write_part(sum, result, &b_of);
        } else if cube < d_of.cube {
            write_part(sum, result, &c_of);
        } else if cube < e_of.cube {
            write_part(sum, result, &d_of);
        } else if cube < f_of.cube {
            write_part(sum, result, &e_of);
        } else if cube < g_of.cube {
            write_part(sum, result, &f_of);
        } else if cube < h_of.cube {
            write_part(sum, result, &g_of);
        } else {
            write_part(sum, result, &h_of);
        }
    }
}

/// What one thread adds.
#[cube]
fn fold_part(pieces: &[f32], of: &Folded, #[comptime] slices: usize) -> f32 {
    let at = (CUBE_POS_X - of.cube) * 32 + UNIT_POS % 32;
    let mut sum = 0.0f32;
    if at < of.sums {
        let mut piece = UNIT_POS / 32;
        while piece < of.count {
            sum += pieces[(piece * of.sums + at) as usize];
            piece += slices as u32;
        }
    }
    sum
}

#[cube]
fn write_part(sum: f32, result: &mut [f32], of: &Folded) {
    let at = (CUBE_POS_X - of.cube) * 32 + UNIT_POS;
    if at < of.sums {
        result[(of.start + at) as usize] = sum;
    }
}
