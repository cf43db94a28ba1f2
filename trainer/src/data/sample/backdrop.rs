//! Parts of many pictures hold nothing: frames, bars, cut-out backgrounds, clipped skies. They are flat however noisy the photo
//! is, and attention across channels, whose statistics are of the whole picture, must not take that for a sign that
//! the photo is fine.

use super::cut::Cut;
use crate::data::rgb::Rgb;
use rand::Rng;

/// Where a picture holds nothing, and its colour there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backdrop {
    shape: Shape,
    colour: [f32; 3],
}

/// What is left of the photo; in shares of the picture's sides.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// The rectangle between these columns and rows.
    Window { x: [f32; 2], y: [f32; 2] },
    /// The ellipse about a centre.
    Ellipse { centre: [f32; 2], radii: [f32; 2] },
}

impl Backdrop {
    /// Draws one: a frame or bars in three of four cases; black or white in three of four.
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let shape = if rng.random_bool(0.75) {
            let mut span = || {
                let mut edge = || match rng.random_range(0..3) {
                    0 => 0.0,
                    _ => rng.random_range(0.0..0.4),
                };
                [edge(), 1.0 - edge()]
            };
            Shape::Window {
                x: span(),
                y: span(),
            }
        } else {
            Shape::Ellipse {
                centre: [0; 2].map(|_| rng.random_range(0.3..0.7)),
                radii: [0; 2].map(|_| rng.random_range(0.3..0.6)),
            }
        };
        let colour = match rng.random_range(0..8) {
            0..3 => [0.0; 3],
            3..6 => [1.0; 3],
            6 => [rng.random(); 3],
            _ => [0; 3].map(|_| rng.random()),
        };
        Self { shape, colour }
    }

    /// Lays it over a patch and its truth.
    pub(super) fn apply(&self, cut: &mut Cut) {
        self.paint(&mut cut.clean);
        self.paint(&mut cut.degraded);
    }

    fn paint(&self, picture: &mut Rgb) {
        let (width, height) = (picture.width, picture.height);
        for (at, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
            let place = |at: usize, side: usize| (at as f32 + 0.5) / side as f32;
            if !self
                .shape
                .holds(place(at % width, width), place(at / width, height))
            {
                // As an 8-bit file has it.
                let level = |v: f32| (255.0 * v).round() / 255.0;
                pixel.copy_from_slice(&self.colour.map(level));
            }
        }
    }
}

impl Shape {
    fn holds(&self, x: f32, y: f32) -> bool {
        match self {
            Self::Window {
                x: [left, right],
                y: [top, bottom],
            } => (*left..*right).contains(&x) && (*top..*bottom).contains(&y),
            Self::Ellipse { centre, radii } => {
                let [dx, dy] = [(x - centre[0]) / radii[0], (y - centre[1]) / radii[1]];
                dx * dx + dy * dy < 1.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn it_is_flat_and_the_same_in_both_and_leaves_some_of_the_photo() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut shares = Vec::new();
        for _ in 0..200 {
            let picture = |v| Rgb::from_fn(40, 40, |_, _| [v; 3]);
            let (clean, degraded) = (picture(-1.0), picture(-2.0));
            let mut cut = Cut { clean, degraded };
            Backdrop::draw(&mut rng).apply(&mut cut);
            let pixels = cut.clean.pixels.iter().zip(&cut.degraded.pixels);
            let photo = pixels.clone().filter(|&(&c, &d)| (c, d) == (-1.0, -2.0));
            let flat = pixels.filter(|&(&c, &d)| c == d && c >= 0.0);
            let share = photo.count() as f32 / cut.clean.pixels.len() as f32;
            assert_eq!(
                flat.count(),
                cut.clean.pixels.len() - (share * cut.clean.pixels.len() as f32).round() as usize
            );
            shares.push(share);
        }
        let least = shares.iter().copied().fold(1.0, f32::min);
        let mean = shares.iter().sum::<f32>() / shares.len() as f32;
        assert!(least > 0.03 && (0.4..0.8).contains(&mean), "{least} {mean}");
    }
}
