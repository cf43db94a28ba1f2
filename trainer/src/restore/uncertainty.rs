//! The picture of `--uncertainty`: how far off each pixel of a result may be.

use std::path::{Path, PathBuf};

use dino_ir::restore::Sink;

use crate::photo::pixels::{Restored, is_hidden};
use crate::photo::{Depth, Format, Metadata, Orientation, Photo};

/// The expected error that is white, 0..=1: 32 levels of 8 bits. More is white too, and none is black.
pub const WHITE: f32 = 32.0 / 255.0;

/// Bytes of the map for each pixel.
pub const BYTES: u64 = 2;

/// Takes restored pixels, and the expected errors of them.
pub struct Mapped {
    restored: Restored,
    /// 16-bit grey.
    map: Vec<u8>,
}

impl Mapped {
    /// Makes room for the restored pixels of `photo`; for the map, if there is to be one.
    pub fn of(photo: &Photo, mapped: bool) -> Self {
        let map = match mapped {
            true => Vec::with_capacity(photo.width * photo.height * BYTES as usize),
            false => Vec::new(),
        };
        Self {
            restored: Restored::of(photo),
            map,
        }
    }

    /// The restored samples, and those of the map, once every row is written.
    pub fn into_samples(self) -> (Vec<u8>, Vec<u8>) {
        (self.restored.into_samples(), self.map)
    }
}

impl Sink for Mapped {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> dino_ir::Result<()> {
        self.restored.write_rows(y, rows)
    }

    fn write_uncertainty(&mut self, _: usize, errors: &[f32]) -> dino_ir::Result<()> {
        let depth = Depth::Sixteen;
        for error in errors {
            let grey = (error / WHITE).clamp(0.0, 1.0);
            depth.put(grey * depth.white(), &mut self.map);
        }
        Ok(())
    }
}

/// The map of a photo as a picture: upright, as the photo is shown, and black where alpha hides it.
pub fn picture(photo: &Photo, orientation: Orientation, mut samples: Vec<u8>) -> Photo {
    if photo.has_alpha() {
        let pixels = photo
            .samples
            .chunks_exact(photo.channels * photo.depth.bytes());
        for (grey, pixel) in samples.chunks_exact_mut(BYTES as usize).zip(pixels) {
            if is_hidden(pixel, photo.depth) {
                grey.fill(0);
            }
        }
    }
    let mut map = Photo {
        width: photo.width,
        height: photo.height,
        channels: 1,
        depth: Depth::Sixteen,
        samples,
        format: Format::Png,
        metadata: Metadata::default(),
        notes: vec![],
    };
    map.turn(orientation);
    map
}

/// Reads the argument of `--uncertainty`.
///
/// # Errors
/// A name that does not end as that of a PNG.
pub fn parse(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match Format::of_output(path) {
        Some(Format::Png) => Ok(path.into()),
        _ => Err("the map is a PNG; give a name that ends in .png".into()),
    }
}
