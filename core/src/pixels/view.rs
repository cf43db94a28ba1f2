//! Borrowed pixels with their layout.

use super::{ColourProfile, PixelFormat, SampleType, Transfer};
use crate::restore::{Area, Progress, ProgressCallback, Sink, Source, report};
use crate::{Error, Result};

/// Borrowed samples: made by `into()` from `&[u8]`, `&[u16]` or `&[f32]`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    bytes: &'a [u8],
    sample: SampleType,
}

/// Borrowed samples to be written: made by `into()` from `&mut [u8]`, `&mut [u16]` or `&mut [f32]`.
#[derive(Debug)]
pub struct SamplesMut<'a> {
    bytes: &'a mut [u8],
    sample: SampleType,
}

macro_rules! samples {
    ($($type:ty: $sample:ident),*) => {$(
        impl<'a> From<&'a [$type]> for Samples<'a> {
            fn from(samples: &'a [$type]) -> Self {
                Self { bytes: bytemuck::cast_slice(samples), sample: SampleType::$sample }
            }
        }

        impl<'a> From<&'a mut [$type]> for SamplesMut<'a> {
            fn from(samples: &'a mut [$type]) -> Self {
                Self { bytes: bytemuck::cast_slice_mut(samples), sample: SampleType::$sample }
            }
        }
    )*};
}

samples!(u8: U8, u16: U16, f32: F32);

/// Size and strides of pixels, checked against their buffer.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    width: usize,
    height: usize,
    /// Bytes from a row to the next.
    stride: usize,
    format: PixelFormat<'a>,
}

impl<'a> Layout<'a> {
    /// Rows without gaps in a buffer of `length` bytes.
    fn new(width: usize, height: usize, format: PixelFormat<'a>, length: usize) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::InvalidImage(format!(
                "{width}x{height} has no pixels"
            )));
        }
        let stride = width.checked_mul(format.bytes()).ok_or_else(too_large)?;
        let layout = Self {
            width,
            height,
            stride,
            format,
        };
        layout.check(length)?;
        Ok(layout)
    }

    /// With rows `stride` samples apart.
    fn with_stride(self, stride: usize, length: usize) -> Result<Self> {
        let sample = self.format.bytes() / self.format.channels();
        let stride = stride.checked_mul(sample).ok_or_else(too_large)?;
        if stride < self.row_bytes() {
            return Err(Error::InvalidImage(format!(
                "rows {} samples apart overlap: a row has {}",
                stride / sample,
                self.width * self.format.channels()
            )));
        }
        let layout = Self { stride, ..self };
        layout.check(length)?;
        Ok(layout)
    }

    fn check(&self, length: usize) -> Result<()> {
        let needed = (self.height - 1)
            .checked_mul(self.stride)
            .and_then(|bytes| bytes.checked_add(self.row_bytes()))
            .ok_or_else(too_large)?;
        if length < needed {
            let sample = self.format.bytes() / self.format.channels();
            return Err(Error::InvalidImage(format!(
                "{}x{} with {} channels needs {} samples, got {}",
                self.width,
                self.height,
                self.format.channels(),
                needed / sample,
                length / sample
            )));
        }
        Ok(())
    }

    fn row_bytes(&self) -> usize {
        self.width * self.format.bytes()
    }

    fn row(&self, y: usize) -> std::ops::Range<usize> {
        y * self.stride..y * self.stride + self.row_bytes()
    }
}

fn too_large() -> Error {
    Error::InvalidImage("the picture is too large for this machine".to_owned())
}

/// Pixels to be read: rows from the top, each from the left.
#[derive(Clone, Copy, Debug)]
pub struct PixelView<'a> {
    bytes: &'a [u8],
    layout: Layout<'a>,
}

impl<'a> PixelView<'a> {
    /// Pixels of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) samples, `[height, width, channels]` without gaps,
    /// sRGB-encoded. Alpha is not multiplied into the colours.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] for a size of 0, other channels, or too few samples.
    pub fn new(
        samples: impl Into<Samples<'a>>,
        width: usize,
        height: usize,
        channels: usize,
    ) -> Result<Self> {
        let Samples { bytes, sample } = samples.into();
        let format = PixelFormat::new(channels, sample, Transfer::Srgb)?;
        let layout = Layout::new(width, height, format, bytes.len())?;
        Ok(Self { bytes, layout })
    }

    /// Rows begin `stride` samples apart.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if rows would overlap or leave the buffer.
    pub fn with_stride(self, stride: usize) -> Result<Self> {
        let layout = self.layout.with_stride(stride, self.bytes.len())?;
        Ok(Self { layout, ..self })
    }

    /// How its colours stand for light.
    #[must_use]
    pub fn with_transfer(mut self, transfer: Transfer) -> Self {
        self.layout.format = self.layout.format.with_transfer(transfer);
        self
    }

    /// In which profile its colours are.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if the profile is for grey and the pixels are not, or the other way round.
    pub fn with_profile(mut self, profile: &'a ColourProfile) -> Result<Self> {
        self.layout.format = self.layout.format.with_profile(profile)?;
        Ok(self)
    }

    /// Columns, rows, channels.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        size(&self.layout)
    }

    pub(super) fn format(&self) -> PixelFormat<'a> {
        self.layout.format
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[self.layout.row(y)]
    }
}

/// Pixels to be written, laid out as [`PixelView`]'s.
#[derive(Debug)]
pub struct PixelViewMut<'a> {
    bytes: &'a mut [u8],
    layout: Layout<'a>,
}

impl<'a> PixelViewMut<'a> {
    /// As [`PixelView::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(
        samples: impl Into<SamplesMut<'a>>,
        width: usize,
        height: usize,
        channels: usize,
    ) -> Result<Self> {
        let SamplesMut { bytes, sample } = samples.into();
        let format = PixelFormat::new(channels, sample, Transfer::Srgb)?;
        let layout = Layout::new(width, height, format, bytes.len())?;
        Ok(Self { bytes, layout })
    }

    /// Rows begin `stride` samples apart; what lies between them is not touched.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if rows would overlap or leave the buffer.
    pub fn with_stride(self, stride: usize) -> Result<Self> {
        let layout = self.layout.with_stride(stride, self.bytes.len())?;
        Ok(Self { layout, ..self })
    }

    /// How its colours shall stand for light.
    #[must_use]
    pub fn with_transfer(mut self, transfer: Transfer) -> Self {
        self.layout.format = self.layout.format.with_transfer(transfer);
        self
    }

    /// In which profile its colours shall be.
    ///
    /// # Errors
    /// As [`PixelView::with_profile`].
    pub fn with_profile(mut self, profile: &'a ColourProfile) -> Result<Self> {
        self.layout.format = self.layout.format.with_profile(profile)?;
        Ok(self)
    }

    /// Columns, rows, channels.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        size(&self.layout)
    }

    pub(super) fn format(&self) -> PixelFormat<'a> {
        self.layout.format
    }

    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.bytes[self.layout.row(y)]
    }

    /// Copies every pixel, bit by bit; both have the same size and format.
    pub(super) fn copy(
        &mut self,
        from: &PixelView<'_>,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        let at = |done| Progress {
            done,
            total: 1,
            calibration: 0,
        };
        report(progress, at(0))?;
        for y in 0..self.layout.height {
            self.row_mut(y).copy_from_slice(from.row(y));
        }
        // A cancel that comes with the last report comes too late for a copy.
        let _ = progress(at(1));
        Ok(())
    }

    /// Takes restored rows of `before`, and, where there is room for them, the expected errors.
    pub(super) fn sink<'b>(
        &'b mut self,
        before: &'b PixelView<'b>,
        errors: Option<&'b mut [f32]>,
    ) -> impl Sink + 'b
    where
        'a: 'b,
    {
        Rows {
            before,
            bytes: self.bytes,
            layout: self.layout,
            errors,
        }
    }
}

fn size(layout: &Layout<'_>) -> (usize, usize, usize) {
    (layout.width, layout.height, layout.format.channels())
}

impl Source for PixelView<'_> {
    fn width(&self) -> usize {
        self.layout.width
    }

    fn height(&self) -> usize {
        self.layout.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        let pixel = self.layout.format.bytes();
        for (rgb, y) in rgb.chunks_exact_mut(area.width * 3).zip(area.y..) {
            let pixels = &self.row(y)[area.x * pixel..][..area.width * pixel];
            self.layout.format.read(pixels, rgb);
        }
        Ok(())
    }
}

/// Alpha, and all of the pixels that it hides, come from the input.
struct Rows<'a> {
    before: &'a PixelView<'a>,
    bytes: &'a mut [u8],
    layout: Layout<'a>,
    /// One for each pixel.
    errors: Option<&'a mut [f32]>,
}

impl Sink for Rows<'_> {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        let before = self.before.format();
        for (rgb, y) in rows.chunks_exact(self.layout.width * 3).zip(y..) {
            let after = &mut self.bytes[self.layout.row(y)];
            before.write(rgb, self.before.row(y), after, &self.layout.format);
        }
        Ok(())
    }

    fn write_uncertainty(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        let Some(errors) = &mut self.errors else {
            return Ok(());
        };
        let (width, format) = (self.layout.width, self.before.format());
        for (from, y) in rows.chunks_exact(width).zip(y..) {
            let pixels = self.before.row(y).chunks_exact(format.bytes());
            let to = &mut errors[y * width..][..width];
            for ((to, from), pixel) in to.iter_mut().zip(from).zip(pixels) {
                *to = if format.hides(pixel) { 0.0 } else { *from };
            }
        }
        Ok(())
    }
}
