//! Photos in frames.

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::image::Image;
use crate::restore::tests::global::Global;
use crate::restore::{Area, ImageSink, Options, Restorer};

/// Adds the brightest sample of all that it sees, or of the whole image.
const BRIGHTEST: Global = Global {
    statistic: |x| x.max(),
    apply: |x, brightest| x + brightest,
};

const WIDTH: usize = 210;
const HEIGHT: usize = 130;

fn is_photo(x: usize, y: usize) -> bool {
    (30..190).contains(&x) && (40..130).contains(&y)
}

/// Samples of 0.25 or 0.5 in a white frame.
fn framed() -> Image {
    let pixels = (0..HEIGHT * WIDTH).flat_map(|at| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        [match is_photo(x, y) {
            true if (x + y).is_multiple_of(2) => 0.25,
            true => 0.5,
            false => 1.0,
        }; 3]
    });
    Image::new(WIDTH, HEIGHT, pixels.collect()).expect("a good image")
}

fn check(found: &Image, area: Area, strength: f32) {
    let framed = framed();
    for (at, pixel) in found.pixels().chunks_exact(3).enumerate() {
        let (x, y) = (area.x + at % area.width, area.y + at / area.width);
        let before = framed.pixels()[(y * WIDTH + x) * 3];
        let wanted = match is_photo(x, y) {
            true => before + 0.5 * strength,
            false => before,
        };
        for value in pixel {
            assert!((value - wanted).abs() < 1e-6, "{x} {y}: {value}");
        }
    }
}

#[test]
fn the_network_sees_the_photo_alone_and_the_frame_stays() {
    let restorer = Restorer::new(BRIGHTEST, &Device::flex());
    for (tile, self_ensemble, strength) in [
        (None, false, 1.0),
        (Some(32), false, 1.0),
        (Some(64), true, 1.0),
        (Some(48), false, 0.5),
    ] {
        let options = Options {
            tile,
            self_ensemble,
            strength,
            ..Options::default()
        };
        let found = restorer
            .restore_image(&framed(), &options)
            .expect("restored");
        check(&found, area_of(0, 0, WIDTH, HEIGHT), strength);
    }
}

#[test]
fn a_part_is_as_in_the_whole() {
    let restorer = Restorer::new(BRIGHTEST, &Device::flex());
    let progress = &mut |_: crate::restore::Progress| ControlFlow::Continue(());
    let options = Options {
        tile: Some(48),
        ..Options::default()
    };
    let image = framed();
    let statistics = restorer
        .statistics(&image, &options, progress)
        .expect("statistics");
    for area in [
        area_of(20, 30, 40, 40),
        area_of(150, 60, 60, 70),
        area_of(0, 0, 20, 20),
        area_of(90, 70, 30, 30),
    ] {
        let sink = || ImageSink::new(area.width, area.height).expect("a size");
        let mut whole = sink();
        restorer
            .restore_area(&image, area, &mut whole, &options, progress)
            .expect("restored");
        check(&whole.finish().expect("all rows"), area, 1.0);
        for statistics in [Some(&statistics), None] {
            let mut part = sink();
            restorer
                .restore_part(&image, area, statistics, &mut part, &options, progress)
                .expect("restored");
            check(&part.finish().expect("all rows"), area, 1.0);
        }
    }
}

fn area_of(x: usize, y: usize, width: usize, height: usize) -> Area {
    Area {
        x,
        y,
        width,
        height,
    }
}
