//! Restormer's block: its two halves one after the other, and the gradients of both, whose last steps are common.

use burn_cubecl::tensor::CubeTensor;

use super::launch::reshaped;
use super::norm::{Projection, projected_gradients};
use super::row_sums::fold;
use super::{feed_forward, mdta};

/// x, and the weights of both halves but beta: gamma, qkv, dwconv, temperature, project_out, and gamma, project_in, dwconv,
/// project_out. Shapes: `mdta::training::Inputs` and `feed_forward::Inputs`.
pub(in crate::ops) type Inputs = [CubeTensor; 10];

/// What the gradients need.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Saved {
    inputs: Inputs,
    attention: mdta::training::Saved,
    feed_forward: feed_forward::Saved,
}

/// With the betas of both norms, or without.
pub(in crate::ops) fn forward(
    inputs: Inputs,
    betas: Option<[CubeTensor; 2]>,
) -> (CubeTensor, Saved) {
    let (one, other) = match betas {
        Some([one, other]) => (Some(one), Some(other)),
        None => (None, None),
    };
    let [x, gamma, qkv, dwconv, temperature, project_out, rest @ ..] = inputs.clone();
    let first = [x, gamma, qkv, dwconv, temperature, project_out];
    let (x, attention) = mdta::training::forward(first, one);
    let [gamma, project_in, dwconv, project_out] = rest;
    let second = [x, gamma, project_in, dwconv, project_out];
    let (y, feed_forward) = feed_forward::forward(second, other);
    let saved = Saved {
        inputs,
        attention,
        feed_forward,
    };
    (y, saved)
}

/// Of all inputs, in their order, and of both betas.
pub(in crate::ops) fn gradients(saved: Saved, dy: CubeTensor) -> (Inputs, [CubeTensor; 2]) {
    let second = feed_forward::gradients(saved.feed_forward, dy);
    let first = mdta::training::gradients(saved.attention, second.dx);
    let (one, other) = (first.projection, second.projection);
    let [
        one_sums,
        other_sums,
        ddwconv,
        dtemperature,
        dproject_out,
        other_ddwconv,
        other_dproject_out,
    ] = fold([
        one.sums,
        other.sums,
        first.ddwconv,
        first.dtemperature,
        first.dproject_out,
        second.ddwconv,
        second.dproject_out,
    ]);
    let one = Projection {
        sums: one_sums,
        ..one
    };
    let other = Projection {
        sums: other_sums,
        ..other
    };
    let [one, other] = projected_gradients([one, other]);
    let [dqkv, dgamma, dbeta] = one;
    let [dproject_in, other_dgamma, other_dbeta] = other;
    let gradients = [
        first.dx,
        dgamma,
        dqkv,
        ddwconv,
        dtemperature,
        dproject_out,
        other_dgamma,
        dproject_in,
        other_ddwconv,
        other_dproject_out,
    ];
    let mut inputs = saved.inputs.into_iter();
    let gradients = gradients.map(|gradient| match inputs.next() {
        Some(like) => reshaped(gradient, like.meta.shape().clone()),
        None => gradient,
    });
    (gradients, [dbeta, other_dbeta])
}
