//! How far images are from others, one number for each: the reconstruction loss.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};

/// Each image's mean absolute difference.
///
/// # Shapes
/// - a, b: `[batch, channels, height, width]`
/// - output: `[batch]`
pub fn absolute_errors(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    assert_eq!(a.dims(), b.dims(), "images of one size");
    #[cfg(feature = "gpu")]
    if [&a, &b].into_iter().all(gpu::is_differentiable) {
        return kernel(a, b);
    }
    plain(a, b)
}

fn plain(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let [batch, ..] = a.dims();
    let rows = (a - b).abs().mean_dim(3).reshape([batch as i32, -1]);
    rows.mean_dim(1).reshape([batch])
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] AbsoluteErrorsOps: AbsoluteErrors, fn kernel(a: Tensor<4>, b: Tensor<4>) -> Tensor<1>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct AbsoluteErrors;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 2> for AbsoluteErrors {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [a, b] = inputs.map(gpu::contiguous);
        let errors = gpu::absolute_errors::absolute_errors(a.clone(), b.clone());
        (errors, [a, b])
    }

    fn backward([a, b]: Self::Saved, dy: CubeTensor, wanted: [bool; 2]) -> [Option<CubeTensor>; 2] {
        use gpu::absolute_errors::gradient;
        let dy = gpu::contiguous(dy);
        [
            wanted[0].then(|| gradient(a.clone(), b.clone(), dy.clone())),
            wanted[1].then(|| gradient(b.clone(), a.clone(), dy)),
        ]
    }
}
