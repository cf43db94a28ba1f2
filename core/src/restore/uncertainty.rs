//! Restoring an image in memory with the expected error of each pixel.

use std::ops::ControlFlow;

use super::{ImageSink, Network, Options, Restorer, Sink};
use crate::Result;
use crate::image::Image;

impl<N: Network> Restorer<N> {
    /// Whether it can tell the expected errors: whether the weights file has an uncertainty head.
    pub fn has_uncertainty(&self) -> bool {
        self.network().has_uncertainty()
    }

    /// Restores an image in memory, and tells the expected absolute error of each pixel, as
    /// [`Options::uncertainty`] says, which it need not have: `[height, width]`, mean over red, green and blue, 0..=1
    /// (0.02 is about five 8-bit levels).
    ///
    /// # Errors
    /// As [`restore`](Self::restore); [`Error::InvalidOption`](crate::Error::InvalidOption) if the weights cannot tell.
    pub fn restore_with_uncertainty(
        &self,
        image: &Image,
        options: &Options,
    ) -> Result<(Image, Vec<f32>)> {
        let options = Options {
            uncertainty: true,
            ..options.clone()
        };
        let mut both = Both {
            image: ImageSink::new(image.width(), image.height())?,
            errors: Vec::with_capacity(image.width() * image.height()),
        };
        let progress = &mut |_| ControlFlow::Continue(());
        self.restore(image, &mut both, &options, progress)?;
        Ok((both.image.finish()?, both.errors))
    }
}

/// An image and its expected errors.
struct Both {
    image: ImageSink,
    errors: Vec<f32>,
}

impl Sink for Both {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        self.image.write_rows(y, rows)
    }

    fn write_uncertainty(&mut self, _: usize, errors: &[f32]) -> Result<()> {
        self.errors.extend_from_slice(errors);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::Error;
    use crate::restore::{Area, Removal};

    /// Brightens by a tenth, and expects an error of a quarter of a pixel's red.
    struct Brighter;

    impl Network for Brighter {
        fn multiple(&self) -> usize {
            8
        }

        fn activation_bytes(&self, _: usize, _: usize) -> u64 {
            0
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            x + 0.1
        }

        fn has_uncertainty(&self) -> bool {
            true
        }

        fn forward_with_uncertainty(
            &self,
            x: Tensor<4>,
            _: Option<Tensor<2>>,
            _: &Removal,
        ) -> [Tensor<4>; 2] {
            let errors = x.clone().narrow(1, 0, 1) * 0.25;
            [self.forward(x), errors]
        }
    }

    fn photo() -> Image {
        let (width, height) = (150, 90);
        let samples = (0..width * height * 3).map(|at| (at * 31 % 97) as f32 / 97.0);
        Image::new(width, height, samples.collect()).expect("a good image")
    }

    fn off(found: &[f32], wanted: impl Iterator<Item = f32>) -> f32 {
        let pairs = found.iter().zip(wanted);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn errors_come_with_their_pixels_whatever_the_tiles() {
        let image = photo();
        let restorer = Restorer::new(Brighter, &Device::flex());
        let quarter = || image.pixels().iter().step_by(3).map(|red| red * 0.25);
        for (tile, self_ensemble, strength) in [
            (None, false, 1.0),
            (Some(32), false, 1.0),
            (Some(32), true, 1.0),
            (Some(48), false, 0.5),
        ] {
            let options = Options {
                tile,
                self_ensemble,
                strength,
                ..Options::default()
            };
            let (restored, errors) = restorer
                .restore_with_uncertainty(&image, &options)
                .expect("restored");
            assert_eq!(errors.len(), 150 * 90);
            assert!(off(&errors, quarter()) < 1e-6, "{options:?}");
            // What it restores is the same as without.
            let plain = restorer.restore_image(&image, &options).expect("restored");
            assert_eq!(plain.pixels(), restored.pixels());
        }
    }

    #[test]
    fn errors_of_a_part_are_those_of_the_part() {
        let image = photo();
        let restorer = Restorer::new(Brighter, &Device::flex());
        let area = Area {
            x: 61,
            y: 33,
            width: 40,
            height: 37,
        };
        let options = Options {
            tile: Some(32),
            uncertainty: true,
            ..Options::default()
        };
        let mut both = Both {
            image: ImageSink::new(area.width, area.height).expect("a size"),
            errors: Vec::new(),
        };
        let progress = &mut |_| ControlFlow::Continue(());
        restorer
            .restore_area(&image, area, &mut both, &options, progress)
            .expect("restored");
        assert_eq!(both.errors.len(), 40 * 37);
        let red = |at: usize| {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            image.pixels()[(y * 150 + x) * 3] * 0.25
        };
        assert!(off(&both.errors, (0..40 * 37).map(red)) < 1e-6);
        let restored = both.image.finish().expect("whole");
        assert_eq!((restored.width(), restored.height()), (40, 37));
    }

    /// As [`Brighter`], but it cannot tell.
    struct Silent;

    impl Network for Silent {
        fn multiple(&self) -> usize {
            8
        }

        fn activation_bytes(&self, _: usize, _: usize) -> u64 {
            0
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            x + 0.1
        }
    }

    #[test]
    fn weights_that_cannot_tell_say_so() {
        let restorer = Restorer::new(Silent, &Device::flex());
        assert!(!restorer.has_uncertainty());
        let refused = restorer.restore_with_uncertainty(&photo(), &Options::default());
        let Err(Error::InvalidOption(why)) = refused else {
            panic!("not refused");
        };
        assert!(
            why.contains("trainer uncertainty") && !why.contains('\n'),
            "{why}"
        );
    }
}
