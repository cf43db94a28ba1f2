//! One noisy scene, encoded as photos of several kinds are: restored, all of them show the same colours, and the noise is gone from all.

use std::io::Cursor;
use std::ops::ControlFlow;

use dino_ir::{DeviceChoice, Options, Restorer, WeightsFile};
use dino_ir_tests::colour::{converted, linear, mean_difference, srgb};
use dino_ir_tests::package;
use dino_ir_trainer::data::degrade::noise;
use dino_ir_trainer::data::rgb::Rgb;
use dino_ir_trainer::photo::pixels::{Restored, SrgbPixels};
use dino_ir_trainer::photo::{Depth, Format, Metadata, Photo};
use moxcms::ColorProfile;
use rand::SeedableRng;
use rand::rngs::StdRng;

const SIGMA: f32 = 25.0;

/// The scene in a file, as a camera or an editor writes it.
fn file(scene: &Rgb, profile: Option<&ColorProfile>, depth: Depth, format: Format) -> Vec<u8> {
    let values = match profile {
        Some(profile) => converted(&scene.pixels, &ColorProfile::new_srgb(), profile),
        None => scene.pixels.clone(),
    };
    let mut samples = Vec::new();
    for value in values {
        depth.put(value.clamp(0.0, 1.0) * depth.white(), &mut samples);
    }
    let photo = Photo {
        width: scene.width,
        height: scene.height,
        channels: 3,
        depth,
        samples,
        format,
        metadata: Metadata {
            icc: profile.map(|profile| profile.encode().expect("a profile")),
            ..Metadata::default()
        },
        notes: Vec::new(),
    };
    let mut file = Cursor::new(Vec::new());
    photo.encode_with(format, 98, &mut file).expect("written");
    file.into_inner()
}

fn psnr(one: &[f32], other: &[f32]) -> f32 {
    let squares = one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2));
    (-10.0 * (squares.sum::<f64>() / one.len() as f64).log10()) as f32
}

#[test]
fn a_scene_has_the_same_colours_in_every_encoding() {
    let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Cpu);
    let restorer = restorer.expect("embedded weights").loaded;
    let clean = Rgb::load(&package().join("photos/city.jpg")).expect("a photo");
    let clean = clean.crop(100, 60, 240, 200);
    let noisy = noise::add(&clean, SIGMA, &mut StdRng::seed_from_u64(1));
    let mut first: Option<(Vec<f32>, f32)> = None;
    for (name, profile, depth, format) in [
        ("sRGB", None, Depth::Eight, Format::Png),
        (
            "Adobe RGB",
            Some(ColorProfile::new_adobe_rgb()),
            Depth::Eight,
            Format::Png,
        ),
        (
            "Adobe RGB, JPEG",
            Some(ColorProfile::new_adobe_rgb()),
            Depth::Eight,
            Format::Jpeg,
        ),
        (
            "Display P3",
            Some(ColorProfile::new_display_p3()),
            Depth::Eight,
            Format::Png,
        ),
        (
            "ProPhoto",
            Some(ColorProfile::new_pro_photo_rgb()),
            Depth::Sixteen,
            Format::Tiff,
        ),
        ("linear light", Some(linear()), Depth::Float, Format::Tiff),
    ] {
        let bytes = file(&noisy, profile.as_ref(), depth, format);
        let mut photo = Photo::decode(&bytes, 1 << 30).expect("a photo");
        assert_eq!(photo.depth, depth, "{name}");
        let before = psnr(&srgb(&photo), &clean.pixels);
        let mut sink = Restored::of(&photo);
        let (source, options) = (SrgbPixels::of(&photo), Options::default());
        let goes_on = &mut |_| ControlFlow::Continue(());
        let restored = restorer.restore(&source, &mut sink, &options, goes_on);
        restored.expect("restored");
        photo.samples = sink.into_samples();
        let result = srgb(&photo);
        let after = psnr(&result, &clean.pixels);
        let gain = after - before;
        let (same, same_gain) = first.get_or_insert_with(|| (result.clone(), gain));
        let difference = mean_difference(same, &result);
        println!("{name}: {before:.2} dB, restored {after:.2} dB, CIEDE2000 {difference:.2}");
        assert!(difference < 1.0, "{name}: {difference}");
        assert!(
            gain > 7.0 && gain > *same_gain - 0.5,
            "{name}: from {before} to {after} dB"
        );
    }
}
