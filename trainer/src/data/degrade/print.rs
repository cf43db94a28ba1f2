//! Old prints: grey, faded, perhaps toned. This is not a fault to remove. Many photos with faults look like this, so the
//! network must see noise on them too.

use crate::data::rgb::Rgb;
use rand::Rng;

/// How a print looks: the colours of black, of white and of the greys between.
#[derive(Clone, Debug, PartialEq)]
pub struct Print {
    /// Value of black, 0..1: prints fade to grey.
    pub black: f32,
    /// Value of white.
    pub white: f32,
    /// Exponents of red, green and blue: equal for a neutral print, smaller for red than for blue for a brown one.
    pub gamma: [f32; 3],
}

impl Print {
    /// Grey, neither faded nor toned.
    pub const NEUTRAL: Self = Self {
        black: 0.0,
        white: 1.0,
        gamma: [1.0; 3],
    };

    /// Draws a print: half of them not faded, two in three neutral.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let faded = rng.random_bool(0.5);
        let tone = if rng.random_bool(0.33) {
            rng.random_range(0.05..0.35)
        } else {
            0.0
        };
        let gamma = if faded {
            rng.random_range(0.75..1.3)
        } else {
            1.0
        };
        Self {
            black: if faded {
                rng.random_range(0.0..0.3)
            } else {
                0.0
            },
            white: if faded {
                rng.random_range(0.65..1.0)
            } else {
                1.0
            },
            gamma: [gamma * (1.0 - tone), gamma, gamma * (1.0 + tone)],
        }
    }

    /// The photo as such a print.
    pub fn apply(&self, photo: &Rgb) -> Rgb {
        Rgb::from_fn(photo.width, photo.height, |x, y| {
            let [r, g, b] = photo.pixel(x, y);
            let luma = (0.299 * r + 0.587 * g + 0.114 * b).clamp(0.0, 1.0);
            self.gamma
                .map(|gamma| self.black + (self.white - self.black) * luma.powf(gamma))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neutral_print_has_no_colour_and_a_brown_one_has() {
        let photo = Rgb::from_fn(8, 4, |x, y| [x as f32 / 8.0, y as f32 / 4.0, 0.6]);
        let mut print = Print {
            black: 0.1,
            white: 0.9,
            ..Print::NEUTRAL
        };
        let neutral = print.apply(&photo);
        assert!(
            neutral
                .pixels
                .chunks_exact(3)
                .all(|p| p[0] == p[1] && p[1] == p[2])
        );
        assert!(neutral.pixels.iter().all(|v| (0.1..=0.9).contains(v)));
        print.gamma = [0.8, 1.0, 1.2];
        assert!(
            print
                .apply(&photo)
                .pixels
                .chunks_exact(3)
                .all(|p| p[0] > p[1] && p[1] > p[2])
        );
    }
}
