//! What becomes of the tones of a photo from place to place.

use super::view::means;
use crate::image::Image;
use crate::restore::Area;

/// Pixels of the view, along each side from the middle, in which gain and offset are told.
const RADIUS: usize = 16;
/// A variance of the samples, 0..=1 squared, from which on a gain is told well.
const VARIANCE: f64 = 30.0 / (255.0 * 255.0);

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tone {
    gain: f32,
    offset: f32,
}

impl Tone {
    fn towards(self, other: Self, share: f32) -> Self {
        let mix = |from: f32, to: f32| from + share * (to - from);
        Self {
            gain: mix(self.gain, other.gain),
            offset: mix(self.offset, other.offset),
        }
    }
}

/// Gains and offsets for each place of a photo and each colour.
#[derive(Clone, Debug)]
pub(super) struct Tones {
    /// Where in its source the photo is.
    inside: Area,
    width: usize,
    height: usize,
    /// `[height, width, 3]` over the photo.
    tones: Vec<[Tone; 3]>,
}

impl Tones {
    /// From a view and what the network makes of it.
    pub(super) fn new(inside: Area, view: &Image, restored: &Image) -> Self {
        let (width, height) = (view.width(), view.height());
        let of = |image: &Image, channel: usize| -> Vec<f64> {
            let samples = image.pixels().iter().skip(channel).step_by(3);
            samples.map(|&sample| f64::from(sample)).collect()
        };
        let [red, green, blue] =
            [0, 1, 2].map(|channel| fitted(&of(view, channel), &of(restored, channel), width));
        Self {
            inside,
            width,
            height,
            tones: (0..width * height)
                .map(|at| [red[at], green[at], blue[at]])
                .collect(),
        }
    }

    /// How much they change the samples of their view, on average.
    pub(super) fn change(&self, view: &Image) -> f32 {
        let tones = self.tones.iter().flatten();
        let changes = tones
            .zip(view.pixels())
            .map(|(tone, sample)| (tone.gain * sample + tone.offset - sample).abs());
        changes.sum::<f32>() / view.pixels().len() as f32
    }

    /// With no more than a share of what they change.
    pub(super) fn thinned(mut self, share: f32) -> Self {
        let none = Tone {
            gain: 1.0,
            offset: 0.0,
        };
        for tone in self.tones.iter_mut().flatten() {
            *tone = none.towards(*tone, share);
        }
        self
    }

    /// Does to an area of the photo, `[height, width, 3]`, a share of what they change. No sample leaves 0..=1 that was inside.
    pub(super) fn apply(&self, area: Area, rgb: &mut [f32], share: f32) {
        let places = |start: usize, count: usize, from: usize, length: usize, cells: usize| {
            (start..start + count)
                .map(|at| {
                    // Outside of the photo is its frame.
                    let place = (at as f32 - from as f32 + 0.5) / length as f32;
                    let place = place.clamp(0.0, 1.0) * cells as f32 - 0.5;
                    let place = place.clamp(0.0, (cells - 1) as f32);
                    (place as usize, place.fract())
                })
                .collect::<Vec<_>>()
        };
        let inside = self.inside;
        let columns = places(area.x, area.width, inside.x, inside.width, self.width);
        let rows = places(area.y, area.height, inside.y, inside.height, self.height);
        let next = |at: usize, cells: usize| (at + 1).min(cells - 1);
        let mut line = vec![self.tones[0]; self.width];
        for (row, (y, down)) in rgb.chunks_exact_mut(area.width * 3).zip(rows) {
            let upper = &self.tones[y * self.width..];
            let lower = &self.tones[next(y, self.height) * self.width..];
            for (tones, (upper, lower)) in line.iter_mut().zip(upper.iter().zip(lower)) {
                for (tone, (upper, lower)) in tones.iter_mut().zip(upper.iter().zip(lower)) {
                    *tone = upper.towards(*lower, down);
                }
            }
            for (pixel, &(x, along)) in row.chunks_exact_mut(3).zip(&columns) {
                let [left, right] = [&line[x], &line[next(x, self.width)]];
                for (sample, (left, right)) in pixel.iter_mut().zip(left.iter().zip(right)) {
                    let tone = left.towards(*right, along);
                    let lifted = tone.gain * *sample + tone.offset;
                    let lifted = lifted.clamp(sample.min(0.0), sample.max(1.0));
                    *sample += share * (lifted - *sample);
                }
            }
        }
    }
}

/// Gains and offsets that make of one picture another, slowly changing from place to place; where a picture tells no gain
/// it is 1.
fn fitted(seen: &[f64], made: &[f64], width: usize) -> Vec<Tone> {
    let means = |values: Vec<f64>| means(&values, width, RADIUS);
    let product = |a: &[f64], b: &[f64]| means(a.iter().zip(b).map(|(a, b)| a * b).collect());
    let (seen_mean, made_mean) = (means(seen.to_vec()), means(made.to_vec()));
    let (square, both) = (product(seen, seen), product(seen, made));
    let gains: Vec<f64> = (0..seen.len())
        .map(|at| {
            let variance = (square[at] - seen_mean[at] * seen_mean[at]).max(0.0);
            let covariance = both[at] - seen_mean[at] * made_mean[at];
            (covariance + VARIANCE) / (variance + VARIANCE)
        })
        .collect();
    let offsets = (0..seen.len()).map(|at| made_mean[at] - gains[at] * seen_mean[at]);
    let (offsets, gains) = (means(offsets.collect()), means(gains));
    let tones = gains.into_iter().zip(offsets).map(|(gain, offset)| Tone {
        gain: gain as f32,
        offset: offset as f32,
    });
    tones.collect()
}
