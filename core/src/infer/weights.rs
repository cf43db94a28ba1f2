//! From a module's parameters to packed weights.

use burn::module::Param;
use burn::tensor::Tensor;

use crate::constants::NORM_EPSILON;
use crate::cpu::arrange::Arrange;
use crate::cpu::conv3x3::Conv3x3;
use crate::cpu::filters::Filters;
use crate::cpu::matrix::Matrix;
use crate::model::layers::{Conv, LayerNorm, Linear};
use crate::model::restormer::layer_norm::ChannelLayerNorm;

/// A parameter's values in row-major order.
pub(crate) fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data().convert::<f32>().into_vec_f32()
}

/// Values of data that is f32.
trait IntoVec {
    fn into_vec_f32(self) -> Vec<f32>;
}

impl IntoVec for burn::tensor::TensorData {
    fn into_vec_f32(self) -> Vec<f32> {
        self.try_into_vec().expect("f32 after the conversion")
    }
}

/// Whether a fused block computes a convolution: without bias, 1x1 over all channels or 3x3 on each by itself.
pub(crate) fn is_supported(conv: &Conv) -> bool {
    let [_, _, height, width] = conv.weight.dims();
    let size = if conv.depthwise { [3, 3] } else { [1, 1] };
    conv.bias.is_none() && [height, width] == size
}

/// The filters of a depthwise convolution, nine taps for each channel.
pub(crate) fn taps(conv: &Conv) -> Vec<f32> {
    values(&conv.weight)
}

/// A convolution as a matrix: one row for each output channel, its columns in the order of the weights.
pub(crate) fn matrix(conv: &Conv) -> Matrix {
    let [outputs, inputs, height, width] = conv.weight.dims();
    let matrix = Matrix::new(&values(&conv.weight), outputs, inputs * height * width);
    match &conv.bias {
        Some(bias) => matrix.with_bias(values(bias)),
        None => matrix,
    }
}

/// A 3x3 convolution.
pub(crate) fn conv3x3(conv: &Conv, arrange: Arrange) -> Conv3x3 {
    let [outputs, inputs, ..] = conv.weight.dims();
    let bias = conv.bias.as_ref().map(values);
    let filters = Filters {
        outputs,
        inputs,
        weight: &values(&conv.weight),
        bias: bias.as_deref(),
    };
    Conv3x3::new(filters, arrange)
}

/// A linear layer whose outputs are multiplied by `scale`.
pub(crate) fn linear(layer: &Linear, scale: impl Fn(usize) -> f32 + Sync) -> Matrix {
    let [outputs, inputs] = layer.weight.dims();
    let weight = values(&layer.weight);
    let bias = values(&layer.bias);
    Matrix::from_fn(outputs, inputs, |row, column| {
        weight[row * inputs + column] * scale(row)
    })
    .with_bias(
        bias.iter()
            .enumerate()
            .map(|(row, b)| b * scale(row))
            .collect(),
    )
}

/// A norm and the matrix after it. The norm's scale and shift are part of the matrix:
/// `W (gamma x + beta) = (W gamma) x + W beta`.
#[derive(Debug)]
pub(crate) struct Normed {
    pub(crate) matrix: Matrix,
    /// Whether the mean is taken off.
    pub(crate) centred: bool,
    pub(crate) epsilon: f32,
}

impl Normed {
    /// Restormer's norm over channels and a 1x1 convolution without bias, from its output `first` on.
    pub(crate) fn new(norm: &ChannelLayerNorm, conv: &Conv, first: usize) -> Self {
        let [outputs, inputs, _, _] = conv.weight.dims();
        let weight = values(&conv.weight).split_off(first * inputs);
        let bias = norm.bias.as_ref().map(values);
        Self {
            centred: bias.is_some(),
            matrix: fold(
                &weight,
                [outputs - first, inputs],
                &values(&norm.weight),
                bias.as_deref(),
            ),
            epsilon: NORM_EPSILON,
        }
    }

    /// The backbone's norm over a token and a linear layer whose outputs are multiplied by `scale`.
    pub(crate) fn of_tokens(
        norm: &LayerNorm,
        layer: &Linear,
        scale: impl Fn(usize) -> f32,
    ) -> Self {
        let [outputs, inputs] = layer.weight.dims();
        let mut weight = values(&layer.weight);
        for (row, weights) in weight.chunks_exact_mut(inputs).enumerate() {
            weights.iter_mut().for_each(|weight| *weight *= scale(row));
        }
        let gamma = values(&norm.weight);
        let beta = values(&norm.bias);
        let shift = products(&weight, inputs, &beta);
        let bias = values(&layer.bias);
        let bias = (0..outputs).map(|row| shift[row] + bias[row] * scale(row));
        Self {
            matrix: fold(&weight, [outputs, inputs], &gamma, None).with_bias(bias.collect()),
            centred: true,
            epsilon: norm.epsilon as f32,
        }
    }
}

fn fold(
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
    gamma: &[f32],
    beta: Option<&[f32]>,
) -> Matrix {
    let matrix = Matrix::from_fn(outputs, inputs, |row, column| {
        weight[row * inputs + column] * gamma[column]
    });
    match beta {
        Some(beta) => matrix.with_bias(products(weight, inputs, beta)),
        None => matrix,
    }
}

/// A row-major matrix times a vector.
pub(crate) fn products(matrix: &[f32], inner: usize, vector: &[f32]) -> Vec<f32> {
    let product = |row: &[f32]| row.iter().zip(vector).map(|(a, b)| a * b).sum();
    matrix.chunks_exact(inner).map(product).collect()
}
