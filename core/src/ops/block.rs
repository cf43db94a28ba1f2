//! Restormer's block: attention between channels and a feed-forward network, each with a norm before and added to its input.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};
use super::{Attention, FeedForward, add_attention, add_feed_forward};

/// [`add_feed_forward`] after [`add_attention`]: one operation where a GPU computes gradients.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
pub fn block(x: Tensor<4>, attention: Attention, feed_forward: FeedForward) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if !gpu::is_supported(&x) && attention.is_supported(&x) && feed_forward.is_supported(&x) {
        return kernel(x, attention, feed_forward);
    }
    add_feed_forward(add_attention(x, attention), feed_forward)
}

#[cfg(feature = "gpu")]
fn kernel(x: Tensor<4>, one: Attention, other: FeedForward) -> Tensor<4> {
    match (one.norm.beta, other.norm.beta) {
        (Some(one_beta), Some(other_beta)) => centred(
            x,
            one.norm.gamma,
            one.qkv,
            one.dwconv,
            one.temperature,
            one.project_out,
            other.norm.gamma,
            other.project_in,
            other.dwconv,
            other.project_out,
            one_beta,
            other_beta,
        ),
        _ => bias_free(
            x,
            one.norm.gamma,
            one.qkv,
            one.dwconv,
            one.temperature,
            one.project_out,
            other.norm.gamma,
            other.project_in,
            other.dwconv,
            other.project_out,
        ),
    }
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] CentredOps: Centred, fn centred(
        x: Tensor<4>, a: Tensor<1>, b: Tensor<4>, c: Tensor<4>, d: Tensor<3>, e: Tensor<4>,
        f: Tensor<1>, g: Tensor<4>, h: Tensor<4>, i: Tensor<4>, one_beta: Tensor<1>, other_beta: Tensor<1>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] BiasFreeOps: BiasFree, fn bias_free(
        x: Tensor<4>, a: Tensor<1>, b: Tensor<4>, c: Tensor<4>, d: Tensor<3>, e: Tensor<4>,
        f: Tensor<1>, g: Tensor<4>, h: Tensor<4>, i: Tensor<4>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Centred;

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct BiasFree;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 12> for Centred {
    type Saved = gpu::block::Saved;

    fn forward(inputs: [CubeTensor; 12]) -> (CubeTensor, Self::Saved) {
        let [x, a, b, c, d, e, f, g, h, i, betas @ ..] = inputs.map(gpu::contiguous);
        gpu::block::forward([x, a, b, c, d, e, f, g, h, i], Some(betas))
    }

    fn backward(
        saved: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 12],
    ) -> [Option<CubeTensor>; 12] {
        let (gradients, [one, other]) = gpu::block::gradients(saved, gpu::contiguous(dy));
        let [x, a, b, c, d, e, f, g, h, i] = gradients;
        [x, a, b, c, d, e, f, g, h, i, one, other].map(Some)
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 10> for BiasFree {
    type Saved = gpu::block::Saved;

    fn forward(inputs: [CubeTensor; 10]) -> (CubeTensor, Self::Saved) {
        gpu::block::forward(inputs.map(gpu::contiguous), None)
    }

    fn backward(
        saved: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 10],
    ) -> [Option<CubeTensor>; 10] {
        let (gradients, _) = gpu::block::gradients(saved, gpu::contiguous(dy));
        gradients.map(Some)
    }
}
