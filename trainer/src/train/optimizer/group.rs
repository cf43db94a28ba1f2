//! Parameters that are updated by one rule, and were equally often.

use burn::tensor::Tensor;
use dino_ir::ops;

use super::newton_schulz::Orthogonal;
use super::{Moments, OptimizerConfig, OptimizerKind, OptimizerRecord};
use crate::train::flat::Layout;

/// Buffers of parameters and their moments.
#[derive(Debug)]
pub(super) struct Group {
    layout: Layout,
    steps: u64,
    parameters: Tensor<1>,
    first: Tensor<1>,
    rule: Rule,
}

/// How means become an update.
#[derive(Debug)]
enum Rule {
    /// With the means of squares.
    Adam(Box<Tensor<1>>),
    /// As matrices.
    Muon(Orthogonal),
}

impl Group {
    pub fn adam(
        layout: Layout,
        steps: u64,
        parameters: Tensor<1>,
        first: Tensor<1>,
        second: Tensor<1>,
    ) -> Self {
        Self {
            layout,
            steps,
            parameters,
            first,
            rule: Rule::Adam(Box::new(second)),
        }
    }

    pub fn muon(layout: Layout, steps: u64, parameters: Tensor<1>, first: Tensor<1>) -> Self {
        let matrices = Orthogonal::new(&layout, &parameters.device());
        Self {
            layout,
            steps,
            parameters,
            first,
            rule: Rule::Muon(matrices),
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn parameters(&self) -> (&Layout, &Tensor<1>) {
        (&self.layout, &self.parameters)
    }

    /// One step; none if `broken`, `[1]`, is not zero.
    pub fn update(
        &mut self,
        config: &OptimizerConfig,
        mut gradient: Tensor<1>,
        lr: f64,
        broken: &Tensor<1>,
    ) {
        let OptimizerConfig {
            kind, weight_decay, ..
        } = *config;
        let parameters = self.parameters.clone();
        let mut kept = 1.0;
        if weight_decay > 0.0 {
            match kind {
                OptimizerKind::Adam => {
                    gradient = gradient + parameters.clone().mul_scalar(weight_decay);
                }
                OptimizerKind::AdamW | OptimizerKind::Muon => kept -= lr * weight_decay,
            }
        }
        self.steps += 1;
        let first = self.first.clone();
        let (delta, lr) = match &mut self.rule {
            Rule::Adam(second) => {
                let OptimizerConfig {
                    beta1,
                    beta2,
                    epsilon,
                    ..
                } = *config;
                let squares = gradient.clone().square();
                self.first = ops::blend([first, gradient], [beta1, 1.0 - beta1], broken);
                **second = ops::blend([*second.clone(), squares], [beta2, 1.0 - beta2], broken);
                let correction1 = 1.0 - beta1.powf(self.steps as f64);
                let correction2 = (1.0 - beta2.powf(self.steps as f64)).sqrt();
                let root = second.clone().sqrt().div_scalar(correction2);
                let delta = self.first.clone() / root.add_scalar(epsilon);
                (delta, lr / correction1)
            }
            Rule::Muon(matrices) => {
                self.first = ops::blend([first, gradient.clone()], [config.momentum, 1.0], broken);
                // Nesterov's look ahead.
                let means = [self.first.clone(), gradient];
                let ahead = ops::blend(means, [config.momentum, 1.0], broken);
                (matrices.update(ahead), lr)
            }
        };
        self.parameters = ops::blend([parameters, delta], [kept, -lr], broken);
    }

    pub fn record(&self, record: &mut OptimizerRecord) {
        for part in self.layout.parts() {
            record.steps.insert(part.name.clone(), self.steps);
        }
        self.layout.record(&self.first, &mut record.first);
        if let Rule::Adam(second) = &self.rule {
            self.layout.record(second, &mut record.second);
        }
    }

    /// The moments of each parameter.
    pub fn into_moments(self) -> impl Iterator<Item = (String, Moments)> {
        let second: Vec<Option<Tensor<1>>> = match &self.rule {
            Rule::Adam(second) => self
                .layout
                .views(second)
                .map(|(_, view)| Some(view))
                .collect(),
            Rule::Muon(_) => vec![None; self.layout.parts().len()],
        };
        let first: Vec<(String, Tensor<1>)> = self.layout.views(&self.first).collect();
        let steps = self.steps;
        first
            .into_iter()
            .zip(second)
            .map(move |((name, first), second)| {
                let moments = Moments {
                    steps,
                    first,
                    second,
                };
                (name, moments)
            })
    }
}
