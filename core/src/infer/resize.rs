//! Resizes the image for the backbone.

use rayon::prelude::*;

use super::run::Workspace;
use crate::cpu::pool::{Map, Planes};
use crate::model::dinov2::fit_axis;
use crate::model::resize::Axis;

/// Resizes to the nearest multiples of a patch, antialiased bilinear.
pub(crate) fn fit<'w>(workspace: &'w Workspace, image: Planes<'_>) -> Map<'w> {
    let [rows, columns] = image.size().map(fit_axis);
    resize(workspace, image, rows, columns)
}

fn resize<'w>(workspace: &'w Workspace, x: Planes<'_>, rows: Axis, columns: Axis) -> Map<'w> {
    let (rows, columns) = (rows.taps(), columns.taps());
    let y = Map::new(&workspace.maps, x.channels, [rows.len(), columns.len()]);
    let to = y.planes();
    (0..x.channels * to.height).into_par_iter().for_each_init(
        || vec![0.0f32; x.width],
        |sums, task| {
            let (channel, row) = (task / to.height, task % to.height);
            // SAFETY: nobody writes to `x`; this row of the map is this task's.
            let (from, to) = unsafe {
                let start = to.at(channel, row * to.width).start;
                let to = core::slice::from_raw_parts_mut(start, to.width);
                (x.channel(channel), to)
            };
            let (first, weights) = &rows[row];
            sums.fill(0.0);
            for (row, weight) in from[first * x.width..].chunks_exact(x.width).zip(weights) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value * weight;
                }
            }
            for (value, (first, weights)) in to.iter_mut().zip(&columns) {
                let taps = sums[*first..].iter().zip(weights);
                *value = taps.map(|(value, weight)| value * weight).sum();
            }
        },
    );
    y
}
