//! Pictures that hold a pair in their two halves, as DID-MDN's do. Which half is the rainy one differs between sets
//! that look alike, so it is measured and not assumed.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::layout::Half;
use crate::data::rgb::Rgb;

/// Pictures looked at to tell what a folder holds.
const SAMPLE: usize = 16;

/// How alike halves must be to be the same scene: correlation of where brightness steps from left to right.
const ALIKE: f64 = 0.5;

/// Votes on which half is degraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Votes {
    /// Pictures whose left half has more detail, so streaks or noise.
    pub left: usize,
    /// Pictures whose right half has.
    pub right: usize,
}

impl Votes {
    /// The degraded half of a folder.
    ///
    /// # Errors
    /// If less than three quarters of the pictures agree.
    pub fn half(self) -> Result<Half> {
        let (least, most) = (self.left.min(self.right), self.left.max(self.right));
        ensure!(
            3 * least <= most,
            "pairs side by side, but it is not clear which half is degraded: {} pictures say the left one, {} the right one",
            self.left,
            self.right
        );
        Ok(match self.left > self.right {
            true => Half::Left,
            false => Half::Right,
        })
    }
}

/// Whether most of these pictures hold two views of one scene side by side.
pub fn are_pairs(files: &[PathBuf]) -> bool {
    let step = files.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&PathBuf> = files.iter().step_by(step).collect();
    let alike = sample.par_iter().filter(|path| is_pair(path)).count();
    // Unreadable ones are complained about later.
    5 * alike >= 4 * sample.len() && alike > 0
}

/// Lets pictures say which half is degraded: a sample of them, or all.
pub fn vote(files: &[PathBuf], all: bool) -> Votes {
    let step = if all {
        1
    } else {
        files.len().div_ceil(SAMPLE).max(1)
    };
    files
        .par_iter()
        .step_by(step)
        .filter_map(|path| Some(detail(&Rgb::load(path).ok()?)))
        .map(|[left, right]| Votes {
            left: usize::from(left > right),
            right: usize::from(right > left),
        })
        .reduce(Votes::default, |a, b| Votes {
            left: a.left + b.left,
            right: a.right + b.right,
        })
}

fn is_pair(path: &Path) -> bool {
    let Ok(picture) = Rgb::load(path) else {
        return false;
    };
    // A pair of two portraits is square; anything narrower is a photo.
    picture.width.is_multiple_of(2)
        && picture.width >= picture.height
        && picture.width >= 32
        && picture.height >= 16
        && correlation(&picture) > ALIKE
}

/// Of the steps between neighbouring columns in thumbnails of the halves. The brightness itself would be alike in
/// every landscape, bright above and dark below.
fn correlation(picture: &Rgb) -> f64 {
    const SIDE: usize = 16;
    let width = picture.width / 2;
    let steps = |half: Half| {
        let start = half.start(picture.width);
        let mut cells = [[0.0f64; SIDE]; SIDE];
        let mut counts = [[0.0f64; SIDE]; SIDE];
        for y in 0..picture.height {
            for x in 0..width {
                let (row, column) = (y * SIDE / picture.height, x * SIDE / width);
                cells[row][column] += f64::from(picture.pixel(start + x, y)[1]);
                counts[row][column] += 1.0;
            }
        }
        let mean = |row: usize, column: usize| cells[row][column] / counts[row][column];
        let steps: Vec<f64> = (0..SIDE)
            .flat_map(|row| (1..SIDE).map(move |column| (row, column)))
            .map(|(row, column)| mean(row, column) - mean(row, column - 1))
            .collect();
        let middle = steps.iter().sum::<f64>() / steps.len() as f64;
        steps
            .into_iter()
            .map(|step| step - middle)
            .collect::<Vec<f64>>()
    };
    let (left, right) = (steps(Half::Left), steps(Half::Right));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // A picture without any structure is no pair.
    dot(&left, &right) / (dot(&left, &left) * dot(&right, &right)).sqrt().max(1e-9)
}

/// Mean horizontal differences of the left and right half: streaks of rain are steep.
fn detail(picture: &Rgb) -> [f64; 2] {
    let width = picture.width / 2;
    [Half::Left, Half::Right].map(|half| {
        let start = half.start(picture.width);
        let mut sum = 0.0;
        for y in 0..picture.height {
            for x in start + 1..start + width {
                let (here, before) = (picture.pixel(x, y), picture.pixel(x - 1, y));
                sum += f64::from((here[1] - before[1]).abs());
            }
        }
        sum
    })
}
