//! The learned position grid, resized to the image's patches as in Meta's code.

use burn::tensor::Tensor;

use crate::model::resize::{Axis, resize};

/// Meta's offset that keeps `floor(grid * scale)` from falling one short.
const OFFSET: f64 = 0.1;

/// Resizes the position embedding to `rows x columns` patches.
///
/// Models without registers use the scale `(rows + 0.1) / grid` and no antialiasing; those with
/// registers the exact size with antialiasing.
///
/// # Shapes
/// - `pos_embed`: `[1, 1 + grid^2, width]`, the class token's first
/// - output: `[1, 1 + rows * columns, width]`
pub fn resize_pos_embed(
    pos_embed: Tensor<3>,
    rows: usize,
    columns: usize,
    registers: bool,
) -> Tensor<3> {
    let [_, tokens, width] = pos_embed.dims();
    let patches = tokens - 1;
    let grid = patches.isqrt();
    if (rows, columns) == (grid, grid) {
        return pos_embed;
    }
    let class = pos_embed.clone().narrow(1, 0, 1);
    let axis = |to: usize| {
        let axis = Axis::bicubic(grid, to, registers);
        if registers {
            axis
        } else {
            axis.with_scale((to as f64 + OFFSET) / grid as f64)
        }
    };
    let map = pos_embed
        .narrow(1, 1, patches)
        .swap_dims(1, 2)
        .reshape([1, width, grid, grid]);
    let map = resize(map, axis(rows), axis(columns));
    let patches = map.flatten::<3>(2, 3).swap_dims(1, 2);
    Tensor::cat(vec![class, patches], 1)
}
