//! How much longer it takes.

use std::fmt::Display;
use std::time::{Duration, Instant};

use dino_ir::restore::Progress;

use crate::language::{fill, tr};

/// Measures the tiles of one restoration.
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// How far it is, 0..=1, and a line for the user.
    pub fn tell(&self, progress: Progress) -> (f64, String) {
        tell(progress, self.start.elapsed())
    }
}

fn tell(progress: Progress, elapsed: Duration) -> (f64, String) {
    let Progress {
        done,
        total,
        calibration,
    } = progress;
    let fraction = done as f64 / total.max(1) as f64;
    if done >= total {
        return (fraction, tr("Restoring: writing the result").to_owned());
    }
    let (what, done_before, of) = match done < calibration {
        true => (tr("Looking at the whole image"), 0, calibration),
        false => (tr("Restoring"), calibration, total - calibration),
    };
    let tile = done - done_before + 1;
    let text = if done == 0 {
        tr("{what}: tile {tile} of {of}")
    } else {
        tr("{what}: tile {tile} of {of}, {time} left")
    };
    let left = elapsed.mul_f64((total - done) as f64 / done.max(1) as f64);
    let time = about(left);
    let values: [(&str, &dyn Display); 4] = [
        ("what", &what),
        ("tile", &tile),
        ("of", &of),
        ("time", &time),
    ];
    (fraction, fill(text, &values))
}

/// A rough time, in units that are the same in all of our languages.
pub fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let minutes = (seconds / 60.0).round() as u64;
    if seconds < 100.0 {
        format!("{} s", seconds.ceil().max(1.0))
    } else if minutes < 90 {
        format!("{minutes} min")
    } else {
        format!("{} h {} min", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_tile_and_time() {
        let at = |done, seconds| {
            let elapsed = Duration::from_secs(seconds);
            let (total, calibration) = (12, 0);
            let progress = Progress {
                done,
                total,
                calibration,
            };
            tell(progress, elapsed)
        };
        assert_eq!(at(0, 0), (0.0, "Restoring: tile 1 of 12".to_owned()));
        assert_eq!(
            at(3, 10),
            (0.25, "Restoring: tile 4 of 12, 30 s left".to_owned())
        );
        assert_eq!(at(6, 600).1, "Restoring: tile 7 of 12, 10 min left");
        assert_eq!(at(6, 7200).1, "Restoring: tile 7 of 12, 2 h 0 min left");
        assert_eq!(
            at(12, 600),
            (1.0, "Restoring: writing the result".to_owned())
        );
    }

    #[test]
    fn counts_the_tiles_of_the_calibration_pass_by_themselves() {
        let at = |done| {
            let (total, calibration) = (20, 8);
            let progress = Progress {
                done,
                total,
                calibration,
            };
            tell(progress, Duration::from_secs(10)).1
        };
        assert_eq!(at(0), "Looking at the whole image: tile 1 of 8");
        assert_eq!(at(5), "Looking at the whole image: tile 6 of 8, 30 s left");
        assert_eq!(at(10), "Restoring: tile 3 of 12, 10 s left");
        assert_eq!(at(20), "Restoring: writing the result");
    }
}
