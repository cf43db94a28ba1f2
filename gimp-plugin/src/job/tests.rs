//! The job with a host in memory and networks whose result is known.

use std::cell::Cell;

use burn::Tensor;
use dino_ir::Removal;

use super::*;
use crate::host::memory::Memory;
use crate::settings::Output;

/// `1 - x`, or a panic.
struct Invert {
    panics: bool,
}

impl Network for Invert {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 4096) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        assert!(!self.panics, "the network broke");
        x.neg().add_scalar(1.0)
    }
}

fn invert(_: &Settings) -> Result<Model<Invert>, Error> {
    Ok(on_cpu(Invert { panics: false }))
}

fn drawable(width: usize, height: usize, colour: Colour, alpha: bool) -> Drawable {
    Drawable {
        width,
        height,
        selection: Some(Area {
            x: 0,
            y: 0,
            width,
            height,
        }),
        colour,
        alpha,
        group: false,
        locked: false,
        group_locked: false,
        layer: true,
    }
}

/// Values that differ from pixel to pixel, alpha among them.
fn layer(width: usize, height: usize, colour: Colour, alpha: bool) -> Memory {
    let drawable = drawable(width, height, colour, alpha);
    let samples = width * height * drawable.channels();
    let pixels = (0..samples)
        .map(|at| (at * 7919 % 256) as f32 / 255.0)
        .collect();
    Memory::new(drawable, pixels)
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn every_kind_of_layer_keeps_its_alpha() {
    for (colour, alpha) in [
        (Colour::Rgb, false),
        (Colour::Rgb, true),
        (Colour::Grey, false),
        (Colour::Grey, true),
    ] {
        let mut host = layer(150, 70, colour, alpha);
        let pixels = host.pixels.clone();
        let settings = Settings {
            tile_size: 64,
            ..Settings::default()
        };
        run(&mut host, &settings, invert).expect("restored");
        let channels = host.drawable.channels();
        for (at, (before, after)) in pixels.iter().zip(&host.pixels).enumerate() {
            let is_alpha = alpha && at % channels == channels - 1;
            let is_hidden = alpha && pixels[at / channels * channels + channels - 1] == 0.0;
            if is_alpha || is_hidden {
                assert!(
                    before == after,
                    "alpha and what it hides are kept bit by bit"
                );
            } else {
                assert!(
                    close(*after, 1.0 - before),
                    "{colour:?} {alpha}: sample {at}"
                );
            }
        }
        assert_eq!(host.steps, 1);
    }
}

#[test]
fn only_the_selection_changes_and_by_its_mask() {
    let mut host = layer(300, 260, Colour::Rgb, true);
    let selected = Area {
        x: 101,
        y: 90,
        width: 33,
        height: 77,
    };
    host.drawable.selection = Some(selected);
    for (at, mask) in host.mask.iter_mut().enumerate() {
        let (x, y) = (at % 300, at / 300);
        let inside = (101..134).contains(&x) && (90..167).contains(&y);
        *mask = if inside {
            ((x + y) % 5) as f32 / 4.0
        } else {
            0.0
        };
    }
    let pixels = host.pixels.clone();
    let settings = Settings {
        tile_size: 64,
        ..Settings::default()
    };
    run(&mut host, &settings, invert).expect("restored");
    for (at, (before, after)) in pixels.iter().zip(&host.pixels).enumerate() {
        let mask = host.mask[at / 4];
        if mask == 0.0 {
            assert_eq!(before, after, "outside the selection");
        } else if at % 4 < 3 && pixels[at / 4 * 4 + 3] > 0.0 {
            let expected = before * (1.0 - mask) + (1.0 - before) * mask;
            assert!(close(*after, expected), "sample {at}");
        }
    }
}

/// Blurs over 9 pixels, and tints all that it sees brown.
struct Brown;

impl Network for Brown {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, _: usize, _: usize) -> u64 {
        0
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let width = x.dims()[3];
        let left = x.clone().narrow(3, 0, 1).repeat_dim(3, 8);
        let wide = Tensor::cat(vec![left, x], 3);
        let shifted = (0..9).map(|by| wide.clone().narrow(3, by, width));
        let blurred = shifted.reduce(|sum, x| sum + x).expect("9 of them") / 9.0;
        let brown = Tensor::<1>::from_floats([0.05, 0.0, -0.04], &blurred.device());
        blurred + brown.reshape([1, 3, 1, 1])
    }
}

fn brown(_: &Settings) -> Result<Model<Brown>, Error> {
    Ok(on_cpu(Brown))
}

#[test]
fn a_grey_photo_in_an_rgb_layer_stays_grey() {
    let grey = layer(80, 60, Colour::Grey, true);
    let mut rgb = layer(80, 60, Colour::Rgb, true);
    for (to, from) in rgb
        .pixels
        .chunks_exact_mut(4)
        .zip(grey.pixels.chunks_exact(2))
    {
        to[..3].fill(from[0]);
        to[3] = from[1];
    }
    let [grey, rgb] = [grey, rgb].map(|mut host| {
        run(&mut host, &Settings::default(), brown).expect("restored");
        host.pixels
    });
    for (rgb, grey) in rgb.chunks_exact(4).zip(grey.chunks_exact(2)) {
        assert_eq!(rgb, [grey[0], grey[0], grey[0], grey[1]]);
    }
}

#[test]
fn hidden_colours_stay_and_do_not_show() {
    for colour in [Colour::Rgb, Colour::Grey] {
        let results = [0.0, 1.0].map(|hidden| {
            let mut host = layer(80, 60, colour, true);
            let channels = host.drawable.channels();
            let mut pixels: Vec<&mut [f32]> = host.pixels.chunks_exact_mut(channels).collect();
            for (at, pixel) in pixels.iter_mut().enumerate() {
                let alpha = if at % 80 < 30 { 0.0 } else { 0.5 };
                pixel.fill(if at % 80 < 30 { hidden } else { 0.6 });
                pixel[channels - 1] = alpha;
            }
            let before = host.pixels.clone();
            run(&mut host, &Settings::default(), brown).expect("restored");
            for (after, before) in host.pixels.chunks(channels).zip(before.chunks(channels)) {
                let hidden = before[channels - 1] == 0.0;
                assert!(!hidden || after == before);
                assert!(hidden || (after[0] - 0.6).abs() < 0.06, "{after:?}");
            }
            let visible = host
                .pixels
                .chunks(channels)
                .filter(|pixel| pixel[channels - 1] > 0.0);
            visible.flatten().copied().collect::<Vec<_>>()
        });
        assert_eq!(results[0], results[1]);
    }
}

#[test]
fn a_new_layer_leaves_the_old_one() {
    let mut host = layer(40, 30, Colour::Rgb, false);
    // Locked pixels stay as they are, so this is allowed.
    host.drawable.locked = true;
    let before = host.pixels.clone();
    let settings = Settings {
        output: Output::NewLayer,
        strength: 0.5,
        ..Settings::default()
    };
    run(&mut host, &settings, invert).expect("restored");
    assert_eq!(host.pixels, before);
    let above = host.above.expect("a new layer");
    // Half the way to the inverse is grey everywhere.
    assert!(above.iter().all(|sample| close(*sample, 0.5)));
}

/// As [`Invert`], and off by an eighth of red.
struct Unsure;

impl Network for Unsure {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, _: usize, _: usize) -> u64 {
        0
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.neg().add_scalar(1.0)
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
        let errors = x.clone().narrow(1, 0, 1) * 0.125;
        [self.forward(x), errors]
    }
}

fn unsure(_: &Settings) -> Result<Model<Unsure>, Error> {
    Ok(on_cpu(Unsure))
}

#[test]
fn expected_errors_are_a_layer_of_their_own() {
    for (output, alpha) in [(Output::Replace, false), (Output::NewLayer, true)] {
        let mut host = layer(40, 70, Colour::Rgb, alpha);
        let area = Area {
            x: 5,
            y: 3,
            width: 31,
            height: 60,
        };
        host.drawable.selection = Some(area);
        for (at, mask) in host.mask.iter_mut().enumerate() {
            let inside = (3..63).contains(&(at / 40)) && (5..36).contains(&(at % 40));
            *mask = if inside { (at % 3) as f32 / 2.0 } else { 0.0 };
        }
        let before = host.pixels.clone();
        let settings = Settings {
            output,
            uncertainty: true,
            ..Settings::default()
        };
        run(&mut host, &settings, unsure).expect("restored");
        assert_eq!(host.steps, 1);
        let map = host.errors.expect("a map");
        assert_eq!(map.area, area);
        assert_eq!(map.pixels.len(), 2 * area.width * area.height);
        let channels = host.drawable.channels();
        for (at, found) in map.pixels.chunks_exact(2).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            let pixel = &before[(y * 40 + x) * channels..][..channels];
            let is_hidden = alpha && pixel[3] == 0.0;
            let shown = if is_hidden {
                0.0
            } else {
                host.mask[y * 40 + x]
            };
            assert_eq!(found[1], (shown * 255.0).round() as u8);
            // A level is eight.
            let grey = (pixel[0] * 0.125 * 255.0 * 255.0 / 32.0).min(255.0);
            let off = (f32::from(found[0]) - grey).abs();
            assert!(is_hidden || off <= 0.51, "{found:?} {grey}");
        }
    }
}

#[test]
fn there_is_no_uncertainty_of_nothing_nor_above_a_mask() {
    let uncertain = Settings {
        uncertainty: true,
        ..Settings::default()
    };
    let mut host = layer(40, 30, Colour::Rgb, false);
    let nothing = Settings {
        strength: 0.0,
        ..uncertain.clone()
    };
    run(&mut host, &nothing, unsure).expect("nothing to do");
    assert_eq!((host.steps, &host.errors), (0, &None));
    // The network does not tell.
    let error = run(&mut host, &uncertain, invert).expect_err("refused");
    assert!(error.message().contains("cannot tell"), "{error}");
    host.drawable.layer = false;
    let error = run(&mut host, &uncertain, unsure).expect_err("refused");
    assert!(matches!(error, Error::NoUncertainty), "{error}");
    assert!(error.message().contains("leave out"), "{error}");
    assert_eq!(host.steps, 0);
}

#[test]
fn strength_0_touches_nothing_and_loads_nothing_nor_does_removing_nothing() {
    let cases = [Output::Replace, Output::NewLayer]
        .map(|output| [(output, 0.0, Removal::ALL), (output, 1.0, Removal::NONE)]);
    for (output, strength, removal) in cases.into_iter().flatten() {
        let mut host = layer(40, 30, Colour::Grey, true);
        let before = host.pixels.clone();
        let settings = Settings {
            output,
            strength,
            removal,
            ..Settings::default()
        };
        let open =
            |_: &Settings| -> Result<Model<Invert>, Error> { panic!("weights are not needed") };
        run(&mut host, &settings, open).expect("nothing to do");
        assert_eq!(host.pixels, before);
        match output {
            Output::Replace => assert_eq!((host.steps, host.above), (0, None)),
            Output::NewLayer => assert_eq!(host.above, Some(before)),
        }
    }
}

#[test]
fn what_cannot_be_restored_says_what_to_do() {
    let settings = Settings::default();
    let new_layer = Settings {
        output: Output::NewLayer,
        ..Settings::default()
    };
    let good = drawable(40, 30, Colour::Rgb, false);
    let cases: [(Drawable, &Settings, &str); 9] = [
        (
            Drawable {
                colour: Colour::Indexed,
                ..good
            },
            &settings,
            "Image > Mode > RGB",
        ),
        (
            Drawable {
                group: true,
                ..good
            },
            &settings,
            "select one layer inside it",
        ),
        (
            Drawable {
                locked: true,
                ..good
            },
            &settings,
            "unlock them",
        ),
        (
            Drawable {
                group_locked: true,
                ..good
            },
            &new_layer,
            "unlock the group",
        ),
        (
            Drawable {
                selection: None,
                ..good
            },
            &settings,
            "Select > None",
        ),
        (
            Drawable {
                layer: false,
                ..good
            },
            &new_layer,
            "choose the output",
        ),
        (
            good,
            &Settings {
                strength: 1.5,
                ..Settings::default()
            },
            "strength 1.5",
        ),
        (
            good,
            &Settings {
                removal: Removal::ALL.with(Fault::Jpeg, -1.0),
                ..Settings::default()
            },
            "compression -1",
        ),
        (
            good,
            &Settings {
                tile_size: -1,
                ..Settings::default()
            },
            "tile size -1",
        ),
    ];
    for (drawable, settings, expected) in cases {
        let mut host = Memory::new(drawable, vec![0.25; 40 * 30 * 3]);
        let opened = Cell::new(false);
        let error = run(&mut host, settings, |settings| {
            opened.set(true);
            invert(settings)
        })
        .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(!opened.get(), "refused before the weights are read");
        assert_eq!(host.steps, 0);
    }
}

#[test]
fn a_panic_becomes_a_message() {
    let mut host = layer(40, 30, Colour::Rgb, false);
    let before = host.pixels.clone();
    let error = run(&mut host, &Settings::default(), |_| {
        Ok(on_cpu(Invert { panics: true }))
    })
    .expect_err("it panics");
    assert!(error.to_string().contains("the network broke"), "{error}");
    assert_eq!((host.pixels, host.steps), (before, 0));
}

#[test]
fn a_refused_result_is_an_error() {
    let mut host = layer(40, 30, Colour::Rgb, false);
    host.refuse = true;
    let result = run(&mut host, &Settings::default(), invert);
    assert!(matches!(result, Err(Error::Refused(_))));
}

#[test]
fn a_layer_of_too_wide_rows_is_refused_and_a_part_of_it_is_not() {
    // A row of the result takes 12 bytes a pixel; 64 of them are the least.
    let restorer = invert(&Settings::default()).expect("a network").restorer;
    let settings = Settings::default();
    let outcome = |width: usize, selected: usize| {
        let whole = drawable(width, 4000, Colour::Rgb, false);
        let selection = Area {
            x: 0,
            y: 90,
            width: selected,
            height: 200,
        };
        options(&restorer, &whole, selection, &settings)
    };
    assert!(outcome(300_000, 300_000).is_ok());
    assert!(matches!(outcome(3_000_000, 3_000_000), Err(Error::TooWide)));
    let given = Settings {
        tile_size: 512,
        ..settings
    };
    let whole = drawable(3_000_000, 4000, Colour::Rgb, false);
    let all = whole.selection.expect("all of it");
    assert!(options(&restorer, &whole, all, &given).is_ok());
}

#[test]
fn a_large_layer_is_never_held_whole() {
    // 4096 bytes a pixel: 1 GiB holds tiles of about 512 x 512.
    let mut host = layer(600, 2400, Colour::Rgb, false);
    run(&mut host, &Settings::default(), invert).expect("restored");
    let whole = host.pixels.len();
    assert!(host.largest.get() < whole / 4, "{}", host.largest.get());
    let tiles = host.progress.len() - 2;
    assert!(tiles > 4, "{tiles} tiles");
    let fractions = host.progress.iter().map(|(fraction, _)| *fraction);
    assert!(fractions.is_sorted());
    assert_eq!(
        host.progress.last().map(|(fraction, _)| *fraction),
        Some(1.0)
    );
    assert!(
        host.progress[3].1.contains("left"),
        "{}",
        host.progress[3].1
    );
}
