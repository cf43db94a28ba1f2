//! The job with a host in memory and networks whose result is known.

mod refusals;
mod uncertainty;

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
