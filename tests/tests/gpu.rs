//! The same network on the GPU and on the CPU. `tests/gpu/run` builds and runs this.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::Error;
use dino_ir::device::DeviceChoice;
use dino_ir::image::Image;
use dino_ir::ops;
use dino_ir::restore::{Options, Restorer};
use dino_ir::weights::{self, Dtype};
use dino_ir_tests::program;
use dino_ir_tests::program::stderr;
use dino_ir_trainer::train::config::TrainConfig;
use dino_ir_trainer::train::parameters::{NamedTensors, load_tensors, named_tensors};
use dino_ir_trainer::train::replicas::Replicas;
use dino_ir_trainer::train::trainee::DinoIrTrainee;
use dino_ir_trainer::train::{Batch, BatchRequest, BatchSource, RunOptions, train};

/// Sums in another order differ by 1e-5; a wrong kernel by far more.
const LIMIT: f32 = 1e-3;
const SIDE: usize = 32;
const SAMPLES: usize = 2;

/// A guided net with every part of the large ones. Adam with this epsilon is nearly plain gradient
/// descent: a tiny gradient's sign, which is rounding, does not decide a step.
const CONFIG: &str = r#"
    seed = 7
    frozen = ["net.guidance.backbone."]
    [model.restormer]
    dim = 8
    blocks = [1, 1, 1, 1]
    heads = [1, 1, 2, 2]
    refinement = 1
    [model.guidance]
    backbone = { width = 16, depth = 3, heads = 2, grid = 4 }
    depths = [1, 2, 3]
    fused = 8
    gate_hidden = 8
    stages = [1, 2, 3, 4]
    [loss]
    blocks = [1]
    [optimizer]
    epsilon = 1.0
    [validation]
    samples = 0
    patch = 32
    [[stage]]
    steps = 1
    batch = 2
    patch = 32
    lr = 1.0
"#;

/// Images that are less than a cube's share, and more.
const IMAGES: [[usize; 4]; 4] = [[1, 1, 1, 1], [3, 5, 3, 7], [2, 3, 9, 26], [1, 3, 61, 67]];

fn gpu() -> Device {
    let device = DeviceChoice::Wgpu.device();
    device.expect("a Vulkan driver; tests/run installs one")
}

fn config() -> TrainConfig {
    TrainConfig::parse(CONFIG, &[]).expect("valid")
}

/// The net of the tests; random numbers differ between devices, so that they come from the CPU.
fn trainee(device: &Device) -> DinoIrTrainee {
    let make = |device: &Device| {
        let made = DinoIrTrainee::new(&config(), &device.clone().autodiff());
        made.expect("a net").0
    };
    let tensors = named_tensors(&make(&Device::flex()));
    load_tensors(make(device), &tensors).expect("the same net")
}

fn weights_file() -> Vec<u8> {
    let (trainee, sizes) = DinoIrTrainee::new(&config(), &Device::flex()).expect("a net");
    let provenance = serde_json::Value::Null;
    weights::to_bytes(&trainee.net, &sizes, Dtype::F32, provenance).expect("weights")
}

/// The weights with another seed of the golden image, as if the device had computed wrongly.
fn tampered() -> Vec<u8> {
    let mut bytes = weights_file();
    let seed = br#"\"seed\":2024"#;
    let place = bytes.windows(seed.len()).position(|window| window == seed);
    bytes[place.expect("the header has a seed") + seed.len() - 1] = b'5';
    bytes
}

/// Ramps with noise, 0..1, planar.
fn pixels(seed: usize) -> Vec<f32> {
    let value = |i: usize| {
        let (channel, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let ramp = (x * (channel + 1) + y * (seed + 1)) % 97;
        let noise = (i * 7919 + seed * 104_729) % 41;
        ramp as f32 / 140.0 + noise as f32 / 140.0
    };
    (0..3 * SIDE * SIDE).map(value).collect()
}

struct OneBatch;

impl BatchSource for OneBatch {
    fn batch(&self, request: BatchRequest) -> Result<Batch> {
        assert_eq!((request.count, request.patch), (SAMPLES, SIDE));
        Ok(Batch {
            degraded: (0..SAMPLES).flat_map(pixels).collect(),
            clean: (0..SAMPLES).flat_map(|i| pixels(i + SAMPLES)).collect(),
            count: SAMPLES,
            patch: SIDE,
            names: vec!["made".to_owned(); SAMPLES],
            tasks: vec!["noise".to_owned(); SAMPLES],
        })
    }

    fn validation(&self, _samples: usize, _patch: usize) -> Result<Vec<Batch>> {
        Ok(Vec::new())
    }
}

/// Largest difference; NaN if one of them is.
fn difference(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, d| if d <= most { most } else { d })
}

fn assert_near(what: &str, difference: f32, limit: f32) {
    println!("{what} differs by {difference:.1e}, allowed {limit:.1e}");
    assert!(difference <= limit, "{what}");
}

#[test]
fn a_photo_is_restored_as_on_the_cpu() {
    let file = weights_file();
    let planar = pixels(0);
    let interleaved = (0..3 * SIDE * SIDE).map(|i| planar[i % 3 * SIDE * SIDE + i / 3]);
    let image = Image::new(SIDE, SIDE, interleaved.collect()).expect("an image");
    let restore = |device: &Device| {
        let net = weights::load(&file, device).expect("passes its golden check");
        let restored = Restorer::new(net, device).restore_image(&image, &Options::default());
        restored.expect("restored").into_pixels()
    };
    let (cpu, gpu) = (restore(&Device::flex()), restore(&gpu()));
    assert_near("the photo", difference(&cpu, &gpu), LIMIT);
    let work = difference(&cpu, image.pixels());
    assert!(work > 10.0 * LIMIT, "the net changed the photo by {work}");
}

/// Values in -1..1.
fn random<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 1999) as f32 / 999.5 - 1.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// What `operation` computes on the GPU, without and with autodiff, against the CPU.
fn assert_same<const D: usize>(what: &str, operation: impl Fn(&Device) -> Tensor<D>) {
    let values = |device: &Device| -> Vec<f32> {
        let found = operation(device).into_data();
        found.try_into_vec().expect("f32")
    };
    let cpu = values(&Device::flex());
    let most = cpu.iter().fold(1.0f32, |most, v| most.max(v.abs()));
    for (device, how) in [(gpu(), "without"), (gpu().autodiff(), "with")] {
        let error = difference(&cpu, &values(&device)) / most;
        assert!(error <= 1e-5, "{what}, {how} autodiff: {error:e}");
    }
}

#[test]
fn kernels_compute_what_the_cpus_do() {
    // With every kind of remainder of the blocks and vectors.
    for [height, width] in [[1, 1], [3, 5], [16, 64], [2, 130], [35, 20]] {
        for [channels, heads] in [[2, 1], [6, 2], [8, 1], [85, 5]] {
            let what = |name| format!("{name}, {channels} x {height} x {width}");
            let x = |times: usize, device: &_| {
                random([2, times * channels, height, width], times, device)
            };
            let weights =
                |inputs, side, device: &_| random([channels, inputs, side, side], inputs, device);
            let gamma = |seed, device: &_| random([channels], seed, device);
            assert_same(&what("pointwise"), |d| {
                ops::pointwise(x(2, d), weights(2 * channels, 1, d))
            });
            assert_same(&what("pointwise with bias"), |d| {
                ops::pointwise_with_bias(x(2, d), weights(2 * channels, 1, d), gamma(3, d))
            });
            assert_same(&what("depthwise"), |d| {
                ops::depthwise3x3(x(1, d), weights(1, 3, d))
            });
            assert_same(&what("3x3"), |d| {
                ops::conv3x3(x(2, d), weights(2 * channels, 3, d))
            });
            assert_same(&what("norm"), |d| {
                ops::channel_layer_norm(x(1, d), gamma(1, d), Some(gamma(2, d)))
            });
            assert_same(&what("bias-free norm"), |d| {
                ops::channel_layer_norm(x(1, d), gamma(1, d), None)
            });
            for centred in [true, false] {
                assert_same(&what("block"), |d| {
                    // A norm of few channels that are nearly alike makes rounding errors large.
                    let channels = channels.max(5);
                    let half = halves(channels, 1.0, centred, d);
                    let attention = attention(half, random([heads, 1, 1], 4, d) + 2.0);
                    let feed_forward = feed_forward(halves(channels, 2.7, centred, d));
                    let x = random([2, channels, height, width], 1, d);
                    ops::block(x, attention, feed_forward)
                });
                // With an odd number of hidden channels.
                assert_same(&what("feed-forward network"), |d| {
                    ops::add_feed_forward(x(1, d), feed_forward(halves(channels, 2.7, centred, d)))
                });
            }
        }
    }
    // More pixels than one thread sums over.
    let x = |seed, d: &_| random([1, 4, 61, 67], seed, d);
    let of = |d: &_| attention(halves(4, 1.0, true, d), random([2, 1, 1], 4, d));
    assert_same("block, in pieces", |d| {
        ops::block(x(5, d), of(d), feed_forward(halves(4, 2.7, true, d)))
    });
    assert_same("attention between channels by other sums", |d| {
        let sums = ops::mdta_statistics(random([1, 12, 61, 67], 6, d), 2);
        ops::add_attention_with_stats(x(5, d), of(d), |_| sums)
    });
    for [tokens, width, heads] in [[1, 2, 1], [26, 24, 3], [37, 10, 2]] {
        let what = |name| format!("{name}, {tokens} x {width}");
        let x = |times: usize, device: &_| random([2, tokens, times * width], times, device);
        assert_same(&what("linear"), |d| {
            let weight = random([13, width], 1, d);
            ops::linear(x(1, d), weight, random([13], 2, d))
        });
        assert_same(&what("linear through gelu"), |d| {
            let weight = random([13, width], 1, d);
            ops::gelu_linear(x(1, d), weight, random([13], 2, d) * 3.0)
        });
        assert_same(&what("layer norm"), |d| {
            let gamma = random([width], 1, d);
            ops::layer_norm(x(1, d), gamma, random([width], 2, d), 1e-6)
        });
        assert_same(&what("attention"), |d| ops::attention(x(3, d), heads));
        assert_same(&what("gelu"), |d| ops::gelu(x(1, d) * 6.0));
        for [one, other] in [[1, 2], [2, 1], [2, 2]] {
            assert_same(&what("matrices"), |d| {
                let a = random([one, 9, tokens], 1, d);
                ops::matmul(a, random([other, tokens, width], 2, d))
            });
        }
    }
    assert_same("linear, added", |d| {
        let x = |width, seed| random([2, 5, width], seed, d);
        let row = |seed| random([13], seed, d);
        ops::add_linear(x(13, 1), x(22, 2), random([13, 22], 3, d), row(4), row(5))
    });
    for [batch, rows, columns, inner] in [[1, 1, 1, 1], [2, 9, 26, 24], [3, 64, 16, 81]] {
        assert_same("products of rows with rows", |d| {
            let a = random([batch, rows, inner], 1, d);
            ops::matmul_nt(a, random([batch, columns, inner], 2, d))
        });
    }
    for [channels, height, width] in [[1, 1, 1], [5, 3, 7], [70, 16, 16]] {
        assert_same("mixed channels", |d| {
            let features = random([2, channels, height, width], 1, d);
            ops::mix(random([2, channels, channels], 2, d) * 9.0, features)
        });
    }
    for [batch, channels, height, width] in IMAGES {
        let image = |seed, d: &_| random([batch, channels, height, width], seed, d);
        assert_same("gated sum", |d| {
            let logits = random([batch, 3], 4, d) * 5.0;
            ops::gated_sum(logits, [1, 2, 3].map(|seed| image(seed, d)))
        });
        assert_same("absolute errors", |d| {
            ops::absolute_errors(image(1, d), image(2, d))
        });
    }
    for broken in [0.0, f32::NAN] {
        assert_same("blend", |d| {
            let broken = Tensor::<1>::from_floats([broken], d);
            ops::blend(
                [random([37], 1, d), random([37], 2, d)],
                [0.9, -0.3],
                &broken,
            )
        });
    }
    // Views lie in memory otherwise than their elements' order.
    assert_same("a view", |d| {
        let x = random([2, 6, 5, 7], 1, d).swap_dims(2, 3).narrow(1, 1, 4);
        ops::add_feed_forward(x, feed_forward(halves(4, 2.0, true, d)))
    });
}

/// Weights of half a block: the norm's, those of the 1x1 convolution, depthwise convolution and 1x1 convolution.
struct Half {
    norm: ops::ChannelNorm,
    into: Tensor<4>,
    depthwise: Tensor<4>,
    out: Tensor<4>,
}

/// Of a net's half block; `expansion` 1 is attention's, with three times as many channels in between.
fn halves(channels: usize, expansion: f64, centred: bool, device: &Device) -> Half {
    let row = |seed| random([channels], seed, device);
    let hidden = (channels as f64 * expansion) as usize;
    let wide = if expansion == 1.0 {
        3 * channels
    } else {
        2 * hidden
    };
    let scale = |count: usize| (count as f32).sqrt().recip();
    Half {
        norm: ops::ChannelNorm {
            gamma: row(11),
            beta: centred.then(|| row(12)),
        },
        into: random([wide, channels, 1, 1], 13, device) * scale(channels),
        depthwise: random([wide, 1, 3, 3], 14, device),
        out: random([channels, hidden, 1, 1], 15, device) * scale(hidden),
    }
}

fn attention(half: Half, temperature: Tensor<3>) -> ops::Attention {
    ops::Attention {
        norm: half.norm,
        qkv: half.into,
        dwconv: half.depthwise,
        temperature,
        project_out: half.out,
    }
}

fn feed_forward(half: Half) -> ops::FeedForward {
    ops::FeedForward {
        norm: half.norm,
        project_in: half.into,
        dwconv: half.depthwise,
        project_out: half.out,
    }
}

/// The gradients of all inputs, of these shapes, on the GPU against the CPU's, relative to the largest.
fn assert_same_gradients<const N: usize>(
    what: &str,
    shapes: [[usize; 4]; N],
    operation: impl Fn([Tensor<4>; N]) -> Tensor<4>,
) {
    let gradients = |device: &Device| -> Vec<Vec<f32>> {
        let device = device.clone().autodiff();
        let mut seed = 0;
        let inputs = shapes.map(|shape| {
            seed += 1;
            random(shape, seed, &device).require_grad()
        });
        let output = operation(inputs.clone());
        let upstream = random(output.dims(), 9, &device);
        let found = (output * upstream).sum().backward();
        let values = |input: &Tensor<4>| {
            let gradient = input.grad(&found).expect("a gradient for every input");
            gradient.into_data().try_into_vec().expect("f32")
        };
        inputs.iter().map(values).collect()
    };
    let (cpu, gpu) = (gradients(&Device::flex()), gradients(&gpu()));
    for (input, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        let most = cpu.iter().fold(1e-2f32, |most, v| most.max(v.abs()));
        let error = difference(cpu, gpu) / most;
        assert!(error <= 1e-4, "{what}, gradient {input}: {error:e}");
    }
}

#[test]
fn kernels_have_the_gradients_of_the_cpus() {
    for [height, width] in [[1, 1], [3, 5], [16, 64], [2, 130], [35, 20]] {
        for (batch, [channels, heads]) in [(1, [2, 1]), (3, [6, 2]), (2, [8, 1]), (2, [85, 5])] {
            let what = |name| format!("{name}, {batch} x {channels} x {height} x {width}");
            let x = |times: usize| [batch, times * channels, height, width];
            let row = |count| [1, count, 1, 1];
            assert_same_gradients(
                &what("pointwise"),
                [x(2), [channels, 2 * channels, 1, 1]],
                |[x, weight]| ops::pointwise(x, weight),
            );
            assert_same_gradients(
                &what("pointwise with bias"),
                [x(2), [channels, 2 * channels, 1, 1], row(channels)],
                |[x, weight, bias]| ops::pointwise_with_bias(x, weight, bias.reshape([channels])),
            );
            assert_same_gradients(&what("gelu"), [x(1)], |[x]| ops::gelu(x * 3.0));
            assert_same_gradients(
                &what("depthwise"),
                [x(1), [channels, 1, 3, 3]],
                |[x, weight]| ops::depthwise3x3(x, weight),
            );
            assert_same_gradients(
                &what("3x3"),
                [x(2), [channels, 2 * channels, 3, 3]],
                |[x, weight]| ops::conv3x3(x, weight),
            );
            let rows = [x(1), row(channels), row(channels)];
            assert_same_gradients(&what("norm"), rows, |[x, gamma, beta]| {
                let beta = beta.reshape([channels]);
                ops::channel_layer_norm(x, gamma.reshape([channels]), Some(beta))
            });
            let rows = [x(1), row(channels)];
            assert_same_gradients(&what("bias-free norm"), rows, |[x, gamma]| {
                ops::channel_layer_norm(x, gamma.reshape([channels]), None)
            });
            // A norm of few channels that are nearly alike makes rounding errors large.
            let channels = channels.max(5);
            assert_same_gradients_of_blocks([batch, channels, height, width], heads);
        }
    }
    // More pixels than one cube sums over.
    assert_same_gradients_of_blocks([1, 4, 61, 67], 2);
    for [one, other] in [[1, 2], [2, 1], [2, 2]] {
        let shapes = [[one, 1, 9, 26], [other, 1, 26, 24]];
        assert_same_gradients("matrices", shapes, |[a, b]| {
            let c = ops::matmul(a.reshape([one, 9, 26]), b.reshape([other, 26, 24]));
            c.unsqueeze_dim(1)
        });
    }
    for [batch, rows, columns, inner] in [[1, 1, 1, 1], [2, 9, 26, 24], [3, 64, 16, 81]] {
        let shapes = [[batch, 1, rows, inner], [batch, 1, columns, inner]];
        assert_same_gradients("products of rows with rows", shapes, |[a, b]| {
            let a = a.reshape([batch, rows, inner]);
            ops::matmul_nt(a, b.reshape([batch, columns, inner])).unsqueeze_dim(1)
        });
    }
    for (batch, [channels, height, width]) in [(1, [1, 1, 1]), (3, [5, 3, 7]), (2, [70, 16, 16])] {
        let shapes = [
            [batch, 1, channels, channels],
            [batch, channels, height, width],
        ];
        assert_same_gradients("mixed channels", shapes, |[products, features]| {
            ops::mix(
                products.reshape([batch, channels, channels]) * 9.0,
                features,
            )
        });
    }
    for shape @ [batch, channels, height, width] in IMAGES {
        let of_each = |values: Tensor<1>| values.reshape([batch, 1, 1, 1]);
        assert_same_gradients(
            "gated sum",
            [[batch, 3, 1, 1], shape, shape, shape],
            |[logits, a, b, c]| ops::gated_sum(logits.reshape([batch, 3]) * 5.0, [a, b, c]),
        );
        assert_same_gradients("absolute errors", [shape, shape], |[a, b]| {
            let share = 1.0 / (channels * height * width) as f64;
            of_each(ops::absolute_errors(a, b)) / share
        });
    }
    // Views lie in memory otherwise than their elements' order.
    assert_same_gradients("a view", [[2, 6, 5, 7], [6, 1, 3, 3]], |[x, weight]| {
        let weight = weight.narrow(0, 1, 4);
        ops::depthwise3x3(x.swap_dims(2, 3).narrow(1, 1, 4), weight)
    });
}

/// Of a block, and of its feed-forward network alone, with both norms.
fn assert_same_gradients_of_blocks(x: [usize; 4], heads: usize) {
    let [_, channels, height, width] = x;
    let what = |name| format!("{name}, {x:?}, {heads} heads");
    let hidden = (channels as f64 * 2.7) as usize;
    let row = [channels, 1, 1, 1];
    let flat = |row: Tensor<4>| row.reshape([channels]);
    let scale = |count: usize| (count as f32).sqrt().recip();
    let norm = |gamma, beta: Option<_>| ops::ChannelNorm {
        gamma: flat(gamma),
        beta: beta.map(flat),
    };
    // Not so near zero that the smallest image normalises rounding errors.
    let attention =
        |norm, [qkv, dwconv, temperature, project_out]: [Tensor<4>; 4]| ops::Attention {
            norm,
            qkv: qkv * scale(channels),
            dwconv: dwconv + 0.3,
            temperature: temperature.reshape([heads, 1, 1]) + 2.0,
            project_out: project_out * scale(channels),
        };
    let feed = |norm, [project_in, dwconv, project_out]: [Tensor<4>; 3]| ops::FeedForward {
        norm,
        project_in: project_in * scale(channels),
        dwconv,
        project_out: project_out * scale(hidden),
    };
    let [a, b, c, d] = [
        [3 * channels, channels, 1, 1],
        [3 * channels, 1, 3, 3],
        [heads, 1, 1, 1],
        [channels, channels, 1, 1],
    ];
    let [e, f, g] = [
        [2 * hidden, channels, 1, 1],
        [2 * hidden, 1, 3, 3],
        [channels, hidden, 1, 1],
    ];
    assert_same_gradients(
        &what("feed-forward"),
        [x, row, row, e, f, g],
        |[x, gamma, beta, e, f, g]| {
            ops::add_feed_forward(x, feed(norm(gamma, Some(beta)), [e, f, g]))
        },
    );
    assert_same_gradients(
        &what("bias-free feed-forward"),
        [x, row, e, f, g],
        |[x, gamma, e, f, g]| ops::add_feed_forward(x, feed(norm(gamma, None), [e, f, g])),
    );
    // One pixel's norm is its sign: the gradient of what is before it is rounding.
    if height * width == 1 {
        return;
    }
    assert_same_gradients(
        &what("block"),
        [x, row, row, a, b, c, d, row, row, e, f, g],
        |[x, gamma, beta, a, b, c, d, other_gamma, other_beta, e, f, g]| {
            let attention = attention(norm(gamma, Some(beta)), [a, b, c, d]);
            ops::block(
                x,
                attention,
                feed(norm(other_gamma, Some(other_beta)), [e, f, g]),
            )
        },
    );
    assert_same_gradients(
        &what("bias-free block"),
        [x, row, a, b, c, d, row, e, f, g],
        |[x, gamma, a, b, c, d, other_gamma, e, f, g]| {
            let attention = attention(norm(gamma, None), [a, b, c, d]);
            ops::block(x, attention, feed(norm(other_gamma, None), [e, f, g]))
        },
    );
}

#[test]
fn matrices_of_a_buffer_become_orthogonal_as_their_definition_says() {
    const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
    const STEPS: usize = 5;
    let sizes = [[8, 20], [40, 12], [1, 1], [16, 72], [100, 33], [64, 64]];
    let mut values = 0;
    let places = sizes.map(|[rows, columns]| {
        let place = ops::MatrixPlace {
            start: values,
            rows,
            columns,
            reach: 0.1 + rows as f32 / 50.0,
        };
        values += rows * columns + 7;
        place
    });
    let buffer = |device: &Device| random([values], 3, device) * 0.02;
    let device = gpu();
    let matrices = ops::Matrices::new(&places, &device).expect("a kernel");
    let found = matrices.orthogonal(buffer(&device), COEFFICIENTS, STEPS);
    let found: Vec<f32> = found.into_data().try_into_vec().expect("f32");
    let mut wanted = vec![0.0; values];
    for place in places {
        let ops::MatrixPlace {
            start,
            rows,
            columns,
            reach,
        } = place;
        let length = rows * columns;
        let x = buffer(&Device::flex()).narrow(0, start, length);
        let x: Tensor<2> = x.reshape([rows, columns]);
        let tall = rows > columns;
        let x = if tall { x.transpose() } else { x };
        let norm = x.clone().square().sum().sqrt().reshape([1, 1]);
        let mut x = x / norm;
        let [a, b, c] = COEFFICIENTS;
        for _ in 0..STEPS {
            let squares = x.clone().matmul(x.clone().transpose());
            let factor = squares.clone() * b + squares.clone().matmul(squares) * c;
            x = x.clone() * a + factor.matmul(x);
        }
        let x = if tall { x.transpose() } else { x } * reach;
        let x: Vec<f32> = x.into_data().try_into_vec().expect("f32");
        wanted[start..start + length].copy_from_slice(&x);
    }
    assert_near(
        "a value of an orthogonal matrix",
        difference(&wanted, &found),
        1e-5,
    );
}

#[test]
fn gradients_are_those_of_the_cpu() {
    let request = BatchRequest {
        step: 0,
        count: SAMPLES,
        patch: SIDE,
    };
    let gradients = |device: &Device| {
        let replicas = Replicas::new(std::slice::from_ref(device), 1, 1).expect("no threads");
        let batch = replicas.load::<DinoIrTrainee>(OneBatch.batch(request).expect("made"));
        let found = replicas.gradients(&trainee(device), &batch);
        found.expect("gradients")
    };
    let (cpu, gpu) = (gradients(&Device::flex()), gradients(&gpu()));
    assert!(cpu.gradients.keys().eq(gpu.gradients.keys()));
    let values = |tensor: &Tensor<1>| -> Vec<f32> {
        tensor.clone().into_data().try_into_vec().expect("f32")
    };
    let [one, other] = [&cpu.loss, &gpu.loss].map(|loss| values(loss)[0]);
    assert_near("the loss", (one - other).abs(), LIMIT);
    let (mut worst, mut where_worst, mut largest) = (0f32, "", 0f32);
    for (name, gradient) in &cpu.gradients {
        let (cpu, gpu) = (values(gradient), values(&gpu.gradients[name]));
        let most = cpu.iter().fold(0f32, |most, v| most.max(v.abs()));
        let error = difference(&cpu, &gpu) / most.max(1e-3);
        assert!(error <= LIMIT, "{name}: {error:e} of the largest, {most:e}");
        if error > worst {
            (worst, where_worst) = (error, name);
        }
        largest = largest.max(most);
    }
    let what = format!("the gradient of {where_worst}, of its largest value,");
    assert_near(&what, worst, LIMIT);
    assert!(largest > 0.01, "there are gradients worth comparing");
}

#[test]
fn a_training_step_leads_where_it_leads_on_the_cpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    let step = |name: &str, device: &Device| -> NamedTensors {
        let options = RunOptions {
            out: folder.path().join(name),
            resume: None,
            stop: &stop,
            others: Vec::new(),
            time: None,
            ranks: None,
            quiet: true,
        };
        let outcome = train(trainee(device), &OneBatch, &config(), &options);
        named_tensors(&outcome.expect("one step").model)
    };
    let (cpu, gpu) = (step("cpu", &Device::flex()), step("gpu", &gpu()));
    let before = named_tensors(&trainee(&Device::flex()));
    let values = |tensors: &NamedTensors, name| tensors[name].try_to_vec::<f32>().expect("f32");
    let (mut worst, mut moved) = (0f32, 0f32);
    for name in cpu.keys() {
        let after = values(&cpu, name);
        let error = difference(&after, &values(&gpu, name));
        assert!(error <= LIMIT, "{name}: {error:e}");
        worst = worst.max(error);
        moved = moved.max(difference(&after, &values(&before, name)));
    }
    assert_near("a weight after one step", worst, LIMIT);
    assert!(moved > 10.0 * LIMIT, "the step moved weights by {moved}");
}

#[test]
fn a_device_that_computes_something_else_is_refused() {
    let (good, bad) = (weights_file(), tampered());
    let wrong = DeviceChoice::Wgpu.open(|device| weights::load(&bad, device));
    assert!(matches!(wrong, Err(Error::Golden(_))), "{wrong:?}");
    let opened = DeviceChoice::Auto
        .open(|device| weights::load(&good, device))
        .expect("the GPU works");
    assert_eq!(opened.device, DeviceChoice::Wgpu);
    assert!(opened.refused.is_empty());
    // As if only the GPU were wrong: the CPU computes.
    let opened = DeviceChoice::Auto
        .open(|device| {
            let on_cpu = *device == Device::flex();
            weights::load(if on_cpu { &good } else { &bad }, device)
        })
        .expect("the CPU works");
    assert_eq!(opened.device, DeviceChoice::Cpu);
    let refusal = opened.refused.first().expect("told");
    assert_eq!(refusal.device, DeviceChoice::Wgpu);
    assert!(refusal.to_string().contains("golden check failed"));
}

/// `trainer restore a.png --force`, in a folder that has it; `hidden` drivers cannot be found.
fn restore(folder: &Path, device: &str, hidden: bool) -> Output {
    let mut command = Command::new(program("trainer"));
    command.current_dir(folder);
    command.args(["restore", "a.png", "--force", "--weights", "w.safetensors"]);
    command.args(["--device", device]);
    if hidden {
        for list in [
            "VK_DRIVER_FILES",
            "VK_ICD_FILENAMES",
            "__EGL_VENDOR_LIBRARY_FILENAMES",
        ] {
            command.env(list, "/nonexistent.json");
        }
    }
    command.output().expect("the program starts")
}

#[test]
fn the_program_says_what_it_computes_on_and_what_to_do_without_a_driver() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let photo = image::RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        image::Rgb([x, y, x + y].map(|v| (v * 4) as u8))
    });
    photo.save(at.join("a.png")).expect("written");
    std::fs::write(at.join("w.safetensors"), weights_file()).expect("written");

    let worked = restore(at, "auto", false);
    assert!(worked.status.success(), "{}", stderr(&worked));
    assert!(
        stderr(&worked).contains("device: wgpu"),
        "{}",
        stderr(&worked)
    );

    let refused = restore(at, "wgpu", true);
    assert_eq!(refused.status.code(), Some(1));
    let complaint = stderr(&refused);
    println!("{}", complaint.trim());
    assert!(complaint.contains("device cpu"), "{complaint}");
    assert_eq!(complaint.trim().lines().count(), 1, "{complaint}");

    let fallen_back = restore(at, "auto", true);
    assert!(fallen_back.status.success(), "{}", stderr(&fallen_back));
    assert!(
        stderr(&fallen_back).contains("device: cpu"),
        "{}",
        stderr(&fallen_back)
    );

    std::fs::write(at.join("w.safetensors"), tampered()).expect("written");
    let damaged = restore(at, "auto", false);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stderr(&damaged).contains("golden") || stderr(&damaged).contains("off by"));
}
