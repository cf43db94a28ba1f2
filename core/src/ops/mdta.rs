//! The core of Restormer's "multi-Dconv head transposed attention": attention between channels,
//! whose map is as small as a head has channels, whatever the size of the image. On GPUs it is a part of
//! [`block`](super::block).

use std::sync::Arc;

use burn::backend::Flex;
use burn::tensor::{Tensor, activation::softmax};
use burn_flex::FlexTensor;

use super::flex::{contiguous, dims, tensor, values};
#[cfg(feature = "gpu")]
use super::gpu;
use super::operation::{Differentiable, operation};
use super::placement::on_cpu;
use crate::constants::LEAST_NORM;
use crate::cpu::channel_attention::{self, Heads, Maps};

/// Attention between the channels of each head: `softmax(q k^T * temperature) v`, where every
/// channel of q and k is first divided by its L2 norm over the pixels (at least 1e-12).
///
/// # Shapes
/// - qkv: `[batch, 3 * channels, height, width]`, q, k and v one after the other, each with its
///   heads one after the other
/// - temperature: `[heads, 1, 1]`, and heads divides channels
/// - output: `[batch, channels, height, width]`
pub fn mdta(qkv: Tensor<4>, temperature: Tensor<3>) -> Tensor<4> {
    let [_, channels, ..] = qkv.dims();
    let [heads, ..] = temperature.dims();
    assert_eq!(
        temperature.dims(),
        [heads, 1, 1],
        "one temperature per head"
    );
    assert!(
        heads > 0 && channels.is_multiple_of(3 * heads),
        "q, k and v of {heads} heads in {channels} channels"
    );
    if on_cpu(&qkv) && on_cpu(&temperature) {
        kernel(qkv, temperature)
    } else {
        plain(qkv, temperature)
    }
}

/// The sums over pixels that [`mdta`] takes: the products of q's channels with k's of the same head, then the squares
/// of q's channels and of k's.
///
/// # Shapes
/// - qkv: as for [`mdta`]
/// - output: `[batch, channels * channels / heads + 2 * channels]`
pub fn mdta_statistics(qkv: Tensor<4>, heads: usize) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if gpu::is_supported(&qkv) {
        return gpu::mdta_statistics(qkv, heads);
    }
    let [q, k] = [0, 1].map(|index| part(&qkv, heads, index));
    let squares = |x: Tensor<4>| x.powi_scalar(2).sum_dim(3).flatten::<2>(1, 3);
    let products = q.clone().matmul(k.clone().swap_dims(2, 3));
    Tensor::cat(vec![products.flatten(1, 3), squares(q), squares(k)], 1)
}

/// [`mdta`] of the values with these [`mdta_statistics`] in place of the own ones.
///
/// # Shapes
/// As for [`mdta`] and [`mdta_statistics`].
pub fn mdta_with_stats(qkv: Tensor<4>, sums: Tensor<2>, temperature: Tensor<3>) -> Tensor<4> {
    let [batch, channels, height, width] = qkv.dims();
    let [heads, ..] = temperature.dims();
    let channels = channels / 3;
    let depth = channels / heads;
    let sums_from =
        |start, count, shape: [usize; 4]| sums.clone().narrow(1, start, count).reshape(shape);
    let products = sums_from(0, channels * depth, [batch, heads, depth, depth]);
    // The floor is under the root: the root's slope at zero is infinite.
    let norms = |part: usize, shape| {
        let squares = sums_from((depth + part) * channels, channels, shape);
        squares.clamp_min(LEAST_NORM * LEAST_NORM).sqrt()
    };
    let cosines =
        products / norms(0, [batch, heads, depth, 1]) / norms(1, [batch, heads, 1, depth]);
    let map = softmax(cosines * temperature.reshape([1, heads, 1, 1]), 3);
    map.matmul(part(&qkv, heads, 2))
        .reshape([batch, channels, height, width])
}

fn plain(qkv: Tensor<4>, temperature: Tensor<3>) -> Tensor<4> {
    let [heads, ..] = temperature.dims();
    let sums = mdta_statistics(qkv.clone(), heads);
    mdta_with_stats(qkv, sums, temperature)
}

/// q, k or v (0, 1, 2): `[batch, heads, channels / heads, pixels]`.
fn part(qkv: &Tensor<4>, heads: usize, index: usize) -> Tensor<4> {
    let [batch, channels, height, width] = qkv.dims();
    let channels = channels / 3;
    qkv.clone().narrow(1, index * channels, channels).reshape([
        batch,
        heads,
        channels / heads,
        height * width,
    ])
}

operation! { [Flex] MdtaOps: Mdta, fn kernel(qkv: Tensor<4>, temperature: Tensor<3>) -> Tensor<4> }

#[derive(Debug)]
struct Mdta;

impl Differentiable<Flex, 2> for Mdta {
    type Saved = (FlexTensor, FlexTensor, Arc<Maps>);

    fn forward(inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [qkv, temperature] = inputs.map(contiguous);
        let [batch, channels, height, width] = dims(&qkv);
        let layout = heads(&qkv, &temperature);
        let (y, maps) = channel_attention::forward(&layout, values(&qkv), values(&temperature));
        let y = tensor(y, [batch, channels / 3, height, width]);
        (y, (qkv, temperature, Arc::new(maps)))
    }

    fn backward(
        (qkv, temperature, maps): Self::Saved,
        dy: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let dy = contiguous(dy);
        let layout = heads(&qkv, &temperature);
        let (dqkv, dtemperature) = channel_attention::backward(
            &layout,
            values(&qkv),
            values(&temperature),
            values(&dy),
            &maps,
        );
        let heads = dtemperature.len();
        [
            tensor(dqkv, dims(&qkv)),
            tensor(dtemperature, [heads, 1, 1]),
        ]
        .map(Some)
    }
}

/// Where the heads of a batch lie.
fn heads(qkv: &FlexTensor, temperature: &FlexTensor) -> Heads {
    let [batch, channels, height, width] = dims(qkv);
    let heads = values(temperature).len();
    Heads::new(batch, channels / 3, heads, height * width)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, sizes};
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn equals_burn() {
        for [height, width] in sizes() {
            for [heads, depth] in [[1, 5], [2, 3], [4, 12]] {
                // Not so near zero that the smallest image normalises rounding errors.
                let prepare = |t: &[Tensor<4>]| {
                    let temperature = t[1].clone().reshape([heads, 1, 1]) + 1.5;
                    (t[0].clone() + 0.3, temperature)
                };
                check(
                    &[[2, 3 * heads * depth, height, width], [heads, 1, 1, 1]],
                    3e-5,
                    |t| {
                        let (qkv, temperature) = prepare(t);
                        mdta(qkv, temperature)
                    },
                    |t| {
                        let (qkv, temperature) = prepare(t);
                        plain(qkv, temperature)
                    },
                );
            }
        }
    }

    #[test]
    fn a_black_image_is_attended_evenly() {
        let device = Device::flex().autodiff();
        let qkv = Tensor::<4>::zeros([1, 6, 3, 5], &device).require_grad();
        let y = mdta(qkv.clone(), Tensor::ones([1, 1, 1], &device));
        let grads = y.clone().sum().backward();
        for result in [
            y.into_data(),
            qkv.grad(&grads).expect("tracked").into_data(),
        ] {
            let values = result.as_slice::<f32>().expect("f32");
            assert!(values.iter().all(|v| v.is_finite()));
        }
    }
}
