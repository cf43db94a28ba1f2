//! Noise as it stands in finished pictures: weak or strong, alike in all channels or not, of each pixel alone or in
//! clumps, on colour photos, grey ones and old prints. The paper's noise ([`super::noise`]) is one corner of this.

use super::blur;
use crate::data::rgb::Rgb;
use rand::Rng;
use rand_distr::StandardNormal;
use std::ops::RangeInclusive;

/// Standard deviations drawn, in 8-bit units.
pub const SIGMA: RangeInclusive<f32> = 2.0..=60.0;

/// A kind of noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Grain {
    /// Standard deviation in 8-bit units.
    pub sigma: f32,
    /// Share of the variance that all channels have in common, 0..=1: 1 is noise without colour.
    pub common: f32,
    /// Deviation in pixels of the Gaussian that the noise is smoothed with; 0 for noise of each pixel alone. Scaling
    /// and demosaicing leave such clumps.
    pub size: f32,
}

impl Grain {
    /// Draws a kind of noise: weak noise as often as strong, without colour in two of five cases.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let (weakest, strongest) = (SIGMA.start().ln(), SIGMA.end().ln());
        Self {
            sigma: rng.random_range(weakest..=strongest).exp(),
            common: match rng.random_range(0..5) {
                0 | 1 => 1.0,
                2 => 0.0,
                _ => rng.random(),
            },
            size: if rng.random_bool(0.35) {
                rng.random_range(0.35..1.3)
            } else {
                0.0
            },
        }
    }

    /// Lays this noise over a picture; clipped and rounded to 8 bit.
    pub fn apply(&self, clean: &Rgb, rng: &mut impl Rng) -> Rgb {
        let (shared, own) = (self.common.sqrt(), (1.0 - self.common).sqrt());
        let mut field = Rgb::from_fn(clean.width, clean.height, |_, _| {
            let all: f32 = rng.sample(StandardNormal);
            [0; 3].map(|_| {
                if self.common < 1.0 {
                    shared * all + own * rng.sample::<f32, _>(StandardNormal)
                } else {
                    all
                }
            })
        });
        let mut scale = self.sigma / 255.0;
        if self.size > 0.0 {
            field = blur::gaussian(&field, self.size);
            scale /= blur::energy(self.size);
        }
        for (noise, v) in field.pixels.iter_mut().zip(&clean.pixels) {
            *noise = v + scale * *noise;
        }
        field.quantised()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn noise(grain: &Grain) -> Rgb {
        let grey = Rgb::from_fn(160, 160, |_, _| [0.5; 3]);
        let mut noise = grain.apply(&grey, &mut StdRng::seed_from_u64(4));
        noise
            .pixels
            .iter_mut()
            .for_each(|v| *v = 255.0 * *v - 127.5);
        noise
    }

    fn deviation(noise: &Rgb) -> f32 {
        let squares: f32 = noise.pixels.iter().map(|v| v * v).sum();
        (squares / noise.pixels.len() as f32).sqrt()
    }

    #[test]
    fn clumps_are_as_strong_as_noise_of_each_pixel() {
        for size in [0.0, 0.5, 1.2] {
            let grain = Grain {
                sigma: 20.0,
                common: 0.0,
                size,
            };
            let found = deviation(&noise(&grain));
            assert!((found - 20.0).abs() < 0.8, "{size}: {found}");
        }
    }

    #[test]
    fn common_noise_has_no_colour_and_clumps_reach_neighbours() {
        let grain = |common, size| Grain {
            sigma: 20.0,
            common,
            size,
        };
        let grey = noise(&grain(1.0, 0.0));
        assert!(
            grey.pixels
                .chunks_exact(3)
                .all(|p| p[0] == p[1] && p[1] == p[2])
        );
        let half = noise(&grain(0.5, 0.0));
        let products: f32 = half.pixels.chunks_exact(3).map(|p| p[0] * p[2]).sum();
        let correlation = products / (half.pixels.len() as f32 / 3.0) / 400.0;
        assert!((correlation - 0.5).abs() < 0.05, "{correlation}");
        let neighbours = |noise: &Rgb| {
            let pairs = noise.pixels.iter().zip(&noise.pixels[3..]);
            pairs.map(|(a, b)| a * b).sum::<f32>() / noise.pixels.len() as f32 / 400.0
        };
        assert!(neighbours(&half).abs() < 0.05);
        assert!(neighbours(&noise(&grain(0.0, 1.0))) > 0.5);
    }
}
