//! A decoded photo.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dino_ir::restore::Area;

use super::layout::{Half, PairFiles};
use crate::data::degrade::blur::mirror;
use crate::data::rgb::{Rgb, decode};
use crate::host::interrupt;

/// One decoded photo: interleaved 8-bit RGB, sRGB-encoded.
#[derive(Debug)]
pub struct Photo {
    /// Path inside its folder.
    pub name: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` samples.
    pub samples: Vec<u8>,
}

impl Photo {
    /// Reads a file; alpha is dropped, 16 bit becomes 8. Errors name the file, but for the one after Ctrl-C: there may
    /// be thousands more to load.
    pub fn load(path: &Path, name: String) -> Result<Self> {
        ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
        Self::of(decode(path)?, name).with_context(|| path.display().to_string())
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If they are no picture.
    pub(super) fn from_bytes(bytes: &[u8], name: String) -> Result<Self> {
        let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        Self::of(reader.decode()?, name)
    }

    fn of(decoded: image::DynamicImage, name: String) -> Result<Self> {
        let decoded = decoded.into_rgb8();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        ensure!(width > 0 && height > 0, "has no pixels");
        Ok(Self {
            name,
            width,
            height,
            samples: decoded.into_raw(),
        })
    }

    /// The truth in a pair's clean file, which this is.
    pub(super) fn truth(self, pair: &PairFiles) -> Self {
        match pair.truth((self.width, self.height)) {
            Some(truth) => self.crop(truth),
            None => self,
        }
    }

    /// One half of a picture that holds two side by side.
    pub(super) fn half(self, half: Half) -> Self {
        let area = half.area((self.width, self.height));
        self.crop(area)
    }

    /// What lies in the area, which must be inside.
    pub(super) fn crop(self, area: Area) -> Self {
        let columns = 3 * area.x..3 * (area.x + area.width);
        let rows = self.samples.chunks_exact(3 * self.width);
        Self {
            samples: rows
                .skip(area.y)
                .take(area.height)
                .flat_map(|row| row[columns.clone()].iter().copied())
                .collect(),
            width: area.width,
            height: area.height,
            ..self
        }
    }

    /// The rectangle with its corner at (`x`, `y`), which may reach outside: there the photo continues mirrored.
    pub fn patch(&self, x: isize, y: isize, width: usize, height: usize) -> Rgb {
        let columns: Vec<usize> = (0..width)
            .map(|dx| mirror(x + dx as isize, self.width) * 3)
            .collect();
        let mut pixels = Vec::with_capacity(width * height * 3);
        for dy in 0..height {
            let row = mirror(y + dy as isize, self.height) * self.width * 3;
            for column in &columns {
                let at = row + column;
                pixels.extend(
                    self.samples[at..at + 3]
                        .iter()
                        .map(|&v| f32::from(v) / 255.0),
                );
            }
        }
        Rgb {
            width,
            height,
            pixels,
        }
    }
}
