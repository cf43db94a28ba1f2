//! Faults told and removed one by one.

use super::*;

fn no_faults() -> Faults {
    Faults {
        struct_size: size_of::<Faults>(),
        noise: -1.0,
        noise_confidence: -1.0,
        blur: -1.0,
        blur_confidence: -1.0,
        rain: -1.0,
        rain_confidence: -1.0,
        haze: -1.0,
        haze_confidence: -1.0,
        jpeg: -1.0,
        jpeg_confidence: -1.0,
        fine: 7,
    }
}

#[test]
fn faults_are_told_alike_of_every_layout() {
    let restorer = open();
    let diagnosed = |picture: &Picture| {
        let mut faults = no_faults();
        // SAFETY: a picture and a structure made here.
        let code = unsafe { dino_ir_diagnose(restorer, &picture.image, &mut faults) };
        assert_eq!(code, Status::Ok as c_int, "{}", message());
        faults
    };
    let expected = diagnosed(&picture(3, Sample::U8, 0));
    assert!((0.0..=75.0).contains(&expected.noise), "{expected:?}");
    assert!(
        (0.0..=1.0).contains(&expected.noise_confidence),
        "{expected:?}"
    );
    assert!((1.0..=100.0).contains(&expected.jpeg), "{expected:?}");
    assert!(expected.fine <= 1);
    for (sample, gap) in [(Sample::U8, 5), (Sample::U16, 0), (Sample::F32, 3)] {
        let found = diagnosed(&picture(3, sample, gap));
        assert!((found.noise - expected.noise).abs() < 0.01, "{found:?}");
        assert!((found.haze - expected.haze).abs() < 0.001, "{found:?}");
    }
    dino_ir_close(restorer);
}

#[test]
fn a_diagnosis_of_nothing_is_refused() {
    let restorer = open();
    let picture = picture(3, Sample::U8, 0);
    let mut small = no_faults();
    small.struct_size = 8;
    let mut faults = no_faults();
    // SAFETY: NULL, or structures made here.
    unsafe {
        let call = |image, faults| dino_ir_diagnose(restorer, image, faults);
        let invalid = Status::InvalidArgument as c_int;
        assert_eq!(call(&picture.image, null_mut()), invalid);
        assert_eq!(call(null(), &mut faults), invalid);
        assert_eq!(call(&picture.image, &mut small), invalid);
        assert!(message().contains("faults.struct_size"), "{}", message());
        let hidden = Image {
            width: 0,
            ..picture.image
        };
        assert_eq!(call(&hidden, &mut faults), Status::InvalidImage as c_int);
        dino_ir_close(restorer);
        assert_eq!(call(&picture.image, &mut faults), invalid);
    }
    assert_eq!((faults.fine, faults.noise), (7, -1.0), "left as it was");
}

#[test]
fn faults_are_removed_one_by_one() {
    let restorer = open();
    let from = picture(3, Sample::F32, 0);
    let options = options(1.0);
    let all = Removal {
        struct_size: size_of::<Removal>(),
        noise: 1.0,
        blur: 1.0,
        rain: 1.0,
        haze: 1.0,
        jpeg: 1.0,
    };
    let none = Removal {
        noise: 0.0,
        blur: 0.0,
        rain: 0.0,
        haze: 0.0,
        jpeg: 0.0,
        ..all
    };
    let restored = |removal: *const Removal| {
        let mut to = picture(3, Sample::F32, 0);
        // SAFETY: pictures, options and a removal made here.
        let status = unsafe {
            dino_ir_restore_only(
                restorer,
                &from.image,
                &mut to.image,
                &options,
                removal,
                None,
                null_mut(),
            )
        };
        (status, to.bytes)
    };
    let mut expected = picture(3, Sample::F32, 0);
    assert_eq!(restore(restorer, &from, &mut expected, &options), 0);
    assert_eq!(restored(null()), (0, expected.bytes.clone()));
    assert_eq!(restored(&all), (0, expected.bytes));
    assert_eq!(restored(&none), (0, from.bytes.clone()));
    let too_much = Removal { rain: 1.5, ..all };
    let invalid = Status::InvalidOption as c_int;
    assert_eq!(restored(&too_much).0, invalid);
    assert!(message().contains("rain"), "{}", message());
    let other_size = Removal {
        struct_size: 4,
        ..all
    };
    assert_eq!(restored(&other_size).0, Status::InvalidArgument as c_int);
    dino_ir_close(restorer);
}
