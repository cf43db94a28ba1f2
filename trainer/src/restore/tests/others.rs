//! JPEG XL, GIF and BMP.

use super::*;

/// 5 x 3 pixels of lossless JPEG XL, written by libjxl: red rises by 50 a column, green by 100 a row,
/// blue is 7.
const JPEG_XL: &[u8] = &[
    255, 10, 16, 80, 16, 9, 8, 4, 1, 0, 0, 1, 75, 24, 147, 142, 131, 131, 132, 19, 216, 54, 233,
    193, 186, 64, 60, 0, 72, 74, 74, 110, 101, 144, 91, 145, 148, 220, 202, 32, 183, 34, 41, 41,
    137, 163, 163, 99, 145, 123, 44, 18, 199, 65, 246, 56, 22, 224, 13, 52, 247, 110, 14, 122, 164,
    71, 128, 136, 56, 30, 71, 196, 241, 58, 34, 2,
];

fn note_of(bytes: &[u8], word: &str) {
    let notes = decoded(bytes).notes;
    assert!(notes.iter().any(|note| note.contains(word)), "{notes:?}");
}

/// Restores a file of this name in a folder; returns what there is then.
fn names_after(name: &str, bytes: &[u8]) -> Vec<String> {
    let (folder, outcome) = restored(&[(name, bytes.to_vec())], &settings());
    assert_eq!(outcome, Outcome::Done, "{name}");
    let listing = fs::read_dir(folder.path()).expect("a listing").flatten();
    let names = listing.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn jpeg_xl_is_read_and_png_written() {
    let photo = decoded(JPEG_XL);
    assert_eq!((photo.width, photo.height, photo.channels), (5, 3, 3));
    let expected: Vec<u8> = (0..15)
        .flat_map(|index| [50 * (index % 5), 100 * (index / 5), 7])
        .collect();
    assert_eq!(photo.samples, expected);
    assert_eq!(names_after("x.jxl", JPEG_XL), ["x.jxl", "x.restored.png"]);
    for length in 0..JPEG_XL.len() {
        assert!(
            Photo::decode(&JPEG_XL[..length], 1 << 30).is_err(),
            "{length}"
        );
    }
}

#[test]
fn the_first_picture_of_a_gif_is_taken() {
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255];
    let file = |frames: usize, transparent: Option<u8>| {
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, 3, 2, &palette).expect("an encoder");
        for first in 0..frames as u8 {
            let frame = gif::Frame {
                width: 2,
                height: 2,
                left: 1,
                transparent,
                buffer: vec![first, 1, 2, 0].into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).expect("a frame");
        }
        drop(encoder);
        bytes
    };
    let photo = decoded(&file(1, None));
    // The column that the picture does not cover is transparent.
    let expected = [
        [0, 0, 0, 0],
        [255, 0, 0, 255],
        [0, 255, 0, 255],
        [0, 0, 0, 0],
        [0, 0, 255, 255],
        [255, 0, 0, 255],
    ];
    assert_eq!((photo.channels, &photo.samples), (4, &expected.concat()));
    assert_eq!(photo.notes, Vec::<String>::new());
    note_of(&file(3, None), "animation of 3 pictures");
    assert_eq!(decoded(&file(1, Some(2))).samples[19], 0);
    assert_eq!(
        names_after("x.gif", &file(1, None)),
        ["x.gif", "x.restored.png"]
    );
}

/// A GIF of this size whose only picture is of another.
fn gif_of(screen: (u16, u16), picture: (u16, u16)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, screen.0, screen.1, &[9, 8, 7]).expect("an encoder");
    let frame = gif::Frame {
        width: picture.0,
        height: picture.1,
        buffer: vec![0; usize::from(picture.0) * usize::from(picture.1)].into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).expect("a frame");
    drop(encoder);
    bytes
}

#[test]
fn a_gif_of_many_pixels_is_read_within_its_memory() {
    let large = gif_of((4000, 3300), (4000, 3300));
    let photo = decoded(&large);
    assert!(
        photo
            .samples
            .as_chunks()
            .0
            .iter()
            .all(|pixel| *pixel == [9, 8, 7])
    );
    // What is asked for at the end of the memory is refused with the remedy, also where only the picture is large.
    for file in [large, gif_of((1, 1), (4000, 3300))] {
        let error = Photo::decode(&file, 300 << 20).expect_err("too large");
        assert!(error.to_string().contains("--memory"), "{error:#}");
    }
    assert_eq!(decoded(&gif_of((2, 1), (5, 3))).samples, [9, 8, 7, 9, 8, 7]);
}

#[test]
fn a_gif_keeps_its_profile_and_xmp() {
    let plain = gif_of((2, 1), (2, 1));
    // They stand after the palette of two colours.
    let (head, picture) = plain.split_at(13 + 6);
    let icc = profile(b"RGB ");
    let mut file = head.to_vec();
    file.extend(b"\x21\xff\x0bICCRGBG1012");
    for part in icc.chunks(255) {
        file.push(part.len() as u8);
        file.extend(part);
    }
    file.push(0);
    let xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>";
    file.extend(b"\x21\xff\x0bXMP DataXMP");
    file.extend(xmp);
    file.push(1);
    file.extend((0..=255u8).rev());
    file.push(0);
    file.extend(picture);
    let metadata = decoded(&file).metadata;
    assert_eq!(metadata.icc, Some(icc));
    assert_eq!(metadata.xmp.as_deref(), Some(&xmp[..]));
}

#[test]
fn bmp_stays_bmp() {
    let mut bmp = photo(Format::Bmp, 3, Depth::Eight);
    bmp.metadata.resolution = Some(Resolution {
        x: (3000, 1),
        y: (2000, 1),
        unit: Unit::Metre,
    });
    let bytes = encoded(&bmp);
    let result = restored_one("x.bmp", bytes);
    assert_eq!(result.format, Format::Bmp);
    assert!(result.samples == bmp.samples);
    let resolution = result.metadata.resolution.expect("a resolution");
    assert_eq!(resolution.per(Unit::Metre), (3000, 2000));
}
