//! TIFF in its many kinds.

use ::tiff::encoder::colortype::{CMYK8, RGB8};
use ::tiff::encoder::{Rational, TiffEncoder};
use ::tiff::tags::Tag;

use super::*;
use crate::photo::exif::{Directory, Entry};

mod damage;
mod floats;
mod kinds;
mod stored;

const EXIF: u16 = 0x8769;
const LAYERS: u16 = 37724;

#[test]
fn profiles_longer_than_the_picture_survive() {
    for bytes in [3_000, 500_000] {
        let mut icc = profile(b"RGB ");
        icc.resize(bytes, 1);
        for channels in [3, 4] {
            let mut photo = photo(Format::Tiff, channels, Depth::Eight);
            photo.metadata.icc = Some(icc.clone());
            let result = restored_one("x.tif", encoded(&photo));
            assert!(result.metadata.icc.as_ref() == Some(&icc), "{bytes} bytes");
        }
    }
}

#[test]
fn bigtiff_keeps_what_it_says() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new_big(&mut file).expect("an encoder");
    let mut child = encoder.extra_directory().expect("a directory");
    child
        .write_tag(Tag::Unknown(0x829A), Rational { n: 1, d: 60 })
        .expect("a tag");
    let child = child.finish_with_offsets().expect("a directory");
    let mut image = encoder.new_image::<RGB8>(2, 1).expect("an image");
    let tags = image.encoder();
    let icc = profile(b"RGB ");
    let write = |tag, written: ::tiff::TiffResult<()>| written.expect(tag);
    write("orientation", tags.write_tag(Tag::Orientation, 6u16));
    write("unit", tags.write_tag(Tag::ResolutionUnit, 2u16));
    let dots = Rational { n: 300, d: 1 };
    write("x", tags.write_tag(Tag::XResolution, dots.clone()));
    write("y", tags.write_tag(Tag::YResolution, dots));
    write("profile", tags.write_tag(Tag::IccProfile, &icc[..]));
    write("pointer", tags.write_tag(Tag::ExifDirectory, child.offset));
    write("small", tags.write_tag(Tag::Unknown(50000), 7u64));
    write("large", tags.write_tag(Tag::Unknown(50001), u64::MAX));
    image.write_data(&[1, 2, 3, 4, 5, 6]).expect("an image");

    let bytes = file.into_inner();
    let notes = decoded(&bytes).notes;
    assert!(
        notes.len() == 1 && notes[0].contains("metadata"),
        "{notes:?}"
    );
    let result = restored_one("x.tif", bytes);
    assert_eq!(result.samples, [1, 2, 3, 4, 5, 6]);
    assert_eq!(result.metadata.icc, Some(icc));
    let resolution = result.metadata.resolution.expect("a resolution");
    assert_eq!(resolution.per(Unit::Inch), (300, 300));
    let tags = Directory::parse(&result.metadata.exif.expect("EXIF")).expect("EXIF");
    let number = |tag| tags.get(tag).and_then(Entry::number);
    assert_eq!((number(0x0112), number(50000)), (Some(6), Some(7)));
    let (tag, child) = &tags.children[0];
    assert_eq!(*tag, EXIF);
    assert_eq!(
        child.get(0x829A).and_then(Entry::fraction),
        Some((1, 60)),
        "the exposure"
    );
}

#[test]
fn layers_do_not_outlive_what_they_showed() {
    let mut tags = sample();
    tags.set(LAYERS, 7, b"Adobe Photoshop Document Data Block".to_vec());
    let bytes = stored::Stored::plain(3, 2).with(tags);
    let written = Directory::parse(&bytes).expect("a directory");
    assert!(written.get(LAYERS).is_some(), "the test's file has none");
    let notes = decoded(&bytes).notes;
    assert!(notes[0].contains("layers"), "{notes:?}");
    let exif = restored_one("x.tif", bytes).metadata.exif.expect("EXIF");
    let tags = Directory::parse(&exif).expect("EXIF");
    assert!(tags.get(LAYERS).is_none() && tags.get(0x0112).is_some());
}

#[test]
fn cmyk_is_converted_with_a_note() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).expect("an encoder");
    let ink = [0, 0, 255, 0].repeat(6);
    encoder.write_image::<CMYK8>(3, 2, &ink).expect("an image");
    let photo = decoded(file.get_ref());
    assert_eq!(photo.samples, [255, 255, 0].repeat(6));
    assert_eq!(photo.notes, ["CMYK, converted to RGB"]);
}

/// A TIFF of one strip: the layout in numbers of 16 bits, and the strip.
fn file(layout: &[(u16, &[u16])], strip: &[u8]) -> Vec<u8> {
    let mut tags = Directory::default();
    for (tag, values) in layout {
        let value = values.iter().flat_map(|value| value.to_le_bytes());
        tags.set(*tag, 3, value.collect());
    }
    tags.set(279, 4, (strip.len() as u32).to_le_bytes().to_vec());
    let mut at = 0;
    let mut bytes = vec![];
    // The strip goes where the directory ends, which is known once it is written.
    for _ in 0..2 {
        tags.set(273, 4, u32::to_le_bytes(at).to_vec());
        bytes = tags.to_bytes();
        at = bytes.len() as u32;
    }
    bytes.extend_from_slice(strip);
    bytes
}

#[test]
fn palettes_become_colours() {
    for bits in [1, 2, 4, 8] {
        let count = 1usize << bits;
        // Red falls, green is full, blue rises.
        let level = |index: usize| (index * 65535 / (count - 1)) as u16;
        let red = (0..count).map(|index| 65535 - level(index));
        let green = (0..count).map(|_| 65535);
        let map: Vec<u16> = red.chain(green).chain((0..count).map(level)).collect();
        let row: &[u8] = match bits {
            1 => &[0b0110_0000],
            2 => &[0b00_11_10_00],
            4 => &[0x0f, 0x10],
            _ => &[0, 255, 1],
        };
        let layout: [(u16, &[u16]); 7] = [
            (256, &[3]),
            (257, &[2]),
            (258, &[bits]),
            (262, &[3]),
            (277, &[1]),
            (278, &[2]),
            (320, &map),
        ];
        let whole = file(&layout, &row.repeat(2));
        let result = restored_one("x.tif", whole.clone());
        assert_eq!((result.channels, result.depth), (3, Depth::Eight));
        let indices = [0, count - 1, [1, 2, 1, 1][bits.ilog2() as usize]];
        let expected: Vec<u8> = indices
            .iter()
            .flat_map(|&index| {
                let high = |value: u16| (value >> 8) as u8;
                [high(65535 - level(index)), 255, high(level(index))]
            })
            .collect();
        assert_eq!(result.samples, expected.repeat(2), "{bits} bits");
        for length in 0..whole.len() {
            let _ = Photo::decode(&whole[..length], 1 << 30);
        }
    }
}

#[test]
fn a_scanners_jpeg_is_read() {
    use jpeg_encoder::SamplingFactor::{F_1_1, F_2_2};
    for (sampling, tag) in [(F_1_1, [1, 1]), (F_2_2, [2, 2])] {
        let colour = [200, 100, 50];
        let mut strip = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut strip, 95);
        encoder.set_sampling_factor(sampling);
        encoder
            .encode(
                &colour.repeat(20 * 12),
                20,
                12,
                jpeg_encoder::ColorType::Rgb,
            )
            .expect("a strip");
        let layout: [(u16, &[u16]); 8] = [
            (256, &[20]),
            (257, &[12]),
            (258, &[8, 8, 8]),
            (259, &[7]),
            (262, &[6]),
            (277, &[3]),
            (278, &[12]),
            (530, &tag),
        ];
        let whole = file(&layout, &strip);
        let photo = decoded(&whole);
        assert_eq!((photo.width, photo.height, photo.channels), (20, 12, 3));
        for (sample, expected) in photo.samples.iter().zip(colour.iter().cycle()) {
            assert!(sample.abs_diff(*expected) <= 2, "{:?}", &photo.samples[..3]);
        }
        for length in 0..whole.len() {
            let _ = Photo::decode(&whole[..length], 1 << 30);
        }
    }
}

#[test]
fn a_jpeg_inside_that_lacks_data_or_claims_more_is_damage() {
    let grey: Vec<u8> = (0..64 * 48u32).map(|at| (at * at / 97) as u8).collect();
    let mut strip = Vec::new();
    jpeg_encoder::Encoder::new(&mut strip, 90)
        .encode(&grey, 64, 48, jpeg_encoder::ColorType::Luma)
        .expect("a strip");
    let layout: [(u16, &[u16]); 7] = [
        (256, &[64]),
        (257, &[48]),
        (258, &[8]),
        (259, &[7]),
        (262, &[1]),
        (277, &[1]),
        (278, &[48]),
    ];
    decoded(&file(&layout, &strip));
    let cut = [&strip[..strip.len() * 2 / 3], &[0xFF, 0xD9]].concat();
    let error = Photo::decode(&file(&layout, &cut), 1 << 30).expect_err("cut short");
    assert!(error.to_string().contains("damaged"), "{error:#}");
    let header = strip
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .expect("a header");
    strip[header + 5..header + 9].copy_from_slice(&[0xFD, 0xE8, 0xFD, 0xE8]);
    let error = Photo::decode(&file(&layout, &strip), 1 << 30).expect_err("a bomb");
    assert!(error.to_string().contains("65000 x 65000"), "{error:#}");
}

#[test]
fn other_kinds_are_refused_by_name() {
    // JPEG of the old kind, JPEG 2000, LogLuv.
    for (compression, photometric, name) in [
        (6, 6, "YCbCr"),
        (34712, 2, "JPEG 2000"),
        (1, 32845, "LogLuv"),
    ] {
        let layout: [(u16, &[u16]); 7] = [
            (256, &[1]),
            (257, &[1]),
            (258, &[8, 8, 8]),
            (259, &[compression]),
            (262, &[photometric]),
            (277, &[3]),
            (278, &[1]),
        ];
        let error = Photo::decode(&file(&layout, &[1, 2, 3]), 1 << 30).expect_err(name);
        let error = format!("{error:#}");
        assert!(error.contains("PNG") && error.contains(name), "{error}");
    }
}
