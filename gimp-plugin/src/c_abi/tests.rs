//! The functions as C calls them; `tests/hostile.c` calls them from C.

use std::ptr::{null, null_mut};

use moxcms::{ColorProfile, ToneReprCurve};

use super::image::Sample;
use super::*;

fn message() -> String {
    // SAFETY: never NULL, and no call fails meanwhile.
    let text = unsafe { CStr::from_ptr(dino_ir_last_error()) };
    text.to_string_lossy().into_owned()
}

fn open() -> *mut Handle {
    // SAFETY: NULL and a string.
    let restorer = unsafe { dino_ir_open(null(), c"cpu".as_ptr()) };
    assert!(!restorer.is_null(), "{}", message());
    restorer
}

fn options(strength: f32) -> Options {
    Options {
        struct_size: size_of::<Options>(),
        memory: 0,
        strength,
        tile: 0,
        overlap: 0,
        self_ensemble: 0,
    }
}

/// A picture in memory, rows `gap` bytes apart.
struct Picture {
    bytes: Vec<u8>,
    image: Image,
}

const WIDTH: usize = 24;
const HEIGHT: usize = 17;

fn picture(channels: usize, sample: Sample, gap: usize) -> Picture {
    let size = match sample {
        Sample::U8 => 1,
        Sample::U16 => 2,
        Sample::F32 => 4,
    };
    let stride = WIDTH * channels * size + gap;
    let mut bytes = vec![0xA5; stride * HEIGHT];
    for y in 0..HEIGHT {
        for at in 0..WIDTH * channels {
            // Each value is one of an 8-bit picture, so that every type holds it.
            let value = ((y * 31 + at * 7 + y * at) % 256) as u8;
            let to = &mut bytes[y * stride + at * size..][..size];
            match sample {
                Sample::U8 => to[0] = value,
                Sample::U16 => to.copy_from_slice(&(u16::from(value) * 257).to_ne_bytes()),
                Sample::F32 => to.copy_from_slice(&(f32::from(value) / 255.0).to_ne_bytes()),
            }
        }
    }
    let image = Image {
        struct_size: size_of::<Image>(),
        data: bytes.as_mut_ptr().cast(),
        stride,
        width: WIDTH as u32,
        height: HEIGHT as u32,
        channels: channels as u32,
        sample: sample as u32,
    };
    Picture { bytes, image }
}

impl Picture {
    /// Converts floats in red, green and blue, rows without gaps.
    fn convert(&mut self, convert: impl Fn([f32; 3]) -> [f32; 3]) {
        for pixel in self.bytes.chunks_exact_mut(12) {
            let value =
                |at: usize| f32::from_ne_bytes([0, 1, 2, 3].map(|byte| pixel[at * 4 + byte]));
            let colour = convert([value(0), value(1), value(2)]);
            for (to, value) in pixel.chunks_exact_mut(4).zip(colour) {
                to.copy_from_slice(&value.to_ne_bytes());
            }
        }
    }

    /// The samples as 0..=1, rows without gaps.
    fn values(&self) -> Vec<f32> {
        let Image {
            stride, channels, ..
        } = self.image;
        let rows = self.bytes.chunks_exact(stride);
        let row = |row: &[u8]| -> Vec<f32> {
            let samples = WIDTH * channels as usize;
            match self.image.sample {
                0 => row[..samples]
                    .iter()
                    .map(|v| f32::from(*v) / 255.0)
                    .collect(),
                1 => row[..samples * 2]
                    .chunks_exact(2)
                    .map(|v| f32::from(u16::from_ne_bytes([v[0], v[1]])) / 65535.0)
                    .collect(),
                _ => row[..samples * 4]
                    .chunks_exact(4)
                    .map(|v| f32::from_ne_bytes([v[0], v[1], v[2], v[3]]))
                    .collect(),
            }
        };
        rows.flat_map(row).collect()
    }
}

fn restore(restorer: *mut Handle, from: &Picture, to: &mut Picture, options: &Options) -> c_int {
    // SAFETY: pictures and options made here.
    unsafe {
        dino_ir_restore(
            restorer,
            &from.image,
            &mut to.image,
            options,
            None,
            null_mut(),
        )
    }
}

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

impl Picture {
    /// Sets a sample of every type in a picture without gaps.
    fn set(&mut self, at: usize, value: u8) {
        match self.image.sample {
            0 => self.bytes[at] = value,
            1 => self.bytes[2 * at..][..2].copy_from_slice(&(u16::from(value) * 257).to_ne_bytes()),
            _ => {
                self.bytes[4 * at..][..4].copy_from_slice(&(f32::from(value) / 255.0).to_ne_bytes())
            }
        }
    }
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

#[test]
fn a_panic_becomes_a_code() {
    let result = guarded::<()>(|| panic!("asked to"));
    assert_eq!(result, Err(Status::Internal));
    assert!(message().contains("report this bug"), "{}", message());
}

#[test]
fn what_a_source_says_is_the_message() {
    let sentence = "the tape is torn at row 7; take another copy";
    let result = guarded::<()>(|| Err(dino_ir::Error::Caller(sentence.into()).into()));
    assert_eq!(result, Err(Status::Internal));
    assert_eq!(message(), sentence);
}

#[test]
fn messages_are_each_threads_own() {
    // SAFETY: no handle.
    let status =
        unsafe { dino_ir_restore(null_mut(), null(), null_mut(), null(), None, null_mut()) };
    assert_eq!(status, Status::InvalidArgument as c_int);
    assert!(!message().is_empty());
    let other = std::thread::spawn(message).join().expect("the thread ends");
    assert_eq!(other, "");
}

#[test]
fn opening_leaves_no_old_message() {
    // SAFETY: NULL and strings.
    unsafe { assert!(dino_ir_open(null(), c"tpu".as_ptr()).is_null()) };
    assert!(!message().is_empty());
    dino_ir_close(open());
    assert_eq!(message(), "");
}

#[test]
fn a_restorer_serves_one_call_at_a_time() {
    /// Restores again with the same handle, from inside.
    unsafe extern "C" fn again(_: u32, _: u32, user: *mut c_void) -> c_int {
        let (from, mut to) = (picture(3, Sample::U8, 0), picture(3, Sample::U8, 0));
        restore(user.cast(), &from, &mut to, &options(1.0))
    }
    let restorer = open();
    let (from, mut to) = (picture(3, Sample::U8, 0), picture(3, Sample::U8, 0));
    // SAFETY: pictures made here.
    let status = unsafe {
        dino_ir_restore(
            restorer,
            &from.image,
            &mut to.image,
            null(),
            Some(again),
            restorer.cast(),
        )
    };
    // The inner call was refused, which the outer one takes for a cancel.
    assert_eq!(status, Status::Cancelled as c_int);
    assert_eq!(restore(restorer, &from, &mut to, &options(1.0)), 0);
    dino_ir_close(restorer);
    assert_eq!(
        restore(restorer, &from, &mut to, &options(1.0)),
        Status::InvalidArgument as c_int
    );
    dino_ir_close(restorer);
}

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
fn errors_to_be_expected_come_in_every_layout() {
    let restorer = open();
    // Some pixels have an alpha of 0.
    let from = picture(4, Sample::F32, 0);
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
