//! The GEGL operation `dino-ir:restore`: in the program `gegl`, and as a layer effect in GIMP 3.0 and 3.2.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use dino_ir_tests::gimp::{Gimp, Version};
use dino_ir_tests::{package, program};
use image::{DynamicImage, GrayAlphaImage, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

/// Noise on a slope, with an edge.
fn noisy() -> RgbImage {
    let mut seed = 1_u32;
    RgbImage::from_fn(150, 110, |x, y| {
        let base = if x > 70 { 60 } else { 150 } + y / 2;
        Rgb([0, 20, 40].map(|tint| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (base + tint + (seed >> 27)).min(255) as u8
        }))
    })
}

/// Installs the operation as a user would, below `data`.
fn install(data: &Path) {
    let installed = Command::new(package().join("../gimp-plugin/install"))
        .args(["--effect", "--program"])
        .arg(program("libdino_ir_gegl.so"))
        .env("XDG_DATA_HOME", data)
        .output()
        .expect("the installer starts");
    assert!(installed.status.success(), "{installed:?}");
}

/// What the command makes of a photo.
fn restored(folder: &Path, name: &str, strength: &str) -> DynamicImage {
    let out = folder.join(format!("command-{strength}-{name}"));
    let run = Command::new(program("trainer"))
        .args([
            "restore",
            "-q",
            "--force",
            "--device",
            "cpu",
            "--strength",
            strength,
        ])
        .arg(folder.join(name))
        .arg("-o")
        .arg(&out)
        .output()
        .expect("the program starts");
    assert!(run.status.success(), "{run:?}");
    image::open(out).expect("a result")
}

/// The largest difference between two pictures, by samples of RGBA.
fn difference(a: &DynamicImage, b: &DynamicImage) -> u8 {
    let (a, b) = (a.to_rgba8(), b.to_rgba8());
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().expect("pixels")
}

#[test]
fn the_program_gegl_restores_as_the_command_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    install(&folder.join("data"));
    let photo = noisy();
    let rgba = RgbaImage::from_fn(40, 30, |x, y| {
        let Rgb([r, g, b]) = *photo.get_pixel(x, y);
        Rgba([r, g, b, if x < 8 { 0 } else { 200 }])
    });
    let grey = GrayAlphaImage::from_fn(31, 1, |x, _| LumaA([(x * 8) as u8, 255]));
    let photos: [(&str, DynamicImage); 4] = [
        ("rgb.png", photo.clone().into()),
        ("rgba.png", rgba.into()),
        ("grey.png", grey.into()),
        (
            "point.png",
            RgbImage::from_pixel(1, 1, Rgb([90, 100, 110])).into(),
        ),
    ];
    for (name, photo) in photos {
        photo.save(folder.join(name)).expect("a photo");
        let run = |strength: &str| {
            let out = folder.join(format!("gegl-{strength}-{name}"));
            let output = Command::new("gegl")
                .arg(folder.join(name))
                .arg("-o")
                .arg(&out)
                .args(["--", "dino-ir:restore", &format!("strength={strength}")])
                .env("XDG_DATA_HOME", folder.join("data"))
                .output()
                .expect("gegl starts: run tests/prepare");
            assert!(output.status.success(), "{name}: {output:?}");
            image::open(&out).unwrap_or_else(|error| panic!("{name}: {error}, {output:?}"))
        };
        assert!(
            difference(&run("1.0"), &restored(folder, name, "1.0")) <= 1,
            "{name}"
        );
        assert!(
            difference(&run("0.5"), &restored(folder, name, "0.5")) <= 1,
            "{name}"
        );
        assert_eq!(difference(&run("0.0"), &photo), 0, "{name}");
    }
}

#[test]
fn an_effect_is_saved_and_taken_away() {
    let versions = [Version::Three0, Version::Three2];
    thread::scope(|scope| {
        for version in versions {
            scope.spawn(move || {
                let gimp = Gimp::new(version);
                let folder = gimp.folder();
                noisy().save(folder.join("noisy.png")).expect("a photo");
                install(folder);
                let printed = gimp.batch("effect.scm");
                let open = |name: &str| {
                    image::open(folder.join(name))
                        .unwrap_or_else(|error| panic!("{name}: {error}\n{printed}"))
                };
                let full = restored(folder, "noisy.png", "1.0");
                let half = restored(folder, "noisy.png", "0.5");
                assert!(difference(&full, &noisy().into()) > 10);
                assert!(difference(&open("full.png"), &full) <= 1, "{printed}");
                assert!(difference(&open("opened.png"), &full) <= 1, "{printed}");
                assert_eq!(difference(&open("without.png"), &noisy().into()), 0);
                assert!(difference(&open("half.png"), &half) <= 1, "{printed}");
                fs::metadata(folder.join("effect.xcf")).expect("a file of GIMP's own");
            });
        }
    });
}
