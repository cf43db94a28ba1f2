//! What both halves of Restormer's block begin with: a layer norm, a 1x1 convolution and a depthwise one.

use burn_cubecl::tensor::CubeTensor;

use super::depthwise;
use super::norm::{Projection, input_gradient};
use super::pointwise::{backwards, normalised_pieces};

/// The gradient of the half's input, and what those of its first weights are made of.
#[derive(Debug)]
pub(super) struct Gradients {
    pub dx: CubeTensor,
    pub projection: Projection,
    /// In pieces.
    pub ddwconv: CubeTensor,
}

/// From the gradient of the depthwise convolution's result, and `dy`, that of the half's, to which its input is added.
///
/// # Shapes
/// - x, dy: `[images, channels, height, width]`
/// - gamma, beta: `[channels]`
/// - weight: `[outputs, channels, 1, 1]`
/// - dwconv: `[outputs, 1, 3, 3]`
/// - wide (the 1x1 convolution's result), dconvolved: `[images, outputs, height, width]`
pub(super) fn gradients(
    [x, gamma, weight, dwconv]: [CubeTensor; 4],
    beta: Option<CubeTensor>,
    wide: CubeTensor,
    dconvolved: CubeTensor,
    dy: CubeTensor,
) -> Gradients {
    let [dwide, ddwconv] = depthwise::gradients(wide, dwconv, dconvolved);
    let dnormed = backwards(&weight, dwide.clone());
    let centred = beta.is_some();
    let [dx, statistics] = input_gradient(x.clone(), gamma.clone(), dnormed, centred, Some(dy));
    let projection = Projection {
        sums: normalised_pieces(dwide, x, statistics),
        weight,
        gamma,
        beta,
    };
    Gradients {
        dx,
        projection,
        ddwconv,
    }
}
