//! 1x1 convolutions by themselves.

use rayon::prelude::*;

use super::Workspace;
use crate::cpu::columns::copy;
use crate::cpu::matrix::{Matrix, PANEL};
use crate::cpu::pool::{Planes, Rows};

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
        // SAFETY: the caller's; panels do not overlap.
        unsafe { matrix.multiply(x.at(0, first), add, y.at(0, first), columns) };
    });
}

/// `x = A x`.
///
/// # Safety
/// `x` is this call's alone.
pub(crate) unsafe fn pointwise_in_place(matrix: &Matrix, workspace: &Workspace, x: Planes<'_>) {
    assert_eq!([x.channels; 2], [matrix.inner(), matrix.rows()]);
    for_each_panel(x.pixels(), |first, columns| {
        let buffer = workspace.scratch.take(x.channels * PANEL);
        let copied = Rows {
            start: buffer.start(),
            stride: PANEL,
        };
        let x = x.at(0, first);
        // SAFETY: the caller's; panels do not overlap.
        unsafe {
            copy(x, copied, matrix.inner(), columns);
            matrix.multiply(copied, None, x, columns);
        }
    });
}
