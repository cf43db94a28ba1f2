//! Attention between the channels of each head, and its gradients: MDTA's core on tensors of training. (Inference computes
//! the products band by band, [`crate::infer`].)

use rayon::prelude::*;

use super::activations::softmax;
use super::chunks::{cached, for_each_chunk};
use super::matmul_nt::batched;
use super::matrix::Matrix;
use super::output::Output;
use super::rows::{Rows, Strided};
use super::simd::sum_of_squares;
use crate::constants::LEAST_NORM;

/// Where the heads of a batch lie.
pub(crate) struct Heads {
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
    pub(crate) fn new(batch: usize, channels: usize, heads: usize, pixels: usize) -> Self {
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

    /// The maps of all heads, packed.
    fn matrices(&self, maps: &[f32]) -> Vec<Matrix> {
        let matrix = |map: &[f32]| Matrix::new(map, self.depth, self.depth);
        maps.chunks_exact(self.map()).map(matrix).collect()
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
pub(crate) struct Maps {
    /// Softmax, `depth` rows of `depth`.
    attention: Vec<f32>,
    /// Cosines of the channels of q with those of k, before the temperature.
    cosines: Vec<f32>,
    /// Norms of q's channels.
    q_norms: Vec<f32>,
    /// Norms of k's channels.
    k_norms: Vec<f32>,
}

/// The output and what the gradient needs.
pub(crate) fn forward(heads: &Heads, qkv: &[f32], temperature: &[f32]) -> (Vec<f32>, Maps) {
    let (depth, pixels) = (heads.depth, heads.pixels);
    assert_eq!(qkv.len(), heads.batch * 3 * heads.channels * pixels);
    assert_eq!(temperature.len(), heads.heads);
    let norms = |part: Part| -> Vec<f32> {
        (0..heads.count() * depth)
            .into_par_iter()
            .map(|row| {
                let start = heads.of_qkv(row / depth, part) + row % depth * pixels;
                let squares = sum_of_squares(&qkv[start..][..pixels]);
                squares.sqrt().max(LEAST_NORM)
            })
            .collect()
    };
    let (q_norms, k_norms) = (norms(Part::Q), norms(Part::K));
    let mut cosines = batched(heads.count(), [depth, depth], pixels, |head| {
        [
            &qkv[heads.of_qkv(head, Part::Q)..],
            &qkv[heads.of_qkv(head, Part::K)..],
        ]
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
        for (weight, cosine) in attention.iter_mut().zip(&*cosines) {
            *weight = cosine * temperature;
        }
        softmax(attention);
    }

    let mut y = Output::new(heads.batch * heads.channels * pixels);
    let out = y.shared();
    let matrices = heads.matrices(&attention);
    let chunk = cached(pixels, depth);
    for_each_chunk(heads.count(), pixels, chunk, |head, first, columns| {
        let values = Strided {
            values: &qkv[heads.of_qkv(head, Part::V) + first..],
            stride: pixels,
        };
        let to = Rows {
            start: out.at(heads.of_output(head) + first),
            stride: pixels,
        };
        // SAFETY: these pixels of this head are this chunk's alone.
        unsafe { matrices[head].multiply_slice(values, None, to, columns) };
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
struct GradientMaps {
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
fn gradient_maps(
    heads: &Heads,
    temperature: &[f32],
    dattention: &[f32],
    maps: &Maps,
) -> GradientMaps {
    let depth = heads.depth;
    let zeros = || vec![0.0; heads.count() * heads.map()];
    let mut back = GradientMaps {
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
                back.dtemperature[head % heads.heads] += dlogit * cosines[j];
                let dcosine = temperature * dlogit;
                row_sum += dcosine * cosines[j];
                column_sums[j] += dcosine * cosines[j];
                let across = dcosine / (q_norms[i] * k_norms[j]);
                back.dq_from_k[row + j] = across;
                back.dk_from_q[start + j * depth + i] = across;
                back.dv_from_dy[start + j * depth + i] = attention[j];
            }
            back.dq_from_q[row + i] = pull(row_sum, q_norms[i]);
        }
        for j in 0..depth {
            back.dk_from_k[start + j * depth + j] = pull(column_sums[j], k_norms[j]);
        }
    }
    back
}

/// Gradients of qkv and of the temperatures.
pub(crate) fn backward(
    heads: &Heads,
    qkv: &[f32],
    temperature: &[f32],
    dy: &[f32],
    maps: &Maps,
) -> (Vec<f32>, Vec<f32>) {
    let (depth, pixels) = (heads.depth, heads.pixels);
    assert_eq!(qkv.len(), heads.batch * 3 * heads.channels * pixels);
    assert_eq!(dy.len() * 3, qkv.len());
    let dattention = batched(heads.count(), [depth, depth], pixels, |head| {
        [
            &dy[heads.of_output(head)..],
            &qkv[heads.of_qkv(head, Part::V)..],
        ]
    });
    let back = gradient_maps(heads, temperature, &dattention, maps);
    let mut dqkv = Output::new(qkv.len());
    let out = dqkv.shared();
    let [q_from_q, q_from_k, k_from_q, k_from_k, v_from_dy] = [
        &back.dq_from_q,
        &back.dq_from_k,
        &back.dk_from_q,
        &back.dk_from_k,
        &back.dv_from_dy,
    ]
    .map(|maps| heads.matrices(maps));
    let chunk = cached(pixels, 2 * depth);
    for_each_chunk(heads.count(), pixels, chunk, |head, first, columns| {
        let [q, k, v] = [Part::Q, Part::K, Part::V].map(|part| heads.of_qkv(head, part) + first);
        let apply = |matrices: &[Matrix], from: &[f32], to: usize, accumulate: bool| {
            let from = Strided {
                values: from,
                stride: pixels,
            };
            let to = Rows {
                start: out.at(to),
                stride: pixels,
            };
            let add = accumulate.then_some(to);
            // SAFETY: these pixels of this head in the gradient are this chunk's alone.
            unsafe { matrices[head].multiply_slice(from, add, to, columns) };
        };
        apply(&q_from_q, &qkv[q..], q, false);
        apply(&q_from_k, &qkv[k..], q, true);
        apply(&k_from_q, &qkv[q..], k, false);
        apply(&k_from_k, &qkv[k..], k, true);
        let dy = &dy[heads.of_output(head) + first..];
        apply(&v_from_dy, dy, v, false);
    });
    // SAFETY: the chunks cover all pixels of q, k and v of all heads.
    (unsafe { dqkv.filled() }, back.dtemperature)
}
