//! Attention between tokens.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Layout, Size3, contiguous, cubes, dims, empty};
use super::matmul_nt::{After, Size4, matmul_nt};
use super::product::Product;

/// `softmax(q k^T / sqrt(head)) v` of `[images, tokens, q k v]`.
pub(super) fn attention(qkv: CubeTensor, heads: usize) -> CubeTensor {
    let qkv = contiguous(qkv);
    let [images, tokens, width] = dims(&qkv);
    let width = width / 3;
    let head = width / heads;
    let part = |index: usize| Layout {
        start: index * width,
        row: 3 * width,
        image: tokens * 3 * width,
        head,
    };
    let map_layout = Layout {
        start: 0,
        row: tokens,
        image: heads * tokens * tokens,
        head: tokens * tokens,
    };
    let y_layout = Layout {
        start: 0,
        row: width,
        image: tokens * width,
        head,
    };

    let map = empty(&qkv, [images, heads, tokens, tokens]);
    let size = Size4 {
        images,
        heads,
        rows: tokens,
        columns: tokens,
        inner: head,
        pieces: 1,
    };
    let layouts = [part(0), part(1), map_layout];
    matmul_nt(
        qkv.clone(),
        qkv.clone(),
        After::default(),
        &map,
        size,
        layouts,
    );
    softmax(
        &map,
        images * heads * tokens,
        tokens,
        1.0 / (head as f32).sqrt(),
    );
    let y = empty(&qkv, [images, tokens, width]);
    let size = Size3 {
        images,
        heads,
        rows: tokens,
        inner: tokens,
        columns: head,
    };
    Product::new(size, [map_layout, part(2), y_layout]).write(map, qkv, &y);
    y
}

/// The softmax of each row times `scale`, in its place.
fn softmax(x: &CubeTensor, rows: usize, columns: usize, scale: f32) {
    let (count, dim) = cubes(x, rows);
    // SAFETY: threads past the last row end at once.
    unsafe {
        softmax_kernel::launch_unchecked(
            &x.client,
            count,
            dim,
            x.clone().into_buffer_arg(),
            rows as u32,
            columns as u32,
            scale,
        );
    }
}

#[cube(launch_unchecked)]
fn softmax_kernel(x: &mut [f32], rows: u32, columns: u32, scale: f32) {
    let row = ABSOLUTE_POS as u32;
    if row >= rows {
        terminate!();
    }
    softmax_row(x, row * columns, columns, scale);
}

/// The softmax of `columns` values from `start` on times `scale` (not negative), in their place.
#[cube]
pub(super) fn softmax_row(x: &mut [f32], start: u32, columns: u32, scale: f32) {
    let mut most = x[start as usize];
    for at in start + 1..start + columns {
        most = f32::max(most, x[at as usize]);
    }
    let mut sum = 0.0f32;
    for at in start..start + columns {
        let value = ((x[at as usize] - most) * scale).exp();
        x[at as usize] = value;
        sum += value;
    }
    for at in start..start + columns {
        x[at as usize] /= sum;
    }
}
