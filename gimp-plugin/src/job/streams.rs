//! The host's pixels as what the restorer reads and writes, a few rows at a time: a whole layer in
//! floats would take more memory than everything else.

use std::cell::RefCell;

use dino_ir::restore::{Area, Sink, Source};

use crate::host::{Drawable, Host};

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
}

impl<'a, 'host> Output<'a, 'host> {
    /// `selection` is inside the drawable.
    pub fn new(
        host: &'a RefCell<&'host mut dyn Host>,
        drawable: &'a Drawable,
        selection: Area,
    ) -> Self {
        Self {
            host,
            drawable,
            selection,
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
            let area = Area {
                y: self.selection.y + y + part * ROWS,
                height: rows.len() / stride,
                ..self.selection
            };
            self.write(area, rows);
        }
        Ok(())
    }
}
