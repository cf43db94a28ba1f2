//! Products of a matrix with another, whose rows are long: `c = a b`.

use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{
    Layout, Place, Size3, contiguous, cubes, dims, empty, reshaped, transposed, vector,
};
use super::row_sums::{Columns, Sums, fold, row_sums};
use super::tensor_cores;
use crate::ops::operation::{Differentiable, operation};

/// Rows of `c` that one thread computes.
const ROWS: usize = 8;
/// Neighbouring threads that have the same rows of neighbouring columns. The next ones have the next rows of the same
/// columns, so that `b` is in the first cache when they read it again.
const GROUP: usize = 32;

operation! { [Cube] MatmulOps: Matmul, pub(in crate::ops) fn matmul(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> }

#[derive(Debug)]
struct Matmul;

impl Differentiable<CubeBackend, 2> for Matmul {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [a, b] = inputs.map(contiguous);
        (products(a.clone(), b.clone()), [a, b])
    }

    fn backward([a, b]: Self::Saved, dc: CubeTensor, wanted: [bool; 2]) -> [Option<CubeTensor>; 2] {
        let dc = contiguous(dc);
        [
            wanted[0].then(|| left_gradient(&a, b.clone(), dc.clone())),
            wanted[1].then(|| right_gradient(a.clone(), &b, dc.clone())),
        ]
    }
}

/// Matrices with matrices; one on either side is for all of the other's.
fn products(a: CubeTensor, b: CubeTensor) -> CubeTensor {
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
    layouts: [Layout; 3],
) {
    product_and_own(a, b, c, size, layouts, None);
}

/// The same, plus the rows of another tensor, `own` with its layout, each times its scale (`[images, heads, rows]`).
pub(super) fn product_and_own(
    a: CubeTensor,
    b: CubeTensor,
    c: &CubeTensor,
    size: Size3,
    [a_layout, b_layout, c_layout]: [Layout; 3],
    own: Option<(CubeTensor, CubeTensor, Layout)>,
) {
    let own_layout = own.as_ref().map_or(c_layout, |(_, _, layout)| *layout);
    let (own, scales) = match own {
        Some((own, scales, _)) => (Some(own), Some(scales)),
        None => (None, None),
    };
    if tensor_cores::supports_product(c, size, [b_layout, c_layout, own_layout]) {
        let layouts = [a_layout, b_layout, c_layout, own_layout];
        return tensor_cores::product(a, b, c, size, layouts, own, scales);
    }
    let a_vector = vector(&[&[size.inner], &a_layout.steps()[..]].concat());
    let b_steps = [
        &[size.columns],
        &b_layout.steps()[..],
        &c_layout.steps()[..],
        &own_layout.steps()[..],
    ]
    .concat();
    let b_vector = vector(&b_steps);
    let columns = size.columns / b_vector;
    let blocks = size.rows.div_ceil(ROWS);
    let groups = columns.div_ceil(GROUP);
    let (count, dim) = cubes(c, size.images * size.heads * groups * blocks * GROUP);
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
            own.map(|own| own.into_buffer_arg()).into(),
            scales.map(|scales| scales.into_buffer_arg()).into(),
            c.clone().into_buffer_arg(),
            a_layout.argument(a_vector),
            b_layout.argument(b_vector),
            own_layout.argument(b_vector),
            c_layout.argument(b_vector),
            (size.images * size.heads) as u32,
            size.heads as u32,
            size.rows as u32,
            (size.inner / a_vector) as u32,
            columns as u32,
            ROWS,
            GROUP,
        );
    }
}

/// Each thread computes `block` rows of one vector of columns.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn product_kernel<NA: Size, NB: Size>(
    a: &[Vector<f32, NA>],
    b: &[Vector<f32, NB>],
    own: ComptimeOption<&[Vector<f32, NB>]>,
    scales: ComptimeOption<&[f32]>,
    c: &mut [Vector<f32, NB>],
    a_place: Place,
    b_place: Place,
    own_place: Place,
    c_place: Place,
    batch: u32,
    heads: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    #[comptime] block: usize,
    #[comptime] group: usize,
) {
    let task = ABSOLUTE_POS as u32;
    let rest = task / group as u32;
    let blocks = rows.div_ceil(block as u32);
    let first = rest % blocks * block as u32;
    let rest = rest / blocks;
    let groups = columns.div_ceil(group as u32);
    let column = rest % groups * group as u32 + task % group as u32;
    let matrix = rest / groups;
    if matrix >= batch || column >= columns {
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
                sums[i] = fma(Vector::new(left[i].extract(j)), right, sums[i]);
            }
        }
    }
    let c_start = c_place.of(image, head) + column;
    let own_start = own_place.of(image, head) + column;
    #[unroll]
    for i in 0..block {
        let row = first + i as u32;
        if row < rows {
            let at = (c_start + row * c_place.row) as usize;
            #[comptime]
            match &own {
                ComptimeOption::Some(own) => {
                    let value = own[(own_start + row * own_place.row) as usize];
                    #[comptime]
                    match &scales {
                        ComptimeOption::Some(scales) => {
                            let scale = Vector::new(scales[(matrix * rows + row) as usize]);
                            c[at] = fma(scale, value, sums[i]);
                        }
                        ComptimeOption::None => c[at] = sums[i] + value,
                    }
                }
                ComptimeOption::None => c[at] = sums[i],
            }
        }
    }
}

/// The gradient of `a` in [`matmul`]: `dc b^T`, summed over the images if it is for all of them.
fn left_gradient(a: &CubeTensor, b: CubeTensor, dc: CubeTensor) -> CubeTensor {
    let [one, rows, inner] = dims(a);
    let [other, _, columns] = dims(&b);
    let of = Sums {
        images: one.max(other),
        heads: 1,
        rows,
        columns: inner,
        pixels: columns,
        over_images: one == 1,
    };
    let b_layout = match other {
        1 => Layout::shared(columns),
        _ => Layout::matrices(inner, columns),
    };
    let layouts = [Layout::matrices(rows, columns), b_layout];
    reshaped(
        row_sums(dc, b, of, Columns::Rows, layouts),
        [one, rows, inner],
    )
}

/// The gradient of `b` in [`matmul`]: `a^T dc`, summed over the images if it is for all of them.
fn right_gradient(a: CubeTensor, b: &CubeTensor, dc: CubeTensor) -> CubeTensor {
    let [other, inner, columns] = dims(b);
    let gradient = products(transposed(a, 1, 2), dc);
    match other {
        1 => reshaped(fold(gradient), [1, inner, columns]),
        _ => gradient,
    }
}
