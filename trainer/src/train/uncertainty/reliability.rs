//! Whether expected errors are right: pixels with large expected errors must have large errors, and the two must be equal on
//! average.

use serde::Serialize;

/// Groups of pixels, by what is expected of them.
pub const GROUPS: usize = 10;

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

    /// By what all expectations are to be multiplied, so that no tenth counts more than another; nothing without pixels.
    pub fn factor(&self) -> Option<f32> {
        let groups = self.groups();
        let logs = groups
            .iter()
            .map(|group| (group.real.max(1e-3) / group.expected).ln());
        let mean = logs.sum::<f64>() / groups.len() as f64;
        (!groups.is_empty()).then_some(mean.exp() as f32)
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
        assert_eq!((found.groups(), found.factor()), (vec![], None));
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
        assert!((found.factor().expect("pixels") - 1.5).abs() < 0.01);
    }
}
