//! A part of an image as a source, and what lies in an area as a sink.

use super::peak_memory::ROWS;
use super::{Area, Sink, Source};
use crate::Result;

/// All of a source.
pub(super) fn whole(source: &dyn Source) -> Area {
    Area {
        x: 0,
        y: 0,
        width: source.width(),
        height: source.height(),
    }
}

/// A part of a source.
pub(super) struct Part<'a> {
    source: &'a dyn Source,
    area: Area,
}

impl<'a> Part<'a> {
    /// `area` is inside the source.
    pub(super) fn new(source: &'a dyn Source, area: Area) -> Self {
        Self { source, area }
    }
}

impl Source for Part<'_> {
    fn width(&self) -> usize {
        self.area.width
    }

    fn height(&self) -> usize {
        self.area.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        let area = Area {
            x: area.x + self.area.x,
            y: area.y + self.area.y,
            ..area
        };
        self.source.read(area, rgb)
    }
}

/// Hands on what of a part lies in an area.
pub(super) struct Crop<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) area: Area,
    pub(super) part: Area,
}

impl Crop<'_> {
    /// Hands on what is in the area of rows with so many values for each pixel, a few at a time.
    fn write(
        &mut self,
        y: usize,
        rows: &[f32],
        values: usize,
        mut write: impl FnMut(&mut dyn Sink, usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let (area, stride) = (self.area, self.part.width * values);
        let left = (area.x - self.part.x) * values;
        let first = self.part.y + y;
        let start = first.max(area.y);
        let end = (first + rows.len() / stride).min(area.y + area.height);
        for y in (start..end).step_by(ROWS) {
            let rows = &rows[(y - first) * stride..][..ROWS.min(end - y) * stride];
            let rows = rows.chunks_exact(stride);
            let cropped: Vec<f32> = rows
                .flat_map(|row| &row[left..left + area.width * values])
                .copied()
                .collect();
            write(self.sink, y - area.y, &cropped)?;
        }
        Ok(())
    }
}

impl Sink for Crop<'_> {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        self.write(y, rows, 3, |sink, y, rows| sink.write_rows(y, rows))
    }

    fn write_uncertainty(&mut self, y: usize, errors: &[f32]) -> Result<()> {
        self.write(y, errors, 1, |sink, y, errors| {
            sink.write_uncertainty(y, errors)
        })
    }
}
