//! Pairs whose files were compressed differ even where they should not.

use std::sync::Arc;

use super::Pair;
use super::photo::Photo;

impl Pair {
    /// The same pair, but its input is the truth wherever the two differ by less than so many levels of 255: on average over the
    /// colours and over 3 x 3 pixels, where what compression did to each nearly cancels out.
    pub(super) fn agreed(self, levels: f32) -> Self {
        let Self { degraded, clean } = self;
        let Photo { width, height, .. } = *clean;
        let differences: Vec<i32> = degraded
            .samples
            .chunks_exact(3)
            .zip(clean.samples.chunks_exact(3))
            .map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| i32::from(a) - i32::from(b)))
            .map(Iterator::sum)
            .collect();
        let around = |at: usize, length: usize| at.saturating_sub(1)..(at + 2).min(length);
        let agrees = |at: usize| {
            let (rows, columns) = (around(at / width, height), around(at % width, width));
            let values = 3 * rows.len() * columns.len();
            let sum: i32 = rows
                .flat_map(|y| &differences[y * width..][columns.clone()])
                .sum();
            (sum.abs() as f32) < levels * values as f32
        };
        let samples = degraded.samples.chunks_exact(3);
        let samples = samples.zip(clean.samples.chunks_exact(3)).enumerate();
        let samples = samples
            .flat_map(|(at, (input, truth))| if agrees(at) { truth } else { input })
            .copied()
            .collect();
        let degraded = Arc::new(Photo {
            name: degraded.name.clone(),
            width,
            height,
            samples,
        });
        Self { degraded, clean }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of compression go, a streak stays as it is to its edge.
    #[test]
    fn the_input_is_the_truth_where_they_hardly_differ() {
        let photo = |sample: fn(usize, usize) -> u8| {
            let at = |at: usize| sample(at / 3 % 12, at / 36);
            Arc::new(Photo {
                name: String::new(),
                width: 12,
                height: 5,
                samples: (0..12 * 5 * 3).map(at).collect(),
            })
        };
        let clean = photo(|x, y| 100 + ((5 * x + 3 * y) % 7) as u8);
        let degraded = photo(|x, y| {
            let streak = if (7..9).contains(&x) { 40 } else { 0 };
            99 + ((5 * x + 3 * y) % 7) as u8 + 2 * ((x + y) % 2) as u8 + streak
        });
        let pair = Pair { degraded, clean };
        let agreed = pair.clone().agreed(1.0);
        assert!(Arc::ptr_eq(&agreed.clean, &pair.clean));
        for (at, &sample) in agreed.degraded.samples.iter().enumerate() {
            let near = (6..10).contains(&(at / 3 % 12));
            let like = if near { &pair.degraded } else { &pair.clean };
            assert_eq!(sample, like.samples[at], "sample {at}");
        }
    }
}
