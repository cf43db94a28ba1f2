//! The job with a host in memory and networks whose result is known.

use std::cell::Cell;

use burn::Tensor;
use burn::tensor::Device;

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

fn invert(_: &Settings) -> Result<Restorer<Invert>, Error> {
    Ok(Restorer::new(Invert { panics: false }, &Device::flex()))
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
        let before = host.pixels.clone();
        let settings = Settings {
            tile_size: 64,
            ..Settings::default()
        };
        run(&mut host, &settings, invert).expect("restored");
        let channels = host.drawable.channels();
        for (at, (before, after)) in before.iter().zip(&host.pixels).enumerate() {
            let is_alpha = alpha && at % channels == channels - 1;
            let expected = if is_alpha { *before } else { 1.0 - before };
            assert!(close(*after, expected), "{colour:?} {alpha}: sample {at}");
            assert!(!is_alpha || before == after, "alpha is kept bit by bit");
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
    let before = host.pixels.clone();
    let settings = Settings {
        tile_size: 64,
        ..Settings::default()
    };
    run(&mut host, &settings, invert).expect("restored");
    for (at, (before, after)) in before.iter().zip(&host.pixels).enumerate() {
        let mask = host.mask[at / 4];
        if mask == 0.0 {
            assert_eq!(before, after, "outside the selection");
        } else if at % 4 < 3 {
            let expected = before * (1.0 - mask) + (1.0 - before) * mask;
            assert!(close(*after, expected), "sample {at}");
        }
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

#[test]
fn strength_0_touches_nothing_and_loads_nothing() {
    for output in [Output::Replace, Output::NewLayer] {
        let mut host = layer(40, 30, Colour::Grey, true);
        let before = host.pixels.clone();
        let settings = Settings {
            output,
            strength: 0.0,
            ..Settings::default()
        };
        let open =
            |_: &Settings| -> Result<Restorer<Invert>, Error> { panic!("weights are not needed") };
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
    let cases: [(Drawable, &Settings, &str); 8] = [
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
        Ok(Restorer::new(Invert { panics: true }, &Device::flex()))
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
fn the_memory_holds_the_tile_and_the_band() {
    let restorer = invert(&Settings::default()).expect("a network");
    let whole = drawable(300_000, 4000, Colour::Rgb, false);
    let wide = whole.selection.expect("all of it");
    let small = Area {
        x: 5000,
        y: 90,
        width: 10,
        height: 10,
    };
    for (selection, least) in [(wide, 64 << 20), (small, MEMORY - (1 << 20))] {
        let options = options(&restorer, &whole, selection, &Settings::default());
        let options = options.expect("it fits");
        let plan = restorer
            .plan_area(whole.width, whole.height, selection, &options)
            .expect("a plan");
        let memory = options.memory.expect("a budget");
        let band = (plan.tile_height() * plan.width() * 16) as u64;
        assert!(memory >= least, "{memory}");
        assert!(memory + band <= MEMORY, "{memory} + {band}");
    }
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
