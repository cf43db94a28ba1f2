//! Properties of a whole restoration, with networks whose result is known.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const SIZES: [(usize, usize); 6] = [(1, 1), (1, 7), (13, 1), (97, 131), (300, 200), (64, 64)];

/// A network that is a function of one plane of (height, width), and counts its runs.
struct Planes<F> {
    function: F,
    least_tile: usize,
    runs: Cell<usize>,
}

impl<F: Fn(usize, usize, &[f32]) -> Vec<f32>> Planes<F> {
    fn restorer(function: F) -> Restorer<Self> {
        Restorer::new(
            Self {
                function,
                least_tile: 1,
                runs: Cell::new(0),
            },
            &Device::flex(),
        )
    }
}

impl<F: Fn(usize, usize, &[f32]) -> Vec<f32>> Network for Planes<F> {
    fn multiple(&self) -> usize {
        8
    }

    fn least_tile(&self) -> usize {
        self.least_tile
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 100) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.runs.set(self.runs.get() + 1);
        let [batch, channels, height, width] = x.dims();
        assert!(height.is_multiple_of(8) && width.is_multiple_of(8));
        let device = x.device();
        let data = x.into_data();
        let planes = data
            .as_slice::<f32>()
            .expect("f32")
            .chunks_exact(height * width);
        let result: Vec<_> = planes
            .flat_map(|plane| (self.function)(height, width, plane))
            .collect();
        Tensor::from_data(
            TensorData::new(result, [batch, channels, height, width]),
            &device,
        )
    }
}

fn identity(_: usize, _: usize, plane: &[f32]) -> Vec<f32> {
    plane.to_vec()
}

/// The mean of 5x5 pixels, zeros beyond the border as in a convolution.
fn blur(height: usize, width: usize, plane: &[f32]) -> Vec<f32> {
    let at = |y: usize, x: usize| match (y.checked_sub(2), x.checked_sub(2)) {
        (Some(y), Some(x)) if y < height && x < width => plane[y * width + x],
        _ => 0.0,
    };
    let mean =
        |y: usize, x: usize| (0..25).map(|tap| at(y + tap / 5, x + tap % 5)).sum::<f32>() / 25.0;
    (0..height * width)
        .map(|pixel| mean(pixel / width, pixel % width))
        .collect()
}

fn random_image(width: usize, height: usize) -> Image {
    let mut random = StdRng::seed_from_u64((width * 1000 + height) as u64);
    let pixels = (0..width * height * 3)
        .map(|_| random.random::<f32>())
        .collect();
    Image::new(width, height, pixels).expect("a good image")
}

fn tiled(tile: usize, overlap: usize) -> Options {
    Options {
        tile: Some(tile),
        overlap: Some(overlap),
        ..Options::default()
    }
}

fn untiled() -> Options {
    Options {
        memory: Some(u64::MAX),
        ..Options::default()
    }
}

fn difference(a: &Image, b: &Image) -> f32 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    a.pixels()
        .iter()
        .zip(b.pixels())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn restore<N: Network>(restorer: &Restorer<N>, image: &Image, options: &Options) -> Image {
    restorer.restore_image(image, options).expect("restored")
}

/// Checks that rows come in order, each once, and notes how often.
struct StrictSink {
    width: usize,
    next: usize,
    writes: usize,
}

impl Sink for StrictSink {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        assert_eq!(y, self.next);
        assert!(!rows.is_empty() && rows.len().is_multiple_of(self.width * 3));
        self.next += rows.len() / (self.width * 3);
        self.writes += 1;
        Ok(())
    }
}

#[test]
fn identity_returns_the_input() {
    let restorer = Planes::restorer(identity);
    for (width, height) in SIZES {
        let image = random_image(width, height);
        for (tile, overlap) in [
            (8, 0),
            (16, 8),
            (24, 16),
            (32, 8),
            (32, 24),
            (64, 16),
            (72, 1),
        ] {
            for self_ensemble in [false, true] {
                let options = Options {
                    self_ensemble,
                    strength: 0.5,
                    ..tiled(tile, overlap)
                };
                let result = restore(&restorer, &image, &options);
                assert!(
                    difference(&image, &result) < 1e-6,
                    "{width}x{height} {options:?}"
                );
            }
        }
        assert_eq!(restore(&restorer, &image, &untiled()), image);
    }
}

#[test]
fn every_row_once_in_order() {
    let restorer = Planes::restorer(identity);
    for (width, height) in SIZES {
        for options in [
            tiled(16, 8),
            tiled(32, 24),
            untiled(),
            Options {
                strength: 0.0,
                ..tiled(16, 8)
            },
        ] {
            let mut sink = StrictSink {
                width,
                next: 0,
                writes: 0,
            };
            let mut seen = Vec::new();
            let mut progress = |progress| {
                seen.push(progress);
                ControlFlow::Continue(())
            };
            restorer
                .restore(
                    &random_image(width, height),
                    &mut sink,
                    &options,
                    &mut progress,
                )
                .expect("restored");
            assert_eq!(sink.next, height);
            for (at, progress) in seen.iter().enumerate() {
                assert_eq!(
                    *progress,
                    Progress {
                        done: at,
                        total: seen.len() - 1,
                        calibration: 0
                    }
                );
            }
        }
    }
}

#[test]
fn only_a_band_is_held() {
    let restorer = Planes::restorer(identity);
    let mut sink = StrictSink {
        width: 40,
        next: 0,
        writes: 0,
    };
    let image = random_image(40, 2000);
    restorer
        .restore(&image, &mut sink, &tiled(64, 16), &mut |_| {
            ControlFlow::Continue(())
        })
        .expect("restored");
    assert_eq!(
        sink.writes,
        restorer
            .plan(40, 2000, &tiled(64, 16))
            .expect("a plan")
            .rows()
            .count()
    );
}

#[test]
fn tiles_agree_with_no_tiles() {
    let restorer = Planes::restorer(blur);
    for (width, height) in SIZES {
        let image = random_image(width, height);
        let whole = restore(&restorer, &image, &untiled());
        for (tile, overlap) in [(16, 8), (32, 16), (64, 24)] {
            let result = restore(&restorer, &image, &tiled(tile, overlap));
            assert!(
                difference(&whole, &result) < 1e-6,
                "{width}x{height} {tile} {overlap}"
            );
        }
    }
}

#[test]
fn no_step_across_tile_borders() {
    let restorer = Planes::restorer(blur);
    let (width, height) = (200, 150);
    for slope in [0.0, 1.0] {
        let value = |x: usize, y: usize| 0.3 + slope * (x as f32 * 0.002 + y as f32 * 0.001);
        let pixels = (0..width * height * 3)
            .map(|at| value(at / 3 % width, at / 3 / width))
            .collect();
        let image = Image::new(width, height, pixels).expect("a good image");
        let result = restore(&restorer, &image, &tiled(48, 16));
        // The blur itself darkens the image's own border.
        for y in 3..height - 4 {
            for x in 3..width - 4 {
                let at = |x: usize, y: usize| result.pixels()[(y * width + x) * 3];
                assert!(
                    (at(x + 1, y) - at(x, y) - slope * 0.002).abs() < 1e-6,
                    "{x} {y}"
                );
                assert!(
                    (at(x, y + 1) - at(x, y) - slope * 0.001).abs() < 1e-6,
                    "{x} {y}"
                );
            }
        }
    }
}

#[test]
fn tiles_of_different_brightness_fade() {
    // Each tile comes out with its own level: the worst case for a seam.
    let level = Cell::new(0.0);
    let restorer = Planes::restorer(|height, width, _: &[f32]| {
        level.set(level.get() + 1.0 / 3.0);
        vec![
            if (level.get() as usize).is_multiple_of(2) {
                0.4
            } else {
                0.5
            };
            height * width
        ]
    });
    let (width, height) = (500, 16);
    let image = random_image(width, height);
    let result = restore(&restorer, &image, &tiled(128, 64));
    let row = &result.pixels()[..width * 3];
    let step = row
        .windows(4)
        .map(|samples| (samples[3] - samples[0]).abs())
        .fold(0.0, f32::max);
    let range = row.iter().fold((1.0f32, 0.0f32), |(low, high), value| {
        (low.min(*value), high.max(*value))
    });
    assert!(
        range.1 - range.0 > 0.09 && step < 0.0045,
        "{range:?} {step}"
    );
}

#[test]
fn strength_mixes() {
    let image = Image::new(
        2,
        1,
        vec![-0.0, 0.1, 1.7, f32::MIN_POSITIVE / 2.0, -3.0, 0.9],
    )
    .expect("a good image");
    let half = |_: usize, _: usize, plane: &[f32]| {
        plane
            .iter()
            .map(|value| value * 0.3 + 0.1)
            .collect::<Vec<_>>()
    };
    let restorer = Planes::restorer(half);

    let zero = restore(
        &restorer,
        &image,
        &Options {
            strength: 0.0,
            ..Options::default()
        },
    );
    let bits = |image: &Image| {
        image
            .pixels()
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&zero), bits(&image));
    assert_eq!(restorer.network().runs.get(), 0);

    let one = restore(&restorer, &image, &Options::default());
    assert_eq!(one.pixels(), half(1, 2, image.pixels()));
    let quarter = restore(
        &restorer,
        &image,
        &Options {
            strength: 0.25,
            ..Options::default()
        },
    );
    for ((quarter, one), input) in quarter
        .pixels()
        .iter()
        .zip(one.pixels())
        .zip(image.pixels())
    {
        assert!((quarter - (input + 0.25 * (one - input))).abs() < 1e-6);
    }
}

#[test]
fn strength_0_copies_tall_images() {
    let image = random_image(5, 1000);
    let restorer = Planes::restorer(identity);
    assert_eq!(
        restore(
            &restorer,
            &image,
            &Options {
                strength: 0.0,
                ..Options::default()
            }
        ),
        image
    );
}

#[test]
fn self_ensemble_averages_all_directions() {
    // Shifts to the left, so that the 8 directions give the 4 neighbours, each twice.
    let shift = |height: usize, width: usize, plane: &[f32]| {
        (0..height * width)
            .map(|at| plane[at / width * width + (at % width + 1).min(width - 1)])
            .collect::<Vec<_>>()
    };
    let restorer = Planes::restorer(shift);
    let image = random_image(24, 16);
    let result = restore(
        &restorer,
        &image,
        &Options {
            self_ensemble: true,
            ..Options::default()
        },
    );
    assert_eq!(restorer.network().runs.get(), 8);
    let at = |x: usize, y: usize| image.pixels()[(y * 24 + x) * 3 + 1];
    for y in 1..15 {
        for x in 1..23 {
            let expected = (at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1)) / 4.0;
            assert!((result.pixels()[(y * 24 + x) * 3 + 1] - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn cancels_between_tiles() {
    let image = random_image(100, 100);
    for self_ensemble in [false, true] {
        let options = Options {
            self_ensemble,
            ..tiled(32, 8)
        };
        let total = Planes::restorer(identity)
            .plan(100, 100, &options)
            .expect("a plan")
            .len();
        for stop in [0, 1, total / 2, total] {
            let restorer = Planes::restorer(identity);
            let sink = RefCell::new(StrictSink {
                width: 100,
                next: 0,
                writes: 0,
            });
            let at_break = Cell::new(0);
            let mut progress = |progress: Progress| {
                if progress.done < stop {
                    return ControlFlow::Continue(());
                }
                at_break.set(restorer.network().runs.get());
                ControlFlow::Break(())
            };
            let result = restorer.restore(&image, &mut *sink.borrow_mut(), &options, &mut progress);
            assert!(matches!(result, Err(Error::Cancelled)));
            assert_eq!(
                (restorer.network().runs.get(), at_break.get()),
                (stop, stop)
            );
            if stop == 0 {
                assert_eq!(sink.borrow().writes, 0);
            }
        }
    }
    let mut sink = StrictSink {
        width: 100,
        next: 0,
        writes: 0,
    };
    let options = Options {
        strength: 0.0,
        ..Options::default()
    };
    let restorer = Planes::restorer(identity);
    let result = restorer.restore(&image, &mut sink, &options, &mut |_| ControlFlow::Break(()));
    assert!(matches!(result, Err(Error::Cancelled)) && sink.writes == 0);
}

#[test]
fn a_failing_sink_ends_it() {
    struct Full;
    impl Sink for Full {
        fn write_rows(&mut self, _: usize, _: &[f32]) -> Result<()> {
            Err(Error::InvalidImage("full".to_owned()))
        }
    }
    let restorer = Planes::restorer(identity);
    let image = random_image(100, 100);
    let result = restorer.restore(&image, &mut Full, &tiled(32, 8), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(Error::InvalidImage(_))));
    assert!(restorer.network().runs.get() < 16);
}

/// An image of which no more than so many reads succeed.
struct Failing {
    image: Image,
    left: Cell<usize>,
}

/// A caller's own error.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("photo.raw: the card was pulled out; put it back")]
struct CardGone {
    line: usize,
}

impl Source for Failing {
    fn width(&self) -> usize {
        self.image.width()
    }
    fn height(&self) -> usize {
        self.image.height()
    }
    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(Error::Caller(Box::new(CardGone { line: area.y }))),
        }
        self.image.read(area, rgb)
    }
}

/// Checks that an error is the caller's, as it was given.
fn check_card_gone(error: Error) {
    assert_eq!(error.kind(), "caller");
    assert_eq!(error.to_string(), CardGone { line: 0 }.to_string());
    assert!(std::error::Error::source(&error).is_none(), "said once");
    let Error::Caller(error) = error else {
        panic!("{error:?}");
    };
    assert!(error.downcast::<CardGone>().is_ok());
}

#[test]
fn a_failing_source_ends_it_with_its_own_error() {
    let (width, height) = (100, 100);
    // Of the reads, four look for toning; the others are one for each of 16 tiles.
    let options = tiled(32, 8);
    let tiles = Planes::restorer(identity).plan(width, height, &options);
    assert_eq!(tiles.expect("a plan").len(), 16);
    for reads in 0..=20 {
        let restorer = Planes::restorer(identity);
        let source = Failing {
            image: random_image(width, height),
            left: Cell::new(reads),
        };
        let mut sink = StrictSink {
            width,
            next: 0,
            writes: 0,
        };
        let result = restorer.restore(&source, &mut sink, &options, &mut |_| {
            ControlFlow::Continue(())
        });
        match result {
            Ok(()) => assert_eq!((reads, sink.next), (20, height)),
            Err(error) => {
                assert!(reads < 20);
                check_card_gone(error);
            }
        }
        assert_eq!(restorer.network().runs.get(), reads.saturating_sub(4));
        // Only whole rows of tiles were written: nothing before the first one is there, and nothing after the failure.
        assert_eq!(sink.writes, reads.saturating_sub(4) / 4);
    }
}

#[test]
fn every_way_to_read_hands_the_error_on() {
    let restorer = Planes::restorer(identity);
    let copied = Options {
        strength: 0.0,
        ..Options::default()
    };
    let mut sink = StrictSink {
        width: 20,
        next: 0,
        writes: 0,
    };
    let failing = |reads| Failing {
        image: random_image(40, 40),
        left: Cell::new(reads),
    };
    let area = Area {
        x: 10,
        y: 10,
        width: 20,
        height: 20,
    };
    for (options, reads) in [(&copied, 0), (&tiled(24, 8), 0), (&tiled(24, 8), 2)] {
        let go_on = &mut |_| ControlFlow::Continue(());
        let result = restorer.restore_area(&failing(reads), area, &mut sink, options, go_on);
        check_card_gone(result.expect_err("no pixels"));
        let result = restorer.restore_part(&failing(0), area, None, &mut sink, options, go_on);
        check_card_gone(result.expect_err("no pixels"));
    }
    assert_eq!(sink.writes, 0);
    let statistics = restorer.statistics(&failing(1), &tiled(24, 8), &mut |_| {
        ControlFlow::Continue(())
    });
    check_card_gone(statistics.expect_err("no pixels"));
    check_card_gone(restorer.observe(&failing(0)).expect_err("no pixels"));
}

#[test]
fn a_failed_read_can_be_tried_again() {
    let restorer = Planes::restorer(identity);
    let options = tiled(24, 8);
    let source = Failing {
        image: random_image(40, 40),
        left: Cell::new(usize::MAX),
    };
    let plan = restorer.plan(40, 40, &options).expect("a plan");
    let mut restoration = Restoration::new(plan, &options, false, &source).expect("begun");
    let mut rows = Vec::new();
    loop {
        source.left.set(0);
        if restoration.progress().done < restoration.progress().total {
            check_card_gone(restoration.next_tile(&source).expect_err("no pixels"));
        }
        source.left.set(1);
        let Some(input) = restoration.next_tile(&source).expect("read") else {
            break;
        };
        if let Some(finished) = restoration.accept(&input.planar).expect("accepted") {
            rows.extend_from_slice(finished.rgb);
        }
    }
    let image = Image::new(40, 40, rows).expect("all rows");
    assert!(difference(&image, &source.image) < 1e-6);
}

#[test]
fn non_finite_results_give_way_to_the_input() {
    let broken = |_: usize, _: usize, plane: &[f32]| {
        let value = |at: usize| [0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 4];
        (0..plane.len()).map(value).collect::<Vec<_>>()
    };
    let image = random_image(8, 8);
    let restorer = Planes::restorer(broken);
    let result = restore(&restorer, &image, &Options::default());
    for (at, (result, input)) in result.pixels().iter().zip(image.pixels()).enumerate() {
        assert_eq!(
            *result,
            if (at / 3).is_multiple_of(4) {
                0.5
            } else {
                *input
            }
        );
    }
}

#[test]
fn non_finite_input_stays_where_it_is() {
    struct Holes;
    impl Source for Holes {
        fn width(&self) -> usize {
            16
        }
        fn height(&self) -> usize {
            8
        }
        fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
            assert_eq!(
                area,
                Area {
                    x: 0,
                    y: 0,
                    width: 16,
                    height: 8
                }
            );
            rgb.fill(0.5);
            rgb[0] = f32::NAN;
            Ok(())
        }
    }
    let options = Options::default();
    let restorer = Planes::restorer(blur);
    let mut restoration = Restoration::new(
        restorer.plan(16, 8, &options).expect("a plan"),
        &options,
        false,
        &Holes,
    )
    .expect("begun");
    let input = restoration.next_tile(&Holes).expect("read");
    let input = input.expect("a tile");
    assert!(input.planar.iter().all(|sample| sample.is_finite()));
    let again = restoration.next_tile(&Holes).expect("read");
    let again = again.expect("the same tile");
    assert_eq!(input.planar, again.planar);
    assert!(matches!(
        restoration.accept(&input.planar[1..]),
        Err(Error::Device(_))
    ));
    let rows = restoration
        .accept(&input.planar)
        .expect("accepted")
        .expect("rows");
    assert_eq!((rows.y, rows.rgb.len()), (0, 16 * 8 * 3));
    assert!(rows.rgb.iter().all(|sample| sample.is_finite()));
    assert!(matches!(
        restoration.accept(&input.planar),
        Err(Error::Device(_))
    ));
    assert_eq!(restoration.next_tile(&Holes).expect("read"), None);
    assert_eq!(restoration.replaced(), 0);
}

#[test]
fn refuses_bad_options_before_anything() {
    let restorer = Planes::restorer(identity);
    let image = random_image(20, 20);
    for options in [
        Options {
            strength: f32::NAN,
            ..Options::default()
        },
        Options {
            strength: 1.01,
            ..Options::default()
        },
        tiled(7, 0),
        tiled(64, 60),
    ] {
        let mut sink = StrictSink {
            width: 20,
            next: 0,
            writes: 0,
        };
        let mut progress = |_| panic!("began");
        let result = restorer.restore(&image, &mut sink, &options, &mut progress);
        assert!(
            matches!(result, Err(Error::InvalidOption(_))),
            "{options:?}"
        );
    }
    let poor = Options {
        memory: Some(1000),
        ..Options::default()
    };
    assert!(matches!(
        restorer.restore_image(&image, &poor),
        Err(Error::OutOfMemory(_))
    ));
}

#[test]
fn a_tile_that_shows_the_network_too_little_is_taken_larger() {
    let mut restorer = Planes::restorer(identity);
    restorer.network.least_tile = 96;
    let of = |side: usize, options: Options| {
        let plan = restorer.plan(side, side, &options);
        plan.map(|plan| (plan.tile_width(), plan.tile_height()))
    };
    let small = Options {
        tile: Some(40),
        ..Options::default()
    };
    assert_eq!(of(300, small.clone()).expect("a plan"), (96, 96));
    assert_eq!(of(64, small.clone()).expect("a plan"), (64, 64));
    // But if it is said how they overlap, or there is no memory for more, they are as asked for.
    assert_eq!(of(300, tiled(40, 8)).expect("a plan"), (40, 40));
    let least = peak_memory::peak_bytes(restorer.network(), [40, 40], [300, 300], &small);
    let scarce = Options {
        memory: Some(least),
        ..small
    };
    assert_eq!(of(300, scarce).expect("a plan"), (40, 40));
    let impossible = Options {
        tile: Some(3),
        ..Options::default()
    };
    assert!(matches!(of(300, impossible), Err(Error::InvalidOption(_))));
}
