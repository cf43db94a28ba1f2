//! The embedded weights help and do no harm: on photos of this repository each degradation becomes weaker by so many dB, and photos with
//! nothing wrong stay as they are. A change that costs more than 0.3 dB anywhere must be meant.

use std::ops::ControlFlow;

use dino_ir::{DeviceChoice, Loaded, Options, PixelView, PixelViewMut, Restorer, WeightsFile};
use dino_ir_tests::package;
use dino_ir_trainer::data::degrade::camera::Camera;
use dino_ir_trainer::data::degrade::grain::Grain;
use dino_ir_trainer::data::degrade::haze::{self, Frame};
use dino_ir_trainer::data::degrade::lens::Kernel;
use dino_ir_trainer::data::degrade::{blur, jpeg, noise, rain};
use dino_ir_trainer::data::rgb::Rgb;
use dino_ir_trainer::eval::metrics::Protocol;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Below what was measured.
const MARGIN: f32 = 0.3;
/// Photos with nothing wrong, and how close to them they come back at least, in dB.
const PHOTOS: [&str; 2] = ["city", "path"];
const UNTOUCHED: f32 = 40.0;

/// The truth, which some degradations change too, and the photo as it would be found.
type Degrade = fn(&Rgb, &mut StdRng) -> (Rgb, Rgb);

/// What is done, and what the restoration gained when it was measured, in dB for each of the photos.
const GAINS: [(&str, [f32; 2], Degrade); 9] = [
    ("noise 25", [8.04, 8.52], |clean, rng| {
        (clean.clone(), noise::add(clean, 25.0, rng))
    }),
    // With black bars, which hid the noise from the network before they were kept from it.
    ("noise 25, framed", [7.17, 7.1], |clean, rng| {
        (framed(clean), framed(&noise::add(clean, 25.0, rng)))
    }),
    ("blur 2", [3.52, 2.09], |clean, _| {
        (clean.clone(), blur::gaussian(clean, 2.0).quantised())
    }),
    ("rain", [2.62, 7.36], |clean, rng| {
        (clean.clone(), rain::degrade(clean, rng))
    }),
    ("haze", [2.83, 0.33], |clean, rng| {
        (clean.clone(), haze::degrade(clean, Frame::WHOLE, rng))
    }),
    ("camera 3200", [3.69, 4.27], |clean, rng| {
        Camera::at_iso(3200.0, rng)
            .shoot(clean, rng)
            .expect("a photo")
    }),
    ("grain", [3.8, 4.93], |clean, rng| {
        let grain = Grain {
            sigma: 20.0,
            common: 1.0,
            size: 0.5,
        };
        (clean.clone(), grain.apply(clean, rng))
    }),
    ("jpeg 20", [0.1, 0.11], |clean, _| {
        (clean.clone(), jpeg::compress(clean, 20).expect("a JPEG"))
    }),
    ("defocus", [0.6, 0.13], |clean, _| {
        (clean.clone(), Kernel::disc(2.0).blur(clean).quantised())
    }),
];

/// Black above and below the middle third of a photo.
fn framed(photo: &Rgb) -> Rgb {
    let (first, last) = (photo.height / 3, 2 * photo.height / 3);
    Rgb::from_fn(photo.width, photo.height, |x, y| {
        if (first..last).contains(&y) {
            photo.pixel(x, y)
        } else {
            [0.0; 3]
        }
    })
}

fn psnr(photo: &Rgb, truth: &Rgb) -> f32 {
    let score = Protocol::Restormer.score(photo, truth);
    score.expect("photos of one size").psnr as f32
}

fn restored(restorer: &Restorer<Loaded>, photo: &Rgb) -> Rgb {
    let (width, height) = (photo.width, photo.height);
    let from = photo.to_u8();
    let mut to = vec![0_u8; from.len()];
    let done = restorer.restore_pixels(
        PixelView::new(&from[..], width, height, 3).expect("a view"),
        PixelViewMut::new(&mut to[..], width, height, 3).expect("a view"),
        &Options::default(),
        &mut |_| ControlFlow::Continue(()),
    );
    done.expect("restored");
    Rgb::from_u8(width, height, &to).expect("a photo")
}

#[test]
fn the_embedded_weights_help_and_do_no_harm() {
    let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Cpu);
    let restorer = restorer.expect("embedded weights").loaded;
    let mut failures = Vec::new();
    for (at, name) in PHOTOS.iter().enumerate() {
        let clean = Rgb::load(&package().join(format!("photos/{name}.jpg"))).expect("a photo");
        let untouched = psnr(&restored(&restorer, &clean), &clean);
        println!("{name}, untouched: {untouched:.2} dB");
        if untouched < UNTOUCHED {
            failures.push(format!(
                "{name}, untouched: {untouched:.2} dB, not {UNTOUCHED}"
            ));
        }
        for (degradation, gains, degrade) in GAINS {
            let (truth, degraded) = degrade(&clean, &mut StdRng::seed_from_u64(1));
            let before = psnr(&degraded, &truth);
            let gain = psnr(&restored(&restorer, &degraded), &truth) - before;
            println!("{name}, {degradation}: {before:.2} dB, gain {gain:.2} dB");
            if gain < gains[at] - MARGIN {
                failures.push(format!(
                    "{name}, {degradation}: {gain:.2} dB, not {}",
                    gains[at]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("; "));
}
