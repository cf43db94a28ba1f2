//! Gaussian blur with a kernel of 15 x 15.

use crate::data::rgb::Rgb;
use rand::Rng;
use std::ops::RangeInclusive;

/// Standard deviations used in training, in pixels (the paper's range).
pub const SIGMA: RangeInclusive<f32> = 2.0..=3.1;

/// Pixels that the kernel reaches to each side: 15 = 2 * 7 + 1.
pub const RADIUS: usize = 7;

/// Blur with a deviation drawn from [`SIGMA`]; clipped and rounded to 8 bit.
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Rgb {
    let sigma = rng.random_range(SIGMA);
    gaussian(clean, sigma).quantised()
}

/// Blur of deviation `sigma` pixels, not rounded. At the border the picture continues mirrored about its last pixel.
pub fn gaussian(clean: &Rgb, sigma: f32) -> Rgb {
    let kernel = kernel(sigma);
    let (width, height) = (clean.width, clean.height);
    // The kernel is separable: rows first, then columns.
    let mut rows = vec![0.0; clean.pixels.len()];
    let mut line = vec![0.0; (width + 2 * RADIUS) * 3];
    for (source, target) in clean
        .pixels
        .chunks_exact(width * 3)
        .zip(rows.chunks_exact_mut(width * 3))
    {
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            let from = mirror(x as isize - RADIUS as isize, width) * 3;
            pixel.copy_from_slice(&source[from..from + 3]);
        }
        for (tap, weight) in kernel.iter().enumerate() {
            accumulate(target, &line[tap * 3..tap * 3 + width * 3], *weight);
        }
    }
    let mut pixels = vec![0.0; clean.pixels.len()];
    for (y, target) in pixels.chunks_exact_mut(width * 3).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            let from = mirror((y + tap) as isize - RADIUS as isize, height) * width * 3;
            accumulate(target, &rows[from..from + width * 3], *weight);
        }
    }
    Rgb {
        width,
        height,
        pixels,
    }
}

/// The index inside `0..size` that `at` falls on when the line is mirrored about its end samples, however far out.
pub fn mirror(at: isize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    let folded = at.rem_euclid(period);
    folded.min(period - folded) as usize
}

fn accumulate(target: &mut [f32], source: &[f32], weight: f32) {
    for (t, s) in target.iter_mut().zip(source) {
        *t += weight * s;
    }
}

/// Root of the kernel's summed squares: what a blur of deviation `sigma` leaves of white noise's deviation.
pub(super) fn energy(sigma: f32) -> f32 {
    // Of rows and of columns alike, so that the root of the product is the sum of one line.
    kernel(sigma).iter().map(|tap| tap * tap).sum()
}

fn kernel(sigma: f32) -> [f32; 2 * RADIUS + 1] {
    let mut taps = [0.0; 2 * RADIUS + 1];
    for (at, tap) in taps.iter_mut().enumerate() {
        let distance = at as f32 - RADIUS as f32;
        *tap = (-distance * distance / (2.0 * sigma * sigma)).exp();
    }
    let sum: f32 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_spreads_into_the_kernel() {
        let point = Rgb::from_fn(31, 31, |x, y| {
            if (x, y) == (15, 15) {
                [1.0; 3]
            } else {
                [0.0; 3]
            }
        });
        let blurred = gaussian(&point, 2.0);
        let taps = kernel(2.0);
        for (dx, dy) in [(0, 0), (3, 1), (7, 7)] {
            let expected = taps[7 + dx] * taps[7 + dy];
            assert!((blurred.pixel(15 + dx, 15 + dy)[1] - expected).abs() < 1e-7);
        }
        assert_eq!(blurred.pixel(23, 15), [0.0; 3]);
        assert!((blurred.pixels.iter().sum::<f32>() - 3.0).abs() < 1e-4);
    }

    #[test]
    fn flat_pictures_of_any_size_stay_flat() {
        for (width, height) in [(1, 1), (2, 5), (40, 3)] {
            let flat = Rgb::from_fn(width, height, |_, _| [0.25, 0.5, 1.0]);
            for (a, b) in gaussian(&flat, 3.1).pixels.iter().zip(&flat.pixels) {
                assert!((a - b).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn mirrors_without_repeating_the_edge() {
        assert_eq!(
            [-2, -1, 0, 3, 4, 5, 9].map(|at| mirror(at, 4)),
            [2, 1, 0, 3, 2, 1, 3]
        );
    }
}
