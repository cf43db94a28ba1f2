//! Half a block of Restormer: attention between channels with its norm and projections, added to its input.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

#[cfg(feature = "gpu")]
use super::gpu;
#[cfg(feature = "gpu")]
use super::operation::{Differentiable, operation};
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
    #[cfg(feature = "gpu")]
    if is_supported(&x, &of) {
        let Attention {
            norm: ChannelNorm { gamma, beta },
            qkv,
            dwconv,
            temperature,
            project_out,
        } = of;
        return match beta {
            Some(beta) => centred(x, gamma, qkv, dwconv, temperature, project_out, beta),
            None => bias_free(x, gamma, qkv, dwconv, temperature, project_out),
        };
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
    x + pointwise(mdta_with_stats(convolved, sums, of.temperature), of.project_out)
}

#[cfg(feature = "gpu")]
fn is_supported(x: &Tensor<4>, of: &Attention) -> bool {
    let [batch, channels, height, width] = x.dims();
    [x, &of.qkv, &of.dwconv, &of.project_out].into_iter().all(gpu::is_differentiable)
        && gpu::holds(&[batch, 3 * channels, height, width])
        && gpu::narrow(channels)
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] CentredOps: Centred, fn centred(
        x: Tensor<4>, gamma: Tensor<1>, qkv: Tensor<4>, dwconv: Tensor<4>, temperature: Tensor<3>,
        project_out: Tensor<4>, beta: Tensor<1>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
operation! {
    [Cube] BiasFreeOps: BiasFree, fn bias_free(
        x: Tensor<4>, gamma: Tensor<1>, qkv: Tensor<4>, dwconv: Tensor<4>, temperature: Tensor<3>,
        project_out: Tensor<4>
    ) -> Tensor<4>
}

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Centred;

#[cfg(feature = "gpu")]
#[derive(Debug)]
struct BiasFree;

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 7> for Centred {
    type Saved = gpu::mdta::training::Saved;

    fn forward(inputs: [CubeTensor; 7]) -> (CubeTensor, Self::Saved) {
        let [a, b, c, d, e, f, beta] = inputs.map(gpu::contiguous);
        gpu::mdta::training::forward([a, b, c, d, e, f], Some(beta))
    }

    fn backward(
        saved: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 7],
    ) -> [Option<CubeTensor>; 7] {
        let (gradients, dbeta) = gpu::mdta::training::gradients(saved, gpu::contiguous(dy));
        let [a, b, c, d, e, f] = gradients;
        [a, b, c, d, e, f, dbeta].map(Some)
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 6> for BiasFree {
    type Saved = gpu::mdta::training::Saved;

    fn forward(inputs: [CubeTensor; 6]) -> (CubeTensor, Self::Saved) {
        gpu::mdta::training::forward(inputs.map(gpu::contiguous), None)
    }

    fn backward(
        saved: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 6],
    ) -> [Option<CubeTensor>; 6] {
        let (gradients, _) = gpu::mdta::training::gradients(saved, gpu::contiguous(dy));
        gradients.map(Some)
    }
}
