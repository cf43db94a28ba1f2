//! What the layouts of TIFF can be combined to, read right and written back.

use super::stored::{DEFLATE, LZW, PACK_BITS, Stored, ZSTD};
use super::*;

pub(super) fn samples(photo: &Photo) -> Vec<u32> {
    let bytes = photo.depth.bytes();
    let sample = |sample: &[u8]| photo.depth.get(sample) as u32;
    photo.samples.chunks_exact(bytes).map(sample).collect()
}

fn extra_samples(photo: &Photo) -> Vec<u32> {
    let extra = &photo.metadata.tiff_extra.samples;
    let sample = |sample: &[u8]| photo.depth.get(sample) as u32;
    extra
        .chunks_exact(photo.depth.bytes())
        .map(sample)
        .collect()
}

/// Samples of a pixel, TIFF's numbers for its colours and the channels after them, and which samples
/// are colours and alpha, and which are others.
type Kind = (
    usize,
    u16,
    &'static [u16],
    &'static [usize],
    &'static [usize],
);

#[test]
fn every_layout_of_extra_channels_is_read_right() {
    // RGB + mask, RGBA + spot, grey + mask, grey + two, CMYK + spot.
    let kinds: [Kind; 6] = [
        (4, 2, &[0], &[0, 1, 2], &[3]),
        (5, 2, &[2, 0], &[0, 1, 2, 3], &[4]),
        (5, 2, &[0, 2], &[0, 1, 2, 4], &[3]),
        (2, 1, &[0], &[0], &[1]),
        (3, 1, &[0, 0], &[0], &[1, 2]),
        (5, 5, &[0], &[], &[4]),
    ];
    let mut read = 0;
    for (channels, photometric, extra, colours, others) in kinds {
        for bits in [8, 16] {
            for compression in [1, LZW, DEFLATE, PACK_BITS, ZSTD] {
                for planar in [false, true] {
                    for tile in [None, Some((16, 16)), Some((48, 32))] {
                        for predictor in [false, true] {
                            let stored = Stored {
                                bits,
                                extra: extra.to_vec(),
                                compression,
                                predictor,
                                planar,
                                tile,
                                ..Stored::plain(channels, photometric)
                            };
                            let photo = decoded(&stored.to_bytes());
                            if photometric == 5 {
                                assert_eq!(photo.channels, 3, "{stored:?}");
                                let white = (1 << bits) - 1;
                                for y in 0..stored.height {
                                    for x in 0..stored.width {
                                        let ink = |ink| (white - stored.sample(x, y, ink)) as u64;
                                        let red = (ink(0) * ink(3)) as f64 / f64::from(white);
                                        let at = 3 * (y * stored.width + x);
                                        let found = samples(&photo)[at];
                                        assert_eq!(found, red.round() as u32, "{stored:?}");
                                    }
                                }
                                continue;
                            }
                            assert!(samples(&photo) == stored.expected(colours), "{stored:?}");
                            assert!(
                                extra_samples(&photo) == stored.expected(others),
                                "{stored:?}"
                            );
                            read += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(read, 600);
}

#[test]
fn reversed_bits_are_turned() {
    for bits in [1, 4, 8, 12, 16] {
        for compression in [1, LZW, DEFLATE, PACK_BITS] {
            let stored = Stored {
                bits,
                compression,
                reversed_bits: true,
                ..Stored::plain(1, 1)
            };
            let turned = decoded(&stored.to_bytes());
            let plain = Stored {
                reversed_bits: false,
                ..stored.clone()
            };
            assert!(
                turned.samples == decoded(&plain.to_bytes()).samples,
                "{stored:?}"
            );
            let white: u32 = if bits > 8 { 65535 } else { 255 };
            let largest = (1u32 << bits) - 1;
            let scaled = |level: u32| {
                (f64::from(level) * f64::from(white) / f64::from(largest)).round() as u32
            };
            let expected: Vec<u32> = stored.expected(&[0]).into_iter().map(scaled).collect();
            assert!(samples(&turned) == expected, "{stored:?}");
        }
    }
}

#[test]
fn extra_channels_come_back_to_the_bit() {
    for (extra, channels) in [(&[0][..], 4), (&[0, 2, 0], 6), (&[2, 0], 5)] {
        for bits in [8, 16] {
            let stored = Stored {
                bits,
                extra: extra.to_vec(),
                ..Stored::plain(channels, 2)
            };
            let before = decoded(&stored.to_bytes());
            let result = restored_one("x.tif", stored.to_bytes());
            assert_eq!(result.metadata.tiff_extra, before.metadata.tiff_extra);
            assert!(result.samples == before.samples);
            let lost = crate::photo::tiff::losses(&before);
            let count = extra.iter().filter(|kind| **kind == 0).count();
            assert!(lost[0].starts_with(&format!("{count} extra")), "{lost:?}");
        }
    }
}

#[test]
fn colours_multiplied_by_alpha_are_divided_and_multiplied_again() {
    let mut stored = Stored::plain(4, 2);
    stored.extra = vec![1];
    // A colour of 200, 100, 0 under every alpha; and under none, what must not be seen.
    let mut tags = Directory::default();
    let mut file = b"II*\0\0\0\0\0".to_vec();
    stored.put(&mut file, &mut tags);
    let multiplied = |level: u32, alpha: u32| ((level * alpha + 127) / 255) as u8;
    let start = 8;
    for (index, pixel) in file[start..start + 4 * 21 * 13]
        .chunks_exact_mut(4)
        .enumerate()
    {
        let alpha = index as u32 % 256;
        pixel.copy_from_slice(&[
            multiplied(200, alpha),
            multiplied(100, alpha),
            0,
            alpha as u8,
        ]);
    }
    let at = file.len() as u32;
    file[4..8].copy_from_slice(&at.to_le_bytes());
    tags.append(&mut file, 0);

    let photo = decoded(&file);
    for pixel in photo.samples.chunks_exact(4) {
        if pixel[3] > 50 {
            assert!(
                pixel[0].abs_diff(200) <= 3 && pixel[1].abs_diff(100) <= 3,
                "{pixel:?}"
            );
        }
        if pixel[3] == 0 {
            assert_eq!(pixel[..3], [0; 3]);
        }
    }
    let mut written = Cursor::new(vec![]);
    let mut bright = photo.clone();
    for pixel in bright.samples.chunks_exact_mut(4) {
        pixel[..3].fill(255);
    }
    bright.encode(Format::Tiff, &mut written).expect("encodes");
    let mut encoded =
        ::tiff::decoder::Decoder::new(Cursor::new(written.get_ref())).expect("a file");
    assert_eq!(
        encoded.get_tag_u16_vec(Tag::ExtraSamples).expect("a tag"),
        [1]
    );
    let ::tiff::decoder::DecodingResult::U8(pixels) = encoded.read_image().expect("pixels") else {
        panic!("other samples");
    };
    for pixel in pixels.chunks_exact(4) {
        assert_eq!(pixel[..3], [pixel[3]; 3], "never above alpha");
    }
    // Untouched colours come back as they were.
    let result = restored_one("x.tif", file);
    assert!(result.samples == photo.samples);
    // PNG knows no such colours.
    let mut written = Cursor::new(vec![]);
    photo.encode(Format::Png, &mut written).expect("encodes");
    assert!(decoded(written.get_ref()).samples == photo.samples);
}

/// Two pages: one after the other, or the second below the first.
fn pages(first: &Stored, second: &Stored, below: bool, mut tags: Directory) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut inner = Directory::default();
    inner.set(254, 4, vec![0; 4]);
    second.put(&mut file, &mut inner);
    let at = file.len() as u32;
    inner.append(&mut file, 0);
    if below {
        tags.set(330, 4, at.to_le_bytes().to_vec());
    }
    first.put(&mut file, &mut tags);
    let start = file.len();
    file[4..8].copy_from_slice(&(start as u32).to_le_bytes());
    let count = tags.entries.len() + tags.children.len();
    tags.append(&mut file, 0);
    if !below {
        let next = start + 2 + 12 * count;
        file[next..next + 4].copy_from_slice(&at.to_le_bytes());
    }
    file
}

#[test]
fn the_full_size_picture_is_taken_not_the_thumbnail() {
    let photo = Stored::plain(3, 2);
    let thumbnail = Stored {
        width: 7,
        height: 5,
        ..Stored::plain(3, 2)
    };
    for below in [false, true] {
        let mut tags = sample();
        tags.set(254, 4, vec![1, 0, 0, 0]);
        let file = pages(&thumbnail, &photo, below, tags);
        let result = decoded(&file);
        assert_eq!((result.width, result.height), (21, 13));
        assert!(samples(&result) == photo.expected(&[0, 1, 2]));
        assert!(result.notes[0].contains("thumbnail"), "{:?}", result.notes);
        let exif = Directory::parse(&result.metadata.exif.expect("EXIF")).expect("EXIF");
        assert!(exif.get(0x0112).is_some(), "the thumbnail's orientation");
        assert_eq!(exif.children.len(), 1);
    }
    // A small copy after the photo is no page to speak of; another picture is.
    for (kind, left_out) in [(1, None), (0, Some("1 left out"))] {
        let mut tags = Directory::default();
        tags.set(254, 4, vec![0; 4]);
        let mut file = pages(&photo, &thumbnail, false, tags);
        // The page that was put first is the second.
        let inner = file
            .windows(8)
            .position(|bytes| bytes == [254, 0, 4, 0, 1, 0, 0, 0]);
        file[inner.expect("a tag") + 8] = kind;
        let result = decoded(&file);
        assert_eq!(result.width, 21);
        match left_out {
            Some(note) => assert!(result.notes[0].contains(note), "{:?}", result.notes),
            None => assert_eq!(result.notes, Vec::<String>::new()),
        }
    }
}

#[test]
fn camera_raw_is_refused_by_name() {
    let sensor = Stored {
        bits: 16,
        ..Stored::plain(1, 32803)
    };
    let thumbnail = Stored::plain(3, 2);
    for maker in [Some(&b"NIKON CORPORATION\0"[..]), None] {
        let mut tags = Directory::default();
        tags.set(254, 4, vec![1, 0, 0, 0]);
        if let Some(maker) = maker {
            tags.set(0x010F, 2, maker.to_vec());
        }
        let file = pages(&thumbnail, &sensor, true, tags);
        let error = Photo::decode(&file, 1 << 30).expect_err("raw").to_string();
        assert!(
            error.contains("raw") && error.contains("develop"),
            "{error}"
        );
        assert!(
            error.contains("16-bit TIFF") && error.contains("NEF"),
            "{error}"
        );
    }
}

#[test]
fn tags_about_colours_are_kept_or_spoken_of() {
    let fraction = |n: u32, d: u32| [n.to_le_bytes(), d.to_le_bytes()].concat();
    let mut tags = Directory::default();
    tags.set(
        318,
        5,
        [fraction(3457, 10000), fraction(3585, 10000)].concat(),
    );
    tags.set(319, 5, fraction(64, 100).repeat(6));
    let curve: Vec<u8> = (0..256u16)
        .flat_map(|level| (level * 257).to_le_bytes())
        .collect();
    tags.set(301, 3, curve);
    let file = Stored::plain(3, 2).with(tags.clone());
    let photo = decoded(&file);
    assert_eq!(photo.notes, Vec::<String>::new());
    let result = restored_one("x.tif", file);
    let exif = Directory::parse(&result.metadata.exif.expect("EXIF")).expect("EXIF");
    for entry in &tags.entries {
        assert_eq!(exif.get(entry.tag), Some(entry));
    }
    let lost = crate::photo::tiff::losses(&photo);
    assert!(lost[0].contains("white point"), "{lost:?}");

    // A curve for the inks says nothing of the RGB made of them.
    let inks = decoded(&Stored::plain(4, 5).with(tags));
    assert!(
        inks.notes.iter().any(|note| note.contains("left out")),
        "{:?}",
        inks.notes
    );
    let exif = inks.metadata.exif.as_deref().and_then(Directory::parse);
    assert!(exif.is_none_or(|tags| tags.get(301).is_none() && tags.get(318).is_none()));
}

#[test]
fn fax_is_read() {
    use fax::encoder::Encoder;
    use fax::{Color, VecWriter};
    let (width, height) = (83, 40);
    let is_black = |x: usize, y: usize| {
        let noise = ((x * 7 + y * 13) * (x + 3 * y)) % 11;
        y % 10 != 3 && (noise > 6 || (y % 7 == 1 && x > 30))
    };
    let mut encoder = Encoder::new(VecWriter::new());
    for y in 0..height {
        let colour = |x| {
            if is_black(x, y) {
                Color::Black
            } else {
                Color::White
            }
        };
        let _ = encoder.encode_line((0..width).map(colour), width as u16);
    }
    let Ok(writer) = encoder.finish();
    let strip = writer.finish();
    let layout: [(u16, &[u16]); 8] = [
        (256, &[width as u16]),
        (257, &[height as u16]),
        (258, &[1]),
        (259, &[4]),
        (262, &[0]),
        (266, &[1]),
        (277, &[1]),
        (278, &[height as u16]),
    ];
    let whole = file(&layout, &strip);
    let photo = decoded(&whole);
    for y in 0..height {
        for x in 0..width {
            let expected = if is_black(x, y) { 0 } else { 255 };
            assert_eq!(photo.samples[y * width + x], expected, "{x}, {y}");
        }
    }
    for length in 0..whole.len() {
        let _ = Photo::decode(&whole[..length], 1 << 30);
    }
    let short = file(&layout, &strip[..strip.len() / 2]);
    assert!(
        Photo::decode(&short, 1 << 30).is_err(),
        "half of it is missing"
    );
}

#[test]
fn subsampled_colours_without_jpeg_are_read() {
    // Two groups of 2 x 2 pixels: lumas, then the two differences; the picture is 3 x 2.
    let strip = [10, 20, 30, 40, 128, 128, 50, 99, 60, 99, 128, 255];
    let layout: [(u16, &[u16]); 7] = [
        (256, &[3]),
        (257, &[2]),
        (258, &[8, 8, 8]),
        (262, &[6]),
        (277, &[3]),
        (278, &[2]),
        (530, &[2, 2]),
    ];
    let photo = decoded(&file(&layout, &strip));
    let grey = |level: u8| [level; 3];
    assert_eq!(photo.samples[..6], [grey(10), grey(20)].concat());
    assert_eq!(photo.samples[9..15], [grey(30), grey(40)].concat());
    // Cr of 127 adds 1.402 times as much red.
    assert_eq!(photo.samples[6..9], [228, 0, 50]);
}

#[test]
fn lab_becomes_colours() {
    let layout = |bits: &'static [u16; 3], kind: &'static [u16; 1]| -> [(u16, &[u16]); 7] {
        [
            (256, &[3]),
            (257, &[1]),
            (258, bits),
            (262, kind),
            (277, &[3]),
            (278, &[1]),
            (284, &[1]),
        ]
    };
    // White, sRGB's red (54, 81, 70), and a dark blue (20, 30, -60), by CIE's formulas for D50.
    let expected: [[u8; 3]; 3] = [[255, 255, 255], [255, 0, 0], [30, 34, 140]];
    let signed: Vec<u8> = vec![255, 0, 0, 138, 81, 70, 51, 30, 196];
    let offset: Vec<u8> = vec![255, 128, 128, 138, 209, 198, 51, 158, 68];
    for (kind, strip) in [(&[8], signed), (&[9], offset)] {
        let photo = decoded(&file(&layout(&[8, 8, 8], kind), &strip));
        for (found, expected) in photo.samples.chunks(3).zip(expected) {
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.abs_diff(expected) <= 6, "{:?}", photo.samples);
            }
        }
        assert!(photo.notes[0].contains("CIELab"));
    }
}
