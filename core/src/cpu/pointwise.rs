//! 1x1 convolutions by themselves: the same matrix for every pixel.

use rayon::prelude::*;

use super::add;
use super::chunks::{cached, for_each_chunk};
use super::matmul_nt::batched;
use super::matrix::Matrix;
use super::output::Output;
use super::pool::{Planes, Pool};
use super::rows::{PANEL, Rows, Strided, copy};

/// Runs `work(first, columns)` for all pixels in parallel, a panel at a time.
pub(crate) fn for_each_panel(pixels: usize, work: impl Fn(usize, usize) + Sync) {
    (0..pixels.div_ceil(PANEL))
        .into_par_iter()
        .for_each(|panel| {
            let first = panel * PANEL;
            work(first, PANEL.min(pixels - first));
        });
}

/// `y = A x`, plus `add` where given.
///
/// # Safety
/// `x` and `add` are not written to meanwhile; `y`, of the same size, is this call's alone, and
/// may be `add`.
pub(crate) unsafe fn pointwise(
    matrix: &Matrix,
    x: Planes<'_>,
    add: Option<Planes<'_>>,
    y: Planes<'_>,
) {
    assert_eq!([x.channels, y.channels], [matrix.inner(), matrix.rows()]);
    assert_eq!(x.pixels(), y.pixels());
    for_each_panel(x.pixels(), |first, columns| {
        let add = add.map(|add| add.at(0, first));
        // SAFETY: `x` and `add` are only read; panels of `y` do not overlap.
        unsafe { matrix.multiply(x.at(0, first), add, y.at(0, first), columns) };
    });
}

/// `x = A x`.
///
/// # Safety
/// `x` is this call's alone.
pub(crate) unsafe fn pointwise_in_place(matrix: &Matrix, scratch: &Pool, x: Planes<'_>) {
    assert_eq!([x.channels; 2], [matrix.inner(), matrix.rows()]);
    for_each_panel(x.pixels(), |first, columns| {
        let buffer = scratch.take(x.channels * PANEL);
        let copied = Rows {
            start: buffer.start(),
            stride: PANEL,
        };
        let x = x.at(0, first);
        // SAFETY: panels of `x` do not overlap, and each is copied before it is written.
        unsafe {
            copy(x, copied, matrix.inner(), columns);
            matrix.multiply(copied, None, x, columns);
        }
    });
}

/// The matrix times the channels of every pixel of every sample.
///
/// # Shapes
/// - x: `[batch, matrix.inner(), pixels]`
/// - result: `[batch, matrix.rows(), pixels]`
pub(crate) fn forward(matrix: &Matrix, x: &[f32], batch: usize, pixels: usize) -> Vec<f32> {
    let [channels_out, channels_in] = [matrix.rows(), matrix.inner()];
    assert_eq!(x.len(), batch * channels_in * pixels);
    let mut y = Output::new(batch * channels_out * pixels);
    let out = y.shared();
    let chunk = cached(pixels, channels_in);
    for_each_chunk(batch, pixels, chunk, |sample, first, columns| {
        let x = Strided {
            values: &x[sample * channels_in * pixels + first..],
            stride: pixels,
        };
        let y = Rows {
            start: out.at(sample * channels_out * pixels + first),
            stride: pixels,
        };
        // SAFETY: these pixels of this sample, in all output channels, are this chunk's alone.
        unsafe { matrix.multiply_slice(x, None, y, columns) };
    });
    // SAFETY: the chunks cover every pixel.
    unsafe { y.filled() }
}

/// The products of dy's channels with x's, summed over the batch.
pub(crate) fn weight_gradient(
    x: &[f32],
    dy: &[f32],
    [channels_out, channels_in]: [usize; 2],
    batch: usize,
    pixels: usize,
) -> Vec<f32> {
    let size = channels_out * channels_in;
    let of_samples = batched(batch, [channels_out, channels_in], pixels, |sample| {
        [
            &dy[sample * channels_out * pixels..],
            &x[sample * channels_in * pixels..],
        ]
    });
    let mut sum = vec![0.0; size];
    for of_sample in of_samples.chunks_exact(size) {
        add(&mut sum, of_sample);
    }
    sum
}
