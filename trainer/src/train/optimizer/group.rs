//! Parameters that are updated by one rule, and were equally often.

use burn::tensor::{Bool, Tensor};

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
    Muon(Box<Orthogonal>),
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
            rule: Rule::Muon(Box::new(matrices)),
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn parameters(&self) -> (&Layout, &Tensor<1>) {
        (&self.layout, &self.parameters)
    }

    /// One step; none if not `finite`, `[1]`.
    pub fn update(
        &mut self,
        config: &OptimizerConfig,
        mut gradient: Tensor<1>,
        lr: f64,
        finite: &Tensor<1, Bool>,
    ) {
        let mask = finite.clone().expand([self.layout.length()]);
        let unless_broken = |old: &mut Tensor<1>, new: Tensor<1>| {
            *old = old.clone().mask_where(mask.clone(), new);
        };
        let OptimizerConfig {
            kind, weight_decay, ..
        } = *config;
        let mut parameters = self.parameters.clone();
        if weight_decay > 0.0 {
            match kind {
                OptimizerKind::Adam => {
                    gradient = gradient + parameters.clone().mul_scalar(weight_decay);
                }
                OptimizerKind::AdamW | OptimizerKind::Muon => {
                    parameters = parameters.mul_scalar(1.0 - lr * weight_decay);
                }
            }
        }
        self.steps += 1;
        let first = self.first.clone();
        let delta = match &mut self.rule {
            Rule::Adam(second) => {
                let OptimizerConfig {
                    beta1,
                    beta2,
                    epsilon,
                    ..
                } = *config;
                let first = first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
                let squares = gradient.square().mul_scalar(1.0 - beta2);
                let squares = second.clone().mul_scalar(beta2) + squares;
                let correction1 = 1.0 - beta1.powf(self.steps as f64);
                let correction2 = (1.0 - beta2.powf(self.steps as f64)).sqrt();
                let root = squares.clone().sqrt().div_scalar(correction2);
                let delta = first.clone() / root.add_scalar(epsilon);
                unless_broken(second, squares);
                unless_broken(&mut self.first, first);
                delta.mul_scalar(lr / correction1)
            }
            Rule::Muon(matrices) => {
                let first = first.mul_scalar(config.momentum) + gradient.clone();
                // Nesterov's look ahead.
                let ahead = first.clone().mul_scalar(config.momentum) + gradient;
                unless_broken(&mut self.first, first);
                matrices.update(ahead).mul_scalar(lr)
            }
        };
        unless_broken(&mut self.parameters, parameters - delta);
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
