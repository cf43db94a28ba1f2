//! Adam and AdamW over named flat parameters.
//!
//! Burn's own Adam keys its moments by parameter id, which is new in every process. Keeping them by
//! name makes a checkpoint plain named tensors and a resumed run equal to an uninterrupted one.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::parameters::{FlatTensors, NamedTensors, map_flat};

/// How weight decay is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba's Adam; weight decay is added to the gradient.
    #[default]
    Adam,
    /// Loshchilov and Hutter's AdamW; weight decay shrinks the parameter directly.
    AdamW,
}

/// Optimiser settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// `adam` or `adamw`.
    pub kind: OptimizerKind,
    /// Decay of the mean of gradients, 0..1.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, 0..1.
    pub beta2: f64,
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
    second: Tensor<1>,
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

/// Adam or AdamW with one pair of moments for each parameter that ever had a gradient.
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
        map_flat(model, |name, parameter| {
            let gradient = gradients.remove(name)?;
            Some(self.update(name, parameter, gradient, scale, lr))
        })
    }

    fn update(
        &mut self,
        name: &str,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        scale: f64,
        lr: f64,
    ) -> Tensor<1> {
        let OptimizerConfig {
            kind,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            ..
        } = self.config;
        let mut gradient = if scale == 1.0 {
            gradient
        } else {
            gradient.mul_scalar(scale)
        };
        let mut parameter = parameter;
        if weight_decay > 0.0 {
            match kind {
                OptimizerKind::Adam => {
                    gradient = gradient + parameter.clone().mul_scalar(weight_decay);
                }
                OptimizerKind::AdamW => parameter = parameter.mul_scalar(1.0 - lr * weight_decay),
            }
        }
        let previous = self.moments.remove(name).unwrap_or_else(|| Moments {
            steps: 0,
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
        });
        let steps = previous.steps + 1;
        let first = previous.first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
        let second = previous.second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);

        let correction1 = 1.0 - beta1.powf(steps as f64);
        let correction2 = (1.0 - beta2.powf(steps as f64)).sqrt();
        let denominator = second
            .clone()
            .sqrt()
            .div_scalar(correction2)
            .add_scalar(epsilon);
        let delta = (first.clone() / denominator).mul_scalar(lr / correction1);
        self.moments.insert(
            name.to_owned(),
            Moments {
                steps,
                first,
                second,
            },
        );
        parameter - delta
    }

    /// Copies the moments to the host.
    pub fn record(&self) -> OptimizerRecord {
        let mut record = OptimizerRecord::default();
        for (name, moments) in &self.moments {
            record.steps.insert(name.clone(), moments.steps);
            record
                .first
                .insert(name.clone(), moments.first.clone().into_data());
            record
                .second
                .insert(name.clone(), moments.second.clone().into_data());
        }
        record
    }

    /// Continues from `record` on `device` (without autodiff).
    ///
    /// # Errors
    /// If the record's three tables do not name the same parameters.
    pub fn load(&mut self, record: &OptimizerRecord, device: &Device) -> Result<()> {
        self.moments.clear();
        for (name, &steps) in &record.steps {
            let (Some(first), Some(second)) = (record.first.get(name), record.second.get(name))
            else {
                bail!("the optimiser's moments of `{name}` are missing");
            };
            let first = Tensor::from_data(first.clone(), device);
            let second = Tensor::from_data(second.clone(), device);
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
