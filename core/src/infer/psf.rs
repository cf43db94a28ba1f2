//! Pixel-semantic fusion on the grid of patches.

use super::run::Workspace;
use super::weights::{matrix, products, taps, values};
use crate::cpu::activations::softmax;
use crate::cpu::columns::gelu;
use crate::cpu::depthwise;
use crate::cpu::matrix::Matrix;
use crate::cpu::pointwise::pointwise;
use crate::cpu::pool::{Map, Planes};
use crate::cpu::rows::Rows;
use crate::model::psf::{self, DEPTHS};

/// Gate and experts with their weights packed.
#[derive(Debug)]
pub(crate) struct Psf {
    gate: Gate,
    experts: Vec<Expert>,
}

#[derive(Debug)]
struct Gate {
    fc1: Vec<f32>,
    fc1_bias: Vec<f32>,
    fc2: Vec<f32>,
    fc2_bias: Vec<f32>,
}

#[derive(Debug)]
struct Expert {
    project_in: Matrix,
    taps: Vec<f32>,
    bias: Vec<f32>,
    project_out: Matrix,
}

/// One depth's part of the fusion.
pub(crate) struct Depth<'w> {
    /// The mean of each channel, for the gate.
    means: Vec<f32>,
    /// What its expert made of it.
    features: Map<'w>,
}

impl Psf {
    pub(crate) fn new(psf: &psf::Psf) -> Self {
        let expert = |expert: &psf::Expert| Expert {
            project_in: matrix(&expert.project_in),
            taps: taps(&expert.dwconv),
            bias: expert
                .dwconv
                .bias
                .as_ref()
                .map_or_else(|| vec![0.0; expert.dwconv.weight.dims()[0]], values),
            project_out: matrix(&expert.project_out),
        };
        let psf::Gate { fc1, fc2 } = &psf.gate;
        Self {
            gate: Gate {
                fc1: values(&fc1.weight),
                fc1_bias: values(&fc1.bias),
                fc2: values(&fc2.weight),
                fc2_bias: values(&fc2.bias),
            },
            experts: psf.experts.iter().map(expert).collect(),
        }
    }

    /// Operations with so many patches.
    pub(crate) fn flops(&self, patches: usize) -> u64 {
        let expert = |expert: &Expert| {
            expert.project_in.flops() + 2 * expert.taps.len() as u64 + expert.project_out.flops()
        };
        self.experts.iter().map(expert).sum::<u64>() * patches as u64
    }

    /// Shallow, medium or deep features (0, 1, 2) through their expert.
    pub(crate) fn depth<'w>(
        &self,
        workspace: &'w Workspace,
        depth: usize,
        x: Planes<'_>,
    ) -> Depth<'w> {
        let expert = &self.experts[depth];
        let map = || Map::new(&workspace.maps, expert.project_in.rows(), x.size());
        let (inside, gated, features) = (map(), map(), map());
        let means = (0..x.channels).map(|channel| {
            // SAFETY: nobody writes to the features.
            mean(unsafe { x.channel(channel) })
        });
        let means = means.collect();
        // SAFETY: the maps are this function's; rows that were just written are the task's own.
        unsafe {
            pointwise(&expert.project_in, x, None, inside.planes());
            let after = |rows: Rows, count: usize, columns: usize| gelu(rows, count, columns);
            depthwise::convolve(
                &workspace.scratch,
                inside.planes(),
                &expert.taps,
                &expert.bias,
                gated.planes(),
                after,
            );
            let add = Some(inside.planes());
            pointwise(&expert.project_out, gated.planes(), add, features.planes());
        }
        Depth { means, features }
    }

    /// The experts' features added with the weights of the gate.
    pub(crate) fn fuse<'w>(&self, depths: [Depth<'w>; DEPTHS]) -> Map<'w> {
        let means: Vec<f32> = depths
            .iter()
            .flat_map(|depth| &depth.means)
            .copied()
            .collect();
        let scores = self.gate.forward(&means);
        let [shallow, medium, deep] = depths;
        let fused = shallow.features.planes();
        for channel in 0..fused.channels {
            // SAFETY: the maps are this function's.
            unsafe {
                let medium = medium.features.planes().channel(channel);
                let deep = deep.features.planes().channel(channel);
                let fused = fused.channel_mut(channel);
                for ((fused, medium), deep) in fused.iter_mut().zip(medium).zip(deep) {
                    *fused = *fused * scores[0] + medium * scores[1] + deep * scores[2];
                }
            }
        }
        shallow.features
    }
}

impl Gate {
    /// The scores of the depths.
    fn forward(&self, means: &[f32]) -> Vec<f32> {
        let mut hidden = self.fc1_bias.clone();
        add_products(&mut hidden, &self.fc1, means);
        let row = Rows {
            start: hidden.as_mut_ptr(),
            stride: hidden.len(),
        };
        // SAFETY: one row, the whole vector.
        unsafe { gelu(row, 1, hidden.len()) };
        let mut scores = self.fc2_bias.clone();
        add_products(&mut scores, &self.fc2, &hidden);
        softmax(&mut scores);
        scores
    }
}

fn add_products(sums: &mut [f32], matrix: &[f32], vector: &[f32]) {
    for (sum, product) in sums.iter_mut().zip(products(matrix, vector.len(), vector)) {
        *sum += product;
    }
}

/// In many sums, which keeps rounding errors small and lets the additions overlap.
fn mean(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let chunks = values.chunks_exact(sums.len());
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    (sums.iter().sum::<f32>() + rest) / values.len() as f32
}
