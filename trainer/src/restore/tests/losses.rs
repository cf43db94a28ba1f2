//! What conversions lose is said; what need not be lost is not; and nothing takes too much memory.

use super::*;
use crate::photo::exif::Directory;
use crate::photo::jpeg::decoding_bytes;

/// Restores one file to another name.
fn converted(from: &str, bytes: Vec<u8>, to: &str) -> Photo {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join(from), folder.path().join(to));
    fs::write(&input, bytes).expect("a file");
    let jobs = naming::jobs(&[input], &Names::to(&output)).expect("jobs");
    assert_eq!(run(&jobs, &engine(), &settings()), Outcome::Done, "{to}");
    decoded(&fs::read(&output).expect("a result"))
}

fn dots(count: u32) -> Option<Resolution> {
    Some(Resolution {
        x: (count, 1),
        y: (count, 1),
        unit: Unit::Inch,
    })
}

#[test]
fn exifs_resolution_stands_where_jfif_says_nothing() {
    let mut jpeg = photo(Format::Jpeg, 3, Depth::Eight);
    let mut tags = sample();
    dots(300).expect("a resolution").put(&mut tags);
    jpeg.metadata.exif = Some(tags.to_bytes());
    let bytes = encoded(&jpeg);
    // 0: no unit, and one pixel by one.
    assert_eq!(&bytes[6..18], b"JFIF\0\x01\x02\0\0\x01\0\x01");
    for to in ["y.tif", "y.png", "y.jpg"] {
        let resolution = converted("x.jpg", bytes.clone(), to).metadata.resolution;
        assert_eq!(
            resolution.map(|found| found.per(Unit::Inch)),
            Some((300, 300)),
            "{to}"
        );
    }
}

#[test]
fn webp_keeps_the_resolution_in_its_exif() {
    let mut png = photo(Format::Png, 3, Depth::Eight);
    png.metadata.resolution = dots(300);
    for exif in [None, Some(sample().to_bytes())] {
        png.metadata.exif = exif.clone();
        let exif_after = converted("x.png", encoded(&png), "y.webp").metadata.exif;
        let tags = Directory::parse(&exif_after.expect("EXIF")).expect("EXIF");
        let resolution = Resolution::of_tags(&tags).expect("a resolution");
        assert_eq!(resolution.per(Unit::Inch), (300, 300));
        assert_eq!(tags.get(0x0112).is_some(), exif.is_some());
    }
    // What says the same stays as it was, to the byte.
    let mut tags = sample();
    dots(300).expect("a resolution").put(&mut tags);
    let exif = [tags.to_bytes(), b"notes of the maker".to_vec()].concat();
    png.metadata.exif = Some(exif.clone());
    let exif_after = converted("x.png", encoded(&png), "y.webp").metadata.exif;
    assert_eq!(exif_after, Some(exif));
}

#[test]
fn bits_that_go_are_said_to_go() {
    let deep = photo(Format::Png, 3, Depth::Sixteen);
    assert!(deep.loss(Format::WebP).is_some() && deep.loss(Format::Jpeg).is_some());
    assert_eq!(deep.loss(Format::Tiff), None);
    assert_eq!(photo(Format::Png, 3, Depth::Eight).loss(Format::WebP), None);
}

#[test]
fn a_profile_that_unpacks_to_all_memory_is_left_out() {
    let mut png = photo(Format::Png, 3, Depth::Eight);
    for megabytes in [17, 100] {
        let mut icc = profile(b"RGB ");
        icc.resize(megabytes << 20, 0);
        png.metadata.icc = Some(icc);
        let bytes = encoded(&png);
        assert!(bytes.len() < 1 << 20);
        let result = decoded(&bytes);
        assert!(result.metadata.icc.is_none());
        assert!(result.notes[0].contains("profile"), "{:?}", result.notes);
    }
}

#[test]
fn planes_and_coefficients_of_a_jpeg_are_counted() {
    use jpeg_encoder::SamplingFactor::{F_1_1, F_2_2};
    let file = |sampling, progressive| {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        encoder
            .encode(&[90; 64 * 40 * 3], 64, 40, jpeg_encoder::ColorType::Rgb)
            .expect("a file");
        bytes
    };
    let decoded = 3 * 64 * 40;
    assert_eq!(decoding_bytes(&file(F_1_1, false), decoded), decoded);
    assert_eq!(decoding_bytes(&file(F_1_1, true), decoded), 2 * decoded);
    // Padded to 48 rows.
    assert_eq!(
        decoding_bytes(&file(F_2_2, true), decoded),
        3 * 64 * 48 * 3 / 2 - decoded
    );

    // As much as the photo and its restored copy take, and not the coefficients.
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 50);
    encoder.set_sampling_factor(F_1_1);
    encoder.set_progressive(true);
    let grey = vec![90; 1000 * 1000 * 3];
    encoder
        .encode(&grey, 1000, 1000, jpeg_encoder::ColorType::Rgb)
        .expect("a file");
    let budget = (256 << 20) + 6_000_000 + bytes.len() as u64;
    let error = Photo::decode(&bytes, budget).expect_err("too large");
    assert!(format!("{error:#}").contains("--memory"), "{error:#}");
    Photo::decode(&bytes, budget + 4_000_000).expect("decodes");
}

#[test]
fn what_writing_takes_is_refused_before_the_work() {
    let mut photo = photo(Format::Png, 3, Depth::Eight);
    (photo.width, photo.height) = (1000, 1000);
    photo.samples = vec![0; 3_000_000];
    let target = |name: Option<&str>, format| Target {
        place: name.map_or(Place::Stdout, |name| Place::File(name.into())),
        format,
        like: None,
    };
    let budget = (256 << 20) + 4_000_000;
    let png = target(Some("x.png"), Format::Png);
    check_memory(&photo, &png, &settings(), budget).expect("PNG is written row by row");
    for target in [
        target(Some("x.webp"), Format::WebP),
        target(None, Format::Png),
    ] {
        let error = check_memory(&photo, &target, &settings(), budget).expect_err("too large");
        assert!(error.to_string().contains("--memory"), "{error}");
    }
}
