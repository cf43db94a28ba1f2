//! The rules one parameter after the other, with burn's Muon, against those over buffers.

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdjustLrFn, MuonConfig, Optimizer as _};

use super::*;
use crate::train::parameters::flat_tensors;

/// Matrices wide and tall, of one size and others, and what is none.
#[derive(Module, Debug)]
struct Net {
    wide: Param<Tensor<2>>,
    tall: Param<Tensor<2>>,
    same: Param<Tensor<2>>,
    convolution: Param<Tensor<4>>,
    depthwise: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Net {
    fn new(device: &Device) -> Self {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 0.5,
        };
        Self {
            wide: normal.init([8, 20], device),
            tall: normal.init([40, 12], device),
            same: normal.init([20, 8], device),
            convolution: normal.init([16, 8, 3, 3], device),
            depthwise: normal.init([16, 1, 3, 3], device),
            bias: normal.init([7], device),
        }
    }
}

/// Other gradients in each step.
fn gradients(net: &Net, step: usize) -> FlatTensors {
    let wave = |at: usize| ((at * (step + 3)) as f32 * 0.7311).sin() * 0.1;
    flat_tensors(net)
        .into_iter()
        .map(|(name, value)| {
            let length = value.dims()[0];
            let waves: Vec<f32> = (0..length).map(|at| wave(at + name.len())).collect();
            (name, Tensor::from_floats(waves.as_slice(), &value.device()))
        })
        .collect()
}

#[derive(Default)]
pub(super) struct Reference(BTreeMap<String, (i32, Tensor<1>, Tensor<1>)>);

impl Reference {
    fn step(
        &mut self,
        config: &OptimizerConfig,
        net: Net,
        gradients: &FlatTensors,
        lr: f64,
    ) -> Net {
        let squares = gradients
            .values()
            .map(|g| g.clone().square().sum().into_scalar::<f32>());
        let norm = f64::from(squares.sum::<f32>()).sqrt();
        let scale = (config.clip_norm / (norm + 1e-6)).min(1.0);
        let &OptimizerConfig {
            kind,
            beta1,
            beta2,
            momentum,
            epsilon,
            weight_decay,
            ..
        } = config;
        map_flat(net, |name, shape, mut parameter| {
            let mut gradient = gradients[name].clone() * scale;
            match kind {
                OptimizerKind::Adam => gradient = gradient + parameter.clone() * weight_decay,
                _ => parameter = parameter * (1.0 - lr * weight_decay),
            }
            let zeros = || (0, gradient.zeros_like(), gradient.zeros_like());
            let (steps, first, second) = self.0.remove(name).unwrap_or_else(zeros);
            let steps = steps + 1;
            let (delta, first, second) = match matrix(shape) {
                Some(shape) if kind == OptimizerKind::Muon => {
                    let first = first * momentum + gradient.clone();
                    let ahead = first.clone() * momentum + gradient;
                    let muon = MuonConfig::new()
                        .with_momentum(MomentumConfig {
                            momentum: 0.0,
                            dampening: 0.0,
                            nesterov: false,
                        })
                        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
                        .build();
                    let none = Tensor::<2>::zeros(shape, &ahead.device());
                    let (delta, _) = muon.step(lr, none, ahead.reshape(shape), None);
                    (-delta.reshape([shape[0] * shape[1]]), first, second)
                }
                _ => {
                    let first = first * beta1 + gradient.clone() * (1.0 - beta1);
                    let second = second * beta2 + gradient.square() * (1.0 - beta2);
                    let mean = first.clone() / (1.0 - beta1.powi(steps));
                    let square = second.clone() / (1.0 - beta2.powi(steps));
                    (mean / (square.sqrt() + epsilon) * lr, first, second)
                }
            };
            self.0.insert(name.to_owned(), (steps, first, second));
            Some(parameter - delta)
        })
    }
}

#[test]
fn buffers_change_nothing() {
    let device = Device::flex();
    for kind in [
        OptimizerKind::Adam,
        OptimizerKind::AdamW,
        OptimizerKind::Muon,
    ] {
        let config = OptimizerConfig {
            clip_norm: 0.5,
            ..config(kind)
        };
        let start = Net::new(&device);
        let (mut one, mut other) = (start.clone(), start);
        let (mut optimizer, mut reference) = (Optimizer::new(&config), Reference::default());
        for number in 0..5 {
            let gradients = gradients(&one, number);
            one = step(&mut optimizer, one, &gradients, 1e-2);
            other = reference.step(&config, other, &gradients, 1e-2);
        }
        let expected = flat_tensors(&other);
        for (name, found) in flat_tensors(&one) {
            let worst = (found - expected[&name].clone()).abs().max();
            let worst = worst.into_scalar::<f32>();
            assert!(worst < 2e-6, "{kind:?}, {name}: {worst:e}");
        }
    }
}
