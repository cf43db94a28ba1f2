//! Three maps added with the weights of a gate: pixel-semantic fusion's last step.

use burn::tensor::{Tensor, activation::softmax};
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};

/// The maps, each times its score, added. The scores are the softmax of an image's `logits`.
///
/// # Shapes
/// - logits: `[batch, 3]`
/// - each map, output: `[batch, channels, height, width]`
pub fn gated_sum(logits: Tensor<2>, maps: [Tensor<4>; 3]) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if gpu::is_differentiable(&logits) && maps.iter().all(gpu::is_differentiable) {
        let [shallow, medium, deep] = maps;
        return kernel(logits, shallow, medium, deep);
    }
    plain(logits, maps)
}

fn plain(logits: Tensor<2>, maps: [Tensor<4>; 3]) -> Tensor<4> {
    let scores = softmax(logits, 1);
    let weighted = |k: usize, map: Tensor<4>| {
        let score = scores.clone().narrow(1, k, 1);
        map * score.unsqueeze_dims(&[2, 3])
    };
    let [shallow, medium, deep] = maps;
    weighted(0, shallow) + weighted(1, medium) + weighted(2, deep)
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] GatedSumOps: GatedSum,
    fn kernel(logits: Tensor<2>, shallow: Tensor<4>, medium: Tensor<4>, deep: Tensor<4>) -> Tensor<4>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct GatedSum;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 4> for GatedSum {
    type Saved = [CubeTensor; 4];

    fn forward(inputs: [CubeTensor; 4]) -> (CubeTensor, Self::Saved) {
        let inputs = inputs.map(gpu::contiguous);
        (gpu::gated_sum::gated_sum(inputs.clone()), inputs)
    }

    fn backward(
        inputs: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        gpu::gated_sum::gradients(inputs, gpu::contiguous(dy)).map(Some)
    }
}
