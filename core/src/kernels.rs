//! temp
#![allow(missing_docs)]
use burn::tensor::{
    Tensor,
    activation::{gelu, softmax},
    module::conv2d,
    ops::ConvOptions,
};
pub fn depthwise3x3(x: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
    let c = x.dims()[1];
    conv2d(x, w, None, ConvOptions::new([1, 1], [1, 1], [1, 1], c))
}
pub fn pointwise(x: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
    conv2d(x, w, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
}
pub fn conv3x3(x: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
    conv2d(x, w, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
}
pub fn channel_layer_norm(x: Tensor<4>, g: Tensor<1>, b: Tensor<1>) -> Tensor<4> {
    let c = x.dims()[1];
    let xc = x.clone() - x.mean_dim(1);
    let v = xc.clone().square().mean_dim(1);
    xc / (v + 1e-5).sqrt() * g.reshape([1, c, 1, 1]) + b.reshape([1, c, 1, 1])
}
pub fn gated_gelu(x: Tensor<4>) -> Tensor<4> {
    let h = x.dims()[1] / 2;
    gelu(x.clone().narrow(1, 0, h)) * x.narrow(1, h, h)
}
pub fn mdta(qkv: Tensor<4>, t: Tensor<3>) -> Tensor<4> {
    let [b, c3, h, w] = qkv.dims();
    let c = c3 / 3;
    let heads = t.dims()[0];
    let part = |i: usize| {
        qkv.clone()
            .narrow(1, i * c, c)
            .reshape([b, heads, c / heads, h * w])
    };
    let n = |x: Tensor<4>| {
        let l = x.clone().square().sum_dim(3).sqrt().clamp_min(1e-12);
        x / l
    };
    let a = softmax(
        n(part(0)).matmul(n(part(1)).swap_dims(2, 3)) * t.unsqueeze::<4>(),
        3,
    );
    a.matmul(part(2)).reshape([b, c, h, w])
}
