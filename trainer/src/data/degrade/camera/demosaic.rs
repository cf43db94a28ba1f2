//! A Bayer mosaic, and a picture from it.

use crate::data::degrade::blur::mirror;
use crate::data::rgb::Rgb;

/// How the two colours that a pixel lacks are estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demosaicing {
    /// Means of the neighbours that have them.
    Bilinear,
    /// The same, corrected by the second difference of the pixel's own colour: Malvar, He and Cutler, "High-quality
    /// linear interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004.
    Malvar,
}

/// One value a pixel: red, green or blue.
pub struct Mosaic {
    width: usize,
    height: usize,
    phase: [usize; 2],
    values: Vec<f32>,
}

/// Taps of a filter: column and row from the pixel, and weight.
type Taps = &'static [(isize, isize, f32)];

const GREEN_BILINEAR: Taps = &[(-1, 0, 0.25), (1, 0, 0.25), (0, -1, 0.25), (0, 1, 0.25)];
const ROW_BILINEAR: Taps = &[(-1, 0, 0.5), (1, 0, 0.5)];
const DIAGONAL_BILINEAR: Taps = &[(-1, -1, 0.25), (1, -1, 0.25), (-1, 1, 0.25), (1, 1, 0.25)];
/// Figure 2 of the paper, in eighths there.
const GREEN_MALVAR: Taps = &[
    (0, 0, 0.5),
    (-1, 0, 0.25),
    (1, 0, 0.25),
    (0, -1, 0.25),
    (0, 1, 0.25),
    (-2, 0, -0.125),
    (2, 0, -0.125),
    (0, -2, -0.125),
    (0, 2, -0.125),
];
const ROW_MALVAR: Taps = &[
    (0, 0, 0.625),
    (-1, 0, 0.5),
    (1, 0, 0.5),
    (-2, 0, -0.125),
    (2, 0, -0.125),
    (-1, -1, -0.125),
    (1, -1, -0.125),
    (-1, 1, -0.125),
    (1, 1, -0.125),
    (0, -2, 0.0625),
    (0, 2, 0.0625),
];
const DIAGONAL_MALVAR: Taps = &[
    (0, 0, 0.75),
    (-1, -1, 0.25),
    (1, -1, 0.25),
    (-1, 1, 0.25),
    (1, 1, 0.25),
    (-2, 0, -0.1875),
    (2, 0, -0.1875),
    (0, -2, -0.1875),
    (0, 2, -0.1875),
];

impl Mosaic {
    /// The picture through a Bayer filter whose first red pixel is at `phase`; `measure` makes a value of the light.
    pub fn new(scene: &Rgb, phase: [usize; 2], mut measure: impl FnMut(f32) -> f32) -> Self {
        let mut mosaic = Self {
            width: scene.width,
            height: scene.height,
            phase,
            values: Vec::with_capacity(scene.width * scene.height),
        };
        for y in 0..scene.height {
            for x in 0..scene.width {
                let light = scene.pixel(x, y)[mosaic.colour(x, y)];
                mosaic.values.push(measure(light));
            }
        }
        mosaic
    }

    /// All three colours of every pixel. At the border the mosaic continues mirrored about its last pixel, which keeps
    /// its colours in turn.
    pub fn demosaic(&self, how: Demosaicing) -> Rgb {
        let (green, row, diagonal) = match how {
            Demosaicing::Bilinear => (GREEN_BILINEAR, ROW_BILINEAR, DIAGONAL_BILINEAR),
            Demosaicing::Malvar => (GREEN_MALVAR, ROW_MALVAR, DIAGONAL_MALVAR),
        };
        Rgb::from_fn(self.width, self.height, |x, y| {
            let own = self.values[y * self.width + x];
            match self.colour(x, y) {
                1 => {
                    // Red lies to the left and right in rows that have red, above and below in the others.
                    let along = self.filter(row, x, y, false);
                    let across = self.filter(row, x, y, true);
                    if y % 2 == self.phase[1] {
                        [along, own, across]
                    } else {
                        [across, own, along]
                    }
                }
                0 => [
                    own,
                    self.filter(green, x, y, false),
                    self.filter(diagonal, x, y, false),
                ],
                _ => [
                    self.filter(diagonal, x, y, false),
                    self.filter(green, x, y, false),
                    own,
                ],
            }
        })
    }

    /// 0 red, 1 green, 2 blue.
    fn colour(&self, x: usize, y: usize) -> usize {
        match (x % 2 == self.phase[0], y % 2 == self.phase[1]) {
            (true, true) => 0,
            (false, false) => 2,
            _ => 1,
        }
    }

    fn filter(&self, taps: Taps, x: usize, y: usize, turned: bool) -> f32 {
        let value = |&(dx, dy, weight): &(isize, isize, f32)| {
            let (dx, dy) = if turned { (dy, dx) } else { (dx, dy) };
            let column = mirror(x as isize + dx, self.width);
            let row = mirror(y as isize + dy, self.height);
            weight * self.values[row * self.width + column]
        };
        taps.iter().map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_colours_and_slopes_come_back() {
        let slope = Rgb::from_fn(20, 16, |x, y| {
            let (x, y) = (x as f32, y as f32);
            [0.2 + 0.01 * x, 0.3 + 0.02 * y, 0.5 - 0.01 * x + 0.01 * y]
        });
        for how in [Demosaicing::Bilinear, Demosaicing::Malvar] {
            for phase in [[0, 0], [1, 0], [0, 1], [1, 1]] {
                let found = Mosaic::new(&slope, phase, |light| light).demosaic(how);
                for y in 3..13 {
                    for x in 3..17 {
                        let pairs = found.pixel(x, y).into_iter().zip(slope.pixel(x, y));
                        for (found, expected) in pairs {
                            assert!((found - expected).abs() < 1e-5, "{how:?} {phase:?} {x} {y}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn malvar_keeps_grey_edges_better() {
        let edge = Rgb::from_fn(20, 16, |x, _| [if x < 10 { 0.2 } else { 0.8 }; 3]);
        let error = |how| {
            let found = Mosaic::new(&edge, [0, 0], |light| light).demosaic(how);
            let pairs = found.pixels.iter().zip(&edge.pixels);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
        };
        assert!(error(Demosaicing::Malvar) < 0.6 * error(Demosaicing::Bilinear));
    }
}
