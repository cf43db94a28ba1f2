//! Filters of a dense 3x3 convolution.

use super::matrix::Matrix;

/// Filters and what is added to their outputs.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'a> {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// `[outputs, inputs, 3, 3]`
    pub(crate) weight: &'a [f32],
    /// `[outputs]`
    pub(crate) bias: Option<&'a [f32]>,
}

impl Filters<'_> {
    /// One row for each output, one column for each tap of each input.
    pub(crate) fn matrix(self) -> Matrix {
        let matrix = Matrix::new(self.weight, self.outputs, self.inputs * 9);
        match self.bias {
            Some(bias) => matrix.with_bias(bias.to_vec()),
            None => matrix,
        }
    }
}
