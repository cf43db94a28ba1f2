//! Adam, AdamW and Muon over named flat parameters.
//!
//! Burn's own Adam keys its moments by parameter id, which is new in every process. Keeping them by
//! name makes a checkpoint plain named tensors and a resumed run equal to an uninterrupted one.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdjustLrFn, MuonConfig, Optimizer as _};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::parameters::{FlatTensors, NamedTensors, map_flat};

/// How a gradient becomes an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba's Adam; weight decay is added to the gradient.
    #[default]
    Adam,
    /// Loshchilov and Hutter's AdamW; weight decay shrinks the parameter directly.
    AdamW,
    /// Jordan's Muon for weights that are matrices: the mean of gradients, made orthogonal, at the
    /// root mean square of AdamW's updates (Liu et al., arXiv 2502.16982), so that rates carry over. AdamW
    /// for biases, scales, depthwise convolutions and everything else that is small.
    Muon,
}

/// Optimiser settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// `adam`, `adamw` or `muon`.
    pub kind: OptimizerKind,
    /// Decay of the mean of gradients, 0..1.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, 0..1.
    pub beta2: f64,
    /// Decay of the mean of gradients under Muon, 0..1.
    pub momentum: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Weight decay, 0 for none.
    pub weight_decay: f64,
    /// Largest global gradient norm; larger gradients are scaled down to it. 0 for no limit.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            beta1: 0.9,
            beta2: 0.999,
            momentum: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: 0.0,
        }
    }
}

/// One parameter's running means and how often it was updated.
#[derive(Debug)]
struct Moments {
    steps: u64,
    first: Tensor<1>,
    /// Muon has none.
    second: Option<Tensor<1>>,
}

/// The moments as a checkpoint stores them.
#[derive(Clone, Debug, Default)]
pub struct OptimizerRecord {
    /// Updates done, by parameter.
    pub steps: BTreeMap<String, u64>,
    /// Means of gradients, flat.
    pub first: NamedTensors,
    /// Means of squared gradients, flat.
    pub second: NamedTensors,
}

/// The optimiser with the moments of each parameter that ever had a gradient.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    moments: BTreeMap<String, Moments>,
}

impl Optimizer {
    /// An optimiser that has not seen a gradient yet.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            moments: BTreeMap::new(),
        }
    }

    /// The factor that brings a gradient of norm `norm` under the configured limit.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        match self.config.clip_norm {
            limit if limit > 0.0 => (limit / (norm + 1e-6)).min(1.0),
            _ => 1.0,
        }
    }

    /// One update. `gradients` are scaled by `scale` first; parameters without a gradient keep
    /// their value.
    pub fn step<M: Module>(
        &mut self,
        model: M,
        mut gradients: FlatTensors,
        scale: f64,
        lr: f64,
    ) -> M {
        let OptimizerConfig {
            kind, weight_decay, ..
        } = self.config;
        map_flat(model, |name, shape, mut parameter| {
            let mut gradient = gradients.remove(name)?;
            if scale != 1.0 {
                gradient = gradient.mul_scalar(scale);
            }
            if weight_decay > 0.0 {
                match kind {
                    OptimizerKind::Adam => {
                        gradient = gradient + parameter.clone().mul_scalar(weight_decay);
                    }
                    OptimizerKind::AdamW | OptimizerKind::Muon => {
                        parameter = parameter.mul_scalar(1.0 - lr * weight_decay);
                    }
                }
            }
            let previous = self.moments.remove(name).unwrap_or_else(|| Moments {
                steps: 0,
                first: gradient.zeros_like(),
                second: None,
            });
            let matrix = matrix(shape).filter(|_| kind == OptimizerKind::Muon);
            let (parameter, moments) = match matrix {
                Some(shape) => self.muon(previous, shape, parameter, gradient, lr),
                None => self.adam(previous, parameter, gradient, lr),
            };
            self.moments.insert(name.to_owned(), moments);
            Some(parameter)
        })
    }

    fn muon(
        &self,
        previous: Moments,
        shape: [usize; 2],
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        lr: f64,
    ) -> (Tensor<1>, Moments) {
        let momentum = self.config.momentum;
        let first = previous.first.mul_scalar(momentum) + gradient.clone();
        // Nesterov's look ahead; burn's Muon does the rest, without momentum of its own.
        let ahead = first.clone().mul_scalar(momentum) + gradient;
        let muon = MuonConfig::new()
            .with_momentum(MomentumConfig {
                momentum: 0.0,
                dampening: 0.0,
                nesterov: false,
            })
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .build();
        let (parameter, _) = muon.step(lr, parameter.reshape(shape), ahead.reshape(shape), None);
        let moments = Moments {
            steps: previous.steps + 1,
            first,
            second: None,
        };
        (parameter.reshape([shape[0] * shape[1]]), moments)
    }

    fn adam(
        &self,
        previous: Moments,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        lr: f64,
    ) -> (Tensor<1>, Moments) {
        let OptimizerConfig {
            beta1,
            beta2,
            epsilon,
            ..
        } = self.config;
        let steps = previous.steps + 1;
        let first = previous.first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
        let second = previous.second.unwrap_or_else(|| gradient.zeros_like());
        let second = second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);

        let correction1 = 1.0 - beta1.powf(steps as f64);
        let correction2 = (1.0 - beta2.powf(steps as f64)).sqrt();
        let denominator = second
            .clone()
            .sqrt()
            .div_scalar(correction2)
            .add_scalar(epsilon);
        let delta = (first.clone() / denominator).mul_scalar(lr / correction1);
        let moments = Moments {
            steps,
            first,
            second: Some(second),
        };
        (parameter - delta, moments)
    }

    /// Copies the moments to the host.
    pub fn record(&self) -> OptimizerRecord {
        let mut record = OptimizerRecord::default();
        for (name, moments) in &self.moments {
            record.steps.insert(name.clone(), moments.steps);
            record
                .first
                .insert(name.clone(), moments.first.clone().into_data());
            if let Some(second) = &moments.second {
                record
                    .second
                    .insert(name.clone(), second.clone().into_data());
            }
        }
        record
    }

    /// Continues from `record` on `device` (without autodiff).
    ///
    /// # Errors
    /// If moments of a parameter are missing.
    pub fn load(&mut self, record: &OptimizerRecord, device: &Device) -> Result<()> {
        self.moments.clear();
        for (name, &steps) in &record.steps {
            let tensor = |data: &TensorData| Tensor::from_data(data.clone(), device);
            let second = record.second.get(name).map(tensor);
            let Some(first) = record.first.get(name).map(tensor) else {
                bail!("the optimiser's moments of `{name}` are missing");
            };
            if second.is_none() && self.config.kind != OptimizerKind::Muon {
                bail!("`{name}` was trained with muon, and cannot be continued without it");
            }
            self.moments.insert(
                name.clone(),
                Moments {
                    steps,
                    first,
                    second,
                },
            );
        }
        Ok(())
    }
}

/// The matrix that a weight of this shape is to Muon, `[outputs, inputs x taps]`; none if it has another
/// use or is too narrow to be made orthogonal.
fn matrix(shape: &[usize]) -> Option<[usize; 2]> {
    /// The colours in and out, and the few numbers of a gate, are no hidden layers.
    const NARROWEST: usize = 8;
    let matrix = match *shape {
        [rows, columns] => [rows, columns],
        [outputs, inputs, height, width] if inputs > 1 => [outputs, inputs * height * width],
        _ => return None,
    };
    (matrix[0].min(matrix[1]) >= NARROWEST).then_some(matrix)
}

#[cfg(test)]
mod tests {
    use burn::module::{Initializer, Param};

    use super::*;

    #[derive(Module, Debug)]
    struct Layer {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    const SHAPE: [usize; 2] = [12, 8];

    fn layer() -> Layer {
        let device = Device::flex();
        device.seed(3);
        Layer {
            weight: Initializer::Normal {
                mean: 0.0,
                std: 1.0,
            }
            .init(SHAPE, &device),
            bias: Initializer::Ones.init([SHAPE[0]], &device),
        }
    }

    /// Gradients that are twenty times as long in some directions as in others.
    fn gradients() -> FlatTensors {
        let weight: Vec<f32> = (0..SHAPE[0] * SHAPE[1])
            .map(|at| {
                let (row, column) = (at / SHAPE[1], at % SHAPE[1]);
                let size = if column < SHAPE[1] / 2 { 1.0 } else { 0.05 };
                let noise =
                    ((row as f64 * 12.9898 + column as f64 * 78.233).sin() * 43758.5453).fract();
                (size * noise) as f32
            })
            .collect();
        let bias = vec![0.25; SHAPE[0]];
        let flat = |values: &[f32]| Tensor::from_floats(values, &Device::flex());
        [
            ("weight".to_owned(), flat(&weight)),
            ("bias".to_owned(), flat(&bias)),
        ]
        .into()
    }

    fn config(kind: OptimizerKind) -> OptimizerConfig {
        OptimizerConfig {
            kind,
            weight_decay: 0.1,
            ..OptimizerConfig::default()
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().expect("f32")
    }

    #[test]
    fn muon_moves_a_matrix_equally_far_in_all_directions() {
        let (lr, before) = (1e-2, layer());
        let after =
            Optimizer::new(&config(OptimizerKind::Muon)).step(before.clone(), gradients(), 1.0, lr);
        let decayed = before.weight.val().mul_scalar(1.0 - lr * 0.1);
        // In units of the longest step for this shape, rows longer than columns.
        let unit = lr * 0.2 * (SHAPE[0] as f64).sqrt();
        let update = (decayed - after.weight.val()).div_scalar(unit);
        let gradient = gradients().remove("weight").expect("there is one");
        let along = (update.clone() * gradient.reshape(SHAPE))
            .sum()
            .into_scalar::<f32>();
        assert!(along > 0.0, "downhill");
        let products = values(update.clone().transpose().matmul(update));
        for (at, product) in products.iter().enumerate() {
            let (row, column) = (at / SHAPE[1], at % SHAPE[1]);
            // Five Newton-Schulz steps leave singular values in 0.7..1.2.
            let range = if row == column { 0.4..1.5 } else { -0.4..0.4 };
            assert!(range.contains(product), "{row} {column}: {product}");
        }
    }

    #[test]
    fn muon_leaves_what_is_no_matrix_to_adamw() {
        let step = |kind| Optimizer::new(&config(kind)).step(layer(), gradients(), 0.5, 1e-2);
        let (muon, adamw) = (step(OptimizerKind::Muon), step(OptimizerKind::AdamW));
        assert_eq!(values(muon.bias.val()), values(adamw.bias.val()));
        assert_ne!(values(muon.weight.val()), values(adamw.weight.val()));
        for (shape, expected) in [
            (&[48, 16, 1, 1][..], Some([48, 16])),
            (&[32, 16, 3, 3], Some([32, 144])),
            (&[48, 1, 3, 3], None),
            (&[3, 32, 3, 3], None),
            (&[64], None),
            (&[2, 1, 1], None),
        ] {
            assert_eq!(matrix(shape), expected, "{shape:?}");
        }
    }

    #[test]
    fn a_loaded_record_goes_on_as_before() {
        for kind in [
            OptimizerKind::Adam,
            OptimizerKind::AdamW,
            OptimizerKind::Muon,
        ] {
            let mut whole = Optimizer::new(&config(kind));
            let model = whole.step(layer(), gradients(), 1.0, 1e-2);
            let mut resumed = Optimizer::new(&config(kind));
            resumed
                .load(&whole.record(), &Device::flex())
                .expect("its own record");
            let [one, other] = [whole, resumed]
                .map(|mut optimizer| optimizer.step(model.clone(), gradients(), 1.0, 1e-2));
            assert_eq!(
                values(one.weight.val()),
                values(other.weight.val()),
                "{kind:?}"
            );
            assert_eq!(values(one.bias.val()), values(other.bias.val()), "{kind:?}");
        }
    }

    #[test]
    fn a_record_without_squares_is_refused_by_adam() {
        let mut muon = Optimizer::new(&config(OptimizerKind::Muon));
        muon.step(layer(), gradients(), 1.0, 1e-2);
        let error = Optimizer::new(&config(OptimizerKind::AdamW))
            .load(&muon.record(), &Device::flex())
            .expect_err("there are no squares");
        assert!(error.to_string().contains("muon"), "{error}");
    }
}
