//! The reconstruction loss.

use burn::tensor::Tensor;

/// Mean absolute difference.
///
/// # Shapes
/// - `restored`, `clean`: `[batch, 3, height, width]`
/// - output: `[1]`
pub fn l1(restored: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
    // Rows first: on a GPU they are summed side by side.
    (restored - clean).abs().mean_dim(3).mean()
}
