//! What becomes of pixels of every layout.

use super::*;

#[test]
fn every_layout_gives_the_same_pixels() {
    let restorer = open();
    for channels in 1..=4 {
        let reference = picture(channels, Sample::U8, 0);
        let mut expected = picture(channels, Sample::F32, 0);
        assert_eq!(
            restore(restorer, &reference, &mut expected, &options(1.0)),
            0
        );
        let expected = expected.values();
        let changed = expected
            .iter()
            .zip(reference.values())
            .any(|(a, b)| (a - b).abs() > 0.01);
        assert!(changed, "the network does something");

        for sample in [Sample::U8, Sample::U16, Sample::F32] {
            let from = picture(channels, sample, 12);
            let mut to = picture(channels, sample, 3);
            assert_eq!(
                restore(restorer, &from, &mut to, &options(1.0)),
                0,
                "{}",
                message()
            );
            let limit = match sample {
                Sample::U8 => 0.5 / 255.0,
                Sample::U16 => 0.5 / 65535.0,
                Sample::F32 => 0.0,
            };
            let (before, after) = (from.values(), to.values());
            for (at, (after, expected)) in after.iter().zip(&expected).enumerate() {
                let alpha = channels % 2 == 0 && at % channels == channels - 1;
                let hidden = channels % 2 == 0 && before[at - at % channels + channels - 1] == 0.0;
                if alpha || hidden {
                    assert_eq!(*after, before[at], "alpha and what it hides are kept");
                } else {
                    let expected = match sample {
                        Sample::F32 => *expected,
                        _ => expected.clamp(0.0, 1.0),
                    };
                    assert!(
                        (after - expected).abs() <= limit + 1e-6,
                        "{sample:?}, sample {at}"
                    );
                }
            }
            let gaps = to
                .bytes
                .chunks_exact(to.image.stride)
                .map(|row| &row[row.len() - 3..]);
            assert!(
                gaps.flatten().all(|byte| *byte == 0xA5),
                "gaps are not written"
            );
        }
    }
    dino_ir_close(restorer);
}

#[test]
fn grey_in_three_channels_is_restored_as_in_one() {
    let restorer = open();
    for sample in [Sample::U8, Sample::U16, Sample::F32] {
        let (grey, mut rgb) = (picture(1, sample, 0), picture(3, sample, 0));
        let values = grey.values();
        for at in 0..3 * WIDTH * HEIGHT {
            rgb.set(at, (values[at / 3] * 255.0).round() as u8);
        }
        let (mut from_grey, mut from_rgb) = (picture(1, sample, 0), picture(3, sample, 0));
        assert_eq!(restore(restorer, &grey, &mut from_grey, &options(1.0)), 0);
        assert_eq!(restore(restorer, &rgb, &mut from_rgb, &options(1.0)), 0);
        for (rgb, grey) in from_rgb.values().chunks_exact(3).zip(from_grey.values()) {
            assert_eq!(rgb, [grey; 3], "{sample:?}");
        }
    }
    dino_ir_close(restorer);
}

#[test]
fn hidden_colours_stay_and_do_not_show() {
    let restorer = open();
    for channels in [2, 4] {
        for (from, to) in [
            (Sample::U8, Sample::U8),
            (Sample::U16, Sample::F32),
            (Sample::F32, Sample::F32),
        ] {
            let results = [0, 255].map(|hidden| {
                let mut input = picture(channels, from, 0);
                for at in 0..WIDTH * HEIGHT * channels {
                    let is_hidden = at / channels % WIDTH < 10;
                    if at % channels == channels - 1 {
                        input.set(at, if is_hidden { 0 } else { 200 });
                    } else if is_hidden {
                        input.set(at, hidden);
                    }
                }
                let mut output = picture(channels, to, 0);
                for strength in [0.0, 1.0] {
                    let status = restore(restorer, &input, &mut output, &options(strength));
                    assert_eq!(status, 0, "{}", message());
                    let (before, after) = (input.values(), output.values());
                    for (before, after) in before.chunks(channels).zip(after.chunks(channels)) {
                        let kept = before[channels - 1] == 0.0 || strength == 0.0;
                        assert!(!kept || before == after, "{from:?} {to:?}");
                    }
                }
                let visible = |pixel: &&[f32]| pixel[channels - 1] > 0.0;
                let after = output.values();
                let after = after.chunks(channels).filter(visible).flatten();
                after.copied().collect::<Vec<_>>()
            });
            assert_eq!(results[0], results[1], "{from:?} {to:?}");
        }
    }
    dino_ir_close(restorer);
}

#[test]
fn strength_0_copies_bit_by_bit() {
    let restorer = open();
    for channels in 1..=4 {
        for sample in [Sample::U8, Sample::U16, Sample::F32] {
            let mut from = picture(channels, sample, 0);
            if sample == Sample::F32 {
                // Not even these bits change.
                from.bytes[..8].copy_from_slice(&[0x01, 0, 0xC0, 0x7F, 0, 0, 0, 0x80]);
            }
            let mut to = picture(channels, sample, 0);
            to.bytes.fill(0);
            assert_eq!(
                restore(restorer, &from, &mut to, &options(0.0)),
                0,
                "{}",
                message()
            );
            assert_eq!(from.bytes, to.bytes);
        }
        // Through another type and back.
        let from = picture(channels, Sample::U8, 0);
        let mut through = picture(channels, Sample::U16, 0);
        let mut back = picture(channels, Sample::U8, 0);
        back.bytes.fill(0);
        assert_eq!(restore(restorer, &from, &mut through, &options(0.0)), 0);
        assert_eq!(restore(restorer, &through, &mut back, &options(0.0)), 0);
        assert_eq!(from.bytes, back.bytes);
    }
    dino_ir_close(restorer);
}
