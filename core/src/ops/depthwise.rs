//! Depthwise 3x3 convolution: each channel with its own filter.

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
use crate::cpu::depthwise;

/// Convolves every channel with its own 3x3 filter, zero padding 1, stride 1, no bias.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - weight: `[channels, 1, 3, 3]`
/// - output: as x
pub fn depthwise3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    assert_eq!(
        weight.dims(),
        [x.dims()[1], 1, 3, 3],
        "one 3x3 filter per channel"
    );
    if has_kernel(&x) && has_kernel(&weight) {
        kernel(x, weight)
    } else {
        plain(x, weight)
    }
}

fn plain(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], channels);
    conv2d(x, weight, None, options)
}

operation! { DepthwiseOps: Depthwise, fn kernel(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> }

#[derive(Debug)]
struct Depthwise;

impl Differentiable<Flex, 2> for Depthwise {
    type Saved = [FlexTensor; 2];

    fn forward(inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, weight] = inputs.map(contiguous);
        let y = depthwise::forward(values(&x), values(&weight), dims(&x));
        (tensor(y, dims(&x)), [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let (shape, dy) = (dims(&x), contiguous(dy));
        let (dx, dweight) = depthwise::backward(values(&x), values(&weight), values(&dy), shape);
        [tensor(dx, shape), tensor(dweight, dims(&weight))].map(Some)
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 2> for Depthwise {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [x, weight] = inputs.map(gpu::contiguous);
        let y = gpu::depthwise::depthwise3x3(x.clone(), weight.clone());
        (y, [x, weight])
    }

    fn backward(
        [x, weight]: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        gpu::depthwise::all_gradients(x, weight, gpu::contiguous(dy)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            check(
                &[[2, 5, height, width], [5, 1, 3, 3]],
                1e-5,
                |t| depthwise3x3(t[0].clone(), t[1].clone()),
                |t| plain(t[0].clone(), t[1].clone()),
            );
        }
    }
}
