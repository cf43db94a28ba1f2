//! Haze that is seen from afar.

use std::ops::ControlFlow;

use burn::Tensor;
use burn::module::Param;
use burn::tensor::Device;

use crate::image::Image;
use crate::model::diagnosis::{DiagnosisConfig, DiagnosisHead, Fault, statistics};
use crate::restore::{Area, ImageSink, Network, Options, Progress, Removal, Restorer};

/// Knows haze only where it sees all of a photo: there it halves all samples. Elsewhere it adds a little.
struct FarSighted {
    head: DiagnosisHead,
    /// What a view's samples become, in parts of them.
    seen: f32,
    /// What is added where haze is kept.
    kept: f32,
}

const ADDED: f32 = 0.0625;
const WIDTH: usize = 600;
const HEIGHT: usize = 420;

impl FarSighted {
    /// Which calls every photo so hazy.
    fn that_diagnoses(haze: f32) -> Restorer<Self> {
        Self::that_finds(haze, 0.0)
    }

    /// Which calls every photo so hazy and so noisy.
    fn that_finds(haze: f32, noise: f32) -> Restorer<Self> {
        let mut outputs = [0.0; 10];
        outputs[Fault::Haze as usize] = haze / 0.3;
        outputs[Fault::Noise as usize] = noise / 25.0;
        Self::that_says(outputs)
    }

    fn that_says(outputs: [f32; 10]) -> Restorer<Self> {
        let cpu = Device::flex();
        let config = DiagnosisConfig {
            inputs: statistics::COUNT,
            hidden: 1,
        };
        let mut head = config.init(&cpu);
        head.fc2.weight = Param::from_tensor(Tensor::zeros([10, 1], &cpu));
        head.fc2.bias = Param::from_tensor(Tensor::from_floats(outputs, &cpu));
        let (seen, kept) = (0.5, 0.0);
        Restorer::new(Self { head, seen, kept }, &cpu)
    }
}

impl Network for FarSighted {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match x.dims()[3] {
            // Views, and no tiles of these tests.
            280 | 392 => x * self.seen,
            _ => x + ADDED,
        }
    }

    fn forward_steered(
        &self,
        x: Tensor<4>,
        _stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> Tensor<4> {
        x + ADDED + self.kept * (1.0 - removal.haze)
    }

    fn steers(&self) -> bool {
        true
    }

    fn diagnosis(&self) -> Option<&DiagnosisHead> {
        Some(&self.head)
    }
}

/// Gentle slopes, and a frame if asked for.
fn photo(framed: bool) -> Image {
    let pixels = (0..WIDTH * HEIGHT).flat_map(|at| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        if framed && !(60..540).contains(&x) {
            return [1.0; 3];
        }
        let (right, down) = (x as f32 / WIDTH as f32, y as f32 / HEIGHT as f32);
        [0.3 + 0.2 * right, 0.4 + 0.1 * down, 0.5 - 0.1 * right]
    });
    Image::new(WIDTH, HEIGHT, pixels.collect()).expect("a good image")
}

/// How much of the veil was lifted from a sample.
fn lifted(before: f32, after: f32) -> f32 {
    (before + ADDED - after) / (0.5 * before)
}

fn check(found: f32, share: f32) {
    assert!(
        (found - share).abs() < 0.1 * share + 1e-5,
        "{found}, not {share}"
    );
}

#[test]
fn a_veil_is_lifted_as_far_as_haze_is_found_and_asked_for() {
    let image = photo(false);
    for (haze, removed, share) in [
        (0.5, 1.0, 1.0),
        (0.14, 1.0, 0.5),
        (0.11, 1.0, 0.0),
        (0.5, 0.5, 0.5),
        (0.5, 0.0, 0.0),
    ] {
        let restorer = FarSighted::that_diagnoses(haze);
        for (tile, self_ensemble) in [(None, false), (Some(128), false), (Some(256), true)] {
            let options = Options {
                tile,
                self_ensemble,
                removal: Removal {
                    haze: removed,
                    ..Removal::ALL
                },
                ..Options::default()
            };
            let found = restorer.restore_image(&image, &options).expect("restored");
            for (before, after) in image.pixels().iter().zip(found.pixels()) {
                check(lifted(*before, *after), share);
            }
        }
    }
}

#[test]
fn strength_mixes_with_the_photo_as_it_was() {
    let image = photo(false);
    let options = Options {
        strength: 0.5,
        ..Options::default()
    };
    let restorer = FarSighted::that_diagnoses(0.5);
    let full = restorer.restore_image(&image, &Options::default());
    let full = full.expect("restored");
    let half = restorer.restore_image(&image, &options).expect("restored");
    let three = image.pixels().iter().zip(full.pixels()).zip(half.pixels());
    for ((before, full), half) in three {
        assert!((half - 0.5 * (before + full)).abs() < 1e-6);
    }
}

#[test]
fn a_part_has_the_veil_of_the_whole() {
    let image = photo(false);
    let restorer = FarSighted::that_diagnoses(0.5);
    let options = Options {
        tile: Some(128),
        ..Options::default()
    };
    let progress = &mut |_: Progress| ControlFlow::Continue(());
    let restored = restorer.restore_image(&image, &options).expect("restored");
    let area = Area {
        x: 333,
        y: 77,
        width: 61,
        height: 50,
    };
    let statistics = restorer
        .statistics(&image, &options, progress)
        .expect("statistics");
    for known in [false, true] {
        let mut sink = ImageSink::new(area.width, area.height).expect("a size");
        match known {
            true => restorer.restore_part(
                &image,
                area,
                Some(&statistics),
                &mut sink,
                &options,
                progress,
            ),
            false => restorer.restore_area(&image, area, &mut sink, &options, progress),
        }
        .expect("restored");
        let part = sink.finish().expect("all rows");
        for (at, value) in part.pixels().iter().enumerate() {
            let (x, y) = (area.x + at / 3 % area.width, area.y + at / 3 / area.width);
            let wanted = restored.pixels()[(y * WIDTH + x) * 3 + at % 3];
            assert!((value - wanted).abs() < 1e-6, "{x} {y}: {value}, {wanted}");
        }
    }
}

#[test]
fn noise_that_is_to_stay_does_not_grow() {
    let image = photo(false);
    for (noise, removed, expected) in [(20.0, 1.0, true), (20.0, 0.5, false), (2.0, 0.5, true)] {
        let options = Options {
            removal: Removal {
                noise: removed,
                ..Removal::ALL
            },
            ..Options::default()
        };
        let veil = FarSighted::that_finds(0.5, noise).veil(&image, &options);
        assert_eq!(
            veil.expect("looked").is_some(),
            expected,
            "{noise} {removed}"
        );
    }
}

#[test]
fn haze_that_is_only_imagined_stays() {
    let image = photo(false);
    // A mean of 0.4, of which a tenth is taken away.
    for (seen, haze, rain, noise, imagined) in [
        (0.9, 0.05, 0.0, 0.0, true),
        (0.9, 0.11, 0.0, 0.0, false),
        (0.9, 0.05, 0.1, 0.0, false),
        (0.9, 0.05, 0.0, 20.0, false),
        (0.95, 0.05, 0.0, 0.0, false),
        (0.7, 0.05, 0.0, 0.0, false),
    ] {
        let mut outputs = [0.0; 10];
        outputs[Fault::Haze as usize] = haze / 0.3;
        outputs[Fault::Rain as usize] = rain / 0.2;
        outputs[Fault::Noise as usize] = noise / 25.0;
        let mut restorer = FarSighted::that_says(outputs);
        restorer.network.seen = seen;
        restorer.network.kept = 0.25;
        let added = if imagined { ADDED + 0.25 } else { ADDED };
        let options = Options::default();
        let found = restorer.restore_image(&image, &options).expect("restored");
        for (before, after) in image.pixels().iter().zip(found.pixels()) {
            assert!(
                (after - before - added).abs() < 1e-6,
                "{seen} {haze} {rain} {noise}"
            );
        }
        let statistics = restorer.statistics(&image, &options, &mut |_| ControlFlow::Continue(()));
        let mut sink = ImageSink::new(WIDTH, HEIGHT).expect("a size");
        let area = Area {
            x: 0,
            y: 0,
            width: WIDTH,
            height: HEIGHT,
        };
        restorer
            .restore_part(
                &image,
                area,
                Some(&statistics.expect("statistics")),
                &mut sink,
                &options,
                &mut |_| ControlFlow::Continue(()),
            )
            .expect("restored");
        assert_eq!(sink.finish().expect("all rows"), found);
        let asked = Options {
            removal: Removal::only(&[Fault::Haze]),
            ..options
        };
        assert!(restorer.veil(&image, &asked).expect("looked").is_none());
    }
}

#[test]
fn frames_stay_and_small_photos_and_little_memory_do_without() {
    let restorer = FarSighted::that_diagnoses(0.5);
    let image = photo(true);
    let found = restorer.restore_image(&image, &Options::default());
    let found = found.expect("restored");
    for (before, after) in image.pixels().iter().zip(found.pixels()) {
        match *before {
            1.0 => assert_eq!(*after, 1.0),
            before => check(lifted(before, *after), 1.0),
        }
    }
    let small = Image::new(272, 200, vec![0.5; 272 * 200 * 3]).expect("a good image");
    let veil = |image: &Image, options: &Options| {
        let veil = restorer.veil(image, options).expect("looked");
        veil.is_some()
    };
    assert!(!veil(&small, &Options::default()));
    assert!(veil(&image, &Options::default()));
    let little = Options {
        memory: Some(1 << 20),
        ..Options::default()
    };
    assert!(!veil(&image, &little));
}
