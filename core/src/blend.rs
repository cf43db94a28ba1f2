//! Tiles back into an image: windows that sum to one, and the band of rows being summed.

use std::f32::consts::PI;

use crate::tile::{Axis, Tile, TilePlan};

/// The weights of one tile along one axis, for the pixels of its output.
///
/// Over a seam one neighbour has `w`, a raised cosine, and the other `1 - w`; everywhere else a
/// tile has 1. So the weights of a pixel sum to one whatever the geometry.
struct Window(Vec<f32>);

impl Window {
    fn new(axis: &Axis, index: usize) -> Self {
        let output = axis.output(index);
        let mut weights = vec![1.0; output.len()];
        if let Some(seam) = axis.seam_before(index) {
            for (at, weight) in weights[..seam.len()].iter_mut().enumerate() {
                *weight = rise(at, seam.len());
            }
        }
        if let Some(seam) = axis.seam_after(index) {
            let first = output.len() - seam.len();
            for (at, weight) in weights[first..].iter_mut().enumerate() {
                *weight = 1.0 - rise(at, seam.len());
            }
        }
        Self(weights)
    }
}

/// The raised cosine at the middle of pixel `at` of a seam.
fn rise(at: usize, seam: usize) -> f32 {
    let position = (at as f32 + 0.5) / seam as f32;
    0.5 - 0.5 * (PI * position).cos()
}

/// Full-width rows of the result while tiles are added to them; never more than a tile is high.
pub(crate) struct Band {
    width: usize,
    height: usize,
    channels: usize,
    y: usize,
    values: Vec<f32>,
    columns: Vec<Window>,
}

impl Band {
    /// An empty band at the top of the image, with so many values for each pixel.
    pub(crate) fn new(plan: &TilePlan, channels: usize) -> Self {
        let rows = plan.tile_height().min(plan.height());
        Self {
            width: plan.width(),
            height: plan.height(),
            channels,
            y: 0,
            values: vec![0.0; rows * plan.width() * channels],
            columns: (0..plan.columns().count())
                .map(|column| Window::new(plan.columns(), column))
                .collect(),
        }
    }

    /// The first row held.
    pub(crate) fn y(&self) -> usize {
        self.y
    }

    /// Forgets the rows above `y` and makes room for as many below.
    pub(crate) fn advance(&mut self, y: usize) {
        let gone = (y - self.y) * self.width * self.channels;
        self.values.copy_within(gone.., 0);
        let kept = self.values.len() - gone;
        self.values[kept..].fill(0.0);
        self.y = y;
    }

    /// Adds a tile, weighted; `planar` is `[channels, height, width]` of its input area.
    pub(crate) fn add(&mut self, plan: &TilePlan, tile: &Tile, planar: &[f32]) {
        let Tile { input, output, .. } = *tile;
        let rows = Window::new(plan.rows(), tile.row);
        let columns = &self.columns[tile.column];
        let (left, top) = (output.x - input.x, output.y - input.y);
        for (row, down) in rows.0.iter().enumerate() {
            let to = ((output.y + row - self.y) * self.width + output.x) * self.channels;
            let to = &mut self.values[to..to + output.width * self.channels];
            for channel in 0..self.channels {
                let from = (channel * input.height + top + row) * input.width + left;
                let from = &planar[from..from + output.width];
                for ((to, value), across) in to
                    .iter_mut()
                    .skip(channel)
                    .step_by(self.channels)
                    .zip(from)
                    .zip(&columns.0)
                {
                    *to += down * across * value;
                }
            }
        }
    }

    /// The rows above `end`, interleaved.
    pub(crate) fn rows(&self, end: usize) -> &[f32] {
        debug_assert!(end <= self.height);
        &self.values[..(end - self.y) * self.width * self.channels]
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::tile::TileRules;

    #[test]
    fn weights_sum_to_one() {
        let mut random = StdRng::seed_from_u64(2);
        for _ in 0..500 {
            let multiple = [1, 2, 8, 14][random.random_range(0..4)];
            let (width, height) = (random.random_range(1..300), random.random_range(1..300));
            let tile = random.random_range(multiple..160);
            let overlap = random
                .random_bool(0.7)
                .then(|| random.random_range(0..tile / multiple) * multiple);
            let rules = TileRules {
                multiple,
                tile: Some(tile),
                overlap,
                memory: None,
            };
            let plan = TilePlan::new(width, height, &rules, &|_, _| 0).expect("a good plan");
            let mut sums = vec![0.0f32; width * height];
            for tile in plan.tiles() {
                let across = Window::new(plan.columns(), tile.column);
                let down = Window::new(plan.rows(), tile.row);
                for (row, down) in down.0.iter().enumerate() {
                    for (column, across) in across.0.iter().enumerate() {
                        assert!((0.0..=1.0).contains(&(down * across)));
                        sums[(tile.output.y + row) * width + tile.output.x + column] +=
                            down * across;
                    }
                }
            }
            for (at, sum) in sums.iter().enumerate() {
                assert!(
                    (sum - 1.0).abs() < 1e-6,
                    "{sum} at {at} of {width}x{height} {rules:?}"
                );
            }
        }
    }

    #[test]
    fn seams_are_smooth() {
        let weights: Vec<_> = (0..32).map(|at| rise(at, 32)).collect();
        assert!(weights[0] < 0.01 && weights[31] > 0.99);
        assert!(
            weights
                .windows(2)
                .all(|pair| pair[0] < pair[1] && pair[1] - pair[0] < 0.06)
        );
    }
}
