//! Colour as a function of brightness.

/// Knots from black to white; between them the curve is straight.
pub(super) const KNOTS: usize = 17;

/// What red and blue have more than the mean of the channels, at each knot; green has as much less.
#[derive(Clone, Debug)]
pub(super) struct Curve(pub(super) [[f32; 2]; KNOTS]);

impl Curve {
    /// Nothing anywhere.
    pub(super) const GREY: Self = Self([[0.0; 2]; KNOTS]);

    /// Red and blue at a brightness; before black and after white as there.
    pub(super) fn at(&self, brightness: f32) -> [f32; 2] {
        let (knot, after) = place(brightness);
        let (a, b) = (self.0[knot], self.0[knot + 1]);
        [0, 1].map(|channel| a[channel] * (1.0 - after) + b[channel] * after)
    }
}

/// The knot at or before a brightness, never the last, and how far it is to the next: 0..=1.
pub(super) fn place(brightness: f32) -> (usize, f32) {
    let position = brightness.clamp(0.0, 1.0) * (KNOTS - 1) as f32;
    let knot = (position as usize).min(KNOTS - 2);
    (knot, position - knot as f32)
}

/// The curve through the mean colours of the parts of a photo, by least squares.
#[derive(Default)]
pub(super) struct Fit {
    /// The normal equations: what each knot shares with each other one, and its part of red and blue.
    shared: [[f64; KNOTS]; KNOTS],
    chroma: [[f64; 2]; KNOTS],
    weight: f64,
}

/// How strongly neighbouring knots are tied to each other, as a share of all weight: a brightness that the photo does not
/// have gets the colour of the nearest one that it has.
const STIFFNESS: f64 = 1e-4;

impl Fit {
    /// Adds a part of a photo, in which the knots have these shares, and red and blue these means.
    pub(super) fn add(&mut self, shares: &[f64; KNOTS], chroma: [f64; 2], weight: f64) {
        for (knot, share) in shares.iter().enumerate() {
            for (shared, other) in self.shared[knot].iter_mut().zip(shares) {
                *shared += weight * share * other;
            }
            for (sum, value) in self.chroma[knot].iter_mut().zip(chroma) {
                *sum += weight * share * value;
            }
        }
        self.weight += weight;
    }

    /// The curve.
    pub(super) fn solve(mut self) -> Curve {
        let stiffness = STIFFNESS * self.weight;
        for knot in 1..KNOTS {
            for (a, b) in [(knot - 1, knot), (knot, knot - 1)] {
                self.shared[a][a] += stiffness;
                self.shared[a][b] -= stiffness;
            }
        }
        // Symmetric and positive definite: elimination needs no pivots.
        let (shared, chroma) = (&mut self.shared, &mut self.chroma);
        for pivot in 0..KNOTS {
            let (above, of_pivot) = (shared[pivot], chroma[pivot]);
            for row in pivot + 1..KNOTS {
                let factor = shared[row][pivot] / above[pivot];
                for (value, above) in shared[row].iter_mut().zip(above) {
                    *value -= factor * above;
                }
                for (value, of_pivot) in chroma[row].iter_mut().zip(of_pivot) {
                    *value -= factor * of_pivot;
                }
            }
        }
        for row in (0..KNOTS).rev() {
            let mut known = [0.0; 2];
            for (share, solved) in shared[row].iter().zip(chroma.iter()).skip(row + 1) {
                for (known, value) in known.iter_mut().zip(solved) {
                    *known += share * value;
                }
            }
            for (value, known) in chroma[row].iter_mut().zip(known) {
                *value = (*value - known) / shared[row][row];
            }
        }
        Curve(chroma.map(|pair| pair.map(|value| value as f32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_curve_that_parts_are_made_of() {
        let curve = |brightness: f32| [0.2 * brightness, -0.1 + 0.05 * brightness];
        let mut fit = Fit::default();
        for at in 0..200 {
            // Each part has two brightnesses, from a fifth to four fifths.
            let brightness = [
                0.2 + 0.003 * at as f32,
                0.2 + 0.6 * (at * 7 % 200) as f32 / 200.0,
            ];
            let mut shares = [0.0; KNOTS];
            let mut mean = [0.0; 2];
            for brightness in brightness {
                let (knot, after) = place(brightness);
                shares[knot] += 0.5 * f64::from(1.0 - after);
                shares[knot + 1] += 0.5 * f64::from(after);
                for (mean, value) in mean.iter_mut().zip(curve(brightness)) {
                    *mean += 0.5 * f64::from(value);
                }
            }
            fit.add(&shares, mean, 1.0);
        }
        let found = fit.solve();
        for (brightness, expected) in [
            (0.25, curve(0.25)),
            (0.6, curve(0.6)),
            (0.75, curve(0.75)),
            // The parts say nothing about black and white.
            (-1.0, curve(0.2)),
            (1.0, curve(0.8)),
        ] {
            for (found, expected) in found.at(brightness).iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 4e-3,
                    "{brightness}: {found}, not {expected}"
                );
            }
        }
    }
}
