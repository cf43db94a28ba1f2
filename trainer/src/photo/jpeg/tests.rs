//! Files of all kinds of scans against the reference decoder, and what is done to them on their way.

use super::*;

const SIZE: (usize, usize) = (33, 17);

macro_rules! fixtures {
    ($($name:literal),*) => {
        [$((
            $name,
            &include_bytes!(concat!("fixtures/", $name, ".jpg"))[..],
            &include_bytes!(concat!("fixtures/", $name, ".raw"))[..],
        )),*]
    };
}

/// Names, files, and their samples as the reference decoder gives them.
fn fixtures() -> [(&'static str, &'static [u8], &'static [u8]); 8] {
    fixtures![
        "single-420",
        "single-restarts-440",
        "progressive-mixed",
        "progressive-420-restarts",
        "sequential-422",
        "sequential-420-restarts",
        "rgb",
        "grey"
    ]
}

fn error(bytes: &[u8]) -> String {
    decode(bytes).expect_err("refused").to_string()
}

fn assert_close(found: &[u8], right: &[u8], name: &str) {
    assert_eq!(found.len(), right.len(), "{name}");
    let worst = found.iter().zip(right).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "{name}: {worst:?}");
}

#[test]
fn pixels_are_those_of_the_reference_decoder() {
    for (name, file, right) in fixtures() {
        let decoded = decode(file).expect(name);
        assert_close(&decoded.samples, right, name);
        assert_eq!(decoded.notes, [""; 0], "{name}");
    }
}

#[test]
fn a_missing_end_marker_is_no_loss_whatever_follows() {
    for (name, file, right) in fixtures() {
        let open = &file[..file.len() - 2];
        // A maker's data may hold the picture once more.
        for trailer in [&b""[..], b"maker's data", &[0xFF; 9], &[9; 300], file] {
            let decoded = decode(&[open, trailer].concat()).expect(name);
            assert_close(&decoded.samples, right, name);
            assert!(
                decoded.notes[0].contains("end marker"),
                "{name}: {:?}",
                decoded.notes
            );
        }
    }
}

#[test]
fn no_part_of_a_picture_goes_missing_in_silence() {
    for (name, file, right) in fixtures() {
        for length in 0..file.len() - 2 {
            let Ok(decoded) = decode(&file[..length]) else {
                continue;
            };
            // Only what follows the last bit of the picture is missing, or a later pass over a complete one.
            let complete = decoded.samples.len() == right.len()
                && decoded
                    .samples
                    .iter()
                    .zip(right)
                    .all(|(a, b)| a.abs_diff(*b) <= 1);
            assert!(complete, "{name} cut to {length} of {} bytes", file.len());
        }
    }
}

#[test]
fn bytes_lost_between_restart_markers_are_refused() {
    for (name, file, _) in fixtures()
        .into_iter()
        .filter(|(name, ..)| name.contains("restarts"))
    {
        let is_restart = |at: &usize| file[*at] == 0xFF && (0xD0..=0xD7).contains(&file[at + 1]);
        let restarts: Vec<usize> = (2..file.len() - 1).filter(is_restart).collect();
        assert!(restarts.len() > 3, "{name}");
        // A marker and the data before it; a marker alone; a marker twice.
        let (one, two) = (restarts[1], restarts[2]);
        let cut = |from: usize, to: usize| [&file[..from], &file[to..]].concat();
        for damaged in [
            cut(one, two),
            cut(one, one + 2),
            cut(one - 2, one),
            [&file[..one], &file[one..one + 2], &file[one..]].concat(),
            [&file[..one], &[1, 2, 3], &file[one..]].concat(),
        ] {
            assert!(error(&damaged).starts_with("damaged"), "{name}");
        }
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let (_, file, _) = fixtures()[4];
    let at = (2..file.len())
        .find(|&at| file[at..].starts_with(&[0xFF, 0xC0]))
        .expect("a header");
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = file.to_vec();
        for &(place, byte) in changes {
            bytes[at + place] = byte;
        }
        bytes
    };
    for (changes, word) in [
        (&[(1, 0xC3)][..], "lossless"),
        (&[(1, 0xC5)], "hierarchical"),
        (&[(1, 0xC9)], "arithmetic"),
        (&[(1, 0xF7)], "JPEG-LS"),
        (&[(4, 12)], "12 bits"),
        (&[(5, 0), (6, 0)], "DNL"),
        (&[(9, 2)], "2 components"),
        (&[(11, 0x32), (14, 0x21)], "sampling"),
    ] {
        let error = error(&with(changes));
        assert!(
            error.contains(word) && error.contains("not supported"),
            "{word}: {error}"
        );
        assert!(!error.contains("damaged"), "{error}");
    }
}

#[test]
fn a_progressive_file_that_ends_early_but_in_order_is_read_with_a_note() {
    let (_, file, _) = fixtures()[3];
    let mut segments = Segments::of(file);
    let mut scans = 0;
    // Up to the data of the fourth scan.
    let cut = loop {
        let (marker, ..) = segments.next().expect("scans");
        scans += usize::from(marker == segments::SOS);
        if scans == 4 {
            break file.len() - segments.rest.len() - 10;
        }
    };
    let early = [&file[..cut], &[0xFF, segments::EOI]].concat();
    let decoded = decode(&early).expect("a picture");
    assert_eq!(decoded.samples.len(), SIZE.0 * SIZE.1 * 3);
    assert!(
        decoded.notes[0].contains("less detail"),
        "{:?}",
        decoded.notes
    );
    assert!(error(&file[..cut]).starts_with("damaged"));
}

#[test]
fn damage_of_any_kind_is_an_error_or_a_picture() {
    for (name, file, right) in fixtures() {
        for at in 2..file.len() {
            for byte in [0, 0xFF, file[at] ^ 0x10] {
                let mut bytes = file.to_vec();
                bytes[at] = byte;
                if let (Ok(frame), Ok(decoded)) = (Frame::read(&bytes), decode(&bytes)) {
                    let pixels = frame.width * frame.height;
                    assert_eq!(decoded.samples.len() % pixels, 0, "{name} {at}");
                }
            }
        }
        assert_eq!(right.len() % (SIZE.0 * SIZE.1), 0);
    }
}
