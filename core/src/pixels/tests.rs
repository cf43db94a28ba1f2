use super::*;
use crate::device::DeviceChoice;
use crate::open::WeightsFile;
use crate::restore::{Area, Source};
use crate::weights::Loaded;
use std::ops::ControlFlow;

const WIDTH: usize = 24;
const HEIGHT: usize = 17;

fn restorer() -> Restorer<Loaded> {
    Restorer::open(WeightsFile::Embedded, DeviceChoice::Cpu)
        .expect("embedded weights")
        .loaded
}

/// A slope with coarse noise, which the network changes.
fn noisy(channels: usize) -> Vec<u8> {
    (0..WIDTH * HEIGHT * channels)
        .map(|at| (60 + at % 97 + (at * 7919 % 83)) as u8)
        .collect()
}

fn restore<'a>(
    from: PixelView<'_>,
    to: impl Into<SamplesMut<'a>>,
    channels: usize,
    strength: f32,
) -> Result<()> {
    let options = Options {
        strength,
        ..Options::default()
    };
    let to = PixelViewMut::new(to, WIDTH, HEIGHT, channels)?;
    restorer().restore_pixels(from, to, &options, &mut |_| ControlFlow::Continue(()))
}

/// Each type of sample, each number of channels: the same picture comes back.
#[test]
fn types_and_channels_agree() {
    let grey = noisy(1);
    let mut of_grey = vec![0_u8; grey.len()];
    let view = |channels| move |samples| PixelView::new(samples, WIDTH, HEIGHT, channels);
    restore(view(1)(&grey[..]).expect("good"), &mut of_grey[..], 1, 1.0).expect("restored");
    assert_ne!(of_grey, grey);

    let rgba: Vec<u8> = grey.iter().flat_map(|&v| [v, v, v, 200]).collect();
    let mut of_rgba = vec![0_u8; rgba.len()];
    restore(view(4)(&rgba[..]).expect("good"), &mut of_rgba[..], 4, 1.0).expect("restored");
    let expected: Vec<u8> = of_grey.iter().flat_map(|&v| [v, v, v, 200]).collect();
    assert_eq!(of_rgba, expected);

    let wide: Vec<u16> = grey.iter().map(|&v| u16::from(v) * 257).collect();
    let mut of_wide = vec![0.0_f32; grey.len()];
    let from = PixelView::new(&wide[..], WIDTH, HEIGHT, 1).expect("good");
    restore(from, &mut of_wide[..], 1, 1.0).expect("restored");
    for (wide, byte) in of_wide.iter().zip(&of_grey) {
        assert!(
            (wide * 255.0 - f32::from(*byte)).abs() <= 0.501,
            "{wide} {byte}"
        );
    }
}

/// The map is that of the same picture as an image, without what alpha hides; the photo is as without a map.
#[test]
fn expected_errors_come_beside_the_pixels() {
    let restorer = restorer();
    let none = &mut |_| ControlFlow::Continue(());
    let mut rgba = noisy(4);
    rgba.iter_mut().skip(3).step_by(4).for_each(|a| *a = 255);
    rgba[4 * 30 + 3] = 0;
    let from = PixelView::new(&rgba[..], WIDTH, HEIGHT, 4).expect("good");
    let mut plain = vec![0_u8; rgba.len()];
    restore(from, &mut plain[..], 4, 1.0).expect("restored");
    let mut with = plain.clone();
    with.fill(0);
    let mut errors = vec![-1.0; WIDTH * HEIGHT];
    let options = Options::default();
    let to = PixelViewMut::new(&mut with[..], WIDTH, HEIGHT, 4).expect("good");
    restorer
        .restore_pixels_with_uncertainty(from, to, &mut errors, &options, none)
        .expect("restored");
    assert_eq!(with, plain);
    assert_eq!(errors[30], 0.0);
    let shown = errors.iter().enumerate().filter(|(at, _)| *at != 30);
    assert!(shown.clone().all(|(_, error)| (1e-4..0.5).contains(error)));

    let mut small = vec![0.0; WIDTH];
    let to = PixelViewMut::new(&mut with[..], WIDTH, HEIGHT, 4).expect("good");
    let refused = restorer.restore_pixels_with_uncertainty(from, to, &mut small, &options, none);
    assert!(matches!(refused, Err(Error::InvalidImage(_))));
    let nothing = Options {
        strength: 0.0,
        ..options
    };
    let to = PixelViewMut::new(&mut with[..], WIDTH, HEIGHT, 4).expect("good");
    let refused = restorer.restore_pixels_with_uncertainty(from, to, &mut errors, &nothing, none);
    assert!(matches!(refused, Err(Error::InvalidOption(_))));
}

/// Linear light goes in and out as the same colours do sRGB-encoded.
#[test]
fn linear_light_is_converted() {
    let encoded: Vec<f32> = noisy(3).iter().map(|&v| f32::from(v) / 255.0).collect();
    let linear: Vec<f32> = encoded
        .iter()
        .map(|&v| Transfer::Linear.from_srgb(v))
        .collect();
    let (mut a, mut b) = (vec![0.0_f32; encoded.len()], vec![0.0_f32; encoded.len()]);
    let from = PixelView::new(&encoded[..], WIDTH, HEIGHT, 3).expect("good");
    restore(from, &mut a[..], 3, 1.0).expect("restored");
    let from = PixelView::new(&linear[..], WIDTH, HEIGHT, 3).expect("good");
    let to = PixelViewMut::new(&mut b[..], WIDTH, HEIGHT, 3).expect("good");
    restorer()
        .restore_pixels(
            from.with_transfer(Transfer::Linear),
            to.with_transfer(Transfer::Linear),
            &Options::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .expect("restored");
    for (a, b) in a.iter().zip(&b) {
        assert!((a - Transfer::Linear.to_srgb(*b)).abs() < 1e-3, "{a} {b}");
    }
    assert_eq!(
        Transfer::Linear.to_srgb(-0.5),
        -Transfer::Linear.to_srgb(0.5)
    );
}

/// Display P3 goes in and out as the same colours do sRGB-encoded; a profile for grey is refused for them.
#[test]
fn colours_of_a_profile_are_converted() {
    let p3 = ColourProfile::display_p3();
    let colours = |values: &[f32], convert: &dyn Fn([f32; 3]) -> [f32; 3]| -> Vec<f32> {
        let pixels = values.chunks_exact(3);
        pixels
            .flat_map(|rgb| convert([rgb[0], rgb[1], rgb[2]]))
            .collect()
    };
    let encoded: Vec<f32> = noisy(3).iter().map(|&v| f32::from(v) / 255.0).collect();
    let wide = colours(&encoded, &|rgb| p3.from_srgb(rgb));
    let (mut a, mut b) = (vec![0.0_f32; encoded.len()], vec![0.0_f32; encoded.len()]);
    let from = PixelView::new(&encoded[..], WIDTH, HEIGHT, 3).expect("good");
    restore(from, &mut a[..], 3, 1.0).expect("restored");
    let from = PixelView::new(&wide[..], WIDTH, HEIGHT, 3).expect("good");
    let to = PixelViewMut::new(&mut b[..], WIDTH, HEIGHT, 3).expect("good");
    restorer()
        .restore_pixels(
            from.with_profile(&p3).expect("for colours"),
            to.with_profile(&p3).expect("for colours"),
            &Options::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .expect("restored");
    assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 0.01));
    for (a, b) in a.iter().zip(colours(&b, &|rgb| p3.to_srgb(rgb))) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    let grey = PixelView::new(&wide[..], WIDTH, HEIGHT, 1).expect("good");
    let error = grey.with_profile(&p3).expect_err("not for grey");
    assert!(error.to_string().contains("use one for grey"), "{error}");
}

/// What alpha hides stays, bit by bit, and is not read.
#[test]
fn hidden_pixels_stay() {
    let mut photo = noisy(4);
    for pixel in photo.chunks_exact_mut(4) {
        pixel[3] = 255;
    }
    photo[..4].copy_from_slice(&[255, 0, 255, 0]);
    let mut restored = vec![0_u8; photo.len()];
    let from = PixelView::new(&photo[..], WIDTH, HEIGHT, 4).expect("good");
    restore(from, &mut restored[..], 4, 1.0).expect("restored");
    assert_eq!(restored[..4], photo[..4]);
    let mut read = [0.0; 6];
    let area = Area {
        x: 0,
        y: 0,
        width: 2,
        height: 1,
    };
    from.read(area, &mut read).expect("read");
    assert!(read[..3].iter().all(|v| v.is_nan()) && read[3..].iter().all(|v| v.is_finite()));
}

#[test]
fn strength_0_copies_bits_and_leaves_gaps_alone() {
    let stride = WIDTH + 3;
    let photo: Vec<f32> = (0..stride * HEIGHT)
        .map(|at| f32::from_bits(at as u32 * 7919))
        .collect();
    let mut copy = vec![5.0_f32; photo.len()];
    let options = Options {
        strength: 0.0,
        ..Options::default()
    };
    let from = PixelView::new(&photo[..], WIDTH, HEIGHT, 1).expect("good");
    let to = PixelViewMut::new(&mut copy[..], WIDTH, HEIGHT, 1).expect("good");
    restorer()
        .restore_pixels(
            from.with_stride(stride).expect("good"),
            to.with_stride(stride).expect("good"),
            &options,
            &mut |_| ControlFlow::Continue(()),
        )
        .expect("copied");
    for (at, (before, after)) in photo.iter().zip(&copy).enumerate() {
        let expected = if at % stride < WIDTH { *before } else { 5.0 };
        assert_eq!(after.to_bits(), expected.to_bits());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let samples = [0_u8; 100];
    let invalid =
        |view: Result<PixelView<'_>>| matches!(view.expect_err("refused"), Error::InvalidImage(_));
    let view = |width, height, channels| PixelView::new(&samples[..], width, height, channels);
    assert!(invalid(view(0, 5, 1)));
    assert!(invalid(view(5, 0, 1)));
    assert!(invalid(view(5, 5, 0)));
    assert!(invalid(view(5, 5, 5)));
    assert!(invalid(view(5, 7, 3)));
    assert!(invalid(view(usize::MAX, 1, 4)));
    let fits = view(5, 5, 4).expect("exactly");
    assert!(invalid(fits.with_stride(19)));
    assert!(invalid(fits.with_stride(21)));
    assert!(invalid(fits.with_stride(usize::MAX)));

    let (from, mut to) = (noisy(3), vec![0_u8; WIDTH * HEIGHT * 4]);
    let from = PixelView::new(&from[..], WIDTH, HEIGHT, 3).expect("good");
    assert!(matches!(
        restore(from, &mut to[..], 4, 1.0),
        Err(Error::InvalidImage(_))
    ));
}

#[test]
fn a_break_cancels() {
    let (from, mut to) = (noisy(3), noisy(3));
    for strength in [0.0, 1.0] {
        let from = PixelView::new(&from[..], WIDTH, HEIGHT, 3).expect("good");
        let to = PixelViewMut::new(&mut to[..], WIDTH, HEIGHT, 3).expect("good");
        let options = Options {
            strength,
            ..Options::default()
        };
        let cancelled =
            restorer().restore_pixels(from, to, &options, &mut |_| ControlFlow::Break(()));
        assert!(matches!(cancelled, Err(Error::Cancelled)));
    }
}
