//! Layer norm over the channels of every pixel.

use burn::backend::Flex;
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
#[cfg(feature = "gpu")]
use super::gpu;
use super::operation::{Differentiable, operation};
use super::placement::has_kernel;
use crate::constants::NORM_EPSILON;
use crate::cpu::layer_norm::{self, Gradients, Norm, Scale};

/// The scale and the shift of a layer norm over channels, `[channels]` each; without `beta` the bias free one.
#[derive(Clone, Debug)]
pub struct ChannelNorm {
    pub gamma: Tensor<1>,
    pub beta: Option<Tensor<1>>,
}

/// Divides every pixel by the standard deviation of its channels (of variance plus 1e-5), and
/// scales each channel.
///
/// With `beta` the mean of the channels is taken off first and `beta` added last, the usual layer
/// norm. Without it the pixel keeps its mean: `x / sqrt(var + 1e-5) * gamma`, Restormer's "bias
/// free" norm, whose variance is still about the mean.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
/// - gamma, beta: `[channels]`
pub fn channel_layer_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Option<Tensor<1>>) -> Tensor<4> {
    let channels = x.dims()[1];
    assert_eq!(gamma.dims(), [channels], "one gamma per channel");
    if let Some(beta) = &beta {
        assert_eq!(beta.dims(), [channels], "one beta per channel");
    }
    if !has_kernel(&x) || !has_kernel(&gamma) || !beta.as_ref().is_none_or(has_kernel) {
        return plain(x, gamma, beta);
    }
    match beta {
        Some(beta) => centred(x, gamma, beta),
        None => bias_free(x, gamma),
    }
}

fn plain(x: Tensor<4>, gamma: Tensor<1>, beta: Option<Tensor<1>>) -> Tensor<4> {
    let channels = x.dims()[1];
    let centred = x.clone() - x.clone().mean_dim(1);
    let deviation = (centred.clone().powi_scalar(2).mean_dim(1) + NORM_EPSILON).sqrt();
    let gamma = gamma.reshape([1, channels, 1, 1]);
    match beta {
        Some(beta) => centred / deviation * gamma + beta.reshape([1, channels, 1, 1]),
        None => x / deviation * gamma,
    }
}

operation! {
    CentredOps: Centred, fn centred(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<4>
}

operation! { BiasFreeOps: BiasFree, fn bias_free(x: Tensor<4>, gamma: Tensor<1>) -> Tensor<4> }

#[derive(Debug)]
struct Centred;

#[derive(Debug)]
struct BiasFree;

impl Differentiable<Flex, 3> for Centred {
    /// x and gamma
    type Saved = [FlexTensor; 2];

    fn forward(inputs: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let [x, gamma, beta] = inputs.map(contiguous);
        (forward(&x, &gamma, Some(&beta)), [x, gamma])
    }

    fn backward(
        [x, gamma]: Self::Saved,
        dy: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        backward(&x, &gamma, dy, true).map(Some)
    }
}

impl Differentiable<Flex, 2> for BiasFree {
    type Saved = [FlexTensor; 2];

    fn forward(inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, gamma] = inputs.map(contiguous);
        (forward(&x, &gamma, None), [x, gamma])
    }

    fn backward(
        [x, gamma]: Self::Saved,
        dy: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [dx, dgamma, _] = backward(&x, &gamma, dy, false);
        [dx, dgamma].map(Some)
    }
}

fn forward(x: &FlexTensor, gamma: &FlexTensor, beta: Option<&FlexTensor>) -> FlexTensor {
    let [batch, _, height, width] = dims(x);
    let norm = Norm {
        gamma: values(gamma),
        beta: beta.map(values),
        epsilon: NORM_EPSILON,
    };
    let y = layer_norm::forward(values(x), norm, batch, height * width);
    tensor(y, dims(x))
}

/// Of x, gamma and beta.
fn backward(x: &FlexTensor, gamma: &FlexTensor, dy: FlexTensor, centred: bool) -> [FlexTensor; 3] {
    let dy = contiguous(dy);
    let [batch, channels, height, width] = dims(x);
    let scale = Scale {
        gamma: values(gamma),
        centred,
        epsilon: NORM_EPSILON,
    };
    let gradients = layer_norm::backward(values(x), scale, values(&dy), batch, height * width);
    let Gradients { dx, dgamma, dbeta } = gradients;
    [
        tensor(dx, dims(x)),
        tensor(dgamma, [channels]),
        tensor(dbeta, [channels]),
    ]
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 3> for Centred {
    /// x and gamma
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 3]) -> (CubeTensor, Self::Saved) {
        let [x, gamma, beta] = inputs.map(gpu::contiguous);
        let y = gpu::norm::channel_norm(x.clone(), gamma.clone(), Some(beta));
        (y, [x, gamma])
    }

    fn backward(
        [x, gamma]: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        gpu::norm::channel_norm_gradients(x, gamma, dy, true).map(Some)
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 2> for BiasFree {
    type Saved = [CubeTensor; 2];

    fn forward(inputs: [CubeTensor; 2]) -> (CubeTensor, Self::Saved) {
        let [x, gamma] = inputs.map(gpu::contiguous);
        let y = gpu::norm::channel_norm(x.clone(), gamma.clone(), None);
        (y, [x, gamma])
    }

    fn backward(
        [x, gamma]: Self::Saved,
        dy: CubeTensor,
        _wanted: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        let [dx, dgamma, _] = gpu::norm::channel_norm_gradients(x, gamma, dy, false);
        [dx, dgamma].map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            // With two or three channels the gradient of x is what cancellation leaves of it.
            for channels in [5, 7, 48] {
                let vector = [1, channels, 1, 1];
                check(
                    &[[2, channels, height, width], vector, vector],
                    2e-5,
                    |t| {
                        let (gamma, beta) =
                            (t[1].clone().flatten(0, 3), t[2].clone().flatten(0, 3));
                        channel_layer_norm(t[0].clone() + 0.5, gamma, Some(beta))
                    },
                    |t| {
                        let (gamma, beta) =
                            (t[1].clone().flatten(0, 3), t[2].clone().flatten(0, 3));
                        plain(t[0].clone() + 0.5, gamma, Some(beta))
                    },
                );
                check(
                    &[[2, channels, height, width], vector],
                    2e-5,
                    |t| channel_layer_norm(t[0].clone() + 0.5, t[1].clone().flatten(0, 3), None),
                    |t| plain(t[0].clone() + 0.5, t[1].clone().flatten(0, 3), None),
                );
            }
        }
    }
}
