//! The calibration pass of an image that is restored in tiles: some tiles stand for the image, and the mean of their global
//! statistics is given to all tiles ([`crate::model::global_statistics`] says why).

use std::sync::Arc;

use crate::tile::{Tile, TilePlan};
use crate::{Error, Result};

/// The pass covers this many pixels if the image has as many; more would add little.
const PIXELS: usize = 2 << 20;
/// And at least this many tiles.
const TILES: usize = 4;

/// The calibration pass, with the mean of the global statistics for each pass of the self-ensemble.
#[derive(Debug)]
pub(super) struct Calibration {
    plan: TilePlan,
    tiles: Vec<usize>,
    means: Vec<Arc<Vec<f32>>>,
}

impl Calibration {
    /// Over tiles of a plan.
    pub(super) fn new(plan: TilePlan, passes: usize) -> Self {
        Self {
            tiles: tiles(&plan),
            means: vec![Arc::default(); passes],
            plan,
        }
    }

    /// A pass over the image with that plan that ran before.
    pub(super) fn finished(plan: TilePlan, means: Vec<Arc<Vec<f32>>>) -> Self {
        Self {
            tiles: Vec::new(),
            means,
            plan,
        }
    }

    /// No pass: each tile has its own statistics.
    pub(super) fn none(plan: TilePlan) -> Self {
        Self {
            tiles: Vec::new(),
            means: Vec::new(),
            plan,
        }
    }

    /// The tiles of the image.
    pub(super) fn plan(&self) -> &TilePlan {
        &self.plan
    }

    /// The number of runs of the network.
    pub(super) fn runs(&self) -> usize {
        self.tiles.len() * self.means.len()
    }

    /// The tile of a run; the passes of a tile follow each other.
    pub(super) fn tile(&self, run: usize) -> Tile {
        self.plan.tile(self.tiles[run / self.means.len()])
    }

    /// Adds the statistics of a run to their mean.
    pub(super) fn accept(&mut self, run: usize, stats: &[f32]) -> Result<()> {
        let passes = self.means.len();
        let mean = Arc::make_mut(&mut self.means[run % passes]);
        if run < passes {
            *mean = vec![0.0; stats.len()];
        }
        if mean.len() != stats.len() {
            return Err(Error::Device(format!(
                "the network gave {} statistics where {} are due",
                stats.len(),
                mean.len()
            )));
        }
        if stats.iter().any(|value| !value.is_finite()) {
            return Err(Error::broken("the network's statistics are not finite"));
        }
        for (mean, value) in mean.iter_mut().zip(stats) {
            *mean += value / self.tiles.len() as f32;
        }
        Ok(())
    }

    /// The statistics for a pass, after all runs; nothing if each tile has its own.
    pub(super) fn mean(&self, pass: usize) -> Option<Arc<Vec<f32>>> {
        self.means.get(pass).cloned()
    }

    /// The statistics for all passes, after all runs.
    pub(super) fn into_means(self) -> Vec<Arc<Vec<f32>>> {
        self.means
    }
}

/// All tiles of a small image; some tiles of a large image, spread evenly over it.
fn tiles(plan: &TilePlan) -> Vec<usize> {
    let (columns, rows) = (plan.columns().count(), plan.rows().count());
    let count = PIXELS.div_ceil(plan.tile_width() * plan.tile_height());
    let count = count.max(TILES);
    if plan.len() <= count {
        return (0..plan.len()).collect();
    }
    // Roberts' R2 sequence: its points are far from each other, for any number of points.
    let mut found = Vec::with_capacity(count);
    let (mut x, mut y) = (0.5, 0.5);
    while found.len() < count {
        let (column, row) = ((x * columns as f64) as usize, (y * rows as f64) as usize);
        let tile = row.min(rows - 1) * columns + column.min(columns - 1);
        if !found.contains(&tile) {
            found.push(tile);
        }
        x = (x + 0.754_877_666_246_692_8) % 1.0;
        y = (y + 0.569_840_290_998_053_2) % 1.0;
    }
    found
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::image::Image;
    use crate::restore::tests::global::Global;
    use crate::restore::{Options, Restorer};
    use crate::tile::TileRules;

    /// Subtracts the mean of the red plane's first columns: it differs between tiles, and between passes.
    const CENTRED: Global = Global {
        statistic: |x| x.narrow(1, 0, 1).narrow(3, 0, 4).mean(),
        apply: |x, mean| x - mean,
    };

    fn photo() -> Image {
        let (width, height) = (200, 120);
        let pixel = |at: usize| (at / 3 % width + at / 3 / width) as f32 / 320.0;
        let pixels = (0..width * height * 3).map(pixel).collect();
        Image::new(width, height, pixels).expect("a good image")
    }

    #[test]
    fn the_pass_uses_the_largest_tiles_that_the_memory_allows() {
        let restorer = Restorer::new(CENTRED, &Device::flex());
        let restored = |tile| {
            let options = Options {
                tile,
                ..Options::default()
            };
            restorer
                .restore_image(&photo(), &options)
                .expect("restored")
        };
        let (tiled, whole) = (restored(Some(64)), restored(None));
        let pairs = tiled.pixels().iter().zip(whole.pixels());
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-5);
    }

    #[test]
    fn tiles_are_restored_alike() {
        let image = photo();
        let pixels = image.pixels();
        let restorer = Restorer::new(CENTRED, &Device::flex());
        for self_ensemble in [false, true] {
            let options = Options {
                tile: Some(64),
                self_ensemble,
                ..Options::default()
            };
            let restored = restorer.restore_image(&image, &options).expect("restored");
            let shifts = restored.pixels().iter().zip(pixels).map(|(y, x)| x - y);
            let shifts: Vec<f32> = shifts.collect();
            assert!(shifts[0] > 0.1, "a mean is subtracted");
            let alike = |shift: &f32| (shift - shifts[0]).abs() < 1e-5;
            assert!(shifts.iter().all(alike), "each tile had its own statistics");
        }
    }

    fn plan(width: usize, height: usize, tile: usize) -> TilePlan {
        let rules = TileRules {
            multiple: 8,
            tile: Some(tile),
            overlap: None,
            memory: None,
        };
        TilePlan::new(width, height, &rules, &|_, _| 0).expect("a plan")
    }

    #[test]
    fn the_pass_covers_all_of_few_tiles() {
        assert_eq!(tiles(&plan(300, 200, 304)), [0]);
        let few = plan(480, 320, 128);
        assert_eq!(tiles(&few), (0..few.len()).collect::<Vec<_>>());
        let two = plan(4000, 2000, 2400);
        assert_eq!(tiles(&two), [0, 1]);
    }

    #[test]
    fn many_tiles_are_sampled_all_over_the_image() {
        let plan = plan(12000, 8000, 512);
        let mut sampled = tiles(&plan);
        assert_eq!(sampled.len(), PIXELS / (512 * 512));
        // Each quarter has its share.
        let mut quarters = [0; 4];
        for &tile in &sampled {
            let tile = plan.tile(tile);
            let right = 2 * tile.column >= plan.columns().count();
            let lower = 2 * tile.row >= plan.rows().count();
            quarters[usize::from(right) + 2 * usize::from(lower)] += 1;
        }
        assert!(quarters.iter().all(|&count| count >= 1), "{quarters:?}");
        sampled.sort_unstable();
        sampled.dedup();
        assert_eq!(sampled.len(), 8);
    }

    #[test]
    fn the_mean_is_that_of_each_pass() {
        let plan = plan(480, 320, 256);
        let mut calibration = Calibration::new(plan.clone(), 2);
        assert_eq!(calibration.runs(), 2 * plan.len());
        for run in 0..calibration.runs() {
            assert_eq!(calibration.tile(run), plan.tile(run / 2));
            let stats = [run as f32, 1.0];
            calibration.accept(run, &stats).expect("equal lengths");
        }
        let last = calibration.runs() as f32 - 2.0;
        for (pass, mean) in [(0, last / 2.0), (1, last / 2.0 + 1.0)] {
            assert_eq!(calibration.mean(pass).expect("a mean")[..], [mean, 1.0]);
        }
        assert!(calibration.accept(1, &[1.0]).is_ok(), "begins anew");
        assert!(calibration.accept(3, &[1.0, 2.0]).is_err());
    }
}
