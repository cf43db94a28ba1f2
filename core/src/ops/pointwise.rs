//! 1x1 convolution: the same matrix for every pixel.

use burn::backend::Flex;
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
#[cfg(feature = "gpu")]
use super::gpu;
use super::operation::{Differentiable, operation};
use super::placement::on_cpu;
use super::plain::matmul;
use crate::cpu::{matrix::Matrix, pointwise as cpu};

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
        kernel(x, weight)
    } else {
        plain(x, weight)
    }
}

/// [`pointwise`] with a bias.
///
/// # Shapes
/// - x, weight, output: as [`pointwise`]
/// - bias: `[channels out]`
pub fn pointwise_with_bias(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if [&x, &weight].into_iter().all(gpu::is_differentiable) && gpu::narrow(x.dims()[1]) {
        return biased(x, weight, bias);
    }
    let [outputs, ..] = weight.dims();
    pointwise(x, weight) + bias.reshape([1, outputs, 1, 1])
}

/// A matrix product, which backends run faster than a convolution; GPUs with a kernel of their own ([`matmul`]).
fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let [batch, channels_in, height, width] = x.dims();
    let channels_out = weight.dims()[0];
    let x = x.reshape([batch, channels_in, height * width]);
    let weight = weight.reshape([1, channels_out, channels_in]);
    matmul(weight, x).reshape([batch, channels_out, height, width])
}

operation! { [Flex] PointwiseOps: Pointwise, fn kernel(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> }

#[derive(Debug)]
struct Pointwise;

impl Differentiable<Flex, 2> for Pointwise {
    type Saved = [FlexTensor; 2];

    fn forward(inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, weight] = inputs.map(contiguous);
        let [batch, _, height, width] = dims(&x);
        let [channels_out, channels_in, ..] = dims(&weight);
        let matrix = Matrix::new(values(&weight), channels_out, channels_in);
        let y = cpu::forward(&matrix, values(&x), batch, height * width);
        (tensor(y, [batch, channels_out, height, width]), [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let dy = contiguous(dy);
        let [batch, _, height, width] = dims(&x);
        let [channels_out, channels_in, ..] = dims(&weight);
        let pixels = height * width;
        let dx = || {
            let weight = values(&weight);
            let transposed = Matrix::from_fn(channels_in, channels_out, |row, column| {
                weight[column * channels_in + row]
            });
            cpu::forward(&transposed, values(&dy), batch, pixels)
        };
        let size = [channels_out, channels_in];
        let dweight = || cpu::weight_gradient(values(&x), values(&dy), size, batch, pixels);
        [
            wanted[0].then(|| tensor(dx(), dims(&x))),
            wanted[1].then(|| tensor(dweight(), dims(&weight))),
        ]
    }
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] BiasedOps: Biased, fn biased(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Biased;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 3> for Biased {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 3]) -> (CubeTensor, Self::Saved) {
        let [x, weight, bias] = inputs.map(gpu::contiguous);
        let y = gpu::pointwise::project_with_bias(&weight, x.clone(), bias);
        (y, [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: CubeTensor,
        wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        let dy = gpu::contiguous(dy);
        let dx = wanted[0].then(|| gpu::pointwise::backwards(&weight, dy.clone()));
        let [dweight, dbias] = gpu::pointwise::weight_gradients(&weight, dy, x);
        [dx, Some(dweight), Some(dbias)]
    }
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
