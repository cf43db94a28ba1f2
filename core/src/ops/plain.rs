//! What the backbone and the fusions are made of. The CPU has no kernels of its own here: training uses
//! burn's, and inference the packed network.

#[cfg(feature = "gpu")]
use super::gpu;
use burn::tensor::activation::{self, softmax};
use burn::tensor::{Tensor, module};

/// `x weight^T + bias`.
///
/// # Shapes
/// - x: `[batch, tokens, inputs]`
/// - weight: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[batch, tokens, outputs]`
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let [batch, tokens, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    assert_eq!(weight.dims()[1], inputs, "a matrix from x's width");
    #[cfg(feature = "gpu")]
    if has_linear(&x, &weight, &bias) {
        return gpu::linear(x, weight, bias);
    }
    // One flat product: a batched one would repeat the weight for each item.
    x.reshape([batch * tokens, inputs])
        .matmul(weight.transpose())
        .reshape([batch, tokens, outputs])
        + bias.unsqueeze()
}

/// `gelu(x weight^T + bias)`, shapes as [`linear`].
pub fn gelu_linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if has_linear(&x, &weight, &bias) {
        return gpu::gelu_linear(x, weight, bias);
    }
    gelu(linear(x, weight, bias))
}

/// Whether a GPU has a kernel for this [`linear`].
#[cfg(feature = "gpu")]
fn has_linear(x: &Tensor<3>, weight: &Tensor<2>, bias: &Tensor<1>) -> bool {
    gpu::is_supported(x)
        && gpu::is_supported(weight)
        && gpu::is_supported(bias)
        && gpu::narrow(x.dims()[2])
}

/// `x + scale (input weight^T + bias)`.
///
/// # Shapes
/// - x, output: `[batch, tokens, outputs]`
/// - input: `[batch, tokens, inputs]`
/// - weight: `[outputs, inputs]`
/// - bias, scale: `[outputs]`
pub fn add_linear(
    x: Tensor<3>,
    input: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    scale: Tensor<1>,
) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if [&x, &input].into_iter().all(gpu::is_supported)
        && [&bias, &scale].into_iter().all(gpu::is_supported)
        && gpu::is_supported(&weight)
        && gpu::narrow(input.dims()[2])
    {
        return gpu::add_linear(x, input, weight, bias, scale);
    }
    x + linear(input, weight, bias) * scale.unsqueeze()
}

/// Layer norm of each token.
///
/// # Shapes
/// - x, output: `[batch, tokens, width]`
/// - gamma, beta: `[width]`
pub fn layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if gpu::is_supported(&x) && gpu::is_supported(&gamma) && gpu::is_supported(&beta) {
        return gpu::row_norm(x, gamma, beta, epsilon as f32);
    }
    module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// Attention between the tokens, in each head: `softmax(q k^T / sqrt(width / heads)) v`.
///
/// # Shapes
/// - qkv: `[batch, tokens, 3 * width]`, q, k and v one after the other, each with its heads one after
///   the other
/// - output: `[batch, tokens, width]`
pub fn attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    #[cfg(feature = "gpu")]
    if gpu::is_supported(&qkv) && gpu::indexed(&[batch, heads, tokens, tokens]) {
        return gpu::attention(qkv, heads);
    }
    let width = width / 3;
    let head = width / heads;
    let part = |i: usize| {
        qkv.clone()
            .narrow(2, i * width, width)
            .reshape([batch, tokens, heads, head])
            .swap_dims(1, 2)
    };
    let (q, k, v) = (part(0), part(1), part(2));
    let scale = 1.0 / (head as f32).sqrt();
    let map = softmax((q * scale).matmul(k.swap_dims(2, 3)), 3);
    let mixed = map.matmul(v).swap_dims(1, 2);
    mixed.reshape([batch, tokens, width])
}

/// The exact GELU of each element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "gpu")]
    if gpu::is_differentiable(&x) {
        let shape = x.shape();
        return gpu::gelu(x.flatten(0, D - 1)).reshape(shape);
    }
    activation::gelu(x)
}

/// The products of `a`'s matrices with `b`'s; one matrix on either side is for all of the other's.
///
/// # Shapes
/// - a: `[batch or 1, rows, inner]`
/// - b: `[batch or 1, inner, columns]`
/// - output: `[batch, rows, columns]`
pub fn matmul(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if gpu::is_differentiable(&a) && gpu::is_differentiable(&b) && gpu::narrow(a.dims()[2]) {
        return gpu::matmul(a, b);
    }
    let [one, rows, inner] = a.dims();
    let [other, _, columns] = b.dims();
    let batch = one.max(other);
    let a = a.expand([batch, rows, inner]);
    a.matmul(b.expand([batch, inner, columns]))
}

/// The products of the rows of `a`'s matrices with those of `b`'s: `a b^T`.
///
/// # Shapes
/// - a: `[batch, rows, inner]`
/// - b: `[batch, columns, inner]`
/// - output: `[batch, rows, columns]`
pub fn matmul_nt(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if gpu::is_differentiable(&a)
        && gpu::is_differentiable(&b)
        && gpu::narrow(a.dims()[1].max(b.dims()[1]))
    {
        return gpu::matmul_nt(a, b);
    }
    a.matmul(b.swap_dims(1, 2))
}
