//! Exponential moving average of the trained parameters; validation and exports use it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::ops;

use crate::train::flat::Layout;
use crate::train::optimizer::Optimizer;
use crate::train::parameters::{FlatTensors, NamedTensors, flat_tensors, has_prefix, map_flat};

/// The average of every parameter that is not frozen.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    /// Laid out as the optimiser's parameters.
    buffers: Vec<(Layout, Tensor<1>)>,
    /// Of what the optimiser does not train, flat, by name.
    resting: FlatTensors,
}

impl Ema {
    /// Starts at the model's present weights.
    pub fn new<M: Module>(model: &M, decay: f64, frozen: &[String]) -> Self {
        let mut resting = flat_tensors(model);
        resting.retain(|name, _| !has_prefix(name, frozen));
        Self {
            decay,
            buffers: Vec::new(),
            resting,
        }
    }

    /// Moves the average towards `model`, which has done `step` steps, the last of them by `optimizer`; not at all if that
    /// one was `broken`: `[1]`, not zero. The decay warms up as `(1 + step) / (10 + step)` so that the first random weights are
    /// soon forgotten.
    pub fn update<M: Module>(
        &mut self,
        model: &M,
        optimizer: &Optimizer,
        step: u64,
        broken: &Tensor<1>,
    ) {
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        let moved = |average: &Tensor<1>, value: Tensor<1>| {
            average.clone().mul_scalar(decay) + value.mul_scalar(1.0 - decay)
        };
        let layouts = self.buffers.iter().map(|(layout, _)| layout);
        if !layouts.eq(optimizer.buffers().map(|(layout, _)| layout)) {
            self.regroup(optimizer);
        }
        for ((_, average), (_, parameters)) in self.buffers.iter_mut().zip(optimizer.buffers()) {
            let pair = [average.clone(), parameters.clone()];
            *average = ops::blend(pair, [decay, 1.0 - decay], broken);
        }
        if !self.resting.is_empty() {
            for (name, value) in flat_tensors(model) {
                if let Some(average) = self.resting.get_mut(&name) {
                    *average = moved(average, value);
                }
            }
        }
    }

    /// Lays the averages out as the optimiser does its parameters.
    fn regroup(&mut self, optimizer: &Optimizer) {
        for (layout, average) in self.buffers.drain(..) {
            self.resting.extend(layout.views(&average));
        }
        for (layout, parameters) in optimizer.buffers() {
            let average = layout.gather(&self.resting, &parameters.device());
            for part in layout.parts() {
                self.resting.remove(&part.name);
            }
            self.buffers.push((layout.clone(), average));
        }
    }

    /// `model` with the averaged weights.
    pub fn apply<M: Module>(&self, model: M) -> M {
        let mut averages = self.resting.clone();
        for (layout, average) in &self.buffers {
            averages.extend(layout.views(average));
        }
        map_flat(model, |name, _, _| averages.remove(name))
    }

    /// Copies the average to the host.
    pub fn record(&self) -> NamedTensors {
        let copy =
            |(name, tensor): (&String, &Tensor<1>)| (name.clone(), tensor.clone().into_data());
        let mut record: NamedTensors = self.resting.iter().map(copy).collect();
        for (layout, average) in &self.buffers {
            layout.record(average, &mut record);
        }
        record
    }

    /// Continues from `record` on `device` (without autodiff), before the first update. Parameters that the record lacks
    /// start at their present weight, as after unfreezing.
    pub fn load(&mut self, record: &NamedTensors, device: &Device) {
        for (name, tensor) in &mut self.resting {
            if let Some(data) = record.get(name) {
                *tensor = Tensor::from_data(data.clone(), device);
            }
        }
    }
}
