//! Products of a matrix with another, whose rows are long: `c = a b`.

use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Layout, Place, Size3, contiguous, cubes, dims, empty, reshaped, vector};
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

operation! { [Cube] MatmulNtOps: MatmulNt, pub(in crate::ops) fn matmul_nt(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> }

/// `c = a b^T`.
#[derive(Debug)]
struct MatmulNt;

impl Differentiable<CubeBackend, 2> for MatmulNt {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [a, b] = inputs.map(contiguous);
        let [images, rows, inner] = dims(&a);
        let [_, columns, _] = dims(&b);
        let of = Sums {
            images,
            heads: 1,
            rows,
            columns,
            pixels: inner,
            over_images: false,
        };
        let layouts = [rows, columns].map(|rows| Layout::matrices(rows, inner));
        let c = row_sums(a.clone(), b.clone(), of, Columns::Rows, layouts);
        (reshaped(c, [images, rows, columns]), [a, b])
    }

    /// `dc b` and `dc^T a`.
    fn backward([a, b]: Self::Saved, dc: CubeTensor, wanted: [bool; 2]) -> [Option<CubeTensor>; 2] {
        let dc = contiguous(dc);
        [
            wanted[0].then(|| products(dc.clone(), b.clone())),
            wanted[1].then(|| right_gradient(dc.clone(), &b, a)),
        ]
    }
}

/// Matrices with matrices; one on either side is for all of the other's.
fn products(a: CubeTensor, b: CubeTensor) -> CubeTensor {
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
    let layouts = [
        layout(one, rows, inner),
        layout(other, inner, columns),
        Layout::matrices(rows, columns),
    ];
    Product::new(size, layouts).write(a, b, &c);
    c
}

/// One matrix may be for all images.
fn layout(count: usize, rows: usize, columns: usize) -> Layout {
    match count {
        1 => Layout::shared(columns),
        _ => Layout::matrices(rows, columns),
    }
}

/// `c = a b` for each pair of matrices, and what else goes into it.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub size: Size3,
    /// Of `a`, `b` and `c`.
    pub layouts: [Layout; 3],
    /// Whether `a` lies column by column: its layout's row is then from one column to the next.
    pub transposed: bool,
    /// `b` of a head is that of so many heads further on, in a circle.
    pub ahead: usize,
    /// Rows that are added.
    pub own: Option<Own>,
    /// What is added to all of a row, `[rows]`.
    pub bias: Option<CubeTensor>,
}

/// Rows that are added to a product's, each times its scale (`[images, heads, rows]`) if there are some.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub values: CubeTensor,
    pub layout: Layout,
    pub scales: Option<CubeTensor>,
}

impl Product {
    /// Nothing but the product.
    pub fn new(size: Size3, layouts: [Layout; 3]) -> Self {
        Self {
            size,
            layouts,
            transposed: false,
            ahead: 0,
            own: None,
            bias: None,
        }
    }

    /// With `a` column by column.
    pub fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }

    /// With these rows added, which lie as the result.
    pub fn with_own(self, values: CubeTensor, scales: Option<CubeTensor>) -> Self {
        let [_, _, layout] = self.layouts;
        let own = Own {
            values,
            layout,
            scales,
        };
        Self {
            own: Some(own),
            ..self
        }
    }

    /// With this added, `[rows]`.
    pub fn with_bias(self, bias: CubeTensor) -> Self {
        Self {
            bias: Some(bias),
            ..self
        }
    }

    /// Writes the products of `a`'s matrices with `b`'s to `c`.
    pub fn write(self, a: CubeTensor, b: CubeTensor, c: &CubeTensor) {
        if tensor_cores::supports_product(c, &self) {
            return tensor_cores::product(a, b, c, self);
        }
        let Self {
            size,
            layouts: [a_layout, b_layout, c_layout],
            transposed,
            ahead,
            own,
            bias,
        } = self;
        let own_layout = own.as_ref().map_or(c_layout, |own| own.layout);
        let (own, scales) = match own {
            Some(own) => (Some(own.values), own.scales),
            None => (None, None),
        };
        // Elements that lie beside each other.
        let beside = if transposed { size.rows } else { size.inner };
        let a_vector = vector(&[&[beside], &a_layout.steps()[..]].concat());
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
                bias.map(|bias| bias.into_buffer_arg()).into(),
                c.clone().into_buffer_arg(),
                a_layout.argument(a_vector),
                b_layout.argument(b_vector),
                own_layout.argument(b_vector),
                c_layout.argument(b_vector),
                (size.images * size.heads) as u32,
                size.heads as u32,
                ahead as u32,
                size.rows as u32,
                size.inner as u32,
                columns as u32,
                transposed,
                ROWS,
                GROUP,
            );
        }
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
    bias: ComptimeOption<&[f32]>,
    c: &mut [Vector<f32, NB>],
    a_place: Place,
    b_place: Place,
    own_place: Place,
    c_place: Place,
    batch: u32,
    heads: u32,
    ahead: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    #[comptime] transposed: bool,
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
    let mut b_at = b_place.of(image, (head + ahead) % heads) + column;

    let mut sums = Array::<Vector<f32, NB>>::new(block);
    #[unroll]
    for i in 0..block {
        sums[i] = Vector::new(0.0);
    }
    let width = NA::value();
    if comptime!(transposed) {
        // Rows past the last are computed as the last, and not written.
        let last = rows / width as u32 - 1;
        let mut a_at = a_start;
        for _ in 0..inner {
            let right = b[b_at as usize];
            b_at += b_place.row;
            #[unroll]
            for i in 0..comptime!(block / width) {
                let at = u32::min(first / width as u32 + i as u32, last);
                let left = a[(a_at + at) as usize];
                #[unroll]
                for j in 0..width {
                    let row = comptime!(i * width + j);
                    sums[row] = fma(Vector::new(left.extract(j)), right, sums[row]);
                }
            }
            a_at += a_place.row;
        }
    } else {
        let mut a_at = Array::<u32>::new(block);
        #[unroll]
        for i in 0..block {
            a_at[i] = a_start + u32::min(first + i as u32, rows - 1) * a_place.row;
        }
        for k in 0..inner / width as u32 {
            let mut left = Array::<Vector<f32, NA>>::new(block);
            #[unroll]
            for i in 0..block {
                left[i] = a[(a_at[i] + k) as usize];
            }
            #[unroll]
            for j in 0..width {
                let right = b[b_at as usize];
                b_at += b_place.row;
                #[unroll]
                for i in 0..block {
                    sums[i] = fma(Vector::new(left[i].extract(j)), right, sums[i]);
                }
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
            let mut sum = sums[i];
            #[comptime]
            match &bias {
                ComptimeOption::Some(bias) => sum += Vector::new(bias[row as usize]),
                ComptimeOption::None => {}
            }
            #[comptime]
            match &own {
                ComptimeOption::Some(own) => {
                    let value = own[(own_start + row * own_place.row) as usize];
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
    let layouts = [
        Layout::matrices(rows, columns),
        layout(other, inner, columns),
    ];
    reshaped(
        row_sums(dc, b, of, Columns::Rows, layouts),
        [one, rows, inner],
    )
}

/// The gradient of `b` in [`matmul`]: `a^T dc`, summed over the images if it is for all of them.
fn right_gradient(a: CubeTensor, b: &CubeTensor, dc: CubeTensor) -> CubeTensor {
    let [one, rows, _] = dims(&a);
    let [other, inner, columns] = dims(b);
    let images = one.max(other);
    let gradient = empty(&a, [images, inner, columns]);
    let size = Size3 {
        images,
        heads: 1,
        rows: inner,
        inner: rows,
        columns,
    };
    let layouts = [
        layout(one, rows, inner),
        Layout::matrices(rows, columns),
        Layout::matrices(inner, columns),
    ];
    Product::new(size, layouts)
        .transposed()
        .write(a, dc, &gradient);
    match other {
        1 => {
            let [sum] = fold([gradient]);
            reshaped(sum, [1, inner, columns])
        }
        _ => gradient,
    }
}
