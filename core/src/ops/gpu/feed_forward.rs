//! The second half of Restormer's block: a layer norm and a feed-forward network, added to their input. A training step keeps only its input, the result of the first
//! 1x1 convolution and the gated half: everything else is cheaper to compute again than to store and read.

use burn_cubecl::tensor::CubeTensor;

use super::beginning;
use super::gelu::{convolved_gate, convolved_gate_gradient};
use super::launch::{dims, reshaped};
use super::norm::{Projection, channel_norm, projected_gradients};
use super::pointwise::{added, backwards, project, weight_pieces};
use super::row_sums::fold;

/// The tensors of the operation but beta.
///
/// # Shapes
/// - x: `[images, channels, height, width]`
/// - gamma: `[channels]`
/// - project_in: `[2 * hidden, channels, 1, 1]`
/// - dwconv: `[2 * hidden, 1, 3, 3]`
/// - project_out: `[channels, hidden, 1, 1]`
pub(in crate::ops) type Inputs = [CubeTensor; 5];

/// What the gradients need.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Saved {
    inputs: Inputs,
    beta: Option<CubeTensor>,
    /// The first 1x1 convolution's result.
    wide: CubeTensor,
    /// What goes into the last one.
    gated: CubeTensor,
}

/// `x + project_out(gated_gelu(dwconv(project_in(norm(x)))))`.
pub(in crate::ops) fn forward(inputs: Inputs, beta: Option<CubeTensor>) -> (CubeTensor, Saved) {
    let [x, gamma, project_in, dwconv, project_out] = inputs.clone();
    let normed = channel_norm(x.clone(), gamma, beta.clone());
    let wide = project(&project_in, normed);
    let gated = convolved_gate(wide.clone(), dwconv);
    let y = added(&project_out, gated.clone(), x);
    let saved = Saved {
        inputs,
        beta,
        wide,
        gated,
    };
    (y, saved)
}

/// The gradient of x, and what the others are made of.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub dx: CubeTensor,
    pub projection: Projection,
    /// In pieces, as the next.
    pub ddwconv: CubeTensor,
    pub dproject_out: CubeTensor,
}

pub(super) fn gradients(saved: Saved, dy: CubeTensor) -> Unfinished {
    let Saved {
        inputs: [x, gamma, project_in, dwconv, project_out],
        beta,
        wide,
        gated,
    } = saved;
    let dproject_out = weight_pieces(dy.clone(), gated);
    let dgated = backwards(&project_out, dy.clone());
    let dconvolved = convolved_gate_gradient(wide.clone(), dwconv.clone(), dgated);
    let beginning = [x, gamma, project_in, dwconv];
    let beginning::Gradients {
        dx,
        projection,
        ddwconv,
    } = beginning::gradients(beginning, beta, wide, dconvolved, dy);
    Unfinished {
        dx,
        projection,
        ddwconv,
        dproject_out,
    }
}

/// Of all inputs, in their order, and of beta, where there is nothing else to finish with them.
pub(in crate::ops) fn all_gradients(saved: Saved, dy: CubeTensor) -> ([CubeTensor; 5], CubeTensor) {
    let [.., dwconv, project_out] = saved.inputs.clone();
    let Unfinished {
        dx,
        projection,
        ddwconv,
        dproject_out,
    } = gradients(saved, dy);
    let [sums, ddwconv, dproject_out] = fold([projection.sums, ddwconv, dproject_out]);
    let [[dproject_in, dgamma, dbeta]] = projected_gradients([Projection { sums, ..projection }]);
    let gradients = [
        dx,
        dgamma,
        dproject_in,
        reshaped(ddwconv, dims::<4>(&dwconv)),
        reshaped(dproject_out, dims::<4>(&project_out)),
    ];
    (gradients, dbeta)
}
