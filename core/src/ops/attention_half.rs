//! Half a block of Restormer: attention between channels with its norm and projections, added to its input.

use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use super::gpu;
use super::{ChannelNorm, channel_layer_norm, depthwise3x3, mdta, mdta_with_stats, pointwise};

/// The weights of an attention between channels and of the norm before it.
///
/// # Shapes
/// - qkv: `[3 * channels, channels, 1, 1]`
/// - dwconv: `[3 * channels, 1, 3, 3]`
/// - temperature: `[heads, 1, 1]`
/// - project_out: `[channels, channels, 1, 1]`
#[derive(Clone, Debug)]
pub struct Attention {
    pub norm: ChannelNorm,
    pub qkv: Tensor<4>,
    pub dwconv: Tensor<4>,
    pub temperature: Tensor<3>,
    pub project_out: Tensor<4>,
}

/// `x + project_out(mdta(dwconv(qkv(norm(x)))))`.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
pub fn add_attention(x: Tensor<4>, of: Attention) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if gpu::is_supported(&x) {
        let [heads, ..] = of.temperature.dims();
        return add_attention_with_stats(x, of, |qkv| gpu::mdta_statistics(qkv.clone(), heads));
    }
    plain(x, of)
}

fn plain(x: Tensor<4>, of: Attention) -> Tensor<4> {
    let convolved = convolved(x.clone(), of.norm, of.qkv, of.dwconv);
    x + pointwise(mdta(convolved, of.temperature), of.project_out)
}

/// q, k and v.
fn convolved(x: Tensor<4>, norm: ChannelNorm, qkv: Tensor<4>, dwconv: Tensor<4>) -> Tensor<4> {
    let normed = channel_layer_norm(x, norm.gamma, norm.beta);
    depthwise3x3(pointwise(normed, qkv), dwconv)
}

/// As [`add_attention`], by the sums that `sums` gives for q, k and v: those of
/// [`mdta_statistics`](super::mdta_statistics), or others.
pub fn add_attention_with_stats(
    x: Tensor<4>,
    of: Attention,
    sums: impl FnOnce(&Tensor<4>) -> Tensor<2>,
) -> Tensor<4> {
    let convolved = convolved(x.clone(), of.norm, of.qkv, of.dwconv);
    let sums = sums(&convolved);
    #[cfg(feature = "gpu")]
    if gpu::is_supported(&x) && gpu::is_supported(&sums) && gpu::is_supported(&of.project_out) {
        return gpu::attend(x, convolved, sums, of.temperature, of.project_out);
    }
    x + pointwise(
        mdta_with_stats(convolved, sums, of.temperature),
        of.project_out,
    )
}

#[cfg(feature = "gpu")]
impl Attention {
    /// Whether there are kernels for it as a part of a [`block`](super::block), with gradients.
    pub(super) fn is_supported(&self, x: &Tensor<4>) -> bool {
        let [batch, channels, height, width] = x.dims();
        let weights = [&self.qkv, &self.dwconv, &self.project_out];
        [x].into_iter().chain(weights).all(gpu::is_differentiable)
            && gpu::holds(&[batch, 3 * channels, height, width])
            && gpu::narrow(channels)
    }
}
