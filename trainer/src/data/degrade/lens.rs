//! Blur of lenses and hands: a disc where the focus is elsewhere, a short path where the camera moved, and Gaussians
//! below and above the paper's.

use super::blur::mirror;
use crate::data::rgb::Rgb;
use rand::Rng;

/// Pixels that a kernel reaches to each side.
pub const RADIUS: usize = 10;

/// Side of a kernel.
const SIDE: usize = 2 * RADIUS + 1;

/// Weights of the pixels around one, summing to 1, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    weights: Vec<f32>,
}

impl Kernel {
    /// Draws a disc, a path or a Gaussian.
    pub fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..5) {
            0 | 1 => Self::disc(rng.random_range(0.8..4.5)),
            2 | 3 => Self::path(
                rng.random_range(2.0..15.0),
                rng.random_range(0.0..std::f32::consts::PI),
                rng.random_range(-0.6..0.6),
            ),
            _ => Self::gaussian(rng.random_range(0.5..3.5)),
        }
    }

    /// A disc of `radius` pixels (defocus), its edge softened over one pixel.
    pub fn disc(radius: f32) -> Self {
        Self::from_fn(|x, y| (radius + 0.5 - x.hypot(y)).clamp(0.0, 1.0))
    }

    /// A Gaussian of deviation `sigma` pixels.
    pub fn gaussian(sigma: f32) -> Self {
        Self::from_fn(|x, y| (-(x * x + y * y) / (2.0 * sigma * sigma)).exp())
    }

    /// A path of `length` pixels (motion) in the direction `angle`, radians, which turns by `turn` from one end to the
    /// other.
    pub fn path(length: f32, angle: f32, turn: f32) -> Self {
        const STEPS: usize = 64;
        let mut points = vec![(0.0f32, 0.0f32)];
        for step in 0..STEPS {
            let along = (step as f32 + 0.5) / STEPS as f32 - 0.5;
            let (sin, cos) = (angle + turn * along).sin_cos();
            let (x, y) = points[step];
            let stride = length / STEPS as f32;
            points.push((x + stride * cos, y + stride * sin));
        }
        let middle = points[STEPS / 2];
        let mut weights = vec![0.0; SIDE * SIDE];
        for (x, y) in points {
            // Each point is shared out among the four pixels around it.
            let (x, y) = (x - middle.0 + RADIUS as f32, y - middle.1 + RADIUS as f32);
            let (left, top) = (x.floor(), y.floor());
            for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
                let share = (1.0 - (x - left - dx).abs()) * (1.0 - (y - top - dy).abs());
                let (column, row) = ((left + dx) as usize, (top + dy) as usize);
                if column < SIDE && row < SIDE {
                    weights[row * SIDE + column] += share;
                }
            }
        }
        Self::normalised(weights)
    }

    /// The picture through this kernel, not rounded. At the border it continues mirrored.
    pub fn blur(&self, clean: &Rgb) -> Rgb {
        let (width, height) = (clean.width, clean.height);
        let columns = |offset: usize| -> Vec<usize> {
            (0..width)
                .map(|x| 3 * mirror((x + offset) as isize - RADIUS as isize, width))
                .collect()
        };
        let columns: Vec<Vec<usize>> = (0..SIDE).map(columns).collect();
        let mut pixels = vec![0.0; clean.pixels.len()];
        for (y, target) in pixels.chunks_exact_mut(3 * width).enumerate() {
            for (row, weights) in self.weights.chunks_exact(SIDE).enumerate() {
                let from = 3 * width * mirror((y + row) as isize - RADIUS as isize, height);
                let source = &clean.pixels[from..from + 3 * width];
                for (&weight, columns) in weights.iter().zip(&columns) {
                    if weight > 0.0 {
                        for (pixel, &column) in target.chunks_exact_mut(3).zip(columns) {
                            for (v, s) in pixel.iter_mut().zip(&source[column..column + 3]) {
                                *v += weight * s;
                            }
                        }
                    }
                }
            }
        }
        Rgb {
            width,
            height,
            pixels,
        }
    }

    /// How far it spreads light: the deviation in pixels of the Gaussian that spreads it as far.
    pub fn deviation(&self) -> f32 {
        let pixels = || {
            let offset = |index: usize| index as f32 - RADIUS as f32;
            let at = move |(index, &weight): (usize, &f32)| {
                (weight, offset(index % SIDE), offset(index / SIDE))
            };
            self.weights.iter().enumerate().map(at)
        };
        let mean_x: f32 = pixels().map(|(weight, x, _)| weight * x).sum();
        let mean_y: f32 = pixels().map(|(weight, _, y)| weight * y).sum();
        let square = |x: f32, y: f32| (x - mean_x).powi(2) + (y - mean_y).powi(2);
        let squares: f32 = pixels().map(|(weight, x, y)| weight * square(x, y)).sum();
        (squares / 2.0).sqrt()
    }

    fn from_fn(weight: impl Fn(f32, f32) -> f32) -> Self {
        let at = |index: usize| index as f32 - RADIUS as f32;
        let weights = (0..SIDE * SIDE).map(|index| weight(at(index % SIDE), at(index / SIDE)));
        Self::normalised(weights.collect())
    }

    /// Weights that change nothing at 8 bits are left out.
    fn normalised(mut weights: Vec<f32>) -> Self {
        let most = weights.iter().copied().fold(0.0, f32::max);
        weights
            .iter_mut()
            .filter(|w| **w < 1e-3 * most)
            .for_each(|w| *w = 0.0);
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Self { weights }
    }
}

/// Blur drawn at random; clipped and rounded to 8 bit.
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Rgb {
    Kernel::draw(rng).blur(clean).quantised()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn kernels_keep_flat_pictures_flat() {
        let flat = Rgb::from_fn(30, 5, |_, _| [0.25, 0.5, 1.0]);
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..20 {
            let blurred = Kernel::draw(&mut rng).blur(&flat);
            let mut pairs = blurred.pixels.iter().zip(&flat.pixels);
            assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn a_path_along_rows_blurs_columns_only() {
        let stripes = Rgb::from_fn(40, 40, |_, y| [(y % 2) as f32; 3]);
        let along = Kernel::path(9.0, 0.0, 0.0).blur(&stripes);
        let across = Kernel::path(9.0, std::f32::consts::FRAC_PI_2, 0.0).blur(&stripes);
        assert!((along.pixel(20, 20)[0] - along.pixel(20, 21)[0]).abs() > 0.99);
        assert!((across.pixel(20, 20)[0] - across.pixel(20, 21)[0]).abs() < 0.2);
    }

    #[test]
    fn deviations_are_those_of_gaussians() {
        for sigma in [1.0, 2.5] {
            let found = Kernel::gaussian(sigma).deviation();
            assert!((found - sigma).abs() < 0.02 * sigma, "{sigma}: {found}");
        }
        // A quarter of a disc's radius squared, a twelfth of a path's length in one of two directions.
        let disc = Kernel::disc(4.0).deviation();
        assert!((disc - 2.0).abs() < 0.15, "{disc}");
        let path = Kernel::path(12.0, 0.3, 0.0).deviation();
        assert!((path - 6f32.sqrt()).abs() < 0.15, "{path}");
    }

    #[test]
    fn a_wider_disc_takes_more() {
        let edge = Rgb::from_fn(40, 40, |x, _| [f32::from(x >= 20); 3]);
        let rise = |radius| {
            let blurred = Kernel::disc(radius).blur(&edge);
            (0..40)
                .filter(|&x| (0.02..0.98).contains(&blurred.pixel(x, 20)[0]))
                .count()
        };
        assert!(rise(1.0) >= 1 && rise(4.0) > rise(1.0) + 3);
    }
}
