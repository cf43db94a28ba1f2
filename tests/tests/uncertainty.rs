//! The errors that the embedded network expects of its results.

use burn::tensor::Device;
use dino_ir::image::Image;
use dino_ir::restore::{Options, Restorer};
use dino_ir::weights::{self, Loaded};
use dino_ir_trainer::data::degrade::noise;
use dino_ir_trainer::data::rgb::Rgb;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn restorer() -> Restorer<Loaded> {
    let cpu = Device::flex();
    let file = dino_ir_tests::package().join("../core/weights/nano.safetensors");
    let file = std::fs::read(file).expect("the weights");
    let net = weights::load(&file, &cpu).expect("valid weights");
    Restorer::new(net, &cpu)
}

fn photo() -> Rgb {
    Rgb::load(&dino_ir_tests::package().join("photos/city.jpg")).expect("a photo")
}

fn noisy(photo: &Rgb, sigma: f32) -> Image {
    let photo = noise::add(photo, sigma, &mut StdRng::seed_from_u64(3));
    Image::new(photo.width, photo.height, photo.pixels).expect("an image")
}

fn expected(restorer: &Restorer<Loaded>, image: &Image, tile: Option<usize>) -> Vec<f32> {
    let options = Options {
        tile,
        ..Options::default()
    };
    let found = restorer.restore_with_uncertainty(image, &options);
    let errors = found.expect("restored").1;
    assert_eq!(errors.len(), image.width() * image.height());
    assert!(errors.iter().all(|error| (0.0..=1.0).contains(error)));
    errors
}

/// In 8-bit units.
fn mean(errors: &[f32]) -> f32 {
    255.0 * errors.iter().sum::<f32>() / errors.len() as f32
}

#[test]
fn more_is_expected_of_noisier_photos() {
    let restorer = restorer();
    let means =
        [0.0, 15.0, 50.0].map(|sigma| mean(&expected(&restorer, &noisy(&photo(), sigma), None)));
    println!("means {means:?}");
    assert!(
        means[0] < 0.7 * means[1] && means[1] < 0.8 * means[2],
        "{means:?}"
    );
}

#[test]
fn tiles_expect_what_the_whole_photo_does() {
    let restorer = restorer();
    let image = noisy(&photo(), 25.0);
    let plan = |tile| {
        let options = Options {
            tile,
            ..Options::default()
        };
        restorer
            .plan(image.width(), image.height(), &options)
            .expect("a plan")
            .len()
    };
    assert!(plan(Some(256)) > 1 && plan(None) == 1);
    let (whole, tiled) = (
        expected(&restorer, &image, None),
        expected(&restorer, &image, Some(256)),
    );
    let pairs = whole.iter().zip(&tiled);
    let off: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    let (off, all) = (mean(&off), mean(&whole));
    println!("off by {off} of {all}");
    assert!(off < 0.03 * all, "{off} of {all}");
}
