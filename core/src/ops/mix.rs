//! Channels mixed by a map of each image, and added to themselves: D-R fusion's last step.

use burn::tensor::{Tensor, activation::softmax};
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};
use super::plain::matmul;

/// `features + map features`, the map being the softmax of the rows of `products / sqrt(channels)`.
///
/// # Shapes
/// - products: `[batch, channels, channels]`
/// - features, output: `[batch, channels, height, width]`
pub fn mix(products: Tensor<3>, features: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if gpu::is_differentiable(&products)
        && gpu::is_differentiable(&features)
        && gpu::narrow(features.dims()[1])
    {
        return kernel(products, features);
    }
    plain(products, features)
}

fn plain(products: Tensor<3>, features: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = features.dims();
    let map = softmax(products / (channels as f64).sqrt(), 2);
    let pixels = features.clone().reshape([batch, channels, height * width]);
    let mixed = matmul(map, pixels);
    mixed.reshape([batch, channels, height, width]) + features
}

#[cfg(feature = "gpu")]
operation! { [Cube] MixOps: Mix, fn kernel(products: Tensor<3>, features: Tensor<4>) -> Tensor<4> }

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Mix;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 2> for Mix {
    type Saved = gpu::mix::Mixed;

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [products, features] = inputs.map(gpu::contiguous);
        gpu::mix::mix(products, features)
    }

    fn backward(mixed: Self::Saved, dy: CubeTensor, _wanted: [bool; 2]) -> [Option<CubeTensor>; 2] {
        gpu::mix::gradients(mixed, gpu::contiguous(dy)).map(Some)
    }
}
