//! An RGB image in memory.

use crate::{Error, Result};

/// Interleaved RGB, one `f32` a sample, row-major from the top left pixel; sRGB-encoded, nominally
/// 0..=1 (values outside are kept). Alpha, profiles and bit depth are the caller's.
///
/// At least one pixel, and every sample finite: inner code trusts it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    pixels: Vec<f32>,
}

impl Image {
    /// Checks that `pixels` holds `height * width * 3` finite samples.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] on an empty image, another number of samples, or NaN or infinity.
    pub fn new(width: usize, height: usize, pixels: Vec<f32>) -> Result<Self> {
        let samples = samples(width, height)?;
        if pixels.len() != samples {
            return Err(Error::InvalidImage(format!(
                "{width}x{height} RGB needs {samples} samples, got {}",
                pixels.len()
            )));
        }
        if let Some(at) = pixels.iter().position(|sample| !sample.is_finite()) {
            return Err(Error::InvalidImage(format!(
                "the sample at x {}, y {} is {}",
                at / 3 % width,
                at / 3 / width,
                pixels[at]
            )));
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Columns, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The samples, `[height, width, 3]`.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The samples, `[height, width, 3]`, without a copy.
    pub fn into_pixels(self) -> Vec<f32> {
        self.pixels
    }
}

/// The samples of an RGB image of that size, if it is one that an address space can hold.
pub(crate) fn samples(width: usize, height: usize) -> Result<usize> {
    if width == 0 || height == 0 {
        return Err(Error::InvalidImage(format!(
            "{width}x{height} has no pixels"
        )));
    }
    width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(3))
        .filter(|samples| *samples <= isize::MAX as usize / size_of::<f32>())
        .ok_or_else(|| {
            Error::InvalidImage(format!("{width}x{height} is too large for this machine"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_is_given() {
        let image = Image::new(2, 1, vec![0.0, 0.5, 1.0, -0.5, 1.5, 0.25]).expect("a good image");
        assert_eq!((image.width(), image.height()), (2, 1));
        assert_eq!(image.pixels()[3..], [-0.5, 1.5, 0.25]);
        assert_eq!(image.into_pixels().len(), 6);
    }

    #[test]
    fn refuses_what_is_no_image() {
        for (width, height, pixels) in [
            (0, 4, vec![]),
            (4, 0, vec![]),
            (1, 1, vec![0.0; 4]),
            (usize::MAX, 2, vec![0.0; 3]),
            (1, 1, vec![0.0, f32::NAN, 0.0]),
            (1, 1, vec![0.0, 0.0, f32::INFINITY]),
        ] {
            assert!(matches!(
                Image::new(width, height, pixels),
                Err(Error::InvalidImage(_))
            ));
        }
    }
}
