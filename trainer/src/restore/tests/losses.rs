//! What conversions need not lose.

use super::*;
use crate::photo::exif::Directory;

/// Restores one file to another name.
fn converted(from: &str, bytes: Vec<u8>, to: &str) -> Photo {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join(from), folder.path().join(to));
    fs::write(&input, bytes).expect("a file");
    let jobs = naming::jobs(&[input], Some(&output)).expect("jobs");
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
