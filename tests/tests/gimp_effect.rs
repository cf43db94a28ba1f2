//! The GEGL operation `dino-ir:restore`: in the program `gegl`, and as a layer effect in GIMP 3.0 and 3.2.
#![cfg(unix)]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::thread;

use dino_ir::{
    ColourProfile, DeviceChoice, Options, PixelView, PixelViewMut, Restorer, WeightsFile,
};
use dino_ir_tests::gimp::window::{Window, wait};
use dino_ir_tests::gimp::{Gimp, Version, screenshots};
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

/// Floats that the harness has written.
fn floats(file: &Path) -> Vec<f32> {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}

#[test]
fn pixels_of_any_format_are_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    install(&folder.join("data"));
    let run = Command::new("python3")
        .arg(package().join("gimp/operation.py"))
        .arg(folder)
        .env("XDG_DATA_HOME", folder.join("data"))
        .output()
        .expect("python3 starts: run tests/prepare");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    let printed = String::from_utf8_lossy(&run.stdout);

    let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Cpu).expect("the weights");
    for (name, width, height) in [
        ("point", 1, 1),
        ("line", 37, 1),
        ("grey", 50, 40),
        ("grey-alpha", 40, 50),
        ("half", 64, 48),
        ("premultiplied", 48, 64),
        ("linear", 70, 45),
        ("wide", 60, 60),
    ] {
        let before = floats(&folder.join(format!("{name}.in")));
        let after = floats(&folder.join(format!("{name}.out")));
        let mut expected = vec![0.0; before.len()];
        let mut view = PixelView::new(&before[..], width, height, 4).expect("pixels");
        let mut to = PixelViewMut::new(&mut expected[..], width, height, 4).expect("pixels");
        let profile = fs::read(folder.join(format!("{name}.icc"))).ok();
        assert_eq!(profile.is_some(), name == "wide");
        let profile = profile.map(|icc| ColourProfile::from_icc(&icc).expect("a profile"));
        if let Some(profile) = &profile {
            view = view.with_profile(profile).expect("for colours");
            to = to.with_profile(profile).expect("for colours");
        }
        restorer
            .loaded
            .restore_pixels(view, to, &Options::default(), &mut |_| {
                ControlFlow::Continue(())
            })
            .expect("restored");
        let distance = |from: &[f32]| {
            let pairs = from.iter().zip(&after);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(
            distance(&expected) < 1e-4,
            "{name}: {}",
            distance(&expected)
        );
        assert!(distance(&before) > 0.01, "{name}: nothing was done");
    }

    let said = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {printed}"))
            .trim()
            .to_owned()
    };
    let number = |name: &str| said(name).parse::<f64>().expect("a number");
    assert!(number("strength ") < number("first ") / 3.0, "{printed}");
    assert_eq!(
        (said("goes-on ").as_str(), said("same ").as_str()),
        ("1", "True")
    );
    assert_eq!(said("untouched "), "True");
    assert_eq!(
        errors.matches("9000x8000 is too large").count(),
        1,
        "{errors}"
    );
    // KiB; the photo's floats would take more than a million.
    assert!(number("grown ") < 300_000.0, "{printed}");
}

#[test]
fn an_effect_is_saved_edited_and_taken_away() {
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
                // The one that stands, edited; saved, opened and taken away.
                let printed = gimp.batch_python("edit.py");
                let open = |name: &str| {
                    image::open(folder.join(name))
                        .unwrap_or_else(|error| panic!("{name}: {error}\n{printed}"))
                };
                assert!(difference(&open("edited.png"), &half) <= 1, "{printed}");
                let opened = open("edited-opened.png");
                assert!(difference(&opened, &half) <= 1, "{printed}");
                assert_eq!(difference(&open("removed.png"), &noisy().into()), 0);
            });
        }
    });
}

/// A GIMP with the effect, and an image that is open.
fn open(version: Version, image: &Path) -> Window {
    let gimp = Gimp::new(version);
    install(gimp.folder());
    Window::of(gimp, image)
}

/// What the image looks like, its effects included.
fn seen(window: &Window) -> DynamicImage {
    let path = window.gimp.folder().join("seen.png");
    let save = format!(
        "(let ((copy (car (gimp-image-duplicate (first-image))))) (gimp-image-flatten copy) (save copy \"{}\") \
         (gimp-image-delete copy))",
        path.display()
    );
    window.script(&save).expect("saved");
    image::open(path).expect("a PNG")
}

#[test]
fn in_the_menus_of_gimp_3_2() {
    // Where in the layers dialog the effects are, and where in their list the buttons.
    const EFFECTS: (u32, u32) = (1095, 684);
    const EDIT: (u32, u32) = (1013, 639);
    const DELETE: (u32, u32) = (1220, 639);
    let title = "dino-ir:restore";

    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let folder = folder.path();
    let file = folder.join("photo.png");
    noisy().save(&file).expect("a PNG");
    let full = restored(folder, "photo.png", "1.0");
    let half = restored(folder, "photo.png", "0.5");
    let shots = screenshots(Version::Three2);
    let look = |window: &Window, name: &str| {
        let path = shots.join(format!("effect-{name}.png"));
        window.desktop.screenshot(&path);
    };

    // Filters > Enhance, and its last entry.
    let window = open(Version::Three2, &file);
    window.keys(&["alt+r", "h", "Up"]);
    look(&window, "menu");
    window.keys(&["Return"]);
    window.wait_for_window(title);
    look(&window, "dialog");
    window.keys(&["Return"]);
    wait("the effect", || window.is_dirty());
    assert!(difference(&seen(&window), &full) <= 1);
    let xcf = folder.join("effect.xcf");
    let save = format!("(save (first-image) \"{}\")", xcf.display());
    window.script(&save).expect("saved");
    drop(window);

    // Another GIMP, the file: the effect stands, is edited, and taken away.
    let window = open(Version::Three2, &xcf);
    assert!(difference(&seen(&window), &full) <= 1);
    window.click(EFFECTS.0, EFFECTS.1);
    look(&window, "list");
    window.click(EDIT.0, EDIT.1);
    window.wait_for_window(title);
    let dialog = window.find(title).expect("the dialog");
    // The button beside the strength, then the number itself.
    let minus = ["mousemove", "--window", &dialog, "352", "87", "click", "1"];
    window.desktop.xdotool(&minus);
    window.keys(&["ctrl+a", "0", "period", "5", "Tab"]);
    look(&window, "edit");
    window.keys(&["alt+o"]);
    wait("the other strength", || {
        window.find(title).is_none() && difference(&seen(&window), &half) <= 1
    });
    window.click(EFFECTS.0, EFFECTS.1);
    window.click(DELETE.0, DELETE.1);
    wait("its end", || difference(&seen(&window), &full) > 10);
    look(&window, "removed");
    assert_eq!(difference(&seen(&window), &noisy().into()), 0);
}

#[test]
fn in_the_tools_of_gimp_2_10() {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let folder = folder.path();
    let file = folder.join("photo.png");
    noisy().save(&file).expect("a PNG");
    let window = open(Version::Two10, &file);
    let look = |name: &str| {
        let path = screenshots(Version::Two10).join(format!("effect-{name}.png"));
        window.desktop.screenshot(&path);
    };
    // Tools > GEGL Operation..., and the last but two of its list.
    window.keys(&["alt+t", "g"]);
    window.wait_for_window("^GEGL Operation$");
    window.click(640, 428);
    window.keys(&["End", "Up", "Up"]);
    look("list");
    window.keys(&["Return"]);
    look("dialog");
    window.keys(&["alt+o"]);
    wait("the result", || window.is_dirty());
    look("result");
    let full = restored(folder, "photo.png", "1.0");
    assert!(difference(&window.pixels().into(), &full) <= 1);
}
