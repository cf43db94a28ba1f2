//! Pre-training of a compact DINOv2 backbone: self-distillation as in DINO (Caron et al. 2021),
//! with patch tokens as in iBOT, or distillation from any DINOv2 file.
//!
//! One thing is ours: the student's views are degraded, the teacher's are clean. Features learn to
//! ignore noise, blur, rain, haze and JPEG, the property for which the paper chose DINOv2 (its
//! figure 3), and which self-distillation otherwise leaves to chance.

pub mod collapse;
pub mod distillation;
pub mod head;
pub mod self_distillation;
pub mod views;

use burn::tensor::Tensor;
use dino_ir::model::dinov2::{Dinov2, normalize};

pub use distillation::Distillation;
pub use self_distillation::{DinoLossConfig, SelfDistillation};
pub use views::Views;

/// Side of a global view: 8 x 8 patches.
pub const GLOBAL: usize = 112;
/// Side of a local view, half of a global one.
pub const LOCAL: usize = GLOBAL / 2;
/// Global views of a photo.
pub const GLOBALS: usize = 2;
/// Local views of a photo; together they are as large as one global view.
pub const LOCALS: usize = 4;
/// Squares of [`GLOBAL`] pixels that a photo's views fill in a batch: the global views, then the
/// local ones, two by two.
pub const SQUARES: usize = GLOBALS + 1;

/// The views of a batch.
struct Crops {
    /// `[photos * GLOBALS, 3, GLOBAL, GLOBAL]`.
    global: Tensor<4>,
    /// `[photos * LOCALS, 3, LOCAL, LOCAL]`.
    local: Tensor<4>,
}

impl Crops {
    /// Takes a batch apart.
    ///
    /// # Shapes
    /// - `squares`: `[photos * SQUARES, 3, GLOBAL, GLOBAL]`
    fn of(squares: Tensor<4>) -> Self {
        let [count, ..] = squares.dims();
        let photos = count / SQUARES;
        let squares = squares.reshape([photos, SQUARES, 3, GLOBAL * GLOBAL]);
        let globals = squares.clone().narrow(1, 0, GLOBALS);
        let locals = squares.narrow(1, GLOBALS, 1);
        Self {
            global: globals.reshape([photos * GLOBALS, 3, GLOBAL, GLOBAL]),
            local: locals
                .reshape([photos, 3, 2, LOCAL, 2, LOCAL])
                .permute([0, 2, 4, 1, 3, 5])
                .reshape([photos * LOCALS, 3, LOCAL, LOCAL]),
        }
    }
}

/// All tokens after the last block and the final norm, `[batch, tokens, width]`, of views
/// `[batch, 3, side, side]` in 0..1.
fn last_tokens(backbone: &Dinov2, views: Tensor<4>) -> Tensor<3> {
    let depth = backbone.blocks.len();
    let mut tokens = backbone.tokens(normalize(views), &[depth]);
    let last = tokens
        .pop()
        .unwrap_or_else(|| unreachable!("one block was asked for"));
    backbone.norm.forward(last)
}

/// How far features of degraded images are from those of the clean ones, `[batch]`: mean squared
/// difference in units of the features' variance over the batch, so that features that are all
/// alike gain nothing.
///
/// # Shapes
/// - both: `[batch, tokens, width]`
fn relative_errors(degraded: Tensor<3>, clean: Tensor<3>) -> Tensor<1> {
    let [batch, tokens, width] = clean.dims();
    let (degraded, clean) = (degraded.inner(), clean.inner());
    let flat = clean.clone().reshape([batch * tokens, width]);
    let spread = (flat.clone() - flat.mean_dim(0)).square().mean();
    let error = (degraded - clean).square().reshape([batch, tokens * width]);
    let error = error.mean_dim(1).reshape([batch]);
    error / (spread + 1e-12)
}

#[cfg(test)]
mod tests;
