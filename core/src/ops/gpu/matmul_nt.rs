//! Products of rows with rows: `c = a b^T`.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::gelu::gelu_of;
use super::launch::{Layout, Place, contiguous, cubes, dims, empty, vector};

/// Rows of `a` and of `b` whose products one thread computes.
const SIDE: usize = 4;

/// The sizes of each product. The sum over `inner` may be left in `pieces`, one after the other in `c`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size4 {
    pub images: usize,
    pub heads: usize,
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    pub pieces: usize,
}

/// What is done to a product: `own + scale gelu(product + bias)`, with what there is of it.
#[derive(Clone, Debug, Default)]
pub(super) struct After {
    /// `[columns]`.
    pub bias: Option<CubeTensor>,
    pub gelu: bool,
    /// `[columns]`.
    pub scale: Option<CubeTensor>,
    /// Lies as the result.
    pub own: Option<CubeTensor>,
}

/// `x weight^T + bias` for each token.
pub(super) fn linear(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    let after = After {
        bias: Some(contiguous(bias)),
        ..After::default()
    };
    linear_and(x, weight, after)
}

/// `gelu(x weight^T + bias)` for each token.
pub(super) fn gelu_linear(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    let after = After {
        bias: Some(contiguous(bias)),
        gelu: true,
        ..After::default()
    };
    linear_and(x, weight, after)
}

/// `x + scale (input weight^T + bias)` for each token.
pub(super) fn add_linear(
    x: CubeTensor,
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    scale: CubeTensor,
) -> CubeTensor {
    let [bias, scale, own] = [bias, scale, x].map(|tensor| Some(contiguous(tensor)));
    let after = After {
        bias,
        gelu: false,
        scale,
        own,
    };
    linear_and(input, weight, after)
}

fn linear_and(x: CubeTensor, weight: CubeTensor, after: After) -> CubeTensor {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let [images, tokens, inner] = dims(&x);
    let [columns, _] = dims(&weight);
    let y = empty(&x, [images, tokens, columns]);
    let rows = images * tokens;
    let size = Size4 {
        images: 1,
        heads: 1,
        rows,
        columns,
        inner,
        pieces: 1,
    };
    let layouts = [
        Layout::matrices(rows, inner),
        Layout::matrices(columns, inner),
        Layout::matrices(rows, columns),
    ];
    matmul_nt(x, weight, after, &y, size, layouts);
    y
}

/// Writes the products of the rows of `a`'s matrices with those of `b`'s to `c`.
pub(super) fn matmul_nt(
    a: CubeTensor,
    b: CubeTensor,
    after: After,
    c: &CubeTensor,
    size: Size4,
    [a_layout, b_layout, c_layout]: [Layout; 3],
) {
    let [bias, scale, own] = [after.bias, after.scale, after.own]
        .map(|tensor| tensor.map(|tensor| tensor.into_buffer_arg()));
    let steps = [&[size.inner], &a_layout.steps()[..], &b_layout.steps()[..]].concat();
    let vector = vector(&steps);
    let inner = size.inner / vector;
    let blocks = size.rows.div_ceil(SIDE) * size.columns.div_ceil(SIDE);
    let batch = size.images * size.heads;
    let (count, dim) = cubes(c, size.pieces * batch * blocks);
    // SAFETY: threads past the last task end at once, and the layouts lie in the buffers.
    unsafe {
        matmul_nt_kernel::launch_unchecked(
            &c.client,
            count,
            dim,
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            bias.into(),
            scale.into(),
            own.into(),
            c.clone().into_buffer_arg(),
            a_layout.argument(vector),
            b_layout.argument(vector),
            c_layout.argument(1),
            size.pieces as u32,
            batch as u32,
            size.heads as u32,
            size.rows as u32,
            size.columns as u32,
            inner as u32,
            after.gelu,
            SIDE,
        );
    }
}

/// Each thread computes a block of `side` by `side` products over one piece of the rows.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn matmul_nt_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    bias: ComptimeOption<&[f32]>,
    scale: ComptimeOption<&[f32]>,
    own: ComptimeOption<&[f32]>,
    c: &mut [f32],
    a_place: Place,
    b_place: Place,
    c_place: Place,
    pieces: u32,
    batch: u32,
    heads: u32,
    rows: u32,
    columns: u32,
    inner: u32,
    #[comptime] gelu: bool,
    #[comptime] side: usize,
) {
    let task = ABSOLUTE_POS as u32;
    let across = columns.div_ceil(side as u32);
    let column = task % across * side as u32;
    let rest = task / across;
    let down = rows.div_ceil(side as u32);
    let row = rest % down * side as u32;
    let rest = rest / down;
    let matrix = rest % batch;
    let piece = rest / batch;
    if piece >= pieces {
        terminate!();
    }
    let image = matrix / heads;
    let head = matrix % heads;
    let a_start = a_place.of(image, head);
    let b_start = b_place.of(image, head);
    let span = inner.div_ceil(pieces);
    let begin = piece * span;
    let end = u32::min(begin + span, inner);

    let mut sums = Array::<Vector<f32, N>>::new(side * side);
    #[unroll]
    for i in 0..side * side {
        sums[i] = Vector::new(0.0);
    }
    for k in begin..end {
        let mut left = Array::<Vector<f32, N>>::new(side);
        #[unroll]
        for i in 0..side {
            // Rows past the last are computed as the last, and not written.
            let at = u32::min(row + i as u32, rows - 1);
            left[i] = a[(a_start + at * a_place.row + k) as usize];
        }
        #[unroll]
        for j in 0..side {
            let at = u32::min(column + j as u32, columns - 1);
            let right = b[(b_start + at * b_place.row + k) as usize];
            #[unroll]
            for i in 0..side {
                sums[i * side + j] += left[i] * right;
            }
        }
    }
    let c_start = piece * batch * rows * columns + c_place.of(image, head);
    #[unroll]
    for i in 0..side {
        #[unroll]
        for j in 0..side {
            let at_row = row + i as u32;
            let at_column = column + j as u32;
            if at_row < rows && at_column < columns {
                let at = (c_start + at_row * c_place.row + at_column) as usize;
                let mut value = total(sums[i * side + j]);
                #[comptime]
                match &bias {
                    ComptimeOption::Some(bias) => value += bias[at_column as usize],
                    ComptimeOption::None => {}
                }
                if comptime!(gelu) {
                    value = gelu_of(Vector::<f32, Const<1>>::new(value)).extract(0usize);
                }
                #[comptime]
                match &scale {
                    ComptimeOption::Some(scale) => value *= scale[at_column as usize],
                    ComptimeOption::None => {}
                }
                #[comptime]
                match &own {
                    ComptimeOption::Some(own) => value += own[at],
                    ComptimeOption::None => {}
                }
                c[at] = value;
            }
        }
    }
}

/// The sum of a vector's elements.
#[cube]
pub(super) fn total<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = vector.extract(0usize);
    #[unroll]
    for i in 1..N::value() {
        sum += vector.extract(i);
    }
    sum
}
