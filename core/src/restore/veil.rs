//! The veil of haze over a photo, found from afar.
//!
//! The nearer the network looks, the less it knows of haze: the mist over a valley fills a tile as a grey wall does. So it also
//! sees a small view of the whole photo. What it makes of the view's colours from place to place, a gain and an offset in
//! the way of a guided filter (He et al., "Guided Image Filtering", 2010), is done to the photo before it is restored: the
//! rest of the network's work, all that is fine, is done on the photo itself. A photo that the diagnosis
//! calls clear is left alone, because from afar the network takes many grey scenes for hazy ones.

mod view;

use super::frame::Frame;
use super::part::whole;
use super::tile_input::{network_input, read_reflected};
use super::{Area, Network, Options, Purpose, Removal, Restorer, Source, TileInput};
use crate::image::Image;
use crate::model::diagnosis::{Diagnosis, Fault};
use crate::ops;
use crate::{Error, Result};

/// The longer side of the view that the network restores. Of 140 to 400 pixels it is where haze goes best.
const FAR: usize = 280;
/// The longer side of the view whose haze is diagnosed, in up to four windows.
const NEARER: usize = 448;
/// Haze below the first is none, from the second on all of the veil is lifted. Of good photos one in forty is above the first;
/// of hazy ones nine in ten are (docs/RECIPE.md).
const HAZE: [f32; 2] = [0.12, 0.16];
/// A mean change of the samples, 0..=1, that nobody would miss: then there is no veil to ask for.
const LEAST: f32 = 2.0 / 255.0;
/// Pixels of the view, along each side from the middle, in which gain and offset are told.
const RADIUS: usize = 16;
/// A variance of the samples, 0..=1 squared, from which on a gain is told well.
const VARIANCE: f64 = 30.0 / (255.0 * 255.0);
/// Bytes that views and means take, at most.
const BYTES: u64 = 12 << 20;

/// What takes the haze away from a photo: at each place, and for each colour, a gain and an offset.
#[derive(Clone, Debug)]
pub struct Veil {
    /// Where in its source the photo is.
    inside: Area,
    width: usize,
    height: usize,
    /// `[height, width, 3]` over the photo.
    tones: Vec<[Tone; 3]>,
}

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

impl Veil {
    /// From a view and what the network makes of it.
    fn new(inside: Area, view: &Image, restored: &Image) -> Self {
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

    /// How much it changes the samples of its view, on average.
    fn change(&self, view: &Image) -> f32 {
        let tones = self.tones.iter().flatten();
        let changes = tones
            .zip(view.pixels())
            .map(|(tone, sample)| (tone.gain * sample + tone.offset - sample).abs());
        changes.sum::<f32>() / view.pixels().len() as f32
    }

    /// With no more than a share of it to be lifted.
    fn thinned(mut self, share: f32) -> Self {
        let none = Tone {
            gain: 1.0,
            offset: 0.0,
        };
        for tone in self.tones.iter_mut().flatten() {
            *tone = none.towards(*tone, share);
        }
        self
    }

    /// Does to an area of the photo, `[height, width, 3]`, a share of what takes its haze away. No sample leaves 0..=1 that
    /// was inside.
    fn lift(&self, area: Area, rgb: &mut [f32], share: f32) {
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
    let means = |values: Vec<f64>| view::means(&values, width, RADIUS);
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

/// A photo from which a share of its veil is lifted, if it has one.
pub(super) struct Lifted<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) veil: Option<&'a Veil>,
    /// 0..=1.
    pub(super) share: f32,
}

impl Source for Lifted<'_> {
    fn width(&self) -> usize {
        self.source.width()
    }

    fn height(&self) -> usize {
        self.source.height()
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        self.source.read(area, rgb)?;
        if let Some(veil) = self.veil {
            veil.lift(area, rgb, self.share);
        }
        Ok(())
    }
}

/// The network's input for a view.
fn input(view: &Image, multiple: usize) -> Result<TileInput> {
    let all = whole(view);
    let area = Area {
        width: all.width.next_multiple_of(multiple),
        height: all.height.next_multiple_of(multiple),
        ..all
    };
    let planar = read_reflected(view, area, all)?;
    Ok(network_input(&planar, area, 0, Purpose::Restore))
}

/// The view, from what the network made of its [`input`]: clipped, as it would be stored.
fn output(view: &Image, multiple: usize, planar: &[f32]) -> Result<Image> {
    let [width, height] = [view.width(), view.height()];
    let [columns, rows] = [width, height].map(|length| length.next_multiple_of(multiple));
    if planar.len() != 3 * rows * columns || planar.iter().any(|sample| !sample.is_finite()) {
        return Err(Error::broken(
            "the network gave no good view of the whole photo",
        ));
    }
    let pixels = (0..height * width).flat_map(|at| {
        let at = at / width * columns + at % width;
        [0, 1, 2].map(|channel| planar[channel * rows * columns + at].clamp(0.0, 1.0))
    });
    Image::new(width, height, pixels.collect())
}

/// A photo from afar.
struct Views {
    inside: Area,
    nearer: Image,
    far: Image,
}

impl Views {
    /// The veil, if there is one that the diagnosis has to confirm.
    fn veil(&self, restored: &Image) -> Option<Veil> {
        let veil = Veil::new(self.inside, &self.far, restored);
        (veil.change(&self.far) >= LEAST).then_some(veil)
    }
}

/// As much of a veil as there is haze. Noise that is to stay would grow with what is under the veil, so there it stays, too.
fn confirmed(veil: Veil, diagnosis: &Diagnosis, removal: &Removal) -> Option<Veil> {
    if removal.noise < 1.0 && diagnosis.finds(Fault::Noise) {
        return None;
    }
    let [least, most] = HAZE;
    let haze = diagnosis.faults.badness(Fault::Haze);
    let share = ((haze - least) / (most - least)).clamp(0.0, 1.0);
    (share > 0.0).then(|| veil.thinned(share))
}

impl<N: Network> Restorer<N> {
    /// Looks at all of a photo from afar. `None` if it is clear; if it is so small that the network sees all of it from near;
    /// if the options keep the haze, or noise that is found; and if the weights have no diagnosis, which tells haze.
    ///
    /// # Errors
    /// [`Error::Device`] if the network's result cannot be read or is not finite; the source's own errors.
    pub fn veil(&self, source: &dyn Source, options: &Options) -> Result<Option<Veil>> {
        self.veil_inside(source, Frame::of(source)?.inside, options)
    }

    /// The same, of a photo whose place in its source is known.
    pub(super) fn veil_inside(
        &self,
        source: &dyn Source,
        inside: Area,
        options: &Options,
    ) -> Result<Option<Veil>> {
        let Some(views) = self.views(source, inside, options)? else {
            return Ok(None);
        };
        let multiple = self.network().multiple();
        let restored = self.run(input(&views.far, multiple)?)?;
        match views.veil(&output(&views.far, multiple, &restored)?) {
            Some(veil) => {
                let diagnosis = self.diagnose(&views.nearer)?;
                Ok(confirmed(veil, &diagnosis, &options.removal))
            }
            None => Ok(None),
        }
    }

    /// As [`veil`](Self::veil), where waiting for a device is not allowed, as in a browser.
    ///
    /// # Errors
    /// As `veil`.
    pub async fn veil_async(&self, source: &dyn Source, options: &Options) -> Result<Option<Veil>> {
        let inside = Frame::of(source)?.inside;
        let Some(views) = self.views(source, inside, options)? else {
            return Ok(None);
        };
        let multiple = self.network().multiple();
        let restored = super::run(self.network(), input(&views.far, multiple)?, &self.device);
        let restored = ops::values_async(restored).await?;
        match views.veil(&output(&views.far, multiple, &restored)?) {
            Some(veil) => {
                let diagnosis = self.diagnose_async(&views.nearer).await?;
                Ok(confirmed(veil, &diagnosis, &options.removal))
            }
            None => Ok(None),
        }
    }

    fn views(&self, source: &dyn Source, inside: Area, options: &Options) -> Result<Option<Views>> {
        let bytes = BYTES + self.network().activation_bytes(FAR, FAR);
        let too_large = options.bound().is_some_and(|bound| bytes > bound);
        let small = inside.width.max(inside.height) <= FAR;
        if !self.diagnoses() || small || too_large || options.removal.haze == 0.0 {
            return Ok(None);
        }
        let nearer = view::view(source, inside, NEARER)?;
        let far = view::view(&nearer, whole(&nearer), FAR)?;
        Ok(Some(Views {
            inside,
            nearer,
            far,
        }))
    }
}
