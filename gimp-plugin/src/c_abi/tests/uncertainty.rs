//! The map of expected errors.

use super::*;

fn restore_with_uncertainty(
    restorer: *mut Handle,
    from: &Picture,
    to: &mut Picture,
    map: *mut Image,
    options: &Options,
) -> c_int {
    // SAFETY: pictures, options and NULL or a map made here.
    unsafe {
        dino_ir_restore_with_uncertainty(
            restorer,
            &from.image,
            &mut to.image,
            map,
            options,
            null(),
            None,
            null_mut(),
        )
    }
}

#[test]
fn expected_errors_come_in_every_layout() {
    let restorer = open();
    let mut from = picture(4, Sample::F32, 0);
    // This pixel is hidden.
    from.set(4 * 30 + 3, 0);
    let (mut plain, mut to) = (picture(4, Sample::F32, 0), picture(4, Sample::F32, 0));
    assert_eq!(restore(restorer, &from, &mut plain, &options(1.0)), 0);
    let mut told = |sample, gap| {
        let mut map = picture(1, sample, gap);
        let status =
            restore_with_uncertainty(restorer, &from, &mut to, &mut map.image, &options(1.0));
        assert_eq!(status, 0, "{}", message());
        assert_eq!(to.bytes, plain.bytes, "the photo is as without a map");
        map.values()
    };
    let errors = told(Sample::F32, 0);
    let before = from.values();
    for (error, pixel) in errors.iter().zip(before.chunks(4)) {
        let range = if pixel[3] == 0.0 {
            0.0..1e-9
        } else {
            1e-4..0.5
        };
        assert!(range.contains(error), "{error} {pixel:?}");
    }
    assert!(errors.contains(&0.0));
    for (sample, gap, step) in [(Sample::U8, 5, 255.0), (Sample::U16, 2, 65535.0)] {
        for (error, expected) in told(sample, gap).iter().zip(&errors) {
            assert!((error - expected).abs() <= 0.501 / step, "{sample:?}");
        }
    }
    dino_ir_close(restorer);
}

#[test]
fn a_map_that_does_not_fit_is_refused() {
    let restorer = open();
    let (from, mut to) = (picture(3, Sample::U8, 0), picture(3, Sample::U8, 0));
    let mut told = |map: *mut Image, strength| {
        restore_with_uncertainty(restorer, &from, &mut to, map, &options(strength))
    };
    assert_eq!(told(null_mut(), 1.0), Status::InvalidArgument as c_int);
    assert!(message().contains("map is NULL"), "{}", message());
    let invalid = Status::InvalidImage as c_int;
    let mut colours = picture(3, Sample::U8, 0);
    assert_eq!(told(&mut colours.image, 1.0), invalid);
    assert!(message().contains("with 1"), "{}", message());
    let mut map = picture(1, Sample::U8, 0);
    let mut low = Image {
        height: HEIGHT as u32 - 1,
        ..map.image
    };
    assert_eq!(told(&mut low, 1.0), invalid);
    let mut shared = Image {
        data: from.image.data,
        ..map.image
    };
    assert_eq!(told(&mut shared, 1.0), invalid);
    assert!(message().contains("shares memory"), "{}", message());
    let untouched = map.bytes.clone();
    let nothing = Status::InvalidOption as c_int;
    assert_eq!(told(&mut map.image, 0.0), nothing);
    assert_eq!(map.bytes, untouched);
    assert_eq!(told(&mut map.image, 1.0), 0, "{}", message());
    assert_ne!(map.bytes, untouched);
    dino_ir_close(restorer);
}
