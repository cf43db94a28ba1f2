//! A part of an image, restored as it would be with the whole.

use super::calibration::Calibration;
use super::overview::Overview;
use super::part::{Crop, Part, whole};
use super::stream::copy;
use super::{
    Area, Network, Options, ProgressCallback, Restoration, Restorer, Sink, Source, Statistics,
    TilePlan,
};
use crate::{Error, Result};

/// Pixels around an area that the network also sees, so that the border of the area is restored as in the whole image.
/// Around a small area there are more, up to [`Network::least_tile`].
const CONTEXT: usize = 64;

impl<N: Network> Restorer<N> {
    /// Restores an area of `source` as [`restore`](Self::restore) does with all of it: the network also sees the pixels
    /// around the area, and a calibration pass runs over the image. `sink` gets an image of the area's size.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); [`Error::InvalidImage`] if the area is empty or not inside the image.
    pub fn restore_area(
        &self,
        source: &dyn Source,
        area: Area,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        options.validate()?;
        let (width, height) = (source.width(), source.height());
        check_inside(area, width, height)?;
        if options.changes_nothing() {
            return copy(&Part::new(source, area), sink, progress);
        }
        let whole = self.plan(width, height, options)?;
        let part = self.part(&whole, area);
        let mut sink = Crop { sink, area, part };
        if part == whole.area() {
            return self.restore(source, &mut sink, options, progress);
        }
        let (overview, options, whole) = self.overview(source, options)?;
        let plan = self.plan(part.width, part.height, &options)?;
        let calibration = self.calibration(&whole, &options);
        let restoration = Restoration::of_part(part, plan, calibration, overview, &options)?;
        self.finish(restoration, source, &mut sink, progress)
    }

    /// As [`restore_area`](Self::restore_area), with statistics of the image that were computed before: the rest of the
    /// image is neither read nor computed. Without statistics the network uses what it sees around the area. This is
    /// fast, and close to the final result, but not equal to it.
    ///
    /// # Errors
    /// As [`restore_area`](Self::restore_area); [`Error::InvalidOption`] if the statistics belong to other passes or to
    /// an image of another size.
    pub fn restore_part(
        &self,
        source: &dyn Source,
        area: Area,
        statistics: Option<&Statistics>,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        options.validate()?;
        check_inside(area, source.width(), source.height())?;
        if options.changes_nothing() {
            return copy(&Part::new(source, area), sink, progress);
        }
        let part = surroundings(area, whole(source), self.network());
        let overview = match statistics {
            Some(statistics) => statistics.overview().clone(),
            None => Overview::of_part(source, part)?,
        };
        let options = &overview.options(options);
        let whole = self.plan(source.width(), source.height(), options)?;
        let plan = self.plan(part.width, part.height, options)?;
        let calibration = match statistics {
            Some(statistics) => statistics.calibration(whole, options)?,
            None => Calibration::none(whole),
        };
        let restoration = Restoration::of_part(part, plan, calibration, overview, options)?;
        self.finish(
            restoration,
            source,
            &mut Crop { sink, area, part },
            progress,
        )
    }

    /// The tiles that [`restore_area`](Self::restore_area) would use for an image of that size. They cover the area and
    /// what the network sees around it.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); [`Error::InvalidImage`] if the area is empty or not inside the image.
    pub fn plan_area(
        &self,
        width: usize,
        height: usize,
        area: Area,
        options: &Options,
    ) -> Result<TilePlan> {
        check_inside(area, width, height)?;
        let whole = self.plan(width, height, options)?;
        let part = self.part(&whole, area);
        self.plan(part.width, part.height, options)
    }

    /// What the network sees for an area.
    fn part(&self, whole: &TilePlan, area: Area) -> Area {
        match whole.len() {
            1 => whole.area(),
            _ => surroundings(area, whole.area(), self.network()),
        }
    }
}

fn check_inside(area: Area, width: usize, height: usize) -> Result<()> {
    let inside = |start: usize, count: usize, length: usize| {
        count > 0 && start.checked_add(count).is_some_and(|end| end <= length)
    };
    if inside(area.x, area.width, width) && inside(area.y, area.height, height) {
        return Ok(());
    }
    Err(Error::InvalidImage(format!(
        "the area of {} x {} pixels at {}, {} is not inside an image of {width} x {height}",
        area.width, area.height, area.x, area.y
    )))
}

/// The area with its context; it begins and ends at multiples of the network's own, so that its inner grids fall on
/// the same pixels as in the whole image.
fn surroundings(area: Area, image: Area, network: &impl Network) -> Area {
    let (multiple, least) = (network.multiple(), network.least_tile());
    let extend = |start: usize, count: usize, length: usize| {
        let context = CONTEXT.max(least.saturating_sub(count).div_ceil(2));
        // If the image ends on one side, the other side is extended.
        let end = (start + count + context).max(least);
        let end = end.next_multiple_of(multiple).min(length);
        let first = start.saturating_sub(context).min(end.saturating_sub(least));
        let first = first / multiple * multiple;
        (first, end - first)
    };
    let (x, width) = extend(area.x, area.width, image.width);
    let (y, height) = extend(area.y, area.height, image.height);
    Area {
        x,
        y,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use burn::Tensor;
    use burn::tensor::Device;

    use super::*;
    use crate::image::Image;
    use crate::restore::ImageSink;
    use crate::restore::tests::global::Global;

    /// Subtracts half of the mean of all pixels, and adds the pixel eight columns to the right.
    const WIDE: Global = Global {
        statistic: |x| x.mean(),
        apply: |x, mean| {
            let [_, _, _, width] = x.dims();
            let right = Tensor::cat(
                vec![x.clone().narrow(3, 8, width - 8), x.clone().narrow(3, 0, 8)],
                3,
            );
            x + right - mean * 0.5
        },
    };

    fn photo() -> Image {
        let (width, height) = (400, 300);
        let pixels = (0..width * height * 3).map(|at| {
            let (x, y) = (at / 3 % width, at / 3 / width);
            (x as f32 / 400.0 + (y * 7919 % 31) as f32 / 62.0) / 2.0
        });
        Image::new(width, height, pixels.collect()).expect("a good image")
    }

    fn area(x: usize, y: usize, width: usize, height: usize) -> Area {
        Area {
            x,
            y,
            width,
            height,
        }
    }

    fn restore(area: Area, options: &Options) -> Vec<f32> {
        let mut sink = ImageSink::new(area.width, area.height).expect("a size");
        Restorer::new(WIDE, &Device::flex())
            .restore_area(&photo(), area, &mut sink, options, &mut |_| {
                std::ops::ControlFlow::Continue(())
            })
            .expect("restored");
        sink.finish().expect("all rows").pixels().to_vec()
    }

    #[test]
    fn is_what_the_whole_image_gives_there() {
        let image = photo();
        let area = area(301, 17, 50, 41);
        // In one tile, and in tiles of 128 that share one calibration pass.
        for tile in [None, Some(128)] {
            // No weight where a tile's end is felt.
            let overlap = tile.map(|_| 48);
            let options = Options {
                tile,
                overlap,
                ..Options::default()
            };
            let whole = Restorer::new(WIDE, &Device::flex())
                .restore_image(&image, &options)
                .expect("restored");
            let found = restore(area, &options);
            for (at, value) in found.iter().enumerate() {
                let (x, y) = (area.x + at / 3 % area.width, area.y + at / 3 / area.width);
                let expected = whole.pixels()[(y * image.width() + x) * 3 + at % 3];
                assert!((value - expected).abs() < 1e-5, "{tile:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn strength_0_copies_the_area() {
        let area = area(3, 5, 7, 2);
        let options = Options {
            strength: 0.0,
            ..Options::default()
        };
        let mut expected = vec![0.0; 7 * 2 * 3];
        photo().read(area, &mut expected).expect("read");
        assert_eq!(restore(area, &options), expected);
    }

    #[test]
    fn the_network_sees_what_is_around() {
        let image = area(0, 0, 300, 200);
        assert_eq!(
            surroundings(area(101, 90, 10, 10), image, &WIDE),
            area(32, 24, 144, 144)
        );
        // Never beyond the image.
        assert_eq!(
            surroundings(area(3, 150, 290, 50), image, &WIDE),
            area(0, 80, 300, 120)
        );
    }

    /// Needs tiles of 256.
    struct Demanding;

    impl Network for Demanding {
        fn multiple(&self) -> usize {
            8
        }

        fn least_tile(&self) -> usize {
            256
        }

        fn activation_bytes(&self, height: usize, width: usize) -> u64 {
            (height * width) as u64
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            x
        }
    }

    #[test]
    fn a_small_area_is_seen_with_as_much_as_a_tile_has() {
        let image = area(0, 0, 1000, 200);
        for (x, expected) in [(500, (376, 264)), (0, (0, 256)), (990, (744, 256))] {
            let area = area(x, 90, 10, 10);
            let part = surroundings(area, image, &Demanding);
            assert_eq!((part.x, part.width), expected);
            assert_eq!((part.y, part.height), (0, 200));
        }
    }

    #[test]
    fn an_area_has_tiles_of_its_own() {
        let area = area(301, 17, 50, 41);
        let options = Options {
            tile: Some(128),
            ..Options::default()
        };
        let restorer = Restorer::new(WIDE, &Device::flex());
        let plan = restorer.plan_area(400, 300, area, &options);
        let plan = plan.expect("a plan");
        assert_eq!((plan.width(), plan.height()), (168, 128));
        assert!(restorer.plan_area(350, 300, area, &options).is_err());
    }

    #[test]
    fn areas_outside_are_refused() {
        for (x, width) in [(0, 0), (399, 2), (usize::MAX, 2)] {
            let area = Area {
                x,
                y: 0,
                width,
                height: 1,
            };
            let error = Restorer::new(WIDE, &Device::flex()).restore_area(
                &photo(),
                area,
                &mut ImageSink::new(1, 1).expect("a size"),
                &Options::default(),
                &mut |_| std::ops::ControlFlow::Continue(()),
            );
            assert!(matches!(error, Err(Error::InvalidImage(_))));
        }
    }
}
