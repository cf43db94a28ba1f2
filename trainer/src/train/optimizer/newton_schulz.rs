//! Muon's matrices made orthogonal, all of a buffer at a time.
//!
//! A GPU has kernels for that. On a CPU matrices of one size are looked up into a stack, wide rather than tall: five steps of
//! Newton-Schulz for a stack are as many operations as for a single matrix.

use burn::tensor::{Device, Int, Tensor, TensorData};
use dino_ir::ops::{Matrices, MatrixPlace};

use crate::train::flat::{Layout, Part};

/// Jordan's quintic: singular values go to 0.7..1.2 in five steps.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
const STEPS: usize = 5;
/// A matrix of zeros stays one.
const SMALLEST_NORM: f64 = 1e-7;

/// The matrices of a buffer of matrices only: shapes whose rows, and columns with all that follows, [`super::matrix`] gives.
#[derive(Debug)]
pub(super) enum Orthogonal {
    Kernels(Box<Matrices>),
    Stacks(Box<Stacks>),
}

impl Orthogonal {
    pub fn new(layout: &Layout, device: &Device) -> Self {
        let place = |part: &Part| {
            let [rows, columns] = super::matrix(&part.shape)?;
            Some(MatrixPlace {
                start: part.start,
                rows,
                columns,
                reach: reach(rows.max(columns)),
            })
        };
        let places: Vec<_> = layout.parts().iter().filter_map(place).collect();
        match Matrices::new(&places, device) {
            Some(matrices) => Self::Kernels(Box::new(matrices)),
            None => Self::Stacks(Box::new(Stacks::new(layout, device))),
        }
    }

    /// What a buffer of means of gradients says to do, for a learning rate of 1.
    pub fn update(&self, means: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Kernels(matrices) => matrices.orthogonal(means, COEFFICIENTS, STEPS),
            Self::Stacks(stacks) => stacks.update(means),
        }
    }
}

/// How far a matrix of so many columns goes, wide rather than tall: at the root mean square of AdamW's updates (Liu et al.,
/// arXiv 2502.16982).
fn reach(columns: usize) -> f32 {
    0.2 * (columns as f32).sqrt()
}

/// Where the matrices of a buffer are in stacks.
#[derive(Debug)]
pub(super) struct Stacks {
    stacks: Vec<Stack>,
    /// For each value of the buffer its place in the stacks, one after the other.
    back: Tensor<1, Int>,
    /// For each value of the buffer how far its matrix goes; zero where there is no matrix.
    reach: Tensor<1>,
}

#[derive(Debug)]
struct Stack {
    /// `[matrices, rows, columns]`.
    shape: [usize; 3],
    /// For each of its values the place in the buffer.
    places: Tensor<1, Int>,
    /// `[1, rows, rows]`.
    identity: Tensor<3>,
}

impl Stacks {
    fn new(layout: &Layout, device: &Device) -> Self {
        let matrices: Vec<Matrix> = layout.parts().iter().filter_map(Matrix::of).collect();
        let mut stacks = Vec::new();
        let mut back = vec![0; layout.length()];
        let mut reach = vec![0.0; layout.length()];
        let mut before = 0;
        for size in sizes(&matrices) {
            let Size { rows, columns, .. } = size;
            let mut places = vec![layout.zero(); size.members.len() * rows * columns];
            for (at, &member) in size.members.iter().enumerate() {
                let matrix = &matrices[member];
                for row in 0..matrix.rows {
                    for column in 0..matrix.columns {
                        let in_stack = (at * rows + row) * columns + column;
                        let in_buffer = matrix.place(row, column);
                        places[in_stack] = in_buffer;
                        back[in_buffer] = before + in_stack;
                        reach[in_buffer] = self::reach(matrix.columns);
                    }
                }
            }
            before += places.len();
            stacks.push(Stack {
                shape: [size.members.len(), rows, columns],
                places: indices(&places, device),
                identity: Tensor::<2>::eye(rows, device).unsqueeze(),
            });
        }
        Self {
            stacks,
            back: indices(&back, device),
            reach: Tensor::from_floats(reach.as_slice(), device),
        }
    }

    fn update(&self, means: Tensor<1>) -> Tensor<1> {
        let orthogonal = self.stacks.iter().map(|stack| {
            let matrices = means.clone().select(0, stack.places.clone());
            let [count, rows, columns] = stack.shape;
            stack
                .orthogonal(matrices.reshape(stack.shape))
                .reshape([count * rows * columns])
        });
        let orthogonal = Tensor::cat(orthogonal.collect(), 0);
        orthogonal.select(0, self.back.clone()) * self.reach.clone()
    }
}

impl Stack {
    fn orthogonal(&self, matrices: Tensor<3>) -> Tensor<3> {
        let [a, b, c] = COEFFICIENTS;
        let norm = matrices.clone().square().sum_dim(2).sum_dim(1).sqrt();
        let mut x = matrices / norm.clamp_min(SMALLEST_NORM);
        let (linear, constant) = (
            self.identity.clone().mul_scalar(b),
            self.identity.clone().mul_scalar(a),
        );
        for _ in 0..STEPS {
            // a X + (b A + c A A) X with A = X X'.
            let squares = x.clone().matmul(x.clone().swap_dims(1, 2));
            let factor = squares.clone().mul_scalar(c) + linear.clone();
            x = (squares.matmul(factor) + constant.clone()).matmul(x);
        }
        x
    }
}

/// A matrix in a buffer, wide rather than tall.
struct Matrix {
    start: usize,
    rows: usize,
    columns: usize,
    /// Whether it lies there with its rows as columns.
    tall: bool,
}

impl Matrix {
    fn of(part: &Part) -> Option<Self> {
        let [rows, columns] = super::matrix(&part.shape)?;
        let tall = rows > columns;
        Some(Self {
            start: part.start,
            rows: rows.min(columns),
            columns: rows.max(columns),
            tall,
        })
    }

    fn place(&self, row: usize, column: usize) -> usize {
        self.start
            + match self.tall {
                true => column * self.rows + row,
                false => row * self.columns + column,
            }
    }
}

/// Matrices of one size.
struct Size {
    rows: usize,
    columns: usize,
    members: Vec<usize>,
}

/// The sizes that there are, in the order in which they come.
fn sizes(matrices: &[Matrix]) -> Vec<Size> {
    let mut sizes: Vec<Size> = Vec::new();
    for (at, &Matrix { rows, columns, .. }) in matrices.iter().enumerate() {
        let same = |size: &&mut Size| (size.rows, size.columns) == (rows, columns);
        match sizes.iter_mut().find(same) {
            Some(size) => size.members.push(at),
            None => sizes.push(Size {
                rows,
                columns,
                members: vec![at],
            }),
        }
    }
    sizes
}

fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let length = places.len();
    Tensor::from_data(TensorData::new(places, [length]), device)
}
