//! Products of a matrix with another, whose rows are long: `c = a b`.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Layout, Place, contiguous, cubes, dims, empty, vector};

/// Rows of `c` that one thread computes.
const ROWS: usize = 8;

/// The sizes of each product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size3 {
    pub images: usize,
    pub heads: usize,
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// Matrices with matrices; one on either side is for all of the other's.
pub(super) fn matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
    let (a, b) = (contiguous(a), contiguous(b));
    let [one, rows, inner] = dims(&a);
    let [other, _, columns] = dims(&b);
    let images = one.max(other);
    let c = empty(&a, [images, rows, columns]);
    let size = Size3 {
        images,
        heads: 1,
        rows,
        inner,
        columns,
    };
    let layout = |count: usize, rows: usize, columns: usize| match count {
        1 => Layout::shared(columns),
        _ => Layout::matrices(rows, columns),
    };
    let layouts = [
        layout(one, rows, inner),
        layout(other, inner, columns),
        Layout::matrices(rows, columns),
    ];
    product(a, b, &c, size, layouts);
    c
}

/// Writes the products of `a`'s matrices with `b`'s to `c`.
pub(super) fn product(
    a: CubeTensor,
    b: CubeTensor,
    c: &CubeTensor,
    size: Size3,
    [a_layout, b_layout, c_layout]: [Layout; 3],
) {
    let a_vector = vector(&[&[size.inner], &a_layout.steps()[..]].concat());
    let b_steps = [
        &[size.columns],
        &b_layout.steps()[..],
        &c_layout.steps()[..],
    ]
    .concat();
    let b_vector = vector(&b_steps);
    let columns = size.columns / b_vector;
    let blocks = size.rows.div_ceil(ROWS);
    let (count, dim) = cubes(c, size.images * size.heads * blocks * columns);
    // SAFETY: threads past the last task end at once, and the layouts lie in the buffers.
    unsafe {
        product_kernel::launch_unchecked(
            &c.client,
            count,
            dim,
            a_vector,
            b_vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            c.clone().into_buffer_arg(),
            a_layout.argument(a_vector),
            b_layout.argument(b_vector),
            c_layout.argument(b_vector),
            (size.images * size.heads) as u32,
            size.heads as u32,
            size.rows as u32,
            (size.inner / a_vector) as u32,
            columns as u32,
            ROWS,
        );
    }
}

/// Each thread computes `block` rows of one vector of columns.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn product_kernel<NA: Size, NB: Size>(
    a: &[Vector<f32, NA>],
    b: &[Vector<f32, NB>],
    c: &mut [Vector<f32, NB>],
    a_place: Place,
    b_place: Place,
    c_place: Place,
    batch: u32,
    heads: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    #[comptime] block: usize,
) {
    let task = ABSOLUTE_POS as u32;
    let column = task % columns;
    let rest = task / columns;
    let blocks = rows.div_ceil(block as u32);
    let first = rest % blocks * block as u32;
    let matrix = rest / blocks;
    if matrix >= batch {
        terminate!();
    }
    let image = matrix / heads;
    let head = matrix % heads;
    let a_start = a_place.of(image, head);
    let mut b_at = b_place.of(image, head) + column;

    let mut sums = Array::<Vector<f32, NB>>::new(block);
    let mut a_at = Array::<u32>::new(block);
    #[unroll]
    for i in 0..block {
        sums[i] = Vector::new(0.0);
        // Rows past the last are computed as the last, and not written.
        a_at[i] = a_start + u32::min(first + i as u32, rows - 1) * a_place.row;
    }
    for k in 0..inner {
        let mut left = Array::<Vector<f32, NA>>::new(block);
        #[unroll]
        for i in 0..block {
            left[i] = a[(a_at[i] + k) as usize];
        }
        #[unroll]
        for j in 0..NA::value() {
            let right = b[b_at as usize];
            b_at += b_place.row;
            #[unroll]
            for i in 0..block {
                sums[i] += Vector::new(left[i].extract(j)) * right;
            }
        }
    }
    let c_start = c_place.of(image, head) + column;
    #[unroll]
    for i in 0..block {
        let row = first + i as u32;
        if row < rows {
            c[(c_start + row * c_place.row) as usize] = sums[i];
        }
    }
}
