//! Whether expected errors are right: pixels with large expected errors must have large errors, and the two must be equal on
//! average.

use serde::Serialize;

/// Groups of pixels, by what is expected of them.
pub const GROUPS: usize = 10;

/// Less than a sixteenth of an 8-bit level is as good as nothing.
const LEAST: f32 = 1.0 / 4080.0;
/// Knots of a curve lie at least so far apart, in logarithms.
const LEAST_STEP: f64 = 0.02;

/// Pixels with what was expected of them and what came.
#[derive(Clone, Debug, Default)]
pub struct Reliability(Vec<[f32; 2]>);

/// A tenth of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Mean of the errors expected, in 8-bit units.
    pub expected: f64,
    /// Mean of the absolute errors, in 8-bit units.
    pub real: f64,
}

impl Group {
    /// The difference of expected and real errors, as a share of the real ones.
    pub fn off(&self) -> f64 {
        self.expected / self.real.max(1e-6) - 1.0
    }
}

impl Reliability {
    /// Adds pixels; both 0..=1.
    ///
    /// # Panics
    /// If they are not as many.
    pub fn add(&mut self, expected: &[f32], real: &[f32]) {
        assert_eq!(expected.len(), real.len(), "the same pixels");
        let pairs = expected.iter().zip(real);
        self.0
            .extend(pairs.map(|(&expected, &real)| [expected, real]));
    }

    /// From the tenth of the pixels with the smallest expected errors to the tenth with the largest. Empty without pixels.
    pub fn groups(&self) -> Vec<Group> {
        let mut pixels = self.0.clone();
        pixels.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
        let size = pixels.len().div_ceil(GROUPS).max(1);
        let group = |pixels: &[[f32; 2]]| {
            let mean = |at: usize| {
                let sum: f64 = pixels.iter().map(|pixel| f64::from(pixel[at])).sum();
                255.0 * sum / pixels.len() as f64
            };
            Group {
                expected: mean(0),
                real: mean(1),
            }
        };
        pixels.chunks(size).map(group).collect()
    }

    /// Of as many groups of pixels as there are knots, by what was expected of them: means of the logarithms of that, each a
    /// little more than the one before, and logarithms of the means of what came, which do not fall; of 0..=1. Nothing without
    /// pixels.
    pub fn curve<const KNOTS: usize>(&self) -> Option<[[f32; KNOTS]; 2]> {
        if self.0.len() < KNOTS {
            return None;
        }
        let mut pixels = self.0.clone();
        pixels.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
        let mut curve = [[0.0; KNOTS]; 2];
        let (mut said, mut came) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let [saids, cames] = &mut curve;
        for (at, knot) in saids.iter_mut().zip(cames).enumerate() {
            let [from, to] = [at, at + 1].map(|at| at * pixels.len() / KNOTS);
            let mean = |of: fn(&[f32; 2]) -> f64| {
                pixels[from..to].iter().map(of).sum::<f64>() / (to - from) as f64
            };
            said = (said + LEAST_STEP).max(mean(|pixel| f64::from(pixel[0].max(LEAST)).ln()));
            came = came.max(mean(|pixel| f64::from(pixel[1])).max(f64::from(LEAST)).ln());
            (*knot.0, *knot.1) = (said as f32, came as f32);
        }
        Some(curve)
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{:>6} {:>10} {:>10} {:>7}",
            "tenth", "expected", "real", "off"
        )];
        for (at, group) in self.groups().iter().enumerate() {
            lines.push(format!(
                "{:>6} {:>10.2} {:>10.2} {:>6.0}%",
                at + 1,
                group.expected,
                group.real,
                100.0 * group.off()
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_grouped_by_what_is_expected_of_them() {
        let mut found = Reliability::default();
        assert_eq!((found.groups(), found.curve::<5>()), (vec![], None));
        // In any order; what came is one and a half times what was expected, alternately less and more.
        let expected: Vec<f32> = (0..1000)
            .map(|at| (at * 37 % 1000 + 1) as f32 / 5000.0)
            .collect();
        let real: Vec<f32> = expected
            .iter()
            .enumerate()
            .map(|(at, expected)| expected * if at % 2 == 0 { 1.0 } else { 2.0 })
            .collect();
        found.add(&expected[..600], &real[..600]);
        found.add(&expected[600..], &real[600..]);
        let groups = found.groups();
        assert_eq!(groups.len(), GROUPS);
        assert!(groups.is_sorted_by(|a, b| a.expected < b.expected));
        assert!((groups[9].expected - 255.0 * 0.1901).abs() < 0.01);
        for group in &groups {
            assert!((group.off() + 1.0 / 3.0).abs() < 0.02, "{group:?}");
        }
        let [said, came] = found.curve::<5>().expect("pixels");
        assert!(said.is_sorted_by(|a, b| a < b));
        // The middle ones of equally many: what was expected rises evenly.
        for (at, (said, came)) in said.iter().zip(came).enumerate() {
            let middle = (at as f32 + 0.5) / 25.0;
            assert!(at == 0 || (said.exp() / middle - 1.0).abs() < 0.02);
            assert!((came.exp() / (1.5 * middle) - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_curve_rises_whatever_comes() {
        let mut found = Reliability::default();
        found.add(&[0.1; 60], &[0.2; 60]);
        found.add(&[0.4; 20], &[0.0; 20]);
        let [said, came] = found.curve::<4>().expect("pixels");
        assert!(said.is_sorted_by(|a, b| a < b), "{said:?}");
        assert!((came[0].exp() - 0.2).abs() < 1e-3);
        assert_eq!(came, [came[0]; 4]);
    }
}
