//! The embedded network's diagnosis on photos that nobody trained on.

use burn::tensor::Device;
use dino_ir::image::Image;
use dino_ir::restore::Restorer;
use dino_ir::weights::{self, Loaded};
use dino_ir::{Diagnosis, Fault};
use dino_ir_tests::package;
use dino_ir_trainer::data::degrade::noise;
use dino_ir_trainer::data::rgb::Rgb;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn embedded() -> Restorer<Loaded> {
    let cpu = Device::flex();
    let net = weights::load(dino_ir::embedded::nano(), &cpu).expect("valid weights");
    assert!(
        net.diagnosis.is_some(),
        "the embedded weights have no diagnosis: trainer/configs/diagnosis.toml says how to make it"
    );
    Restorer::new(net, &cpu)
}

fn photo(name: &str) -> Rgb {
    Rgb::load(&package().join(name)).expect("a photo")
}

fn diagnosed(restorer: &Restorer<Loaded>, photo: Rgb) -> Diagnosis {
    let image = Image::new(photo.width, photo.height, photo.pixels).expect("an image");
    restorer.diagnose(&image).expect("diagnosed")
}

#[test]
fn good_photos_are_fine_and_noise_is_told() {
    let restorer = embedded();
    for name in ["photos/city.jpg", "photos/nyc.jpg", "photos/path.jpg"] {
        let photo = photo(name);
        let clean = diagnosed(&restorer, photo.clone());
        assert!(clean.is_fine(), "{name}: {clean} {clean:?}");
        for sigma in [15.0, 30.0] {
            let noisy = noise::add(&photo, sigma, &mut StdRng::seed_from_u64(1));
            let noisy = diagnosed(&restorer, noisy);
            let off = (noisy.faults.noise - sigma).abs();
            assert!(noisy.finds(Fault::Noise), "{name}: {noisy} {noisy:?}");
            assert!(off < 7.0, "{name} with {sigma}: {noisy} {noisy:?}");
        }
    }
}

#[test]
fn each_sample_of_the_page_has_its_fault() {
    let restorer = embedded();
    for (name, fault) in [
        ("noisy", Fault::Noise),
        ("blurred", Fault::Blur),
        ("rainy", Fault::Rain),
        ("hazy", Fault::Haze),
    ] {
        let found = diagnosed(&restorer, photo(&format!("../web/www/samples/{name}.jpg")));
        assert!(found.finds(fault), "{name}: {found} {found:?}");
        // The samples are JPEG files themselves.
        let others = [Fault::Noise, Fault::Blur, Fault::Rain, Fault::Haze];
        for other in others.into_iter().filter(|other| *other != fault) {
            assert!(!found.finds(other), "{name}: {found} {found:?}");
        }
    }
}

/// A window is more than the photo: it is mirrored around it.
#[test]
fn photos_of_any_size_are_judged() {
    let restorer = embedded();
    for (width, height) in [(1, 1), (5, 400), (223, 225), (900, 30)] {
        let grey = Rgb::from_fn(width, height, |x, y| [(x + y) as f32 / 1300.0; 3]);
        let found = diagnosed(&restorer, grey);
        assert!((0.0..=75.0).contains(&found.faults.noise), "{found:?}");
        assert!((1.0..=100.0).contains(&found.faults.jpeg), "{found:?}");
    }
}
