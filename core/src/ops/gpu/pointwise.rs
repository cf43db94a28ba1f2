//! 1x1 convolutions as parts of larger operations.

use burn_cubecl::tensor::CubeTensor;

use super::flat::view;
use super::launch::{Layout, Size3, dims, empty, reshaped};
use super::product::Product;
use super::row_sums::{Beside, Columns, Sums, fold, pieces};

/// `weight x` for every pixel.
///
/// # Shapes
/// - weight: `[outputs, inputs, 1, 1]`
/// - x: `[images, inputs, height, width]`
pub(super) fn project(weight: &CubeTensor, x: CubeTensor) -> CubeTensor {
    let [outputs, ..] = dims::<4>(weight);
    for_every_pixel(weight, x, outputs, |product| product)
}

/// The same with a bias, `[outputs]`.
pub(in crate::ops) fn project_with_bias(
    weight: &CubeTensor,
    x: CubeTensor,
    bias: CubeTensor,
) -> CubeTensor {
    let [outputs, ..] = dims::<4>(weight);
    for_every_pixel(weight, x, outputs, |product| product.with_bias(bias))
}

/// The gradients of the weight and of the bias in [`project_with_bias`].
pub(in crate::ops) fn weight_gradients(
    weight: &CubeTensor,
    dy: CubeTensor,
    x: CubeTensor,
) -> [CubeTensor; 2] {
    let [outputs, inputs, ..] = dims::<4>(weight);
    let [sums] = fold([of_pixels(dy, x, Columns::Rows, Beside::Sums)]);
    let dweight = view(sums.clone(), 0, outputs * inputs);
    let dbias = view(sums, outputs * inputs, outputs);
    [reshaped(dweight, [outputs, inputs, 1, 1]), dbias]
}

/// `other + weight x` for every pixel.
pub(super) fn added(weight: &CubeTensor, x: CubeTensor, other: CubeTensor) -> CubeTensor {
    let [outputs, ..] = dims::<4>(weight);
    for_every_pixel(weight, x, outputs, |product| product.with_own(other, None))
}

/// `weight^T dy` for every pixel: the gradient of x in [`project`].
pub(in crate::ops) fn backwards(weight: &CubeTensor, dy: CubeTensor) -> CubeTensor {
    let [_, inputs, ..] = dims::<4>(weight);
    for_every_pixel(weight, dy, inputs, Product::transposed)
}

/// The product, with so many rows, that `change` makes of the plain one.
fn for_every_pixel(
    weight: &CubeTensor,
    x: CubeTensor,
    rows: usize,
    change: impl FnOnce(Product) -> Product,
) -> CubeTensor {
    let [_, inputs, ..] = dims::<4>(weight);
    let [images, inner, height, width] = dims(&x);
    let columns = height * width;
    let y = empty(&x, [images, rows, height, width]);
    let size = Size3 {
        images,
        heads: 1,
        rows,
        inner,
        columns,
    };
    let layouts = [
        Layout::shared(inputs),
        Layout::matrices(inner, columns),
        Layout::matrices(rows, columns),
    ];
    change(Product::new(size, layouts)).write(weight.clone(), x, &y);
    y
}

/// The gradient of the weight in [`project`], in pieces: `[pieces, 1, outputs * inputs]`.
pub(super) fn weight_pieces(dy: CubeTensor, x: CubeTensor) -> CubeTensor {
    of_pixels(dy, x, Columns::Rows, Beside::Nothing)
}

/// The same for x normalised by `statistics`, then the sums of dy: `[pieces, 1, outputs * inputs + outputs]`.
pub(super) fn normalised_pieces(
    dy: CubeTensor,
    x: CubeTensor,
    statistics: CubeTensor,
) -> CubeTensor {
    let columns = Columns::Normalised {
        statistics: Box::new(statistics),
    };
    of_pixels(dy, x, columns, Beside::Sums)
}

fn of_pixels(dy: CubeTensor, x: CubeTensor, columns: Columns, beside: Beside) -> CubeTensor {
    let [images, outputs, height, width] = dims(&dy);
    let [_, inputs, ..] = dims::<4>(&x);
    let pixels = height * width;
    let of = Sums {
        images,
        heads: 1,
        rows: outputs,
        columns: inputs,
        pixels,
        over_images: true,
    };
    let layouts = [
        Layout::matrices(outputs, pixels),
        Layout::matrices(inputs, pixels),
    ];
    pieces(dy, x, of, columns, beside, layouts)
}
