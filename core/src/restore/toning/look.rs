//! What tells a toned photo from one in colour.
//!
//! The photo is cut into about a thousand square cells, and a curve from brightness to colour is fitted to their means.
//! In a toned photo the rest is noise, and neighbouring cells have independent noise. In a photo in colour the rests of
//! neighbouring cells agree, because objects are larger than a cell. A small object in colour stands out in at least one cell.
//! In a large photo the mean of a cell hides an object as small as a signature on a letter. So squares of a few pixels are
//! tested too: none of them may have a colour far from all colours of the curve.

use super::curve::{Curve, Fit, KNOTS, place};

/// About this many cells, for a photo of any size.
const CELLS: usize = 1024;
/// With fewer that are seen in full, a curve would explain anything.
const LEAST_CELLS: usize = 256;
/// What neighbouring cells may have in common, in samples from 0 to 1: rounding and JPEG leave as much in toned photos.
const COMMON: f64 = 0.5 / 255.0;
/// As many standard deviations of noise come on top.
const COMMON_DEVIATIONS: f64 = 3.0;
/// What a single cell may have.
const SINGLE: f64 = 4.0 / 255.0;
/// As many standard deviations of noise come on top.
const SINGLE_DEVIATIONS: f64 = 5.0;

/// Pixels along each side of the smallest thing that may have a colour of its own. Fringes of lenses and scanners are
/// narrower.
const THING: usize = 4;
/// How far the colour of one may be from all colours of the curve.
const OWN: f64 = 20.0 / 255.0;
/// As many standard deviations of noise come on top.
const OWN_DEVIATIONS: f64 = 8.0;

/// The variance of the noise, both channels together, that hides any colour: about 55 of 255 in each channel.
const DEAFENING: f64 = 0.0625;

/// A photo, seen a row at a time; what is not finite is hidden and says nothing.
pub(super) struct Look {
    /// Pixels along each side of a cell.
    side: usize,
    columns: usize,
    cells: Vec<Cell>,
    chroma_range: ChromaRange,
    grey: bool,
}

/// The bytes of a [`Look`] at a photo of that size.
pub(super) fn bytes(width: usize, height: usize) -> u64 {
    let side = cell_side(width, height);
    let cells = width.div_ceil(side) * height.div_ceil(side) * size_of::<Cell>();
    (cells + width / THING * size_of::<[f32; 2]>()) as u64
}

/// Pixels along each side of a cell.
fn cell_side(width: usize, height: usize) -> usize {
    (width as f64 * height as f64 / CELLS as f64).sqrt().ceil() as usize
}

/// The range of the colours of small squares.
struct ChromaRange {
    /// Sums of the present row of squares: what red and blue have more than the mean of the channels.
    sums: Vec<[f32; 2]>,
    least: [f32; 2],
    most: [f32; 2],
}

#[derive(Clone, Default)]
struct Cell {
    pixels: f64,
    /// How much of them belongs to each knot.
    knots: [f64; KNOTS],
    /// Sums of what red and blue have more than the mean of the channels.
    chroma: [f64; 2],
    /// The squares of its steps from a pixel to the next, and how many there were.
    steps: f64,
    pairs: f64,
}

impl Look {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let side = cell_side(width, height);
        let columns = width.div_ceil(side);
        Self {
            side,
            columns,
            cells: vec![Cell::default(); columns * height.div_ceil(side)],
            chroma_range: ChromaRange {
                sums: vec![[0.0; 2]; width / THING],
                least: [0.0; 2],
                most: [0.0; 2],
            },
            grey: true,
        }
    }

    /// Takes row `y`, interleaved RGB; rows come in order.
    pub(super) fn add(&mut self, y: usize, row: &[f32]) {
        self.chroma_range.add(y, row);
        let first = y / self.side * self.columns;
        let mut before = None;
        let runs = row.chunks(self.side * 3);
        for (cell, run) in self.cells[first..].iter_mut().zip(runs) {
            for pixel in run.chunks_exact(3) {
                let (red, green, blue) = (pixel[0], pixel[1], pixel[2]);
                if !(red.is_finite() && green.is_finite() && blue.is_finite()) {
                    before = None;
                    continue;
                }
                self.grey &= red == green && green == blue;
                let mean = (red + green + blue) / 3.0;
                let chroma = [f64::from(red - mean), f64::from(blue - mean)];
                cell.add(mean, chroma);
                if let Some(before) = before.replace(chroma) {
                    cell.steps += square(std::array::from_fn(|at| chroma[at] - before[at]));
                    cell.pairs += 1.0;
                }
            }
        }
    }

    /// Whether the channels of each pixel were equal.
    pub(super) fn is_grey(&self) -> bool {
        self.grey
    }

    /// The curve of a toned photo, `None` for one in colour or too small to tell.
    pub(super) fn curve(&self) -> Option<Curve> {
        let most = self
            .cells
            .iter()
            .map(|cell| cell.pixels)
            .fold(0.0, f64::max);
        // Those at the border may be too small for a mean.
        let is_full = |cell: &&Cell| cell.pixels > 0.0 && 2.0 * cell.pixels >= most;
        let full: Vec<&Cell> = self.cells.iter().filter(is_full).collect();
        if full.len() < LEAST_CELLS {
            return None;
        }
        let mut fit = Fit::default();
        for cell in &full {
            fit.add(&cell.shares(), cell.mean(), cell.pixels / most);
        }
        let curve = fit.solve();

        let unexplained: Vec<Option<[f64; 2]>> = self
            .cells
            .iter()
            .map(|cell| is_full(&cell).then(|| cell.unexplained(&curve)))
            .collect();
        let noise = median(full.iter().map(|cell| cell.noise()).collect());
        if noise > DEAFENING {
            return None;
        }
        if self.chroma_range.leave(&curve, noise) {
            return None;
        }
        let noise = noise / most;
        let stands_out =
            |rest: &[f64; 2]| square(*rest).sqrt() > SINGLE + SINGLE_DEVIATIONS * noise.sqrt();
        let common = self.common(&unexplained, noise);
        (common && !unexplained.iter().flatten().any(stands_out)).then_some(curve)
    }

    /// Whether neighbours have no more in common than is due to chance. `noise` is the variance of a cell's mean, both channels
    /// together.
    fn common(&self, unexplained: &[Option<[f64; 2]>], noise: f64) -> bool {
        let right = (0..unexplained.len())
            .filter(|at| (at + 1) % self.columns != 0)
            .map(|at| (at, at + 1));
        let below = (self.columns..unexplained.len()).map(|at| (at - self.columns, at));
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (a, b) in right.chain(below) {
            if let (Some(a), Some(b)) = (unexplained[a], unexplained[b]) {
                sum += a[0] * b[0] + a[1] * b[1];
                pairs += 1.0;
            }
        }
        // The sum of two products of independent values with the variance noise / 2 each.
        let deviation = noise / f64::sqrt(2.0 * pairs);
        sum / pairs <= COMMON * COMMON + COMMON_DEVIATIONS * deviation
    }
}

impl ChromaRange {
    fn add(&mut self, y: usize, row: &[f32]) {
        for (sum, pixels) in self.sums.iter_mut().zip(row.chunks_exact(3 * THING)) {
            for pixel in pixels.chunks_exact(3) {
                let mean = (pixel[0] + pixel[1] + pixel[2]) / 3.0;
                sum[0] += pixel[0] - mean;
                sum[1] += pixel[2] - mean;
            }
            if y % THING == THING - 1 {
                let means = std::mem::take(sum).map(|sum| sum / (THING * THING) as f32);
                for (at, mean) in means.into_iter().enumerate() {
                    // A square with a hidden pixel has no mean: it is NaN, which `min` and `max` ignore.
                    self.least[at] = self.least[at].min(mean);
                    self.most[at] = self.most[at].max(mean);
                }
            }
        }
    }

    /// Whether one has a colour that no mixture of the curve's has. `noise` is the variance of a pixel's colour, both
    /// channels together.
    fn leave(&self, curve: &Curve, noise: f64) -> bool {
        let allowed = OWN + OWN_DEVIATIONS * (noise / 2.0).sqrt() / THING as f64;
        (0..2).any(|at| {
            let knots = curve.0.iter().map(|knot| knot[at]);
            let (low, high) = knots.fold((0f32, 0f32), |(low, high), knot| {
                (low.min(knot), high.max(knot))
            });
            let beyond = (low - self.least[at]).max(self.most[at] - high);
            f64::from(beyond) > allowed
        })
    }
}

impl Cell {
    fn add(&mut self, mean: f32, chroma: [f64; 2]) {
        let (knot, after) = place(mean);
        self.pixels += 1.0;
        self.knots[knot] += f64::from(1.0 - after);
        self.knots[knot + 1] += f64::from(after);
        for (sum, value) in self.chroma.iter_mut().zip(chroma) {
            *sum += value;
        }
    }

    fn shares(&self) -> [f64; KNOTS] {
        self.knots.map(|sum| sum / self.pixels)
    }

    fn mean(&self) -> [f64; 2] {
        self.chroma.map(|sum| sum / self.pixels)
    }

    /// The mean less that of the curve.
    fn unexplained(&self, curve: &Curve) -> [f64; 2] {
        let mut rest = self.mean();
        for (share, knot) in self.shares().iter().zip(&curve.0) {
            for (rest, value) in rest.iter_mut().zip(knot) {
                *rest -= share * f64::from(*value);
            }
        }
        rest
    }

    /// The variance of a pixel's colour, both channels together, if it is as that of noise: half of that of a step.
    fn noise(&self) -> f64 {
        self.steps / self.pairs.max(1.0) / 2.0
    }
}

fn square(values: [f64; 2]) -> f64 {
    values[0] * values[0] + values[1] * values[1]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
