//! Layer norm over the channels of every pixel.

#[cfg(feature = "gpu")]
use super::gpu;
use super::{
    flex::{contiguous, dims, tensor, values},
    on_cpu,
    record::record,
};
use crate::cpu::{
    gemm::add,
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
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// Added to the variance.
const EPSILON: f32 = 1e-5;

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
    #[cfg(feature = "gpu")]
    if gpu::trains(&x) && gpu::trains(&gamma) && beta.as_ref().is_none_or(gpu::trains) {
        return gpu::channel_norm(x, gamma, beta);
    }
    if !on_cpu(&x) || !on_cpu(&gamma) || !beta.as_ref().is_none_or(on_cpu) {
        return plain(x, gamma, beta);
    }
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(match beta {
        Some(beta) => <Dispatch as LayerNormOps>::layer_norm(x, gamma, beta.into_dispatch()),
        None => <Dispatch as LayerNormOps>::bias_free_norm(x, gamma),
    })
}

fn plain(x: Tensor<4>, gamma: Tensor<1>, beta: Option<Tensor<1>>) -> Tensor<4> {
    let channels = x.dims()[1];
    let centred = x.clone() - x.clone().mean_dim(1);
    let deviation = (centred.clone().powi_scalar(2).mean_dim(1) + EPSILON).sqrt();
    let gamma = gamma.reshape([1, channels, 1, 1]);
    match beta {
        Some(beta) => centred / deviation * gamma + beta.reshape([1, channels, 1, 1]),
        None => x / deviation * gamma,
    }
}

#[backend_extension(Flex, Autodiff)]
trait LayerNormOps: Backend {
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn bias_free_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl LayerNormOps for Flex {
    fn layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor) -> FlexTensor {
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
        let y = forward(values(&x), values(&gamma), Some(values(&beta)), dims(&x));
        tensor(y, dims(&x))
    }

    fn bias_free_norm(x: FlexTensor, gamma: FlexTensor) -> FlexTensor {
        let (x, gamma) = (contiguous(x), contiguous(gamma));
        let y = forward(values(&x), values(&gamma), None, dims(&x));
        tensor(y, dims(&x))
    }
}

impl<C: CheckpointStrategy> LayerNormOps for Autodiff<Flex, C> {
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let step = LayerNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = contiguous(x.into_primitive());
        let gamma = contiguous(gamma.into_primitive());
        let beta = beta.into_primitive();
        match step {
            OpsKind::Tracked(step) => {
                let y = Flex::layer_norm(x.clone(), gamma.clone(), beta);
                step.finish((x, gamma), y)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::layer_norm(x, gamma, beta)),
        }
    }

    fn bias_free_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(BiasFreeBackward, x, gamma, Flex::bias_free_norm)
    }
}

#[derive(Debug)]
struct LayerNormBackward;

impl Backward<Flex, 3> for LayerNormBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, gamma) = ops.state;
        let shape = dims(&x);
        let found = backward(values(&x), values(&gamma), values(&dy), shape, true);
        let [x_parent, gamma_parent, beta_parent] = ops.parents;
        if let Some(node) = x_parent {
            grads.register::<Flex>(node.id, tensor(found.dx, shape));
        }
        if let Some(node) = gamma_parent {
            grads.register::<Flex>(node.id, tensor(found.dgamma, [shape[1]]));
        }
        if let Some(node) = beta_parent {
            grads.register::<Flex>(node.id, tensor(found.dbeta, [shape[1]]));
        }
    }
}

#[derive(Debug)]
struct BiasFreeBackward;

impl Backward<Flex, 2> for BiasFreeBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, gamma) = ops.state;
        let shape = dims(&x);
        let found = backward(values(&x), values(&gamma), values(&dy), shape, false);
        let [x_parent, gamma_parent] = ops.parents;
        if let Some(node) = x_parent {
            grads.register::<Flex>(node.id, tensor(found.dx, shape));
        }
        if let Some(node) = gamma_parent {
            grads.register::<Flex>(node.id, tensor(found.dgamma, [shape[1]]));
        }
    }
}

/// Pixels normalised at a time; their channels are gathered in a buffer that stays in the second
/// cache, since whole planes lie a power of two apart and push each other out.
const BLOCK: usize = 128;
/// Blocks of one task.
const BLOCKS_PER_TASK: usize = 4;

fn forward(
    x: &[f32],
    gamma: &[f32],
    beta: Option<&[f32]>,
    [batch, channels, height, width]: [usize; 4],
) -> Vec<f32> {
    let pixels = height * width;
    assert_eq!(x.len(), batch * channels * pixels);
    assert_eq!(gamma.len(), channels);
    let mut y = Output::new(x.len());
    let out = y.shared();
    let blocks = pixels.div_ceil(BLOCK);
    (0..batch * blocks)
        .into_par_iter()
        .with_min_len(BLOCKS_PER_TASK)
        .for_each_init(
            || vec![0.0; channels * BLOCK],
            |gathered, task| {
                let first = task % blocks * BLOCK;
                let block = BLOCK.min(pixels - first);
                let start = task / blocks * channels * pixels + first;
                // SAFETY: these pixels in all channels of the output are this task's alone.
                unsafe {
                    normalise(
                        &x[start..],
                        pixels,
                        block,
                        gamma,
                        beta,
                        gathered,
                        out.at(start),
                    )
                };
            },
        );
    // SAFETY: the blocks cover all pixels.
    unsafe { y.filled() }
}

/// Mean and one over the standard deviation of a block's pixels, whose channels are copied to
/// `gathered`, a row of `BLOCK` for each.
#[inline(always)]
fn gather<const N: usize>(
    x: &[f32],
    stride: usize,
    block: usize,
    gathered: &mut [f32],
) -> ([f32; N], [f32; N]) {
    let scale = 1.0 / (gathered.len() / N) as f32;
    let (mut mean, mut inverse) = ([0.0f32; N], [0.0f32; N]);
    for (row, x) in gathered.chunks_exact_mut(N).zip(x.chunks(stride)) {
        row[..block].copy_from_slice(&x[..block]);
        for (sum, &value) in mean.iter_mut().zip(&*row) {
            *sum += value;
        }
    }
    for mean in &mut mean {
        *mean *= scale;
    }
    for row in gathered.chunks_exact(N) {
        for ((sum, &value), &mean) in inverse.iter_mut().zip(row).zip(&mean) {
            *sum += (value - mean) * (value - mean);
        }
    }
    for sum in &mut inverse {
        *sum = 1.0 / (*sum * scale + EPSILON).sqrt();
    }
    (mean, inverse)
}

simd_fn! {
    /// Normalises `block` pixels of a sample whose channels are `stride` apart.
    ///
    /// # Safety
    /// `block` floats are writable at `y` for each channel, `stride` apart.
    unsafe fn normalise(
        x: &[f32], stride: usize, block: usize, gamma: &[f32], beta: Option<&[f32]>,
        gathered: &mut [f32], y: *mut f32,
    ) = normalise_body
}

/// # Safety
/// `block` floats are writable at `y` for each channel, `stride` apart.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn normalise_body<S: Simd>(
    _s: S,
    x: &[f32],
    stride: usize,
    block: usize,
    gamma: &[f32],
    beta: Option<&[f32]>,
    gathered: &mut [f32],
    y: *mut f32,
) {
    let (mut mean, inverse) = gather::<BLOCK>(x, stride, block, gathered);
    if beta.is_none() {
        mean = [0.0; BLOCK];
    }
    for (channel, row) in gathered.chunks_exact_mut(BLOCK).enumerate() {
        let gamma = gamma[channel];
        let beta = match beta {
            Some(beta) => beta[channel],
            None => 0.0,
        };
        for ((value, &mean), &inverse) in row.iter_mut().zip(&mean).zip(&inverse) {
            *value = (*value - mean) * inverse * gamma + beta;
        }
        // SAFETY: the caller's; `block` is at most `BLOCK`.
        unsafe {
            core::ptr::copy_nonoverlapping(row[..block].as_ptr(), y.add(channel * stride), block);
        }
    }
}

/// Gradients of the norm.
struct Found {
    dx: Vec<f32>,
    dgamma: Vec<f32>,
    dbeta: Vec<f32>,
}

/// Gradients; `centred` says whether the forward pass took the mean off.
fn backward(
    x: &[f32],
    gamma: &[f32],
    dy: &[f32],
    [batch, channels, height, width]: [usize; 4],
    centred: bool,
) -> Found {
    let pixels = height * width;
    assert_eq!(x.len(), batch * channels * pixels);
    assert_eq!(dy.len(), x.len());
    assert_eq!(gamma.len(), channels);
    let mut dx = Output::new(x.len());
    let out = dx.shared();
    let task_pixels = 8 * BLOCKS_PER_TASK * BLOCK;
    let tasks = pixels.div_ceil(task_pixels);
    let parts: Vec<Vec<f32>> = (0..batch * tasks)
        .into_par_iter()
        .map(|task| {
            let start_pixel = task % tasks * task_pixels;
            let end = pixels.min(start_pixel + task_pixels);
            let mut buffers = vec![0.0; 2 * channels * BLOCK];
            let (gathered, dgathered) = buffers.split_at_mut(channels * BLOCK);
            // dgamma, then dbeta
            let mut part = vec![0.0; 2 * channels];
            for first in (start_pixel..end).step_by(BLOCK) {
                let block = BLOCK.min(end - first);
                let start = task / tasks * channels * pixels + first;
                // SAFETY: these pixels in all channels of the gradient are this task's alone.
                unsafe {
                    normalise_backward(
                        &x[start..],
                        &dy[start..],
                        pixels,
                        block,
                        gamma,
                        centred,
                        gathered,
                        dgathered,
                        &mut part,
                        out.at(start),
                    );
                }
            }
            part
        })
        .collect();
    let mut sums = vec![0.0; 2 * channels];
    for part in &parts {
        add(&mut sums, part);
    }
    let dbeta = sums.split_off(channels);
    Found {
        // SAFETY: the blocks cover all pixels.
        dx: unsafe { dx.filled() },
        dgamma: sums,
        dbeta,
    }
}

simd_fn! {
    /// Gradients of a block; adds to `sums`, dgamma and then dbeta.
    ///
    /// # Safety
    /// `block` floats are writable at `dx` for each channel, `stride` apart.
    unsafe fn normalise_backward(
        x: &[f32], dy: &[f32], stride: usize, block: usize, gamma: &[f32], centred: bool,
        gathered: &mut [f32], dgathered: &mut [f32], sums: &mut [f32], dx: *mut f32,
    ) = normalise_backward_body
}

/// With `u = x - mean` (or `u = x`), `r = 1 / sqrt(var + eps)` and `h = dy gamma`:
/// `dx = r (h - mean(h)) - r^3 (x - mean) mean(h u)`, where `mean(h)` is only there if centred.
///
/// # Safety
/// `block` floats are writable at `dx` for each channel, `stride` apart.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked by one index"
)]
unsafe fn normalise_backward_body<S: Simd>(
    s: S,
    x: &[f32],
    dy: &[f32],
    stride: usize,
    block: usize,
    gamma: &[f32],
    centred: bool,
    gathered: &mut [f32],
    dgathered: &mut [f32],
    sums: &mut [f32],
    dx: *mut f32,
) {
    let channels = gamma.len();
    let scale = 1.0 / channels as f32;
    let (mean, inverse) = gather::<BLOCK>(x, stride, block, gathered);
    let shift = if centred { mean } else { [0.0; BLOCK] };
    let (mut mean_h, mut mean_hu) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
    let mut normal = [0.0f32; BLOCK];
    let (dgamma, dbeta) = sums.split_at_mut(channels);
    for (channel, (row, drow)) in gathered
        .chunks_exact(BLOCK)
        .zip(dgathered.chunks_exact_mut(BLOCK))
        .enumerate()
    {
        let from = &dy[channel * stride..][..block];
        drow[..block].copy_from_slice(from);
        for i in 0..BLOCK {
            let u = row[i] - shift[i];
            normal[i] = u * inverse[i];
            let h = drow[i] * gamma[channel];
            mean_h[i] += h;
            mean_hu[i] += h * u;
        }
        dgamma[channel] += dot(s, from, &normal[..block]);
        dbeta[channel] += dot(s, from, &[1.0; BLOCK][..block]);
    }
    for i in 0..BLOCK {
        mean_h[i] *= if centred { scale } else { 0.0 };
        mean_hu[i] *= scale * inverse[i] * inverse[i] * inverse[i];
    }
    for (channel, (row, drow)) in gathered
        .chunks_exact(BLOCK)
        .zip(dgathered.chunks_exact_mut(BLOCK))
        .enumerate()
    {
        for i in 0..BLOCK {
            let h = drow[i] * gamma[channel];
            drow[i] = inverse[i] * (h - mean_h[i]) - (row[i] - mean[i]) * mean_hu[i];
        }
        // SAFETY: the caller's; `block` is at most `BLOCK`.
        unsafe {
            core::ptr::copy_nonoverlapping(drow[..block].as_ptr(), dx.add(channel * stride), block);
        }
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
