//! The command with a network that changes nothing: what comes out is what the files lose.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use burn::Tensor;
use burn::tensor::Device;
use dino_ir::restore::{Network, Options, Restorer};

use super::estimate::Estimate;
use super::naming::Names;
use super::one::{check_memory, restore};
use super::target::{Place, Target};
use super::*;
use crate::photo::exif::tests::sample;
use crate::photo::metadata::{Resolution, Unit};
use crate::photo::{Depth, Format, Metadata, Photo};

mod choices;
mod colour;
mod explained;
mod failing;
mod losses;
mod others;
mod tiff;
mod uncertainty;

struct Identity;

impl Network for Identity {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 100) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }
}

fn engine() -> Restorer<Identity> {
    Restorer::new(Identity, &Device::flex())
}

fn settings() -> Settings {
    Settings {
        options: Options {
            tile: Some(32),
            overlap: Some(8),
            ..Options::default()
        },
        quiet: true,
        ..Settings::default()
    }
}

fn photo(format: Format, channels: usize, depth: Depth) -> Photo {
    let (width, height) = (53, 41);
    let samples = (0..width * height * channels * depth.bytes())
        .map(|index| (index as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let metadata = Metadata::default();
    Photo {
        width,
        height,
        channels,
        depth,
        samples,
        format,
        metadata,
        notes: vec![],
    }
}

fn encoded(photo: &Photo) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    photo.encode(photo.format, &mut bytes).expect("encodes");
    bytes.into_inner()
}

fn decoded(bytes: &[u8]) -> Photo {
    Photo::decode(bytes, 1 << 30).expect("decodes")
}

/// Restores files of these names and contents in a folder; returns it.
fn restored(files: &[(&str, Vec<u8>)], settings: &Settings) -> (tempfile::TempDir, Outcome) {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs: Vec<PathBuf> = files
        .iter()
        .map(|(name, _)| folder.path().join(name))
        .collect();
    for (path, (_, bytes)) in inputs.iter().zip(files) {
        fs::write(path, bytes).expect("a file");
    }
    let jobs = naming::jobs(&inputs, &Names::default()).expect("jobs");
    let outcome = run(&jobs, &engine(), settings);
    (folder, outcome)
}

fn restored_one(name: &str, bytes: Vec<u8>) -> Photo {
    let (folder, outcome) = restored(&[(name, bytes)], &settings());
    assert_eq!(outcome, Outcome::Done, "{name}");
    decoded(&fs::read(naming::beside(&folder.path().join(name), naming::SUFFIX)).expect("a result"))
}

/// A profile of the given colour space, as far as anybody looks.
fn profile(space: &[u8; 4]) -> Vec<u8> {
    let mut icc = vec![0; 132];
    icc[3] = 132;
    icc[16..20].copy_from_slice(space);
    icc[36..40].copy_from_slice(b"acsp");
    icc
}

#[test]
fn lossless_formats_keep_every_bit() {
    let mut cases = Vec::new();
    for channels in 1..=4 {
        for depth in [Depth::Eight, Depth::Sixteen] {
            cases.push(("x.png", photo(Format::Png, channels, depth)));
            cases.push(("x.tif", photo(Format::Tiff, channels, depth)));
        }
    }
    cases.push(("x.webp", photo(Format::WebP, 3, Depth::Eight)));
    cases.push(("x.webp", photo(Format::WebP, 4, Depth::Eight)));
    for (name, photo) in cases {
        let result = restored_one(name, encoded(&photo));
        let case = format!("{name} {} {:?}", photo.channels, photo.depth);
        assert_eq!(
            (result.width, result.height),
            (photo.width, photo.height),
            "{case}"
        );
        assert_eq!(
            (result.channels, result.depth),
            (photo.channels, photo.depth),
            "{case}"
        );
        assert!(result.samples == photo.samples, "{case}: samples differ");
    }
}

#[test]
fn metadata_survive() {
    let exif = sample();
    for (name, format) in [
        ("x.png", Format::Png),
        ("x.jpg", Format::Jpeg),
        ("x.webp", Format::WebP),
        ("x.tif", Format::Tiff),
    ] {
        let mut photo = photo(format, 3, Depth::Eight);
        photo.metadata.icc = Some(profile(b"RGB "));
        photo.metadata.exif = Some(exif.to_bytes());
        photo.metadata.resolution = Some(Resolution {
            x: (300, 1),
            y: (150, 1),
            unit: Unit::Inch,
        });
        let result = restored_one(name, encoded(&photo)).metadata;
        assert_eq!(result.icc, photo.metadata.icc, "{name}");
        let found =
            crate::photo::exif::Directory::parse(&result.exif.expect("EXIF")).expect("EXIF");
        for entry in &exif.entries {
            assert_eq!(found.get(entry.tag), Some(entry), "{name}");
        }
        assert_eq!(found.children, exif.children, "{name}");
        if format != Format::WebP {
            let resolution = result.resolution.expect("a resolution");
            assert_eq!(resolution.per(Unit::Inch), (300, 150), "{name}");
        }
    }
}

#[test]
fn what_only_one_format_knows_survives_in_it() {
    let mut png = photo(Format::Png, 3, Depth::Eight);
    png.metadata.png_chunks = vec![
        (*b"gAMA", 45455u32.to_be_bytes().to_vec()),
        (*b"tEXt", b"Title\0x".to_vec()),
    ];
    assert_eq!(
        restored_one("x.png", encoded(&png)).metadata.png_chunks,
        png.metadata.png_chunks
    );

    let mut jpeg = photo(Format::Jpeg, 3, Depth::Eight);
    jpeg.metadata.xmp = Some(b"<x/>".to_vec());
    jpeg.metadata.jpeg_segments = vec![
        (0xED, b"Photoshop 3.0\0".to_vec()),
        (0xE5, b"a maker's".to_vec()),
        (0xFE, b"a comment".to_vec()),
    ];
    let result = restored_one("x.jpg", encoded(&jpeg)).metadata;
    assert_eq!(result.jpeg_segments, jpeg.metadata.jpeg_segments);
    assert_eq!(result.xmp.as_deref(), Some(&b"<x/>"[..]));
}

#[test]
fn formats_convert_by_the_name_of_the_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("x.jpg");
    let mut source = photo(Format::Jpeg, 3, Depth::Eight);
    source.metadata.exif = Some(sample().to_bytes());
    source.metadata.xmp = Some(b"<x/>".to_vec());
    source.metadata.resolution = Some(Resolution {
        x: (72, 1),
        y: (72, 1),
        unit: Unit::Inch,
    });
    fs::write(&input, encoded(&source)).expect("a file");
    for (name, format) in [
        ("y.png", Format::Png),
        ("y.webp", Format::WebP),
        ("y.tiff", Format::Tiff),
    ] {
        let output = folder.path().join(name);
        let jobs = naming::jobs(std::slice::from_ref(&input), &Names::to(&output)).expect("jobs");
        assert_eq!(run(&jobs, &engine(), &settings()), Outcome::Done);
        let result = decoded(&fs::read(&output).expect("a result"));
        assert_eq!(result.format, format);
        let directory = crate::photo::exif::Directory::parse(&result.metadata.exif.expect("EXIF"));
        assert!(
            directory.expect("EXIF").get(0x0112).is_some(),
            "{name} lost its orientation"
        );
        if let Some(resolution) = result.metadata.resolution {
            assert_eq!(resolution.per(Unit::Inch), (72, 72), "{name}");
        }
    }
}

#[test]
fn tiny_photos_and_odd_kinds() {
    for (width, height) in [(1, 1), (1, 50), (50, 1)] {
        let mut photo = photo(Format::Png, 3, Depth::Eight);
        (photo.width, photo.height) = (width, height);
        photo.samples.truncate(width * height * 3);
        assert_eq!(
            restored_one("x.png", encoded(&photo)).samples,
            photo.samples
        );
    }

    let mut palette = Vec::new();
    let mut encoder = png::Encoder::new(&mut palette, 4, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![0, 0, 0, 255, 0, 0, 0, 255, 0, 1, 2, 3]);
    encoder
        .write_header()
        .expect("a header")
        .write_image_data(&[0b00_01_10_11])
        .expect("pixels");
    let result = restored_one("x.png", palette);
    assert_eq!(result.channels, 3);
    assert_eq!(result.samples, [0, 0, 0, 255, 0, 0, 0, 255, 0, 1, 2, 3]);

    let mut cmyk = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut cmyk, 100);
    encoder
        .add_icc_profile(&profile(b"CMYK"))
        .expect("a profile");
    // Full yellow on half of the paper.
    let ink: Vec<u8> = (0..16 * 16)
        .flat_map(|i| {
            if i % 16 < 8 {
                [0, 0, 0, 0]
            } else {
                [0, 0, 255, 0]
            }
        })
        .collect();
    encoder
        .encode(&ink, 16, 16, jpeg_encoder::ColorType::Cmyk)
        .expect("a file");
    let result = restored_one("x.jpg", cmyk);
    assert_eq!((result.channels, result.metadata.icc), (3, None));
    let yellow = &result.samples[10 * 3..11 * 3];
    assert!(
        yellow[0] > 240 && yellow[1] > 240 && yellow[2] < 15,
        "{yellow:?}"
    );
    assert!(
        result.samples[..3].iter().all(|sample| *sample > 240),
        "paper is white"
    );
}

#[test]
fn strength_zero_is_the_file_itself() {
    let mut settings = settings();
    settings.options.strength = 0.0;
    let jpeg = encoded(&photo(Format::Jpeg, 3, Depth::Eight));
    let (folder, outcome) = restored(&[("x.jpg", jpeg.clone())], &settings);
    assert_eq!(outcome, Outcome::Done);
    assert!(fs::read(folder.path().join("x.restored.jpg")).expect("a result") == jpeg);
}

#[test]
fn bad_files_fail_alone_and_leave_nothing() {
    let png = encoded(&photo(Format::Png, 3, Depth::Eight));
    let jpeg = encoded(&photo(Format::Jpeg, 3, Depth::Eight));
    let webp = encoded(&photo(Format::WebP, 3, Depth::Eight));
    let tiff = encoded(&photo(Format::Tiff, 3, Depth::Eight));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let bad = [
        ("empty.png", vec![]),
        ("text.png", b"not an image".to_vec()),
        ("half.png", half(&png)),
        ("half.jpg", half(&jpeg)),
        ("half.webp", half(&webp)),
        ("half.tif", half(&tiff)),
        ("bomb.png", bomb()),
        ("good.png", png.clone()),
    ];
    let (folder, outcome) = restored(&bad, &settings());
    assert_eq!(outcome, Outcome::Failed);
    let results: Vec<_> = fs::read_dir(folder.path())
        .expect("a listing")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| !bad.iter().any(|(bad, _)| name == bad))
        .collect();
    assert_eq!(results, ["good.restored.png"]);

    for (name, bytes) in &bad[..bad.len() - 1] {
        let error = format!("{:#}", Photo::decode(bytes, 1 << 30).expect_err(name));
        assert!(!error.contains('\n') && error.len() > 20, "{name}: {error}");
    }
    // Cut anywhere, a file is an error or a photo, never a panic.
    for whole in [&png, &jpeg, &webp, &tiff] {
        for length in (0..whole.len()).step_by(97) {
            let _ = Photo::decode(&whole[..length], 1 << 30);
        }
    }
}

#[test]
fn a_decoder_that_trips_does_not_make_a_file_a_damaged_one() {
    let error = guarded::<()>(|| panic!("index out of bounds")).expect_err("caught");
    let error = error.to_string();
    assert!(error.contains("cannot handle this kind of file") && !error.contains("damaged"));
}

/// Address space that this process ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process's state");
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * number.and_then(|kb| kb.parse::<u64>().ok()).expect("kB")
}

#[test]
#[cfg(target_os = "linux")]
fn chunks_that_claim_more_than_the_file_take_no_memory() {
    let mut webp = photo(Format::WebP, 3, Depth::Eight);
    webp.metadata.icc = Some(profile(b"RGB "));
    webp.metadata.xmp = Some(b"<x:xmpmeta/>".to_vec());
    let good = encoded(&webp);
    for chunk in [b"ICCP", b"XMP "] {
        let mut bytes = good.clone();
        let at = bytes.windows(4).position(|window| window == chunk);
        let size = at.expect("the chunk") + 4;
        bytes[size..size + 4].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        let before = peak();
        let _ = Photo::decode(&bytes, 1 << 30);
        assert!(peak() - before < 2 << 30, "{} bytes more", peak() - before);
    }
}

/// The header of a hundred megapixels, and no pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 10_000, 10_000);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer
        .write_chunk(png::chunk::IDAT, &[0x78, 0x9c, 3, 0, 0, 0, 0, 1])
        .expect("a chunk");
    drop(writer);
    bytes
}

#[test]
fn a_photo_too_large_for_the_budget_names_the_remedy() {
    let png = encoded(&photo(Format::Png, 3, Depth::Eight));
    let error = format!("{:#}", Photo::decode(&png, 1 << 20).expect_err("too large"));
    assert!(error.contains("--memory"), "{error}");
}

#[test]
fn existing_results_stay_without_force() {
    let png = encoded(&photo(Format::Png, 3, Depth::Eight));
    let files = [("x.png", png), ("x.restored.png", b"precious".to_vec())];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let jobs = naming::jobs(&[folder.path().to_owned()], &Names::default()).expect("jobs");
    assert_eq!(run(&jobs, &engine(), &settings()), Outcome::Failed);
    let result = folder.path().join("x.restored.png");
    assert_eq!(fs::read(&result).expect("a file"), b"precious");
    let settings = Settings {
        force: true,
        ..settings()
    };
    assert_eq!(run(&jobs, &engine(), &settings), Outcome::Done);
    assert_ne!(fs::read(&result).expect("a file"), b"precious");
}

#[test]
fn what_is_there_is_skipped_and_results_are_dated() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["a.png", "b.png"] {
        image::RgbImage::new(40, 40)
            .save(at(name))
            .expect("written");
    }
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let photo = fs::File::options().write(true).open(at("b.png"));
    photo.expect("a file").set_modified(old).expect("dated");
    fs::write(at("a.restored.png"), b"precious").expect("a file");
    let jobs = naming::jobs(&[folder.path().to_owned()], &Names::default()).expect("jobs");
    assert_eq!(
        dry_run(&jobs, None, &settings()).expect("told"),
        Outcome::Failed
    );
    let settings = Settings {
        skip_existing: true,
        keep_dates: true,
        ..settings()
    };
    assert_eq!(
        dry_run(&jobs, None, &settings).expect("told"),
        Outcome::Done
    );
    assert!(!at("b.restored.png").exists());
    assert_eq!(run(&jobs, &engine(), &settings), Outcome::Done);
    assert_eq!(fs::read(at("a.restored.png")).expect("a file"), b"precious");
    let made = fs::metadata(at("b.restored.png")).expect("a result");
    assert_eq!(made.modified().expect("a time"), old);
}

#[test]
fn an_estimate_grows_with_the_photos() {
    let engine = engine();
    let mut estimate = Estimate::new(&engine, settings().options);
    assert_eq!(estimate.told(), None);
    let small = estimate.add(32, 32).expect("seconds");
    let large = estimate.add(320, 320).expect("seconds");
    assert!(small > 0.0 && large > 100.0 * small, "{small} {large}");
    assert_eq!(estimate.add(0, 32), None);
    let told = estimate.told().expect("words");
    assert!(
        told.starts_with("about ") && told.ends_with(" for 2 photos"),
        "{told}"
    );
}
