//! Additive white Gaussian noise.

use crate::rgb::Rgb;
use rand::Rng;
use rand_distr::StandardNormal;
use std::ops::RangeInclusive;

/// Standard deviations used in training, in 8-bit units (the paper's range).
pub const SIGMA: RangeInclusive<f32> = 15.0..=50.0;

/// Noise with a standard deviation drawn from [`SIGMA`].
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Rgb {
    let sigma = rng.random_range(SIGMA);
    add(clean, sigma, rng)
}

/// Noise of standard deviation `sigma` in 8-bit units, independent in each channel; clipped and rounded to 8 bit.
pub fn add(clean: &Rgb, sigma: f32, rng: &mut impl Rng) -> Rgb {
    let scale = sigma / 255.0;
    let mut noisy = clean.clone();
    for v in &mut noisy.pixels {
        *v += scale * rng.sample::<f32, _>(StandardNormal);
    }
    noisy.quantised()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn has_the_asked_deviation_and_stays_on_8_bit_levels() {
        let grey = Rgb::from_fn(200, 200, |_, _| [0.5; 3]);
        let noisy = add(&grey, 25.0, &mut StdRng::seed_from_u64(1));
        let n = noisy.pixels.len() as f64;
        let mean = noisy.pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = noisy
            .pixels
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        assert!(
            (variance.sqrt() * 255.0 - 25.0).abs() < 0.3,
            "{}",
            variance.sqrt() * 255.0
        );
        assert!(
            noisy
                .pixels
                .iter()
                .all(|v| (v * 255.0 - (v * 255.0).round()).abs() < 1e-3)
        );
    }

    #[test]
    fn is_made_again_from_its_seed() {
        let grey = Rgb::from_fn(8, 8, |_, _| [0.5; 3]);
        let make = |seed| degrade(&grey, &mut StdRng::seed_from_u64(seed));
        assert_eq!(make(3), make(3));
        assert_ne!(make(3), make(4));
    }
}
