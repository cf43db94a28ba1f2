//! Exponential moving average of the trained parameters; validation and exports use it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::parameters::{FlatTensors, NamedTensors, flat_tensors, has_prefix, map_flat};

/// The average of every parameter that is not frozen, flat, by name.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    tensors: FlatTensors,
}

impl Ema {
    /// Starts at the model's present weights.
    pub fn new<M: Module>(model: &M, decay: f64, frozen: &[String]) -> Self {
        let mut tensors = flat_tensors(model);
        tensors.retain(|name, _| !has_prefix(name, frozen));
        Self { decay, tensors }
    }

    /// Moves the average towards `model`, which has done `step` steps. The decay warms up as
    /// `(1 + step) / (10 + step)` so that the first random weights are soon forgotten.
    pub fn update<M: Module>(&mut self, model: &M, step: u64) {
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        for (name, value) in flat_tensors(model) {
            if let Some(average) = self.tensors.remove(&name) {
                let average = average.mul_scalar(decay) + value.mul_scalar(1.0 - decay);
                self.tensors.insert(name, average);
            }
        }
    }

    /// `model` with the averaged weights.
    pub fn apply<M: Module>(&self, model: M) -> M {
        map_flat(model, |name, _, _| self.tensors.get(name).cloned())
    }

    /// Copies the average to the host.
    pub fn record(&self) -> NamedTensors {
        let copy =
            |(name, tensor): (&String, &Tensor<1>)| (name.clone(), tensor.clone().into_data());
        self.tensors.iter().map(copy).collect()
    }

    /// Continues from `record` on `device` (without autodiff). Parameters that the record lacks
    /// start at their present weight, as after unfreezing.
    pub fn load(&mut self, record: &NamedTensors, device: &Device) {
        for (name, tensor) in &mut self.tensors {
            if let Some(data) = record.get(name) {
                *tensor = Tensor::from_data(data.clone(), device);
            }
        }
    }
}
