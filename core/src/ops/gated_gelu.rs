//! The gate of Restormer's feed-forward network: one half of the channels, through GELU, times the
//! other half. On GPUs it is a part of [`add_feed_forward`](super::add_feed_forward).

use burn::backend::Flex;
use burn::tensor::{Tensor, activation::gelu};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
use super::operation::{Differentiable, operation};
use super::placement::on_cpu;
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
    if on_cpu(&x) { kernel(x) } else { plain(x) }
}

fn plain(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1] / 2;
    let gate = x.clone().narrow(1, 0, channels);
    gelu(gate) * x.narrow(1, channels, channels)
}

operation! { [Flex] GatedGeluOps: GatedGelu, fn kernel(x: Tensor<4>) -> Tensor<4> }

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
