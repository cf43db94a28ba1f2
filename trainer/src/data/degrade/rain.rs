//! Rain streaks: drops that fall through the exposure, drawn as soft oriented lines.
//!
//! The ranges are matched to Rain100L (streaks add 2..9 of 255 on average, 7..20 % of the pixels touched, grey) and
//! reach beyond it to the dense, misty rain of real photos.

use crate::data::rgb::Rgb;
use rand::Rng;
use rand_distr::{Exp1, StandardNormal};

/// A kind of rain; one photo has one, its streaks vary around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rain {
    /// Streaks for each 10,000 pixels.
    pub density: f32,
    /// Mean fall direction in degrees from vertical, positive leans to the right.
    pub angle: f32,
    /// Standard deviation of the direction among streaks, degrees.
    pub spread: f32,
    /// Typical length in pixels.
    pub length: f32,
    /// Typical half width in pixels.
    pub width: f32,
    /// Typical brightness of a streak, 0..1.
    pub brightness: f32,
    /// Share of the light that distant drops replace by grey, 0..1.
    pub veil: f32,
    /// Screen blending (a bright ground hides the streaks) in place of adding light.
    pub screen: bool,
}

impl Rain {
    /// Draws a kind of rain: three in five like Rain100L, the rest heavy: dense, from thin to broad (a photo of many
    /// pixels shows a drop's path broad), often with a veil.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let heavy = rng.random_bool(0.4);
        // How much broader and longer than in Rain100L. Fewer of them cover as much, each with its light spread out.
        let scale = if heavy {
            rng.random_range(0.0..1.0f32).exp()
        } else {
            1.0
        };
        let angle = 18.0 * rng.sample::<f32, _>(StandardNormal);
        Self {
            density: if heavy {
                rng.random_range(40.0..130.0) / scale.powf(1.5)
            } else {
                rng.random_range(12.0..50.0)
            },
            angle: angle.clamp(-45.0, 45.0),
            spread: rng.random_range(0.3..3.0),
            length: scale * rng.random_range(12.0..48.0),
            width: scale * rng.random_range(0.4..0.85),
            brightness: if heavy {
                rng.random_range(0.05..0.25) / scale
            } else {
                rng.random_range(0.06..0.32)
            },
            veil: if heavy && rng.random_bool(0.6) {
                rng.random_range(0.0..0.35)
            } else {
                0.0
            },
            screen: rng.random_bool(0.3),
        }
    }

    /// The light of the streaks alone, one value for each pixel, 0 where there is no rain.
    pub fn streaks(&self, width: usize, height: usize, rng: &mut impl Rng) -> Vec<f32> {
        let mut light = vec![0.0; width * height];
        // Streaks may begin outside of the frame, by the length of a long one.
        let margin = self.length * 2.0;
        let (across, down) = (width as f32 + 2.0 * margin, height as f32 + 2.0 * margin);
        let count = self.density * across * down / 1e4;
        // The fraction becomes a chance, so that small patches are not systematically dry.
        let count = count as usize + usize::from(rng.random::<f32>() < count.fract());
        for _ in 0..count {
            // Few drops are near the lens: those are brighter, wider and longer.
            let nearness = rng.sample::<f32, _>(Exp1).min(4.0);
            let size = 0.6 + 0.4 * nearness.sqrt();
            let angle = self.angle + self.spread * rng.sample::<f32, _>(StandardNormal);
            let streak = Streak {
                x: rng.random::<f32>() * across - margin,
                y: rng.random::<f32>() * down - margin,
                slope: angle.clamp(-50.0, 50.0).to_radians().tan(),
                length: self.length * size * rng.random_range(0.4..1.5),
                width: self.width * size * rng.random_range(0.75..1.25),
                light: (self.brightness * (0.15 + nearness)).min(0.85),
                skew: rng.random_range(0.5..2.0),
            };
            streak.draw(&mut light, width, height);
        }
        light
    }

    /// Lays this rain over a photo; clipped and rounded to 8 bit.
    pub fn apply(&self, clean: &Rgb, rng: &mut impl Rng) -> Rgb {
        let light = self.streaks(clean.width, clean.height, rng);
        let mut rainy = clean.clone();
        let mist = rng.random_range(0.55..0.85);
        for (pixel, light) in rainy.pixels.chunks_exact_mut(3).zip(light) {
            for v in pixel {
                let ground = *v + self.veil * (mist - *v);
                *v = if self.screen {
                    1.0 - (1.0 - ground) * (1.0 - light.min(1.0))
                } else {
                    ground + light
                };
            }
        }
        rainy.quantised()
    }
}

/// Rain of a kind drawn at random.
pub fn degrade(clean: &Rgb, rng: &mut impl Rng) -> Rgb {
    Rain::draw(rng).apply(clean, rng)
}

/// One drop's path: `x`, `y` is its middle, `slope` columns for each row.
struct Streak {
    x: f32,
    y: f32,
    slope: f32,
    length: f32,
    width: f32,
    light: f32,
    skew: f32,
}

impl Streak {
    /// Adds the streak row by row; it is never flatter than 50 degrees, so each row crosses it once.
    fn draw(&self, light: &mut [f32], width: usize, height: usize) {
        let cosine = 1.0 / (1.0 + self.slope * self.slope).sqrt();
        let rise = (self.length * cosine).max(1.0);
        let top = self.y - rise / 2.0;
        // A thin streak is as wide as the lens blurs it and loses light instead.
        let sigma = self.width.max(0.5);
        let peak = self.light * (self.width / sigma);
        let reach = 2.5 * sigma / cosine;
        let first = top.ceil().max(0.0) as usize;
        let last = ((top + rise).floor() + 1.0).clamp(0.0, height as f32) as usize;
        for y in first..last {
            let along = ((y as f32 - top) / rise).clamp(0.0, 1.0).powf(self.skew);
            let taper = (4.0 * along * (1.0 - along)).sqrt();
            let centre = self.x + (y as f32 - self.y) * self.slope;
            let from = (centre - reach).ceil().max(0.0) as usize;
            let to = ((centre + reach).floor() + 1.0).clamp(0.0, width as f32) as usize;
            for x in from..to {
                let distance = (x as f32 - centre) * cosine / sigma;
                light[y * width + x] += peak * taper * (-0.5 * distance * distance).exp();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn only_adds_light_without_a_veil() {
        let clean =
            Rgb::from_fn(64, 48, |x, y| [x as f32 / 64.0, y as f32 / 48.0, 0.3]).quantised();
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let rain = Rain {
                veil: 0.0,
                ..Rain::draw(&mut rng)
            };
            let rainy = rain.apply(&clean, &mut rng);
            assert!(
                rainy
                    .pixels
                    .iter()
                    .zip(&clean.pixels)
                    .all(|(r, c)| r + 1e-6 >= *c && *r <= 1.0)
            );
        }
    }

    #[test]
    fn streaks_follow_the_angle() {
        let rain = Rain {
            density: 20.0,
            angle: 30.0,
            spread: 0.0,
            length: 40.0,
            width: 0.8,
            brightness: 0.3,
            veil: 0.0,
            screen: false,
        };
        let light = rain.streaks(200, 200, &mut StdRng::seed_from_u64(5));
        let shifted = |dx: usize, dy: usize| -> f32 {
            (0..180)
                .flat_map(|y| (20..180).map(move |x| (x, y)))
                .map(|(x, y)| light[y * 200 + x] * light[(y + dy) * 200 + x + dx])
                .sum()
        };
        // tan 30 degrees = 7 / 12.
        assert!(shifted(7, 12) > 2.0 * shifted(0, 14));
    }
}
