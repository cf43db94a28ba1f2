//! Photos made of one scene, in colour and toned, and a network that tints all that it sees.

use burn::Tensor;
use burn::tensor::Device;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::image::Image;
use crate::restore::{Network, Options, Restorer};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// A little darker, and browner where it is brighter.
struct Tint;

const BROWN: [f32; 3] = [0.1, -0.02, -0.08];

fn tinted(pixel: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|channel| pixel[channel] * 0.98 + BROWN[channel] * pixel[1])
}

impl Network for Tint {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let green = x.clone().narrow(1, 1, 1);
        let brown = Tensor::<1>::from_floats(BROWN, &x.device());
        x * 0.98 + green * brown.reshape([1, 3, 1, 1])
    }
}

fn restored(image: &Image, options: &Options) -> Image {
    let restorer = Restorer::new(Tint, &Device::flex());
    restorer.restore_image(image, options).expect("restored")
}

fn ways() -> Vec<Options> {
    let tiled = Options {
        tile: Some(64),
        ..Options::default()
    };
    vec![
        Options::default(),
        tiled.clone(),
        Options {
            self_ensemble: true,
            strength: 0.3,
            ..tiled
        },
    ]
}

fn toning_of(source: &dyn Source) -> Option<Toning> {
    Toning::of(source).expect("pixels in memory")
}

/// A bright sky, dark hills, a house with windows, and texture, 0..=1.
fn scene(x: usize, y: usize) -> f32 {
    let (x, y) = (x as f32, y as f32);
    let hills = 60.0 + 15.0 * (x / 30.0).sin();
    let texture = 0.08 * (x * 1.3).sin() * (y * 0.9).cos();
    let house = (60.0..110.0).contains(&x) && (40.0..90.0).contains(&y);
    if house && (x as usize / 8 + y as usize / 8).is_multiple_of(3) {
        0.05
    } else if house {
        0.7 + texture
    } else if y < hills {
        0.95 - y / 200.0
    } else {
        0.1 + (y - hills) / 150.0 + texture
    }
}

fn image(mut pixel: impl FnMut(usize, usize) -> [f32; 3]) -> Image {
    let pixels = (0..WIDTH * HEIGHT).flat_map(|at| pixel(at % WIDTH, at / WIDTH));
    Image::new(WIDTH, HEIGHT, pixels.collect()).expect("a good image")
}

/// Grey, faded grey, faded brown and strong sepia, of a brightness.
const TONES: [fn(f32) -> [f32; 3]; 4] = [
    |v| [v; 3],
    |v| [0.25 + 0.5 * v; 3],
    |v| {
        let faded = 0.2 + 0.65 * v;
        [faded + 0.08 - 0.05 * v, faded, faded - 0.06 + 0.02 * v]
    },
    |v| [v.powf(0.8), v, v.powf(1.25)],
];

/// In 8 bit, with noise of that standard deviation, another in each channel or the same.
fn rounded(image: &Image, noise: f32, independent: bool) -> Image {
    let mut random = StdRng::seed_from_u64(7);
    // Uniform, with a standard deviation of 1.
    let mut draw = || noise * 3f32.sqrt() * (2.0 * random.random::<f32>() - 1.0);
    let pixels = image.pixels().chunks_exact(3).flat_map(|pixel| {
        let same = draw();
        let pixel: [f32; 3] = std::array::from_fn(|at| pixel[at]);
        pixel.map(|value| value + if independent { draw() } else { same })
    });
    let round = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() / 255.0;
    Image::new(WIDTH, HEIGHT, pixels.map(round).collect()).expect("a good image")
}

/// Means of what red and blue have more than the mean of the channels, over squares of 20 pixels.
fn colours(image: &Image) -> Vec<f32> {
    const SIDE: usize = 20;
    let mut means = vec![0.0; WIDTH / SIDE * (HEIGHT / SIDE) * 2];
    for (at, pixel) in image.pixels().chunks_exact(3).enumerate() {
        let square = at / WIDTH / SIDE * (WIDTH / SIDE) + at % WIDTH / SIDE;
        let mean = (pixel[0] + pixel[1] + pixel[2]) / 3.0;
        means[2 * square] += (pixel[0] - mean) / (SIDE * SIDE) as f32;
        means[2 * square + 1] += (pixel[2] - mean) / (SIDE * SIDE) as f32;
    }
    means
}

#[test]
fn grey_stays_grey() {
    for depth in [255.0, 65535.0, 1e7] {
        let grey = image(|x, y| [(scene(x, y) * depth).round() / depth; 3]);
        for options in ways() {
            let result = restored(&grey, &options);
            for (before, after) in grey
                .pixels()
                .chunks_exact(3)
                .zip(result.pixels().chunks_exact(3))
            {
                assert!(after[0] == after[1] && after[1] == after[2], "{after:?}");
                let [red, green, blue] = tinted([before[0]; 3]);
                let mean = (red + green + blue) / 3.0;
                let expected = before[0] + options.strength * (mean - before[0]);
                assert!((after[0] - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_part_of_a_grey_photo_is_grey_only_if_all_of_it_is() {
    let area = Area {
        x: 8,
        y: 8,
        width: 16,
        height: 16,
    };
    let part = |photo: &Image| {
        let mut sink = crate::restore::ImageSink::new(16, 16).expect("a size");
        let mut progress = |_| std::ops::ControlFlow::Continue(());
        Restorer::new(Tint, &Device::flex())
            .restore_area(photo, area, &mut sink, &ways()[1], &mut progress)
            .expect("restored");
        sink.finish().expect("all rows")
    };
    let is_grey = |image: &Image| {
        image
            .pixels()
            .chunks_exact(3)
            .all(|pixel| pixel[0] == pixel[2])
    };
    let grey = image(|x, y| [scene(x, y); 3]);
    assert!(is_grey(&part(&grey)));
    let flag = |x: usize, y: usize| {
        if x > 100 && y > 60 {
            [0.9, 0.1, 0.1]
        } else {
            [scene(x, y); 3]
        }
    };
    assert!(!is_grey(&part(&image(flag))));
}

#[test]
fn toned_photos_keep_their_tone() {
    for tone in TONES {
        let toned = image(|x, y| tone(scene(x, y)));
        for (noise, independent) in [(0.0, false), (5.0, true), (25.0, true), (25.0, false)] {
            let photo = rounded(&toned, noise / 255.0, independent);
            let result = restored(&photo, &Options::default());
            let pairs = colours(&result).into_iter().zip(colours(&toned));
            let largest = pairs
                .map(|(a, b)| 255.0 * (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                largest < 1.0 + 0.05 * noise,
                "{:?}, noise {noise} {independent}: {largest}",
                tone(0.5)
            );
        }
    }
}

#[test]
fn photos_in_colour_are_left_to_the_network() {
    /// The colour at a place that is that bright.
    type Hue = fn(f32, usize, usize) -> [f32; 3];
    let hues: [Hue; 4] = [
        // A blue sky over green hills.
        |v, _, y| {
            if y < 60 {
                [v * 0.7, v * 0.85, v]
            } else {
                [v * 0.9, v, v * 0.6]
            }
        },
        // As pale as this, in mist.
        |v, _, y| {
            let v = 0.6 + 0.2 * v;
            if y < 60 {
                [v - 0.01, v, v + 0.02]
            } else {
                [v, v + 0.01, v - 0.02]
            }
        },
        // One red thing in a grey photo.
        |v, x, y| {
            if (130..136).contains(&x) && (100..106).contains(&y) {
                [0.8, 0.1, 0.1]
            } else {
                [v; 3]
            }
        },
        // Hand-coloured: sepia, with red cheeks.
        |v, x, y| {
            let cheek = (30..50).contains(&x) && (80..100).contains(&y);
            [
                v.powf(0.8) + if cheek { 0.06 } else { 0.0 },
                v,
                v.powf(1.25),
            ]
        },
    ];
    for (number, hue) in hues.iter().enumerate() {
        for noise in [0.0, 10.0] {
            let photo = rounded(&image(|x, y| hue(scene(x, y), x, y)), noise / 255.0, true);
            assert!(toning_of(&photo).is_none(), "{number}, noise {noise}");
            for options in ways() {
                let result = restored(&photo, &options);
                let pixels = photo.pixels().chunks_exact(3);
                for (before, after) in pixels.zip(result.pixels().chunks_exact(3)) {
                    let due = tinted(std::array::from_fn(|at| before[at]));
                    for at in 0..3 {
                        let due = before[at] + options.strength * (due[at] - before[at]);
                        assert!((after[at] - due).abs() < 1e-5, "{number}, noise {noise}");
                    }
                }
            }
        }
    }
}

/// A scanned letter of 5 megapixels on yellowed paper, with the red and cyan fringes of a scanner at its letters; signed in
/// blue ink or not.
struct Letter {
    signed: bool,
}

impl Source for Letter {
    fn width(&self) -> usize {
        1900
    }

    fn height(&self) -> usize {
        2600
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        let paper = |x: usize, y: usize| {
            let printed = (y / 16).is_multiple_of(3) && (x / 7 + y / 48 * 5).is_multiple_of(3);
            if printed { 0.1 } else { 0.9 }
        };
        for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            let ink = (1200..1400).contains(&x) && y.abs_diff(2000 + x % 97 / 3) < 3;
            pixel.copy_from_slice(&match ink && self.signed {
                true => [0.15, 0.2, 0.6],
                false => [paper(x + 1, y), paper(x, y), paper(x, y) * 0.93],
            });
        }
        Ok(())
    }
}

#[test]
fn a_signature_on_a_large_scan_keeps_its_colour() {
    assert!(toning_of(&Letter { signed: false }).is_some());
    assert!(toning_of(&Letter { signed: true }).is_none());
}

#[test]
fn what_is_hidden_says_nothing() {
    struct CutOut(Image);
    impl Source for CutOut {
        fn width(&self) -> usize {
            WIDTH
        }
        fn height(&self) -> usize {
            HEIGHT
        }
        fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
            self.0.read(area, rgb)?;
            for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
                if area.x + at % area.width < 40 {
                    pixel.fill(f32::NAN);
                }
            }
            Ok(())
        }
    }
    let photo = image(|x, y| {
        if x < 40 {
            [1.0, 0.0, 1.0]
        } else {
            [scene(x, y); 3]
        }
    });
    assert!(toning_of(&photo).is_none());
    let toning = toning_of(&CutOut(photo)).expect("grey, as far as it is visible");
    let mut pixel = [0.3, 0.4, 0.8];
    toning.apply(&mut pixel, &[0.5; 3]);
    assert_eq!(pixel, [pixel[0]; 3]);
    // Nothing visible: nothing in colour.
    let empty = CutOut(image(|_, _| [0.5, 0.2, 0.1]));
    struct All(CutOut);
    impl Source for All {
        fn width(&self) -> usize {
            40
        }
        fn height(&self) -> usize {
            HEIGHT
        }
        fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
            self.0.read(area, rgb)
        }
    }
    assert!(toning_of(&All(empty)).is_some());
}

#[test]
fn too_little_to_tell_is_left_to_the_network() {
    let small = Image::new(2, 1, vec![0.5, 0.4, 0.3, 0.7, 0.6, 0.5]).expect("a good image");
    assert!(toning_of(&small).is_none());
    // Noise that drowns everything, in numbers that overflow squares.
    let mut random = StdRng::seed_from_u64(3);
    let noise = image(|_, _| std::array::from_fn(|_| random.random::<f32>()));
    assert!(toning_of(&noise).is_none());
    let huge = image(|x, y| [scene(x, y) * 1e38, -1e38, 3e38]);
    assert!(toning_of(&huge).is_none());
}
