//! Pictures with a colour profile.

use moxcms::{ColorProfile, ToneReprCurve};

use super::*;

fn set_profile(restorer: *mut Handle, icc: &[u8]) -> c_int {
    // SAFETY: as many bytes as it says.
    unsafe { dino_ir_set_profile(restorer, icc.as_ptr().cast(), icc.len()) }
}

#[test]
fn a_scene_has_the_same_colours_in_every_profile() {
    let restorer = open();
    let from = picture(3, Sample::F32, 0);
    let mut expected = picture(3, Sample::F32, 0);
    assert_eq!(restore(restorer, &from, &mut expected, &options(1.0)), 0);
    for profile in [
        ColorProfile::new_adobe_rgb(),
        ColorProfile::new_pro_photo_rgb(),
        linear(),
    ] {
        let icc = profile.encode().expect("a profile");
        let ours = ColourProfile::from_icc(&icc).expect("curves and a matrix");
        let mut wide = picture(3, Sample::F32, 0);
        wide.convert(|colour| ours.from_srgb(colour));
        let mut restored = picture(3, Sample::F32, 0);
        assert_eq!(set_profile(restorer, &icc), 0, "{}", message());
        assert_eq!(restore(restorer, &wide, &mut restored, &options(1.0)), 0);
        restored.convert(|colour| ours.to_srgb(colour));
        for (found, expected) in restored.values().iter().zip(expected.values()) {
            assert!((found - expected).abs() < 2e-3, "{found} {expected}");
        }
        // Nothing is converted where nothing changes.
        assert_eq!(restore(restorer, &wide, &mut restored, &options(0.0)), 0);
        assert_eq!(restored.bytes, wide.bytes);
    }
    // SAFETY: nothing to read.
    assert_eq!(unsafe { dino_ir_set_profile(restorer, null(), 0) }, 0);
    let mut again = picture(3, Sample::F32, 0);
    assert_eq!(restore(restorer, &from, &mut again, &options(1.0)), 0);
    assert_eq!(again.bytes, expected.bytes);
    dino_ir_close(restorer);
}

#[test]
fn a_profile_that_does_not_fit_is_refused() {
    let restorer = open();
    let invalid = Status::InvalidImage as c_int;
    let icc = ColorProfile::new_adobe_rgb().encode().expect("a profile");
    assert_eq!(set_profile(restorer, &icc[..200]), invalid);
    assert!(message().contains("profile"), "{}", message());
    assert_eq!(set_profile(restorer, b"no profile"), invalid);
    // SAFETY: nothing is read of NULL.
    let null = unsafe { dino_ir_set_profile(restorer, null(), 4) };
    assert_eq!(null, Status::InvalidArgument as c_int);
    let grey = picture(1, Sample::U8, 0);
    let mut to = picture(1, Sample::U8, 0);
    assert_eq!(restore(restorer, &grey, &mut to, &options(1.0)), 0);
    assert_eq!(set_profile(restorer, &icc), 0);
    assert_eq!(restore(restorer, &grey, &mut to, &options(1.0)), invalid);
    assert!(message().contains("use one for grey"), "{}", message());
    dino_ir_close(restorer);
    assert_eq!(
        set_profile(restorer, &icc),
        Status::InvalidArgument as c_int
    );
}

/// Linear light, the primaries of sRGB.
fn linear() -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    let curve = Some(ToneReprCurve::Parametric(vec![1.0]));
    profile.red_trc = curve.clone();
    profile.green_trc = curve.clone();
    profile.blue_trc = curve;
    profile
}
