//! TIFF in its many kinds.

use ::tiff::encoder::colortype::{CMYK8, RGB8};
use ::tiff::encoder::{Rational, TiffEncoder};
use ::tiff::tags::Tag;

use super::*;
use crate::photo::exif::{Directory, Entry};

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
    let mut photo = photo(Format::Tiff, 3, Depth::Eight);
    let mut tags = sample();
    tags.set(LAYERS, 7, b"Adobe Photoshop Document Data Block".to_vec());
    photo.metadata.exif = Some(tags.to_bytes());
    let bytes = encoded(&photo);
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
