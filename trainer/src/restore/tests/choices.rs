//! What the user may choose of a result: quality, metadata, a picture of before and after.

use super::*;
use crate::photo::Orientation;
use crate::photo::exif::Directory;

/// A PNG that is to be turned to the right, with a profile and somebody's name.
fn sideways() -> Photo {
    let mut png = photo(Format::Png, 3, Depth::Eight);
    png.metadata.exif = Some(sample().to_bytes());
    png.metadata.icc = Some(profile(b"RGB "));
    png.metadata.xmp = Some(b"<x/>".to_vec());
    png.metadata.png_chunks = vec![(*b"tEXt", b"Author\0me".to_vec())];
    png
}

fn upright(photo: &Photo) -> Photo {
    let mut turned = photo.clone();
    turned.turn(Orientation::of(photo));
    turned
}

#[test]
fn stripped_photos_look_the_same_and_say_nothing() {
    let source = sideways();
    for strength in [1.0, 0.0] {
        let mut settings = settings();
        settings.strip = true;
        settings.options.strength = strength;
        for output in ["y.png", "y.jpg", "y.webp", "y.tif"] {
            let folder = tempfile::tempdir().expect("a folder");
            let input = folder.path().join("x.png");
            fs::write(&input, encoded(&source)).expect("a file");
            let output = folder.path().join(output);
            let jobs = naming::jobs(&[input], &Names::to(&output)).expect("jobs");
            assert_eq!(run(&jobs, &engine(), &settings), Outcome::Done);
            let result = decoded(&fs::read(&output).expect("a result"));
            let right = upright(&source);
            assert_eq!((result.width, result.height), (41, 53));
            if result.format != Format::Jpeg {
                assert_eq!(result.samples, right.samples, "{}", output.display());
            }
            assert_eq!(result.metadata.icc, source.metadata.icc);
            assert_eq!((result.metadata.exif, result.metadata.xmp), (None, None));
            assert_eq!(result.metadata.png_chunks, []);
        }
    }
}

#[test]
fn a_stripped_tiff_keeps_its_words_about_colours() {
    let mut tiff = photo(Format::Tiff, 3, Depth::Eight);
    let white = [(3127u32, 10_000u32), (3290, 10_000)];
    let white = white.map(|(over, under)| [over.to_le_bytes(), under.to_le_bytes()].concat());
    let mut tags = sample();
    tags.set(318, 5, white.concat());
    tiff.metadata.exif = Some(tags.to_bytes());
    let settings = Settings {
        strip: true,
        ..settings()
    };
    let (folder, outcome) = restored(&[("x.tif", encoded(&tiff))], &settings);
    assert_eq!(outcome, Outcome::Done);
    let result = decoded(&fs::read(folder.path().join("x.restored.tif")).expect("a result"));
    let tags = Directory::parse(&result.metadata.exif.expect("a tag")).expect("tags");
    let kept: Vec<u16> = tags.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!((kept, tags.children.len()), (vec![318], 0));
}

#[test]
fn quality_is_of_jpeg() {
    let source = encoded(&photo(Format::Jpeg, 3, Depth::Eight));
    let mut sizes = Vec::new();
    // At strength 0 too, where the file itself would be the result.
    for (quality, strength) in [
        (Some(30), 1.0),
        (Some(30), 0.0),
        (None, 1.0),
        (Some(100), 1.0),
    ] {
        let mut settings = settings();
        settings.quality = quality;
        settings.options.strength = strength;
        let (folder, outcome) = restored(&[("x.jpg", source.clone())], &settings);
        assert_eq!(outcome, Outcome::Done);
        let made = fs::metadata(folder.path().join("x.restored.jpg")).expect("a result");
        sizes.push(made.len());
    }
    assert_eq!(sizes[0], sizes[1]);
    assert!(2 * sizes[1] < sizes[2] && sizes[2] < sizes[3], "{sizes:?}");
}

#[test]
fn a_comparison_shows_the_photo_upright_and_twice() {
    let source = sideways();
    for strength in [1.0, 0.0] {
        let mut settings = settings();
        settings.compare = true;
        settings.options.strength = strength;
        let (folder, outcome) = restored(&[("x.png", encoded(&source))], &settings);
        assert_eq!(outcome, Outcome::Done);
        let read = |name: &str| decoded(&fs::read(folder.path().join(name)).expect("a file"));
        // The result is what it is without a comparison.
        assert_eq!(read("x.restored.png").samples, source.samples);
        let both = read("x.compare.png");
        assert_eq!((both.width, both.height), (2 * 41 + 2, 53));
        assert_eq!(both.metadata.icc, source.metadata.icc);
        assert_eq!(both.metadata.exif, None);
        let right = upright(&source);
        let rows = right.samples.chunks_exact(41 * 3);
        for (row, both) in rows.zip(both.samples.chunks_exact(84 * 3)) {
            // The network changes nothing here.
            assert_eq!(both, [row, &[255; 6], row].concat());
        }
    }
}

#[test]
fn a_comparison_that_cannot_be_is_found_before_the_work() {
    let png = encoded(&photo(Format::Png, 3, Depth::Eight));
    let settings = Settings {
        compare: true,
        ..settings()
    };
    let there = [("x.png", png), ("x.compare.png", b"precious".to_vec())];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &there {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let jobs = naming::jobs(&[folder.path().to_owned()], &Names::default()).expect("jobs");
    assert_eq!(run(&jobs, &engine(), &settings), Outcome::Failed);
    assert!(!folder.path().join("x.restored.png").exists());
    let kept = fs::read(folder.path().join("x.compare.png")).expect("a file");
    assert_eq!(kept, b"precious");

    // Twice 9000 columns are more than WebP holds.
    let mut wide = photo(Format::WebP, 3, Depth::Eight);
    (wide.width, wide.height) = (9000, 1);
    wide.samples = vec![90; 27_000];
    let (folder, outcome) = restored(&[("x.webp", encoded(&wide))], &settings);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 1);
}
