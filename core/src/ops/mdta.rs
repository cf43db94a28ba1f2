//! The core of Restormer's "multi-Dconv head transposed attention": attention between channels,
//! whose map is as small as a head has channels, whatever the size of the image.

#[cfg(feature = "gpu")]
use super::gpu;
use super::{
    flex::{contiguous, dims, tensor, values},
    on_cpu,
};
use crate::cpu::{
    gemm::{Product, for_each_chunk, multiply, row_products},
    output::Output,
    simd::{Simd, dot, simd_fn},
};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, activation::softmax};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

/// The least norm that q and k are divided by.
pub(super) const LEAST_NORM: f32 = 1e-12;

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
        Tensor::from_dispatch(<Dispatch as MdtaOps>::mdta(
            qkv.into_dispatch(),
            temperature.into_dispatch(),
        ))
    } else {
        #[cfg(feature = "gpu")]
        if gpu::trains(&qkv) && gpu::trains(&temperature) && !gpu::takes(&qkv) {
            return gpu::mdta(qkv, temperature);
        }
        plain(qkv, temperature)
    }
}

/// The sums over pixels that [`mdta`] takes: the products of q's channels with k's of the same head, then the squares
/// of q's channels and of k's.
///
/// # Shapes
/// - qkv: as for [`mdta`]
/// - output: `[batch, channels * channels / heads + 2 * channels]`
pub fn mdta_sums(qkv: Tensor<4>, heads: usize) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if gpu::takes(&qkv) {
        return gpu::mdta_sums(qkv, heads);
    }
    let [q, k] = [0, 1].map(|index| part(&qkv, heads, index));
    let squares = |x: Tensor<4>| x.powi_scalar(2).sum_dim(3).flatten::<2>(1, 3);
    let products = q.clone().matmul(k.clone().swap_dims(2, 3));
    Tensor::cat(vec![products.flatten(1, 3), squares(q), squares(k)], 1)
}

/// [`mdta`] of the values with these [`mdta_sums`] in place of the own ones.
///
/// # Shapes
/// As for [`mdta`] and [`mdta_sums`].
pub fn mdta_by(qkv: Tensor<4>, sums: Tensor<2>, temperature: Tensor<3>) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if gpu::takes(&qkv) && gpu::takes(&sums) && gpu::takes(&temperature) {
        return gpu::mdta_by(qkv, sums, temperature);
    }
    let [batch, channels, height, width] = qkv.dims();
    let [heads, ..] = temperature.dims();
    let channels = channels / 3;
    let depth = channels / heads;
    let found =
        |start, count, shape: [usize; 4]| sums.clone().narrow(1, start, count).reshape(shape);
    let products = found(0, channels * depth, [batch, heads, depth, depth]);
    // The floor is under the root: the root's slope at zero is infinite.
    let norms = |part: usize, shape| {
        let squares = found((depth + part) * channels, channels, shape);
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
    let sums = mdta_sums(qkv.clone(), heads);
    mdta_by(qkv, sums, temperature)
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

#[backend_extension(Flex, Autodiff)]
trait MdtaOps: Backend {
    fn mdta(qkv: FloatTensor<Self>, temperature: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl MdtaOps for Flex {
    fn mdta(qkv: FlexTensor, temperature: FlexTensor) -> FlexTensor {
        run(&contiguous(qkv), &contiguous(temperature)).0
    }
}

impl<C: CheckpointStrategy> MdtaOps for Autodiff<Flex, C> {
    fn mdta(qkv: FloatTensor<Self>, temperature: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = MdtaBackward
            .prepare::<C>([qkv.node(), temperature.node()])
            .compute_bound()
            .stateful();
        let qkv = contiguous(qkv.into_primitive());
        let temperature = contiguous(temperature.into_primitive());
        let (y, maps) = run(&qkv, &temperature);
        match step {
            OpsKind::Tracked(step) => step.finish((qkv, temperature, Arc::new(maps)), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// The output and what the gradient needs.
fn run(qkv: &FlexTensor, temperature: &FlexTensor) -> (FlexTensor, Maps) {
    let [batch, channels, height, width] = dims(qkv);
    let temperature = values(temperature);
    let layout = Heads::new(batch, channels / 3, temperature.len(), height * width);
    let (y, maps) = forward(&layout, values(qkv), temperature);
    (tensor(y, [batch, channels / 3, height, width]), maps)
}

#[derive(Debug)]
struct MdtaBackward;

impl Backward<Flex, 2> for MdtaBackward {
    type State = (FlexTensor, FlexTensor, Arc<Maps>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (qkv, temperature, maps) = ops.state;
        let [batch, channels, height, width] = dims(&qkv);
        let heads = values(&temperature).len();
        let layout = Heads::new(batch, channels / 3, heads, height * width);
        let (dqkv, dtemperature) = backward(
            &layout,
            values(&qkv),
            values(&temperature),
            values(&dy),
            &maps,
        );
        let [qkv_parent, temperature_parent] = ops.parents;
        if let Some(node) = qkv_parent {
            grads.register::<Flex>(node.id, tensor(dqkv, dims(&qkv)));
        }
        if let Some(node) = temperature_parent {
            grads.register::<Flex>(node.id, tensor(dtemperature, [heads, 1, 1]));
        }
    }
}

/// Where the heads of a batch lie.
struct Heads {
    batch: usize,
    channels: usize,
    heads: usize,
    pixels: usize,
    /// Channels of a head.
    depth: usize,
}

/// The parts of qkv.
#[derive(Clone, Copy)]
enum Part {
    Q = 0,
    K = 1,
    V = 2,
}

impl Heads {
    fn new(batch: usize, channels: usize, heads: usize, pixels: usize) -> Self {
        Self {
            batch,
            channels,
            heads,
            pixels,
            depth: channels / heads,
        }
    }

    /// Heads of all samples; they are numbered sample by sample.
    fn count(&self) -> usize {
        self.batch * self.heads
    }

    /// Elements of one attention map.
    fn map(&self) -> usize {
        self.depth * self.depth
    }

    /// Where a part of a head starts in qkv.
    fn of_qkv(&self, head: usize, part: Part) -> usize {
        let channel = part as usize * self.channels + head % self.heads * self.depth;
        (head / self.heads * 3 * self.channels + channel) * self.pixels
    }

    /// Where a head starts in the output.
    fn of_output(&self, head: usize) -> usize {
        head * self.depth * self.pixels
    }
}

/// What the forward pass leaves for the gradient; all for each head of each sample.
#[derive(Debug)]
struct Maps {
    /// Softmax, `depth` rows of `depth`.
    attention: Vec<f32>,
    /// Cosines of the channels of q with those of k, before the temperature.
    cosines: Vec<f32>,
    /// Norms of q's channels.
    q_norms: Vec<f32>,
    /// Norms of k's channels.
    k_norms: Vec<f32>,
}

simd_fn! {
    /// The L2 norm of a channel.
    fn norm(x: &[f32]) -> f32 = norm_body
}

#[inline(always)]
fn norm_body<S: Simd>(s: S, x: &[f32]) -> f32 {
    dot(s, x, x).sqrt()
}

fn forward(heads: &Heads, qkv: &[f32], temperature: &[f32]) -> (Vec<f32>, Maps) {
    let (depth, pixels) = (heads.depth, heads.pixels);
    assert_eq!(qkv.len(), heads.batch * 3 * heads.channels * pixels);
    assert_eq!(temperature.len(), heads.heads);
    let norms = |part: Part| -> Vec<f32> {
        (0..heads.count() * depth)
            .into_par_iter()
            .map(|row| {
                let start = heads.of_qkv(row / depth, part) + row % depth * pixels;
                norm(&qkv[start..][..pixels]).max(LEAST_NORM)
            })
            .collect()
    };
    let (q_norms, k_norms) = (norms(Part::Q), norms(Part::K));
    let mut cosines = row_products(heads.count(), [depth, depth], pixels, |head| {
        (
            &qkv[heads.of_qkv(head, Part::Q)..],
            &qkv[heads.of_qkv(head, Part::K)..],
        )
    });
    let mut attention = vec![0.0; cosines.len()];
    for (row, (cosines, attention)) in cosines
        .chunks_exact_mut(depth)
        .zip(attention.chunks_exact_mut(depth))
        .enumerate()
    {
        let head = row / depth;
        let temperature = temperature[head % heads.heads];
        for (cosine, k_norm) in cosines.iter_mut().zip(&k_norms[head * depth..]) {
            *cosine /= q_norms[row] * k_norm;
        }
        let largest = cosines
            .iter()
            .fold(f32::NEG_INFINITY, |m, c| m.max(c * temperature));
        let mut sum = 0.0;
        for (weight, cosine) in attention.iter_mut().zip(&*cosines) {
            *weight = (cosine * temperature - largest).exp();
            sum += *weight;
        }
        for weight in attention {
            *weight /= sum;
        }
    }

    let mut y = Output::new(heads.batch * heads.channels * pixels);
    let out = y.shared();
    for_each_chunk(heads.count(), pixels, depth, |head, first, columns| {
        let product = Product {
            rows: depth,
            inner: depth,
            columns,
            a: &attention[head * heads.map()..],
            a_stride: depth,
            b: &qkv[heads.of_qkv(head, Part::V) + first..],
            b_stride: pixels,
            c_stride: pixels,
            accumulate: false,
        };
        // SAFETY: these pixels of this head are this chunk's alone.
        unsafe { multiply(&product, out.at(heads.of_output(head) + first)) };
    });
    let maps = Maps {
        attention,
        cosines,
        q_norms,
        k_norms,
    };
    // SAFETY: the chunks cover all pixels of all heads.
    (unsafe { y.filled() }, maps)
}

/// The matrices that take a head's q, k and dy to its gradients, pixel by pixel.
struct Backmaps {
    dq_from_q: Vec<f32>,
    dq_from_k: Vec<f32>,
    dk_from_q: Vec<f32>,
    dk_from_k: Vec<f32>,
    dv_from_dy: Vec<f32>,
    dtemperature: Vec<f32>,
}

/// With the cosine `s = q k / (|q| |k|)` and its gradient `ds`, q's gradient is
/// `sum over k of ds k / (|q| |k|) - q sum of ds s / |q|^2`, and k's likewise: everything that is
/// not a matrix of the size of the attention map is one product per pixel.
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
fn backmaps(heads: &Heads, temperature: &[f32], dattention: &[f32], maps: &Maps) -> Backmaps {
    let depth = heads.depth;
    let zeros = || vec![0.0; heads.count() * heads.map()];
    let mut found = Backmaps {
        dq_from_q: zeros(),
        dq_from_k: zeros(),
        dk_from_q: zeros(),
        dk_from_k: zeros(),
        dv_from_dy: zeros(),
        dtemperature: vec![0.0; heads.heads],
    };
    // A norm at its floor is a constant.
    let pull = |sum: f32, norm: f32| {
        if norm > LEAST_NORM {
            -sum / norm / norm
        } else {
            0.0
        }
    };
    let mut column_sums = vec![0.0; depth];
    for head in 0..heads.count() {
        let temperature = temperature[head % heads.heads];
        let start = head * heads.map();
        let q_norms = &maps.q_norms[head * depth..][..depth];
        let k_norms = &maps.k_norms[head * depth..][..depth];
        column_sums.fill(0.0);
        for i in 0..depth {
            let row = start + i * depth;
            let attention = &maps.attention[row..][..depth];
            let cosines = &maps.cosines[row..][..depth];
            let dattention = &dattention[row..][..depth];
            let mean: f32 = dattention.iter().zip(attention).map(|(d, a)| d * a).sum();
            let mut row_sum = 0.0;
            for j in 0..depth {
                let dlogit = attention[j] * (dattention[j] - mean);
                found.dtemperature[head % heads.heads] += dlogit * cosines[j];
                let dcosine = temperature * dlogit;
                row_sum += dcosine * cosines[j];
                column_sums[j] += dcosine * cosines[j];
                let across = dcosine / (q_norms[i] * k_norms[j]);
                found.dq_from_k[row + j] = across;
                found.dk_from_q[start + j * depth + i] = across;
                found.dv_from_dy[start + j * depth + i] = attention[j];
            }
            found.dq_from_q[row + i] = pull(row_sum, q_norms[i]);
        }
        for j in 0..depth {
            found.dk_from_k[start + j * depth + j] = pull(column_sums[j], k_norms[j]);
        }
    }
    found
}

/// Gradients of qkv and of the temperatures.
fn backward(
    heads: &Heads,
    qkv: &[f32],
    temperature: &[f32],
    dy: &[f32],
    maps: &Maps,
) -> (Vec<f32>, Vec<f32>) {
    let (depth, pixels) = (heads.depth, heads.pixels);
    assert_eq!(qkv.len(), heads.batch * 3 * heads.channels * pixels);
    assert_eq!(dy.len() * 3, qkv.len());
    let dattention = row_products(heads.count(), [depth, depth], pixels, |head| {
        (
            &dy[heads.of_output(head)..],
            &qkv[heads.of_qkv(head, Part::V)..],
        )
    });
    let back = backmaps(heads, temperature, &dattention, maps);
    let mut dqkv = Output::new(qkv.len());
    let out = dqkv.shared();
    for_each_chunk(heads.count(), pixels, 2 * depth, |head, first, columns| {
        let [q, k, v] = [Part::Q, Part::K, Part::V].map(|part| heads.of_qkv(head, part) + first);
        let map = head * heads.map();
        let apply = |matrix: &[f32], from: &[f32], to: usize, accumulate: bool| {
            let product = Product {
                rows: depth,
                inner: depth,
                columns,
                a: &matrix[map..],
                a_stride: depth,
                b: from,
                b_stride: pixels,
                c_stride: pixels,
                accumulate,
            };
            // SAFETY: these pixels of this head in the gradient are this chunk's alone.
            unsafe { multiply(&product, out.at(to)) };
        };
        apply(&back.dq_from_q, &qkv[q..], q, false);
        apply(&back.dq_from_k, &qkv[k..], q, true);
        apply(&back.dk_from_q, &qkv[q..], k, false);
        apply(&back.dk_from_k, &qkv[k..], k, true);
        apply(
            &back.dv_from_dy,
            &dy[heads.of_output(head) + first..],
            v,
            false,
        );
    });
    // SAFETY: the chunks cover all pixels of q, k and v of all heads.
    (unsafe { dqkv.filled() }, back.dtemperature)
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
        for found in [
            y.into_data(),
            qkv.grad(&grads).expect("tracked").into_data(),
        ] {
            let values = found.as_slice::<f32>().expect("f32");
            assert!(values.iter().all(|v| v.is_finite()));
        }
    }
}
