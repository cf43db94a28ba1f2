//! The page in a real browser gives what the program gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::Device;
use dino_ir::image::Image;
use dino_ir::restore::{self, Network, Options, Restoration};
use dino_ir::{embedded, weights};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The tile of the page without threads; both sides of `noisy.png` are larger.
const TILE: usize = 256;
/// The page's weights are rounded to compress well, so the two are not equal to the last bit.
const LEAST_PSNR: f64 = 50.0;

#[test]
fn the_page_restores_as_the_program_does() {
    let root = dino_ir_tests::package();
    let folder = tempfile::tempdir().expect("a folder");
    let (inputs, results) = (folder.path().join("inputs"), folder.path().join("results"));
    // Screenshots are to be looked at: the folder can be chosen.
    let results = std::env::var_os("WEB_RESULTS").map_or(results, PathBuf::from);
    for folder in [&inputs, &results] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    write_inputs(&inputs);

    let status = Command::new(root.join("browser/run"))
        .args([&inputs, &results])
        .status()
        .expect("the browser tests can be started");
    assert!(status.success(), "the page fails in the browser");

    for (name, input, tile) in [
        ("cpu", "noisy.png", Some(TILE)),
        ("npm", "noisy.png", Some(TILE)),
        ("threads", "noisy.png", None),
        ("firefox", "small.png", Some(TILE)),
        ("webgpu", "small.png", Some(TILE)),
    ] {
        let may_lack = ["firefox", "threads"].contains(&name);
        if may_lack && !results.join(format!("{name}.rgba")).exists() {
            println!("{name}: skipped, the browser's tests say why");
            continue;
        }
        let found = read_result(&results, name);
        let (expected, errors) = restored(&inputs.join(input), tile);
        let psnr = psnr(&found, &expected);
        println!("{name}: {psnr:.2} dB against the program");
        assert!(psnr >= LEAST_PSNR, "{name}: {psnr:.2} dB");
        let input = image::open(inputs.join(input)).expect("made above");
        let untouched = self::psnr(input.to_rgb8().as_raw(), &expected);
        assert!(
            untouched < LEAST_PSNR - 10.0,
            "{name}: the network did nothing"
        );
        if name == "cpu" {
            let shown = std::fs::read_to_string(results.join("expected-error.txt"));
            let shown: f32 = shown.expect("written").parse().expect("a number");
            let mean = 255.0 * errors.iter().sum::<f32>() / errors.len() as f32;
            println!("expected errors: {shown} levels in the page, {mean:.2} in the program");
            assert!((shown - mean).abs() < 0.1 + 0.02 * mean);
        }
    }
}

/// What the browser read from the page's canvas, without alpha.
fn read_result(results: &Path, name: &str) -> Vec<u8> {
    let rgba = std::fs::read(results.join(format!("{name}.rgba"))).expect("written by the browser");
    let pixels = rgba.chunks_exact(4);
    pixels.flat_map(|pixel| &pixel[..3]).copied().collect()
}

/// The program's result with the embedded weights, in tiles of that side or in one piece, and its expected errors.
fn restored(path: &Path, tile: Option<usize>) -> (Vec<u8>, Vec<f32>) {
    let photo = image::open(path).expect("made above").to_rgb8();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let pixels = photo.as_raw().iter().map(|&v| f32::from(v) / 255.0);
    let photo = Image::new(width, height, pixels.collect()).expect("a photo");
    let device = Device::flex();
    let network = weights::load(embedded::nano(), &device).expect("the embedded weights");
    let options = Options {
        tile,
        overlap: tile.map(|tile| tile / 8),
        uncertainty: true,
        ..Options::default()
    };
    // As the page does it: the calibration pass uses the tiles in which the photo is restored, not larger ones.
    let plan = restore::plan(&network, width, height, &options).expect("a plan");
    let restorer = restore::Restorer::new(&network, &device);
    let veil = restorer.veil(&photo, &options).expect("looked");
    let calibrates = network.has_global_statistics();
    let restoration = Restoration::new(plan, &options, calibrates, &photo).expect("begun");
    let mut restoration = restoration.with_veil(veil);
    let (mut bytes, mut errors) = (Vec::new(), Vec::new());
    while let Some(tile) = restoration.next_tile(&photo).expect("a photo in memory") {
        let output: Vec<f32> = restore::run(&network, tile, &device)
            .into_data()
            .iter()
            .collect();
        if let Some(rows) = restoration.accept(&output).expect("restored") {
            bytes.extend(rows.rgb.iter().map(|v| (v * 255.0).round() as u8));
            errors.extend(rows.uncertainty.expect("asked for"));
        }
    }
    (bytes, errors)
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "photos of one size");
    let squares = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2));
    let error = squares.sum::<f64>() / a.len() as f64;
    10.0 * (255.0 * 255.0 / error).log10()
}

/// The photos and other files that the browser is given.
fn write_inputs(folder: &Path) {
    let save = |name: &str, photo: &RgbImage| photo.save(folder.join(name)).expect("written");
    save("noisy.png", &noisy(392, 300));
    save("small.png", &noisy(96, 96));
    save("large.jpg", &noisy(6000, 4000));
    // More columns than a canvas may have.
    save("wide.png", &RgbImage::new(70_000, 8));

    let whole = std::fs::read(folder.join("noisy.png")).expect("written above");
    std::fs::write(folder.join("truncated.png"), &whole[..whole.len() / 2]).expect("written");
    std::fs::write(folder.join("notes.txt"), "These are no pixels.\n").expect("written");
    std::fs::write(folder.join("oriented.jpg"), oriented()).expect("written");
    std::fs::write(folder.join("tampered.safetensors"), tampered()).expect("written");
}

/// Shapes with edges under noise of deviation 25.
fn noisy(width: u32, height: u32) -> RgbImage {
    let mut random = StdRng::seed_from_u64(1);
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = if (x / 24 + y / 16) % 2 == 0 {
            60.0
        } else {
            0.0
        };
        Rgb([0u32, 1, 2].map(|channel| {
            let clean = 80.0 + stripe + ((x + channel * y) % 64) as f32;
            // Twelve uniform numbers make a good normal one.
            let normal: f32 = (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
            (clean + 25.0 * normal).round() as u8
        }))
    })
}

/// A JPEG, dark on the left and bright on the right, whose EXIF data say that it is to be turned clockwise.
fn oriented() -> Vec<u8> {
    let photo = RgbImage::from_fn(96, 64, |x, _| Rgb([if x < 48 { 40 } else { 210 }; 3]));
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95)
        .write_image(&photo, 96, 64, ExtendedColorType::Rgb8)
        .expect("encoded");
    // One entry: tag 0x0112 (orientation), type short, count 1, value 6.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, exif.iter().copied());
    jpeg
}

/// The embedded weights with another seed of the golden image, as if the device had computed wrongly.
fn tampered() -> Vec<u8> {
    let mut bytes = embedded::nano().to_vec();
    let seed = br#"\"seed\":2024"#;
    let at = bytes
        .windows(seed.len())
        .position(|window| window == seed)
        .expect("the header has a seed");
    bytes[at + seed.len() - 1] = b'5';
    bytes
}
