//! A host without an editor, for tests: it does to its pixels what GIMP does.

use dino_ir::restore::Area;

use super::{Drawable, ErrorMap, Host, Refused};
use crate::preview::Place;
use crate::settings::Output;

/// One drawable with its samples, and what became of it.
pub struct Memory {
    /// The facts.
    pub drawable: Drawable,
    /// `[height, width, channels]`.
    pub pixels: Vec<f32>,
    /// How much of each pixel is selected, `[height, width]`.
    pub mask: Vec<f32>,
    /// The layer put above, if any.
    pub above: Option<Vec<f32>>,
    /// The hidden layer with the expected errors, if any.
    pub errors: Option<ErrorMap>,
    /// Steps that the user could undo.
    pub steps: usize,
    /// Lines of progress.
    pub progress: Vec<(f64, String)>,
    /// Largest number of samples read or written at once.
    pub largest: std::cell::Cell<usize>,
    /// Refuse the result at the end.
    pub refuse: bool,
    /// Where a preview has looked.
    pub place: std::cell::Cell<Option<Place>>,
    draft: Vec<f32>,
}

impl Memory {
    /// Everything selected.
    pub fn new(drawable: Drawable, pixels: Vec<f32>) -> Self {
        let area = drawable.width * drawable.height;
        assert_eq!(pixels.len(), area * drawable.channels());
        Self {
            drawable,
            draft: pixels.iter().map(|_| f32::NAN).collect(),
            pixels,
            mask: vec![1.0; area],
            above: None,
            errors: None,
            steps: 0,
            progress: Vec::new(),
            largest: std::cell::Cell::new(0),
            refuse: false,
            place: std::cell::Cell::default(),
        }
    }

    fn rows(&self, area: Area) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let Drawable { width, height, .. } = self.drawable;
        assert!(area.width > 0 && area.height > 0, "{area:?} is empty");
        assert!(
            area.x + area.width <= width && area.y + area.height <= height,
            "{area:?} is outside"
        );
        let channels = self.drawable.channels();
        (area.y..area.y + area.height).map(move |y| {
            let start = (y * width + area.x) * channels;
            start..start + area.width * channels
        })
    }

    /// The pixels seen through the mask: the draft where it is 1.
    fn merged(&self) -> Vec<f32> {
        let channels = self.drawable.channels();
        let mix = |at: usize| {
            let mask = self.mask[at / channels];
            if mask == 0.0 {
                return self.pixels[at];
            }
            assert!(
                !self.draft[at].is_nan(),
                "a selected sample was not written"
            );
            self.pixels[at] * (1.0 - mask) + self.draft[at] * mask
        };
        (0..self.pixels.len()).map(mix).collect()
    }
}

impl Host for Memory {
    fn drawable(&self) -> Drawable {
        self.drawable
    }

    fn read(&self, area: Area, samples: &mut [f32]) {
        self.largest.set(self.largest.get().max(samples.len()));
        let rows = samples.chunks_exact_mut(area.width * self.drawable.channels());
        for (to, from) in rows.zip(self.rows(area)) {
            to.copy_from_slice(&self.pixels[from]);
        }
    }

    fn selected(&self, area: Area, selected: &mut [f32]) {
        let rows = area.y..area.y + area.height;
        for (row, to) in rows.zip(selected.chunks_exact_mut(area.width)) {
            let start = row * self.drawable.width + area.x;
            to.copy_from_slice(&self.mask[start..start + area.width]);
        }
    }

    fn refresh(&self) {}

    fn place(&self) -> Option<Place> {
        self.place.get()
    }

    fn keep_place(&self, place: Place) {
        self.place.set(Some(place));
    }

    fn write(&mut self, area: Area, samples: &[f32]) {
        self.largest.set(self.largest.get().max(samples.len()));
        let rows = samples.chunks_exact(area.width * self.drawable.channels());
        for (from, to) in rows.zip(self.rows(area)) {
            self.draft[to].copy_from_slice(from);
        }
    }

    fn finish(&mut self, output: Output, errors: Option<&ErrorMap>) -> Result<(), Refused> {
        if self.refuse {
            return Err(Refused);
        }
        let merged = self.merged();
        match output {
            Output::Replace => self.pixels = merged,
            Output::NewLayer => self.above = Some(merged),
        }
        self.errors = errors.cloned();
        self.steps += 1;
        Ok(())
    }

    fn duplicate(&mut self) -> Result<(), Refused> {
        self.above = Some(self.pixels.clone());
        self.steps += 1;
        Ok(())
    }

    fn progress(&mut self, fraction: f64, text: &str) {
        self.progress.push((fraction, text.to_owned()));
    }
}
