//! Muon's matrices made orthogonal, many at a time.
//!
//! Each matrix of a buffer is looked up into a stack of matrices of one size, wide rather than tall, with zeros around
//! the smaller ones, which change nothing: five steps of Newton-Schulz for a stack cost as many operations as for
//! a single matrix. On a CPU, where starting an operation costs nothing, matrices share a stack only if they are of one size.

use burn::tensor::{Device, Int, Tensor, TensorData};
use dino_ir::ops::computes_on_cpu;

use crate::train::flat::Layout;

/// Jordan's quintic: singular values go to 0.7..1.2 in five steps.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
const STEPS: usize = 5;
/// A matrix of zeros stays one.
const SMALLEST_NORM: f64 = 1e-7;
/// Floating point operations in the time that a stack's some thirty operations take to start on a GPU.
const STARTING: f64 = 1e8;

/// Where the matrices of a buffer are in stacks.
#[derive(Debug)]
pub(super) struct Stacks {
    stacks: Vec<Stack>,
    /// For each value of the buffer its place in the stacks, one after the other.
    back: Tensor<1, Int>,
    /// For each value of the buffer how far its matrix goes: at the root mean square of AdamW's updates (Liu et al., arXiv
    /// 2502.16982). Zero where there is no matrix.
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
    /// For a buffer of matrices only: shapes whose rows, and columns with all that follows, [`super::matrix`] gives.
    pub fn new(layout: &Layout, device: &Device) -> Self {
        let starting = if computes_on_cpu(device) {
            0.0
        } else {
            STARTING
        };
        Self::with(layout, device, starting)
    }

    /// With stacks that cost as many operations each to start.
    fn with(layout: &Layout, device: &Device, starting: f64) -> Self {
        let matrices: Vec<Matrix> = layout.parts().iter().filter_map(Matrix::of).collect();
        let mut stacks = Vec::new();
        let mut back = vec![0; layout.length()];
        let mut reach = vec![0.0; layout.length()];
        let mut before = 0;
        for size in sizes(&matrices, starting) {
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
                        reach[in_buffer] = 0.2 * (matrix.columns as f32).sqrt();
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

    /// What a buffer of means of gradients says to do, for a learning rate of 1.
    pub fn update(&self, means: Tensor<1>) -> Tensor<1> {
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
    fn of(part: &crate::train::flat::Part) -> Option<Self> {
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

/// Matrices that share a stack.
struct Size {
    rows: usize,
    columns: usize,
    members: Vec<usize>,
}

impl Size {
    /// Floating point operations of the five steps.
    fn cost(&self) -> f64 {
        let (rows, columns) = (self.rows as f64, self.columns as f64);
        let step = 4.0 * rows * rows * columns + 2.0 * rows * rows * rows;
        (STEPS * self.members.len()) as f64 * step
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            rows: self.rows.max(other.rows),
            columns: self.columns.max(other.columns),
            members: [self.members.as_slice(), &other.members].concat(),
        }
    }
}

/// A stack for each size, but a common one where the zeros cost less than another stack.
fn sizes(matrices: &[Matrix], starting: f64) -> Vec<Size> {
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
    loop {
        let pairs = (0..sizes.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        let zeros = |&(one, other): &(usize, usize)| {
            let (one, other) = (&sizes[one], &sizes[other]);
            one.and(other).cost() - one.cost() - other.cost()
        };
        let cheapest = pairs
            .map(|pair| (zeros(&pair), pair))
            .min_by(|one, other| one.0.total_cmp(&other.0));
        match cheapest {
            Some((zeros, (one, other))) if zeros < starting => {
                let both = sizes[one].and(&sizes[other]);
                sizes.swap_remove(one);
                sizes[other] = both;
            }
            _ => return sizes,
        }
    }
}

fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let length = places.len();
    Tensor::from_data(TensorData::new(places, [length]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_share_stacks_and_large_ones_do_not() {
        let matrix = |rows, columns| Matrix {
            start: 0,
            rows,
            columns,
            tall: false,
        };
        let matrices = [
            matrix(32, 32),
            matrix(256, 1152),
            matrix(32, 96),
            matrix(16, 64),
            matrix(32, 32),
        ];
        let found = |starting| {
            let sizes = sizes(&matrices, starting);
            let mut found: Vec<_> = sizes
                .iter()
                .map(|size| (size.rows, size.columns, size.members.len()))
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(STARTING), [(32, 96, 4), (256, 1152, 1)]);
        assert_eq!(
            found(0.0),
            [(16, 64, 1), (32, 32, 2), (32, 96, 1), (256, 1152, 1)]
        );
    }

    #[test]
    fn zeros_around_matrices_change_nothing() {
        let device = Device::flex();
        let shapes = [vec![8, 20], vec![40, 12], vec![20, 8], vec![16, 8, 3, 3]];
        let named = shapes.into_iter().enumerate();
        let layout = Layout::new(named.map(|(at, shape)| (at.to_string(), shape)));
        let mut means = vec![0.0; layout.length()];
        for place in layout
            .parts()
            .iter()
            .flat_map(crate::train::flat::Part::range)
        {
            means[place] = (place as f32 * 0.7311).sin();
        }
        let means = Tensor::<1>::from_floats(means.as_slice(), &device);
        let [alone, padded] = [0.0, STARTING].map(|starting| {
            let stacks = Stacks::with(&layout, &device, starting);
            (stacks.stacks.len(), stacks.update(means.clone()))
        });
        assert_eq!((alone.0, padded.0), (3, 1));
        let worst = (alone.1 - padded.1).abs().max().into_scalar::<f32>();
        assert!(worst < 1e-4, "{worst:e}");
    }
}
