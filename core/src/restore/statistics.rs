//! What the restoration of a part has to know of the whole image. It is computed once and used for many parts: for the
//! preview, and for the restoration that follows.

use std::sync::Arc;

use super::calibration::Calibration;
use super::overview::Overview;
use super::progress::report;
use super::run::Release;
use super::tile_input::calibration_input;
use super::{Network, Options, Progress, ProgressCallback, Restorer, Source, TilePlan};
use crate::{Error, Result};

/// What the parts of one image share: the network's global statistics of the image, where in it the photo is,
/// and its colour if it is grey or toned.
#[derive(Clone, Debug)]
pub struct Statistics {
    width: usize,
    height: usize,
    /// For each pass; empty if the network has no global statistics.
    stats: Vec<Arc<Vec<f32>>>,
    overview: Overview,
}

impl Statistics {
    /// What else is known of the image.
    pub(super) fn overview(&self) -> &Overview {
        &self.overview
    }

    /// A finished calibration pass.
    pub(super) fn calibration(&self, plan: TilePlan, options: &Options) -> Result<Calibration> {
        let fits = (plan.width(), plan.height()) == (self.width, self.height)
            && (self.stats.is_empty() || self.stats.len() == options.passes());
        if !fits {
            return Err(Error::InvalidOption(
                "statistics of another image or other passes: take those of this image".to_owned(),
            ));
        }
        Ok(Calibration::finished(plan, self.stats.clone()))
    }
}

impl<N: Network> Restorer<N> {
    /// Computes the statistics of an image, as [`restore`](Self::restore) with these options does before its first tile.
    /// A calibration pass runs over an image of a single tile, too, which `restore` does not need.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn statistics(
        &self,
        source: &dyn Source,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<Statistics> {
        options.validate()?;
        let (overview, options, plan) = self.overview(source, options)?;
        let mut calibration = self.calibration(&plan, &options);
        let runs = calibration.runs();
        let at = |done| Progress {
            done,
            total: runs,
            calibration: runs,
        };
        let _release = Release(self.network());
        report(progress, at(0))?;
        let lifted = overview.lifted(source, options.removal.haze);
        for run in 0..runs {
            let input =
                calibration_input(&calibration, run, options.passes(), &lifted, overview.frame)?;
            let stats = self.run(input)?;
            calibration.accept(run, &stats)?;
            report(progress, at(run + 1))?;
        }
        Ok(Statistics {
            width: plan.width(),
            height: plan.height(),
            stats: calibration.into_means(),
            overview,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use burn::tensor::Device;

    use super::*;
    use crate::image::Image;
    use crate::restore::tests::global::Global;
    use crate::restore::{Area, ImageSink};

    /// Subtracts the mean of all pixels.
    const CENTRED: Global = Global {
        statistic: |x| x.mean(),
        apply: |x, mean| x - mean,
    };

    fn photo() -> Image {
        let (width, height) = (400, 300);
        let pixels = (0..width * height * 3).map(|at| {
            let (x, y) = (at / 3 % width, at / 3 / width);
            (x * (at % 3 + 1)) as f32 / 1200.0 * (y * 7919 % 31) as f32 / 31.0
        });
        Image::new(width, height, pixels.collect()).expect("a good image")
    }

    const AREA: Area = Area {
        x: 301,
        y: 17,
        width: 50,
        height: 41,
    };

    fn restorer() -> Restorer<Global> {
        Restorer::new(CENTRED, &Device::flex())
    }

    fn part(image: &Image, statistics: Option<&Statistics>, options: &Options) -> Vec<f32> {
        let mut sink = ImageSink::new(AREA.width, AREA.height).expect("a size");
        restorer()
            .restore_part(image, AREA, statistics, &mut sink, options, &mut |_| {
                ControlFlow::Continue(())
            })
            .expect("restored");
        sink.finish().expect("all rows").pixels().to_vec()
    }

    fn statistics(image: &Image, options: &Options) -> Statistics {
        restorer()
            .statistics(image, options, &mut |_| ControlFlow::Continue(()))
            .expect("statistics")
    }

    /// The largest difference from what the whole image gives there.
    fn difference(image: &Image, found: &[f32], options: &Options) -> f32 {
        let whole = restorer().restore_image(image, options).expect("restored");
        let mut expected = vec![0.0; found.len()];
        whole.read(AREA, &mut expected).expect("read");
        let pairs = found.iter().zip(expected);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_part_is_what_the_whole_image_gives_there() {
        let image = photo();
        for tile in [None, Some(128)] {
            for self_ensemble in [false, true] {
                let options = Options {
                    tile,
                    self_ensemble,
                    ..Options::default()
                };
                let found = part(&image, Some(&statistics(&image, &options)), &options);
                assert!(difference(&image, &found, &options) < 1e-5, "{options:?}");
            }
        }
    }

    #[test]
    fn without_statistics_the_surroundings_are_used() {
        let (image, options) = (photo(), Options::default());
        let off = difference(&image, &part(&image, None, &options), &options);
        assert!(off > 0.05, "another mean: {off}");
    }

    #[test]
    fn a_grey_photo_stays_grey() {
        let grey = photo()
            .pixels()
            .chunks_exact(3)
            .flat_map(|p| [p[0]; 3])
            .collect();
        let image = Image::new(400, 300, grey).expect("a good image");
        let options = Options::default();
        let found = part(&image, Some(&statistics(&image, &options)), &options);
        assert!(found.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn those_of_another_image_are_refused() {
        let options = Options::default();
        let other = Image::new(8, 8, vec![0.5; 192]).expect("a good image");
        let other = statistics(&other, &options);
        let mut sink = ImageSink::new(AREA.width, AREA.height).expect("a size");
        let error = restorer().restore_part(
            &photo(),
            AREA,
            Some(&other),
            &mut sink,
            &options,
            &mut |_| ControlFlow::Continue(()),
        );
        assert!(matches!(error, Err(Error::InvalidOption(_))), "{error:?}");
    }

    #[test]
    fn it_can_be_cancelled() {
        let found =
            restorer().statistics(
                &photo(),
                &Options::default(),
                &mut |progress| match progress.done {
                    0 => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                },
            );
        assert!(matches!(found, Err(Error::Cancelled)));
    }
}
