//! Pixels of a caller, borrowed: 1 to 4 channels of `u8`, `u16` or `f32`.
//!
//! Every front end converts between such pixels and the network's numbers here, by one rounding rule.

mod format;
mod profile;
mod transfer;
mod view;

pub use format::{PixelFormat, SampleType};
pub use profile::ColourProfile;
pub use transfer::Transfer;
pub use view::{PixelView, PixelViewMut, Samples, SamplesMut};

use crate::restore::{Network, Options, ProgressCallback, Restorer};
use crate::{Error, Result};

impl<N: Network> Restorer<N> {
    /// Restores the pixels of `from` into `to`, which has the same width, height and channels; the types of their samples
    /// may differ. Alpha is copied; so is all of a pixel whose alpha is 0 (its colours say nothing, the network sees those
    /// around it). Colours that do not fit the type of `to` are clamped. With strength 0, and samples and colours stored alike,
    /// every bit is copied.
    ///
    /// ```
    /// use dino_ir::{DeviceChoice, Options, PixelView, PixelViewMut, Restorer, WeightsFile};
    /// use std::ops::ControlFlow;
    ///
    /// let (width, height) = (40, 30);
    /// let photo = vec![127_u8; width * height * 4]; // RGBA, alpha not multiplied in
    /// let mut restored = vec![0_u8; photo.len()];
    ///
    /// let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Auto)?.loaded;
    /// restorer.restore_pixels(
    ///     PixelView::new(&photo[..], width, height, 4)?,
    ///     PixelViewMut::new(&mut restored[..], width, height, 4)?,
    ///     &Options::default(),
    ///     &mut |progress| {
    ///         println!("{} of {}", progress.done, progress.total);
    ///         ControlFlow::Continue(()) // Break cancels
    ///     },
    /// )?;
    /// # Ok::<(), dino_ir::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if sizes differ; else as [`restore`](Self::restore). After an error `to` may hold a part of
    /// the result.
    pub fn restore_pixels(
        &self,
        from: PixelView<'_>,
        mut to: PixelViewMut<'_>,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        options.validate()?;
        check_equal(&from, &to)?;
        if options.changes_nothing() && from.format() == to.format() {
            return to.copy(&from, progress);
        }
        self.restore(&from, &mut to.sink(&from, None), options, progress)
    }

    /// As [`restore_pixels`](Self::restore_pixels), and fills `errors`, `[height, width]`, with the expected absolute error of
    /// each pixel, as [`Options::uncertainty`] says, which it need not have: mean over red, green and blue, 0..=1 (0.02 is about
    /// five 8-bit levels); 0 where alpha hides the pixel.
    ///
    /// # Errors
    /// As there, also if `errors` has another size; [`Error::InvalidOption`] if the weights cannot tell, or nothing is to be
    /// restored.
    pub fn restore_pixels_with_uncertainty(
        &self,
        from: PixelView<'_>,
        mut to: PixelViewMut<'_>,
        errors: &mut [f32],
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        let options = Options {
            uncertainty: true,
            ..options.clone()
        };
        options.validate()?;
        check_equal(&from, &to)?;
        let (width, height, _) = from.size();
        if errors.len() != width * height {
            return Err(Error::InvalidImage(format!(
                "the map has {} values, the input {width}x{height} pixels: they must be as many",
                errors.len()
            )));
        }
        self.restore(&from, &mut to.sink(&from, Some(errors)), &options, progress)
    }
}

fn check_equal(from: &PixelView<'_>, to: &PixelViewMut<'_>) -> Result<()> {
    let (a, b) = (from.size(), to.size());
    if a == b {
        return Ok(());
    }
    Err(Error::InvalidImage(format!(
        "the input is {}x{} with {} channels, the output {}x{} with {}: they must be equal",
        a.0, a.1, a.2, b.0, b.1, b.2
    )))
}

#[cfg(test)]
mod tests;
