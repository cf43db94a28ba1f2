//! How much faster a Restormer block is, forward and backward, with the kernels than with burn's
//! own operations: `cargo run --release --example kernel_speed`.

use burn::tensor::{
    Device, Distribution, Tensor,
    activation::{gelu, softmax},
    module::conv2d,
    ops::ConvOptions,
};
use dino_ir::ops;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 4;
const CHANNELS: usize = 16;
const HIDDEN: usize = 42;
const SIZE: usize = 128;

/// The operations of a block, either way.
struct Operations {
    depthwise: fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
    pointwise: fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
    conv: fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
    norm: fn(Tensor<4>, Tensor<1>, Option<Tensor<1>>) -> Tensor<4>,
    gate: fn(Tensor<4>) -> Tensor<4>,
    mdta: fn(Tensor<4>, Tensor<3>) -> Tensor<4>,
}

const KERNELS: Operations = Operations {
    depthwise: ops::depthwise3x3,
    pointwise: ops::pointwise,
    conv: ops::conv3x3,
    norm: ops::channel_layer_norm,
    gate: ops::gated_gelu,
    mdta: ops::mdta,
};

const BURN: Operations = Operations {
    depthwise: |x, w| {
        let groups = x.dims()[1];
        conv2d(x, w, None, ConvOptions::new([1, 1], [1, 1], [1, 1], groups))
    },
    pointwise: |x, w| conv2d(x, w, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)),
    conv: |x, w| conv2d(x, w, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1)),
    norm: |x, gamma, beta| {
        let x = x.clone() - x.mean_dim(1);
        let deviation = (x.clone().powi_scalar(2).mean_dim(1) + 1e-5).sqrt();
        let y = x / deviation * gamma.reshape([1, -1, 1, 1]);
        match beta {
            Some(beta) => y + beta.reshape([1, -1, 1, 1]),
            None => y,
        }
    },
    gate: |x| {
        let half = x.dims()[1] / 2;
        gelu(x.clone().narrow(1, 0, half)) * x.narrow(1, half, half)
    },
    mdta: |qkv, temperature| {
        let [batch, channels, height, width] = qkv.dims();
        let (heads, channels) = (temperature.dims()[0], channels / 3);
        let part = |i: usize| {
            qkv.clone().narrow(1, i * channels, channels).reshape([
                batch,
                heads,
                channels / heads,
                height * width,
            ])
        };
        let normalised =
            |x: Tensor<4>| x.clone() / x.powi_scalar(2).sum_dim(3).clamp_min(1e-24).sqrt();
        let map = normalised(part(0)).matmul(normalised(part(1)).swap_dims(2, 3));
        softmax(map * temperature.unsqueeze(), 3)
            .matmul(part(2))
            .reshape([batch, channels, height, width])
    },
};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.5, 0.5), device).require_grad()
}

fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    work();
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..runs).map(time).min().unwrap_or_default()
}

/// Times one function of the operations both ways.
fn compare(name: &str, work: impl Fn(&Operations)) {
    let burn = best(5, || work(&BURN)).as_secs_f64() * 1e3;
    let kernels = best(10, || work(&KERNELS)).as_secs_f64() * 1e3;
    let ratio = burn / kernels;
    println!("{name:24} burn {burn:8.2} ms   kernels {kernels:8.2} ms   {ratio:5.1}x");
}

fn main() {
    let device = Device::flex().autodiff();
    let (c, h) = (CHANNELS, HIDDEN);
    let image = |channels| random([BATCH, channels, SIZE, SIZE], &device);
    let (x, wide, hidden) = (image(c), image(3 * c), image(2 * h));
    let gamma = || random([c], &device);
    let (gamma, beta) = (gamma(), gamma());
    let temperature = random([1, 1, 1], &device);
    let qkv = random([3 * c, c, 1, 1], &device);
    let qkv_depthwise = random([3 * c, 1, 3, 3], &device);
    let project = random([c, c, 1, 1], &device);
    let expand = random([2 * h, c, 1, 1], &device);
    let expand_depthwise = random([2 * h, 1, 3, 3], &device);
    let contract = random([c, h, 1, 1], &device);
    let dense = random([c, c, 3, 3], &device);

    let norm = |o: &Operations, x| (o.norm)(x, gamma.clone(), Some(beta.clone()));
    let block = |o: &Operations| {
        let y = (o.pointwise)(norm(o, x.clone()), qkv.clone());
        let y = (o.depthwise)(y, qkv_depthwise.clone());
        let y = (o.mdta)(y, temperature.clone());
        let x = x.clone() + (o.pointwise)(y, project.clone());
        let y = (o.pointwise)(norm(o, x.clone()), expand.clone());
        let y = (o.gate)((o.depthwise)(y, expand_depthwise.clone()));
        x + (o.pointwise)(y, contract.clone())
    };
    let train = |y: Tensor<4>| {
        y.sum().backward();
    };
    compare("block, forward+backward", |o| train(block(o)));
    compare("depthwise", |o| {
        train((o.depthwise)(wide.clone(), qkv_depthwise.clone()))
    });
    compare("pointwise", |o| {
        train((o.pointwise)(x.clone(), qkv.clone()))
    });
    compare("3x3", |o| train((o.conv)(x.clone(), dense.clone())));
    compare("layer norm", |o| train(norm(o, x.clone())));
    compare("gated gelu", |o| train((o.gate)(hidden.clone())));
    compare("mdta", |o| {
        train((o.mdta)(wide.clone(), temperature.clone()))
    });
}
