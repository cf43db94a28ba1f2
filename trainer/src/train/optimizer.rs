//! Adam, AdamW and Muon over buffers of many parameters.
//!
//! Burn's own Adam keeps its moments by parameter id, which is new in every process, and works on one parameter after the
//! other. Here parameters, gradients and moments of a group lie in one buffer each, and the model's parameters are looks
//! into it. A checkpoint has them by name, so a resumed run equals an uninterrupted one.

mod group;
mod newton_schulz;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use self::group::Group;
use crate::train::flat::Layout;
use crate::train::parameters::{FlatTensors, NamedTensors, map_flat};

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

/// What a step did.
#[derive(Debug)]
pub struct Update<M> {
    /// With new parameters.
    pub model: M,
    /// Global gradient norm before clipping, `[1]`.
    pub norm: Tensor<1>,
    /// Zero if all was finite, else not a number, `[1]`. Then parameters and moments are as before.
    pub broken: Tensor<1>,
}

/// The optimiser with parameters and moments of all that had a gradient in the last step, and the moments of what had
/// one before.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    groups: Vec<Group>,
    /// Of parameters that are in no group.
    resting: BTreeMap<String, Moments>,
}

impl Optimizer {
    /// An optimiser that has not seen a gradient yet.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            groups: Vec::new(),
            resting: BTreeMap::new(),
        }
    }

    /// One update of `model`, which is the one of the step before; nothing else may have changed its trained parameters. Parameters
    /// without a gradient keep their value; all do if a value of `measured` `[values]` or of a gradient is not finite. That is
    /// decided where they are computed: nothing is waited for.
    pub fn step<M: Module>(
        &mut self,
        model: M,
        gradients: &FlatTensors,
        measured: Tensor<1>,
        lr: f64,
    ) -> Update<M> {
        let device = measured.device();
        if !self.fits(gradients) {
            self.regroup(&model, gradients, &device);
        }
        let gradients: Vec<Tensor<1>> = self
            .groups
            .iter()
            .map(|group| group.layout().gather(gradients, &device))
            .collect();
        let squares = gradients.iter().map(|buffer| buffer.clone().square().sum());
        let squares = squares.reduce(|one, other| one + other);
        let norm = squares
            .unwrap_or_else(|| Tensor::zeros([1], &device))
            .sqrt();
        // Of numbers only NaN and infinity do not become zero.
        let broken = (norm.clone() + measured.sum()) * 0.0;
        let scale = match self.config.clip_norm {
            limit if limit > 0.0 => Some(
                norm.clone()
                    .add_scalar(1e-6)
                    .recip()
                    .mul_scalar(limit)
                    .clamp_max(1.0),
            ),
            _ => None,
        };
        for (group, gradient) in self.groups.iter_mut().zip(gradients) {
            let gradient = match &scale {
                Some(scale) => gradient * scale.clone(),
                None => gradient,
            };
            group.update(&self.config, gradient, lr, &broken);
        }
        let buffers = self.buffers();
        let mut views: FlatTensors = buffers
            .flat_map(|(layout, buffer)| layout.views(buffer))
            .collect();
        Update {
            model: map_flat(model, |name, _, _| views.remove(name)),
            norm,
            broken,
        }
    }

    /// The parameters that are trained.
    pub fn buffers(&self) -> impl Iterator<Item = (&Layout, &Tensor<1>)> {
        self.groups.iter().map(Group::parameters)
    }

    /// Whether the groups hold just what has a gradient.
    fn fits(&self, gradients: &FlatTensors) -> bool {
        let parts = || self.groups.iter().flat_map(|group| group.layout().parts());
        parts().count() == gradients.len() && parts().all(|part| gradients.contains_key(&part.name))
    }

    /// Groups of what has a gradient now: those of one rule that were updated equally often.
    fn regroup<M: Module>(&mut self, model: &M, gradients: &FlatTensors, device: &Device) {
        for group in self.groups.drain(..) {
            self.resting.extend(group.into_moments());
        }
        let mut members: BTreeMap<(bool, u64), Vec<_>> = BTreeMap::new();
        let mut values = FlatTensors::new();
        let _ = map_flat(model.clone(), |name, shape, value| {
            if gradients.contains_key(name) {
                let is_matrix = self.config.kind == OptimizerKind::Muon && matrix(shape).is_some();
                let steps = self.resting.get(name).map_or(0, |moments| moments.steps);
                let group = members.entry((is_matrix, steps)).or_default();
                group.push((name.to_owned(), shape.to_vec()));
                values.insert(name.to_owned(), value);
            }
            None
        });
        for ((is_matrix, steps), members) in members {
            let layout = Layout::new(members);
            let (mut first, mut second) = (FlatTensors::new(), FlatTensors::new());
            for part in layout.parts() {
                if let Some(moments) = self.resting.remove(&part.name) {
                    first.insert(part.name.clone(), moments.first);
                    second.extend(moments.second.map(|second| (part.name.clone(), second)));
                }
            }
            let parameters = layout.gather(&values, device);
            let first = layout.gather(&first, device);
            let group = match is_matrix {
                true => Group::muon(layout, steps, parameters, first),
                false => {
                    let second = layout.gather(&second, device);
                    Group::adam(layout, steps, parameters, first, second)
                }
            };
            self.groups.push(group);
        }
    }

    /// Copies the moments to the host.
    pub fn record(&self) -> OptimizerRecord {
        let mut record = OptimizerRecord::default();
        for (name, moments) in &self.resting {
            record.steps.insert(name.clone(), moments.steps);
            let data = |tensor: &Tensor<1>| (name.clone(), tensor.clone().into_data());
            record.first.extend([data(&moments.first)]);
            record.second.extend(moments.second.as_ref().map(data));
        }
        for group in &self.groups {
            group.record(&mut record);
        }
        record
    }

    /// Continues from `record` on `device` (without autodiff).
    ///
    /// # Errors
    /// If moments of a parameter are missing.
    pub fn load(&mut self, record: &OptimizerRecord, device: &Device) -> Result<()> {
        self.groups.clear();
        self.resting.clear();
        for (name, &steps) in &record.steps {
            let tensor = |data: &TensorData| Tensor::from_data(data.clone(), device);
            let second = record.second.get(name).map(tensor);
            let Some(first) = record.first.get(name).map(tensor) else {
                bail!("the optimiser's moments of `{name}` are missing");
            };
            if second.is_none() && self.config.kind != OptimizerKind::Muon {
                bail!("`{name}` was trained with muon, and cannot be continued without it");
            }
            let moments = Moments {
                steps,
                first,
                second,
            };
            self.resting.insert(name.clone(), moments);
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
mod tests;
