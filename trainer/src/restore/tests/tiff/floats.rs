//! Samples in floating point.

use super::kinds::samples;
use super::*;

/// A one-strip file of floating-point grey.
fn floats(values: &[f32], width: u16, bits: u16) -> Vec<u8> {
    let height = (values.len() / usize::from(width)) as u16;
    let strip: Vec<u8> = match bits {
        16 => values
            .iter()
            .flat_map(|value| half::f16::from_f32(*value).to_le_bytes())
            .collect(),
        64 => values
            .iter()
            .flat_map(|value| f64::from(*value).to_le_bytes())
            .collect(),
        _ => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    };
    let layout: [(u16, &[u16]); 7] = [
        (256, &[width]),
        (257, &[height]),
        (258, &[bits]),
        (262, &[1]),
        (277, &[1]),
        (278, &[height]),
        (339, &[3]),
    ];
    file(&layout, &strip)
}

#[test]
fn floating_point_is_clipped_with_a_word_and_stays_so() {
    let values = [0.0, 0.25, 0.5, 1.0, 0.75, 1.5, -0.25, f32::NAN];
    let inside = [0.0, 0.25, 0.5, 1.0, 0.75, 1.0, 0.0, 0.0];
    for bits in [16, 32, 64] {
        let bytes = floats(&values, 4, bits);
        let photo = decoded(&bytes);
        assert_eq!((photo.channels, photo.depth), (1, Depth::Float));
        let found: Vec<f32> = photo
            .samples
            .chunks(4)
            .map(|s| Depth::Float.get(s))
            .collect();
        assert_eq!(found, inside);
        assert!(
            photo.notes.iter().any(|note| note.contains("37.50 %")),
            "{:?}",
            photo.notes
        );
        assert_eq!(photo.notes.len(), if bits == 32 { 1 } else { 2 });
        let result = restored_one("x.tif", bytes);
        assert_eq!(result.depth, Depth::Float);
        let found = result
            .samples
            .chunks(4)
            .map(|sample| Depth::Float.get(sample));
        for (found, expected) in found.zip(inside) {
            assert!((found - expected).abs() < 1e-6);
        }
        let mut png = Cursor::new(vec![]);
        photo.encode(Format::Png, &mut png).expect("encodes");
        let png = decoded(png.get_ref());
        assert_eq!(png.depth, Depth::Sixteen);
        assert_eq!(samples(&png), [0, 16384, 32768, 65535, 49151, 65535, 0, 0]);
        assert!(photo.loss(Format::Png).is_some());
    }
    // Of another range: there is no telling what is white.
    let error = Photo::decode(&floats(&[3.0, 90.0, 255.0, 0.5], 2, 32), 1 << 30);
    let error = error.expect_err("a guess").to_string();
    assert!(error.contains("scale them"), "{error}");
}

#[test]
fn transparency_that_is_not_a_number_is_spoken_of() {
    let strip: Vec<u8> = [0.5, f32::NAN, 0.25, 1.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let layout: [(u16, &[u16]); 8] = [
        (256, &[2]),
        (257, &[1]),
        (258, &[32, 32]),
        (262, &[1]),
        (277, &[2]),
        (278, &[1]),
        (338, &[2]),
        (339, &[3, 3]),
    ];
    let photo = decoded(&file(&layout, &strip));
    let levels: Vec<f32> = photo
        .samples
        .chunks_exact(4)
        .map(|sample| Depth::Float.get(sample))
        .collect();
    assert_eq!(levels, [0.5, 0.0, 0.25, 1.0]);
    assert!(photo.notes.iter().any(|note| note.contains("clipped")));
}
