//! The host's pixels as what the restorer reads and writes, a few rows at a time: a whole layer in
//! floats would take more memory than everything else.

use std::cell::RefCell;

use dino_ir::restore::{Area, Sink, Source};

use crate::host::{Drawable, ErrorMap, Host};

/// Rows that are converted and written at a time.
const ROWS: usize = 32;

/// A drawable, read as RGB: grey as three equal channels; what alpha hides has no colours.
pub struct Input<'a, 'host> {
    host: &'a RefCell<&'host mut dyn Host>,
    drawable: &'a Drawable,
}

impl<'a, 'host> Input<'a, 'host> {
    /// `drawable` is the host's.
    pub fn new(host: &'a RefCell<&'host mut dyn Host>, drawable: &'a Drawable) -> Self {
        Self { host, drawable }
    }
}

impl Source for Input<'_, '_> {
    fn width(&self) -> usize {
        self.drawable.width
    }

    fn height(&self) -> usize {
        self.drawable.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        let channels = self.drawable.channels();
        if channels == 3 {
            self.host.borrow().read(area, rgb);
            return Ok(());
        }
        let mut samples = vec![0.0; area.width * area.height * channels];
        self.host.borrow().read(area, &mut samples);
        to_rgb(self.drawable, &samples, rgb);
        Ok(())
    }
}

/// A host's samples of a drawable as a restorer reads them.
pub fn to_rgb(drawable: &Drawable, samples: &[f32], rgb: &mut [f32]) {
    let pixels = samples.chunks_exact(drawable.channels());
    for (to, from) in rgb.chunks_exact_mut(3).zip(pixels) {
        match drawable.colours() {
            _ if drawable.hides(from) => to.fill(f32::NAN),
            1 => to.fill(from[0]),
            _ => to.copy_from_slice(&from[..3]),
        }
    }
}

/// Writes the restored rows of the selection. Alpha, and all of the pixels that it hides, are the drawable's.
pub struct Output<'a, 'host> {
    host: &'a RefCell<&'host mut dyn Host>,
    drawable: &'a Drawable,
    selection: Area,
    errors: Option<ErrorMap>,
}

impl<'a, 'host> Output<'a, 'host> {
    /// `selection` is inside the drawable. `mapped`: whether expected errors are kept.
    pub fn new(
        host: &'a RefCell<&'host mut dyn Host>,
        drawable: &'a Drawable,
        selection: Area,
        mapped: bool,
    ) -> Self {
        Self {
            host,
            drawable,
            selection,
            errors: mapped.then(|| ErrorMap::new(selection)),
        }
    }

    /// The expected errors, if they were to be kept.
    pub fn into_errors(self) -> Option<ErrorMap> {
        self.errors
    }

    /// How much of each pixel is restored, 0..=1: what is selected, and not hidden by alpha.
    fn restored(&self, area: Area) -> Vec<f32> {
        let (host, pixels) = (self.host.borrow(), area.width * area.height);
        let mut restored = vec![0.0; pixels];
        host.selected(area, &mut restored);
        if self.drawable.alpha {
            let channels = self.drawable.channels();
            let mut samples = vec![0.0; pixels * channels];
            host.read(area, &mut samples);
            for (restored, pixel) in restored.iter_mut().zip(samples.chunks_exact(channels)) {
                if self.drawable.hides(pixel) {
                    *restored = 0.0;
                }
            }
        }
        restored
    }

    /// Rows of the selection, the first of which is its row `y`.
    fn rows(&self, y: usize, height: usize) -> Area {
        Area {
            y: self.selection.y + y,
            height,
            ..self.selection
        }
    }

    /// Writes rows, `[area.height, area.width, 3]`.
    fn write(&mut self, area: Area, rows: &[f32]) {
        let (colours, channels) = (self.drawable.colours(), self.drawable.channels());
        let mut samples = vec![0.0; area.width * area.height * channels];
        if self.drawable.alpha {
            self.host.borrow().read(area, &mut samples);
        }
        let pixels = rows.chunks_exact(3);
        for (to, rgb) in samples.chunks_exact_mut(channels).zip(pixels) {
            if !self.drawable.hides(to) {
                // The three of a grey photo are equal.
                to[..colours].copy_from_slice(&rgb[..colours]);
            }
        }
        self.host.borrow_mut().write(area, &samples);
    }
}

impl Sink for Output<'_, '_> {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> dino_ir::Result<()> {
        let stride = self.selection.width * 3;
        for (part, rows) in rows.chunks(ROWS * stride).enumerate() {
            let area = self.rows(y + part * ROWS, rows.len() / stride);
            self.write(area, rows);
        }
        Ok(())
    }

    fn write_uncertainty(&mut self, y: usize, errors: &[f32]) -> dino_ir::Result<()> {
        let stride = self.selection.width;
        for (part, errors) in errors.chunks(ROWS * stride).enumerate() {
            let area = self.rows(y + part * ROWS, errors.len() / stride);
            let restored = self.restored(area);
            if let Some(map) = &mut self.errors {
                map.extend(errors, &restored);
            }
        }
        Ok(())
    }
}
