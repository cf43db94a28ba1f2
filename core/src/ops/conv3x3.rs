//! Dense 3x3 convolution.

use burn::backend::Flex;
use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
#[cfg(feature = "gpu")]
use super::gpu;
use super::operation::{Differentiable, operation};
use super::placement::has_kernel;
use crate::cpu::{conv3x3 as cpu, filters::Filters};

/// 3x3 convolution, zero padding 1, stride 1, no bias.
///
/// # Shapes
/// - x: `[batch, channels in, height, width]`
/// - weight: `[channels out, channels in, 3, 3]`
/// - output: `[batch, channels out, height, width]`
pub fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    assert_eq!(
        weight.dims()[1..],
        [x.dims()[1], 3, 3],
        "3x3 filters of x's channels"
    );
    if has_kernel(&x) && has_kernel(&weight) {
        kernel(x, weight)
    } else {
        plain(x, weight)
    }
}

fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    conv2d(x, weight, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
}

operation! { ConvOps: Conv, fn kernel(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> }

#[derive(Debug)]
struct Conv;

impl Differentiable<Flex, 2> for Conv {
    type Saved = [FlexTensor; 2];

    fn forward(inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, weight] = inputs.map(contiguous);
        let [batch, _, height, width] = dims(&x);
        let [outputs, inputs, ..] = dims(&weight);
        let filters = Filters {
            outputs,
            inputs,
            weight: values(&weight),
            bias: None,
        };
        let y = cpu::forward(values(&x), filters, dims(&x));
        (tensor(y, [batch, outputs, height, width]), [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let dy = contiguous(dy);
        let [outputs, inputs, ..] = dims(&weight);
        let dx = || cpu::input_gradient(values(&dy), values(&weight), dims(&dy), inputs);
        let dweight = || cpu::filter_gradient(values(&x), values(&dy), dims(&x), outputs);
        [
            wanted[0].then(|| tensor(dx(), dims(&x))),
            wanted[1].then(|| tensor(dweight(), dims(&weight))),
        ]
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 2> for Conv {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [x, weight] = inputs.map(gpu::contiguous);
        let y = gpu::conv::conv3x3(x.clone(), weight.clone());
        (y, [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: CubeTensor,
        wanted: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        let dy = gpu::contiguous(dy);
        [
            wanted[0].then(|| gpu::conv::input_gradient(dy.clone(), weight)),
            wanted[1].then(|| gpu::conv::filter_gradient(x, dy.clone())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            for [channels_in, channels_out] in [[1, 1], [3, 11], [8, 3]] {
                check(
                    &[
                        [2, channels_in, height, width],
                        [channels_out, channels_in, 3, 3],
                    ],
                    1e-5,
                    |t| conv3x3(t[0].clone(), t[1].clone()),
                    |t| plain(t[0].clone(), t[1].clone()),
                );
            }
        }
    }
}
