//! The gate of Restormer's feed-forward network: one half of the channels, through GELU, times the
//! other half.

use burn::backend::Flex;
use burn::tensor::{Tensor, activation::gelu};
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
#[cfg(feature = "gpu")]
use super::gpu;
use super::operation::{Differentiable, operation};
use super::placement::has_kernel;
use crate::cpu::gate;

/// `gelu(first half of the channels) * second half`, with the exact GELU (within 1e-6).
///
/// # Shapes
/// - x: `[batch, 2 * channels, height, width]`
/// - output: `[batch, channels, height, width]`
pub fn gated_gelu(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    assert!(
        channels.is_multiple_of(2),
        "two halves of {channels} channels"
    );
    if has_kernel(&x) { kernel(x) } else { plain(x) }
}

fn plain(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1] / 2;
    let gate = x.clone().narrow(1, 0, channels);
    gelu(gate) * x.narrow(1, channels, channels)
}

operation! { GatedGeluOps: GatedGelu, fn kernel(x: Tensor<4>) -> Tensor<4> }

#[derive(Debug)]
struct GatedGelu;

impl Differentiable<Flex, 1> for GatedGelu {
    type Saved = FlexTensor;

    fn forward([x]: [FlexTensor; 1]) -> (FlexTensor, Self::Saved) {
        let x = contiguous(x);
        let [batch, channels, height, width] = dims(&x);
        let half = channels / 2 * height * width;
        let y = gate::forward(values(&x), batch, half);
        (tensor(y, [batch, channels / 2, height, width]), x)
    }

    fn backward(x: Self::Saved, dy: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let dy = contiguous(dy);
        let [batch, channels, height, width] = dims(&x);
        let half = channels / 2 * height * width;
        let dx = gate::backward(values(&x), values(&dy), batch, half);
        [Some(tensor(dx, dims(&x)))]
    }
}

#[cfg(feature = "gpu")]
impl Differentiable<CubeBackend, 1> for GatedGelu {
    type Saved = CubeTensor;

    fn forward([x]: [CubeTensor; 1]) -> (CubeTensor, Self::Saved) {
        let x = gpu::contiguous(x);
        (gpu::gelu::gated_gelu(x.clone()), x)
    }

    fn backward(x: Self::Saved, dy: CubeTensor, _wanted: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(gpu::gelu::gate_gradient(x, dy))]
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
                &[[2, 6, height, width]],
                1e-5,
                |t| gated_gelu(t[0].clone() * 4.0),
                |t| plain(t[0].clone() * 4.0),
            );
        }
    }
}
