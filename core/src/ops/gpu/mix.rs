//! Channels mixed by a map of each image, and added to themselves: D-R fusion's last step.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::depthwise::{cube_most, cube_sum};
use super::launch::{Layout, Size3, dims, empty, reshaped};
use super::product::Product;
use super::row_sums::{Columns, Sums, row_sums};

/// Threads that have one row of a map together.
const THREADS: usize = 64;

/// What the gradients need.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Mixed {
    features: CubeTensor,
    /// `[images, channels, channels]`.
    map: CubeTensor,
    scale: f32,
}

/// `features + map features`, the map being the softmax of the rows of `products / sqrt(channels)`.
///
/// # Shapes
/// - products: `[images, channels, channels]`
/// - features, output: `[images, channels, height, width]`
pub(in crate::ops) fn mix(products: CubeTensor, features: CubeTensor) -> (CubeTensor, Mixed) {
    let [images, channels, _] = dims(&products);
    let scale = (channels as f32).sqrt().recip();
    let map = empty(&products, [images, channels, channels]);
    // SAFETY: there is a cube for each row, and threads past the last column have none.
    unsafe {
        softmax_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(channels as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            products.into_buffer_arg(),
            map.clone().into_buffer_arg(),
            channels as u32,
            scale,
            THREADS,
        );
    }
    let y = empty(&features, features.meta.shape().clone());
    of_features(&features)
        .with_own(features.clone(), None)
        .write(map.clone(), features.clone(), &y);
    let mixed = Mixed {
        features,
        map,
        scale,
    };
    (y, mixed)
}

/// A map times features.
fn of_features(features: &CubeTensor) -> Product {
    let [images, channels, height, width] = dims(features);
    let columns = height * width;
    let size = Size3 {
        images,
        heads: 1,
        rows: channels,
        inner: channels,
        columns,
    };
    let layout = Layout::matrices(channels, columns);
    Product::new(size, [Layout::matrices(channels, channels), layout, layout])
}

/// Of the products and of the features.
pub(in crate::ops) fn gradients(mixed: Mixed, dy: CubeTensor) -> [CubeTensor; 2] {
    let Mixed {
        features,
        map,
        scale,
    } = mixed;
    let [images, channels, height, width] = dims(&features);
    let pixels = height * width;
    let of = Sums {
        images,
        heads: 1,
        rows: channels,
        columns: channels,
        pixels,
        over_images: false,
    };
    let layouts = [Layout::matrices(channels, pixels); 2];
    let dfeatures = empty(&features, [images, channels, height, width]);
    of_features(&features)
        .transposed()
        .with_own(dy.clone(), None)
        .write(map.clone(), dy.clone(), &dfeatures);
    let dmap = row_sums(dy, features, of, Columns::Rows, layouts);
    let dproducts = empty(&map, [images, channels, channels]);
    // SAFETY: there is a cube for each row, and threads past the last column have none.
    unsafe {
        softmax_gradient_kernel::launch_unchecked(
            &map.client,
            CubeCount::Static(channels as u32, images as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            map.clone().into_buffer_arg(),
            reshaped(dmap, [images, channels, channels]).into_buffer_arg(),
            dproducts.clone().into_buffer_arg(),
            channels as u32,
            scale,
            THREADS,
        );
    }
    [dproducts, dfeatures]
}

/// Each cube has one row: the softmax of its values times `scale`.
#[cube(launch_unchecked)]
fn softmax_kernel(x: &[f32], y: &mut [f32], columns: u32, scale: f32, #[comptime] threads: usize) {
    let start = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * columns;
    let mut most = f32::min_value();
    let mut column = UNIT_POS;
    while column < columns {
        most = f32::max(most, x[(start + column) as usize]);
        column += threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let most = cube_most(most, &mut shared, threads);
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < columns {
        let value = ((x[(start + column) as usize] - most) * scale).exp();
        y[(start + column) as usize] = value;
        sum += value;
        column += threads as u32;
    }
    let sum = cube_sum(sum, &mut shared, threads);
    let mut column = UNIT_POS;
    while column < columns {
        y[(start + column) as usize] /= sum;
        column += threads as u32;
    }
}

/// Each cube has one row: `scale y (dy - sum of y dy)`.
#[cube(launch_unchecked)]
fn softmax_gradient_kernel(
    y: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    columns: u32,
    scale: f32,
    #[comptime] threads: usize,
) {
    let start = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * columns;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < columns {
        let at = (start + column) as usize;
        sum = fma(y[at], dy[at], sum);
        column += threads as u32;
    }
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let sum = cube_sum(sum, &mut shared, threads);
    let mut column = UNIT_POS;
    while column < columns {
        let at = (start + column) as usize;
        dx[at] = scale * y[at] * (dy[at] - sum);
        column += threads as u32;
    }
}
