//! Tiles: what goes into them, and how they come together again.

use super::*;

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
