//! 1x1 convolution: the same matrix for every pixel.

use super::{
    flex::{contiguous, dims, tensor, values},
    matmul, on_cpu,
    record::record,
};
use crate::cpu::{
    gemm::{Product, add, for_each_chunk, multiply, row_products},
    output::Output,
};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops},
};
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

/// 1x1 convolution without bias.
///
/// # Shapes
/// - x: `[batch, channels in, height, width]`
/// - weight: `[channels out, channels in, 1, 1]`
/// - output: `[batch, channels out, height, width]`
pub fn pointwise(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let [channels_out, channels_in, ..] = weight.dims();
    assert_eq!(
        weight.dims(),
        [channels_out, x.dims()[1], 1, 1],
        "a matrix from x's {channels_in} channels"
    );
    if on_cpu(&x) && on_cpu(&weight) {
        Tensor::from_dispatch(<Dispatch as PointwiseOps>::pointwise(
            x.into_dispatch(),
            weight.into_dispatch(),
        ))
    } else {
        plain(x, weight)
    }
}

/// A matrix product, which backends run faster than a convolution.
fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let [batch, channels_in, height, width] = x.dims();
    let channels_out = weight.dims()[0];
    let x = x.reshape([batch, channels_in, height * width]);
    let weight = weight.reshape([1, channels_out, channels_in]);
    matmul(weight, x).reshape([batch, channels_out, height, width])
}

#[backend_extension(Flex, Autodiff)]
trait PointwiseOps: Backend {
    fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl PointwiseOps for Flex {
    fn pointwise(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let [batch, channels_in, height, width] = dims(&x);
        let channels_out = dims(&weight)[0];
        let y = apply(
            values(&weight),
            [channels_out, channels_in],
            values(&x),
            batch,
            height * width,
        );
        tensor(y, [batch, channels_out, height, width])
    }
}

impl<C: CheckpointStrategy> PointwiseOps for Autodiff<Flex, C> {
    fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(PointwiseBackward, x, weight, Flex::pointwise)
    }
}

#[derive(Debug)]
struct PointwiseBackward;

impl Backward<Flex, 2> for PointwiseBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let [batch, channels_in, height, width] = dims(&x);
        let channels_out = dims(&weight)[0];
        let pixels = height * width;
        let [x_parent, weight_parent] = ops.parents;
        if let Some(node) = x_parent {
            let transposed = transpose(values(&weight), channels_out, channels_in);
            let size = [channels_in, channels_out];
            let dx = apply(&transposed, size, values(&dy), batch, pixels);
            grads.register::<Flex>(node.id, tensor(dx, dims(&x)));
        }
        if let Some(node) = weight_parent {
            let size = [channels_out, channels_in];
            let dweight = weight_gradient(values(&x), values(&dy), size, batch, pixels);
            grads.register::<Flex>(node.id, tensor(dweight, [channels_out, channels_in, 1, 1]));
        }
    }
}

/// The matrix times the channels of every pixel of every sample.
fn apply(
    matrix: &[f32],
    [channels_out, channels_in]: [usize; 2],
    x: &[f32],
    batch: usize,
    pixels: usize,
) -> Vec<f32> {
    assert_eq!(x.len(), batch * channels_in * pixels);
    let mut y = Output::new(batch * channels_out * pixels);
    let out = y.shared();
    for_each_chunk(batch, pixels, channels_in, |sample, first, columns| {
        let product = Product {
            rows: channels_out,
            inner: channels_in,
            columns,
            a: matrix,
            a_stride: channels_in,
            b: &x[sample * channels_in * pixels + first..],
            b_stride: pixels,
            c_stride: pixels,
            accumulate: false,
        };
        // SAFETY: these pixels of this sample, in all output channels, are this chunk's alone.
        unsafe { multiply(&product, out.at(sample * channels_out * pixels + first)) };
    });
    // SAFETY: the chunks cover every pixel.
    unsafe { y.filled() }
}

/// The products of dy's channels with x's, summed over the batch.
fn weight_gradient(
    x: &[f32],
    dy: &[f32],
    [channels_out, channels_in]: [usize; 2],
    batch: usize,
    pixels: usize,
) -> Vec<f32> {
    let size = channels_out * channels_in;
    let of_samples = row_products(batch, [channels_out, channels_in], pixels, |sample| {
        (
            &dy[sample * channels_out * pixels..],
            &x[sample * channels_in * pixels..],
        )
    });
    let mut sum = vec![0.0; size];
    for of_sample in of_samples.chunks_exact(size) {
        add(&mut sum, of_sample);
    }
    sum
}

fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut transposed = Vec::with_capacity(matrix.len());
    for column in 0..columns {
        transposed.extend((0..rows).map(|row| matrix[row * columns + column]));
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            for [channels_in, channels_out] in [[1, 1], [5, 13], [16, 42]] {
                check(
                    &[
                        [2, channels_in, height, width],
                        [channels_out, channels_in, 1, 1],
                    ],
                    1e-5,
                    |t| pointwise(t[0].clone(), t[1].clone()),
                    |t| plain(t[0].clone(), t[1].clone()),
                );
            }
        }
    }
}
