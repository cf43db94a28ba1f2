//! Where pixels come from and where they go.

use super::progress::report;
use super::{Area, Progress, ProgressCallback};
use crate::image::{Image, samples};
use crate::{Error, Result};

/// Rows copied at a time when there is nothing to restore.
const COPIED_ROWS: usize = 64;

/// Pixels to restore, read a rectangle at a time; a pixel may be read more than once.
pub trait Source {
    /// Columns, at least 1.
    fn width(&self) -> usize;

    /// Rows, at least 1.
    fn height(&self) -> usize;

    /// Fills `rgb`, `[area.height, area.width, 3]`, interleaved RGB, sRGB-encoded, nominally 0..=1.
    /// `area` is inside the image and not empty. A pixel that is hidden, with an alpha of 0, is given as three times NaN:
    /// the network sees the colours around it instead, and the sink, which has the photo's alpha, keeps what is there.
    ///
    /// # Errors
    /// Whatever goes wrong, best as [`Error::Caller`]; it ends the restoration.
    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()>;
}

/// Takes finished pixels.
pub trait Sink {
    /// Takes full-width rows, interleaved RGB, not clamped; `y` is the first. Rows come in order,
    /// each once.
    ///
    /// # Errors
    /// Whatever goes wrong, best as [`Error::Caller`]; it ends the restoration.
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()>;

    /// Takes the expected absolute errors of the rows written last, `[rows, width]`: one number for each pixel, the mean
    /// over red, green and blue, 0..=1 as samples are. It is called only with [`Options::uncertainty`](super::Options::uncertainty);
    /// a sink that has no use for them need not have it.
    ///
    /// # Errors
    /// As [`write_rows`](Self::write_rows).
    fn write_uncertainty(&mut self, _y: usize, _errors: &[f32]) -> Result<()> {
        Ok(())
    }
}

impl Source for Image {
    fn width(&self) -> usize {
        Image::width(self)
    }

    fn height(&self) -> usize {
        Image::height(self)
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        for (row, to) in rgb.chunks_exact_mut(area.width * 3).enumerate() {
            let from = ((area.y + row) * Image::width(self) + area.x) * 3;
            to.copy_from_slice(&self.pixels()[from..from + area.width * 3]);
        }
        Ok(())
    }
}

/// Collects rows to an [`Image`].
#[derive(Debug)]
pub struct ImageSink {
    width: usize,
    height: usize,
    pixels: Vec<f32>,
}

impl ImageSink {
    /// For an image of that size.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] on an empty or impossible size.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        let pixels = Vec::with_capacity(samples(width, height)?);
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// The image.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if rows are missing or not finite.
    pub fn finish(self) -> Result<Image> {
        Image::new(self.width, self.height, self.pixels)
    }
}

impl Sink for ImageSink {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        if y * self.width * 3 != self.pixels.len() {
            return Err(Error::InvalidImage(format!("row {y} out of order")));
        }
        self.pixels.extend_from_slice(rows);
        Ok(())
    }
}

/// Copies every pixel as it is; progress counts groups of rows.
pub(super) fn copy(
    source: &dyn Source,
    sink: &mut dyn Sink,
    progress: ProgressCallback<'_>,
) -> Result<()> {
    let (width, height) = (source.width(), source.height());
    samples(width, height)?;
    let total = height.div_ceil(COPIED_ROWS);
    let mut rgb = vec![0.0; COPIED_ROWS.min(height) * width * 3];
    let progress_at = |done| Progress {
        done,
        total,
        calibration: 0,
    };
    report(progress, progress_at(0))?;
    for done in 0..total {
        let y = done * COPIED_ROWS;
        let rows = COPIED_ROWS.min(height - y);
        let rgb = &mut rgb[..rows * width * 3];
        source.read(
            Area {
                x: 0,
                y,
                width,
                height: rows,
            },
            rgb,
        )?;
        sink.write_rows(y, rgb)?;
        report(progress, progress_at(done + 1))?;
    }
    Ok(())
}
