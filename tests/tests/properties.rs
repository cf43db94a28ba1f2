//! What must hold for any weights.

use burn::tensor::Device;
use dino_ir::image::Image;
use dino_ir::model::DinoIrConfig;
use dino_ir::restore::{Options, Restorer};
use dino_ir::tile::Axis;
use dino_ir::weights::{self, Loaded};
use dino_ir_trainer::data::degrade::haze::{self, Frame};
use dino_ir_trainer::data::degrade::{noise, rain};
use dino_ir_trainer::data::rgb::Rgb;
use rand::SeedableRng;
use rand::rngs::StdRng;

const WIDTH: usize = 144;
const HEIGHT: usize = 112;
/// At the image's own border the padding shows, in tiles or without.
const BORDER: usize = 16;

fn image(value: impl Fn(usize, usize, usize) -> f32) -> Image {
    let value = &value;
    let pixels = (0..HEIGHT)
        .flat_map(|y| (0..WIDTH).flat_map(move |x| (0..3).map(move |c| value(x, y, c))))
        .collect();
    Image::new(WIDTH, HEIGHT, pixels).expect("an image")
}

/// Whether pixels `at` and `at + 1` are joined in a seam.
fn in_seam(axis: &Axis, at: usize) -> bool {
    (0..axis.count())
        .filter_map(|tile| axis.seam_after(tile))
        .any(|seam| (seam.start..=seam.end).contains(&(at + 1)))
}

/// The largest step between neighbours within seams, and elsewhere.
fn largest_steps(image: &Image, columns: &Axis, rows: &Axis) -> [f32; 2] {
    let at = |x: usize, y: usize, c: usize| image.pixels()[(y * WIDTH + x) * 3 + c];
    let mut largest = [0.0f32; 2];
    for y in BORDER..HEIGHT - BORDER {
        for x in BORDER..WIDTH - BORDER {
            let (across, down) = (in_seam(columns, x), in_seam(rows, y));
            for c in 0..3 {
                let value = at(x, y, c);
                for (seam, next) in [(across, at(x + 1, y, c)), (down, at(x, y + 1, c))] {
                    let largest = &mut largest[usize::from(!seam)];
                    *largest = largest.max((next - value).abs());
                }
            }
        }
    }
    largest
}

/// Random weights give texture of their own, so this sees tiles that are misplaced or lost, not
/// a seam that is blended badly: that is for the next test, and those of blending in `core`.
#[test]
fn tiles_of_random_weights_leave_no_step() {
    let config = DinoIrConfig::nano();
    let model = config.init(&Device::flex());
    check_seams(Loaded::new(model, config), 1e-3);
}

/// Half a grey level is what nobody can see, nor an 8-bit file hold.
#[test]
fn tiles_of_the_embedded_weights_leave_no_step() {
    let net = weights::load(dino_ir::embedded::nano(), &Device::flex()).expect("valid weights");
    check_seams(net, 0.5 / 255.0);
}

/// Tiles are to give what the whole photo gives: they see enough of what is around each pixel, and go by its sums.
#[test]
fn tiles_are_as_good_as_the_whole_photo() {
    let net = weights::load(dino_ir::embedded::nano(), &Device::flex()).expect("valid weights");
    let restorer = Restorer::new(net, &Device::flex());
    let folder = dino_ir_tests::package().join("photos");
    let photos = ["city.jpg", "nyc.jpg", "path.jpg"];
    let photos = photos.map(|name| Rgb::load(&folder.join(name)).expect("a photo"));
    let degrade = |fault: &str, clean: &Rgb| {
        let mut rng = StdRng::seed_from_u64(1);
        match fault {
            "noise" => noise::add(clean, 25.0, &mut rng),
            "rain" => rain::degrade(clean, &mut rng),
            _ => haze::degrade(clean, Frame::WHOLE, &mut rng),
        }
    };
    let psnr = |fault: &str, tile: Option<usize>| {
        let options = Options {
            tile,
            ..Options::default()
        };
        let of_photo = |clean: &Rgb| {
            let faulty = degrade(fault, clean);
            let faulty = Image::new(faulty.width, faulty.height, faulty.pixels);
            let faulty = faulty.expect("an image");
            let plan = restorer.plan(faulty.width(), faulty.height(), &options);
            let tiles = plan.expect("a plan").columns().count();
            assert_eq!(tiles > 1, tile.is_some());
            let restored = restorer.restore_image(&faulty, &options).expect("restored");
            let squares = restored.pixels().iter().zip(&clean.pixels);
            let squares = squares.map(|(a, b)| f64::from(a.clamp(0.0, 1.0) - b).powi(2));
            -10.0 * (squares.sum::<f64>() / clean.pixels.len() as f64).log10()
        };
        photos.iter().map(of_photo).sum::<f64>() / photos.len() as f64
    };
    for fault in ["noise", "rain", "haze"] {
        let whole = psnr(fault, None);
        for tile in [96, 320] {
            let tiled = psnr(fault, Some(tile));
            println!("{fault}: tiles of {tile} {tiled:.3} dB, whole {whole:.3} dB");
            assert!(
                (tiled - whole).abs() < 0.05,
                "{fault}: tiles of {tile} {tiled} dB, whole {whole} dB"
            );
        }
    }
}

fn check_seams(net: Loaded, invisible: f32) {
    let restorer = Restorer::new(net, &Device::flex());
    let tiled = Options {
        tile: Some(64),
        overlap: Some(32),
        ..Options::default()
    };
    let plan = restorer.plan(WIDTH, HEIGHT, &tiled).expect("a plan");
    assert!(plan.columns().count() > 1 && plan.rows().count() > 1);

    let grey = image(|_, _, _| 0.5);
    let gradient = image(|x, y, c| {
        let across = x as f32 / WIDTH as f32;
        let down = y as f32 / HEIGHT as f32;
        [across, down, 1.0 - across][c]
    });
    for (name, image) in [("grey", grey), ("gradient", gradient)] {
        let restored = restorer.restore_image(&image, &tiled).expect("restored");
        let [seams, inside] = largest_steps(&restored, plan.columns(), plan.rows());
        println!("{name}: steps {seams:.5} in seams, {inside:.5} inside tiles");
        let allowed = 1.5 * inside + invisible;
        assert!(
            seams <= allowed,
            "{name}: a step of {seams} in a seam, allowed {allowed}"
        );
    }
}

/// docs/LIBRARY.md names all that the library exports.
#[test]
fn the_face_of_the_library_is_documented() {
    let root = dino_ir_tests::package().join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let (source, listed) = (read("core/src/lib.rs"), read("docs/LIBRARY.md"));
    let exports = source.split("pub use ").skip(1);
    let names: Vec<_> = exports
        .flat_map(|export| {
            let path = export.split(';').next().unwrap_or_default();
            let names = path.rsplit("::").next().unwrap_or_default();
            names.split(|c: char| !c.is_alphanumeric())
        })
        .filter(|name| !name.is_empty())
        .collect();
    assert!(names.contains(&"Restorer"), "{names:?}");
    for name in names {
        let is_listed = listed
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == name);
        assert!(is_listed, "docs/LIBRARY.md does not say what {name} is");
    }
}
