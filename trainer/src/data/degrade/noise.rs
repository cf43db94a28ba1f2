//! Additive white Gaussian noise.

use crate::data::rgb::Rgb;
use rand::Rng;
use rand_distr::StandardNormal;
use std::ops::RangeInclusive;

/// Standard deviations used in training, in 8-bit units (the paper's range).
pub const SIGMA: RangeInclusive<f32> = 15.0..=50.0;

/// Drawn from and brought into [`SIGMA`], so that its ends, which tests ask for, are not its rarest values.
const DRAWN: RangeInclusive<f32> = 10.0..=60.0;

/// Noise with a standard deviation in [`SIGMA`]: a tenth of it at the lower end, a fifth at the upper.
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Rgb {
    add(clean, sigma(rng), rng)
}

fn sigma(rng: &mut impl Rng) -> f32 {
    rng.random_range(DRAWN).clamp(*SIGMA.start(), *SIGMA.end())
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
    fn stays_in_the_range_and_meets_its_ends() {
        let mut rng = StdRng::seed_from_u64(2);
        let drawn: Vec<f32> = (0..1000).map(|_| sigma(&mut rng)).collect();
        let times = |end| drawn.iter().filter(|&&v| v == end).count();
        assert!(drawn.iter().all(|v| SIGMA.contains(v)));
        assert!(times(15.0) > 50 && times(50.0) > 100);
    }

    #[test]
    fn is_made_again_from_its_seed() {
        let grey = Rgb::from_fn(8, 8, |_, _| [0.5; 3]);
        let make = |seed| degrade(&grey, &mut StdRng::seed_from_u64(seed));
        assert_eq!(make(3), make(3));
        assert_ne!(make(3), make(4));
    }
}
