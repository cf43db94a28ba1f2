//! Half a block of Restormer: the feed-forward network with its norm, added to its input.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};
use super::{ChannelNorm, channel_layer_norm, depthwise3x3, gated_gelu, pointwise};

/// The weights of a feed-forward network and of the norm before it.
///
/// # Shapes
/// - project_in: `[2 * hidden, channels, 1, 1]`
/// - dwconv: `[2 * hidden, 1, 3, 3]`
/// - project_out: `[channels, hidden, 1, 1]`
#[derive(Clone, Debug)]
pub struct FeedForward {
    pub norm: ChannelNorm,
    pub project_in: Tensor<4>,
    pub dwconv: Tensor<4>,
    pub project_out: Tensor<4>,
}

/// `x + project_out(gated_gelu(dwconv(project_in(norm(x)))))`.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
pub fn add_feed_forward(x: Tensor<4>, of: FeedForward) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if of.is_supported(&x) {
        let FeedForward {
            norm: ChannelNorm { gamma, beta },
            project_in,
            dwconv,
            project_out,
        } = of;
        return match beta {
            Some(beta) => centred(x, gamma, project_in, dwconv, project_out, beta),
            None => bias_free(x, gamma, project_in, dwconv, project_out),
        };
    }
    plain(x, of)
}

fn plain(x: Tensor<4>, of: FeedForward) -> Tensor<4> {
    let ChannelNorm { gamma, beta } = of.norm;
    let normed = channel_layer_norm(x.clone(), gamma, beta);
    let halves = depthwise3x3(pointwise(normed, of.project_in), of.dwconv);
    x + pointwise(gated_gelu(halves), of.project_out)
}

#[cfg(feature = "gpu")]
impl FeedForward {
    /// Whether there are kernels for it, with gradients.
    pub(super) fn is_supported(&self, x: &Tensor<4>) -> bool {
        let [batch, channels, height, width] = x.dims();
        let [wide, ..] = self.dwconv.dims();
        let weights = [&self.project_in, &self.dwconv, &self.project_out];
        [x].into_iter().chain(weights).all(gpu::is_differentiable)
            && gpu::holds(&[batch, wide, height, width])
            && gpu::narrow(channels.max(wide / 2))
    }
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] CentredOps: Centred, fn centred(
        x: Tensor<4>, gamma: Tensor<1>, project_in: Tensor<4>, dwconv: Tensor<4>, project_out: Tensor<4>,
        beta: Tensor<1>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] BiasFreeOps: BiasFree, fn bias_free(
        x: Tensor<4>, gamma: Tensor<1>, project_in: Tensor<4>, dwconv: Tensor<4>, project_out: Tensor<4>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Centred;

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct BiasFree;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 6> for Centred {
    type Saved = gpu::feed_forward::Saved;

    fn forward(inputs: [CubeTensor; 6]) -> (CubeTensor, Self::Saved) {
        let [a, b, c, d, e, beta] = inputs.map(gpu::contiguous);
        gpu::feed_forward::forward([a, b, c, d, e], Some(beta))
    }

    fn backward(saved: Self::Saved, dy: CubeTensor, _wanted: [bool; 6]) -> [Option<CubeTensor>; 6] {
        let ([a, b, c, d, e], dbeta) = gpu::feed_forward::all_gradients(saved, gpu::contiguous(dy));
        [a, b, c, d, e, dbeta].map(Some)
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 5> for BiasFree {
    type Saved = gpu::feed_forward::Saved;

    fn forward(inputs: [CubeTensor; 5]) -> (CubeTensor, Self::Saved) {
        gpu::feed_forward::forward(inputs.map(gpu::contiguous), None)
    }

    fn backward(saved: Self::Saved, dy: CubeTensor, _wanted: [bool; 5]) -> [Option<CubeTensor>; 5] {
        let (gradients, _) = gpu::feed_forward::all_gradients(saved, gpu::contiguous(dy));
        gradients.map(Some)
    }
}
