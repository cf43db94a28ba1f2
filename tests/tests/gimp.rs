//! The plug-in in GIMP 2.10, 3.0 and 3.2, driven by scripts, against the `trainer` program.
#![cfg(unix)]

use std::cell::RefCell;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use dino_ir_tests::colour::{converted, mean_difference, srgb};
use dino_ir_tests::gimp::{Gimp, Version};
use dino_ir_tests::program;
use dino_ir_trainer::photo::{Depth, Format, Metadata, Photo};
use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba};
use moxcms::ColorProfile;

const WIDTH: u32 = 96;
const HEIGHT: u32 = 72;

/// Something like a noisy photo: shapes, a gradient, grain.
fn photo() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let disc = (x as i32 - 40).pow(2) + (y as i32 - 36).pow(2) < 500;
        let hash = (x * 7919 + y * 104_729 + x * y * 31) % 61;
        let base = if disc {
            [190, 120, 60]
        } else {
            [40 + x, 60 + y, 110]
        };
        Rgb(base.map(|v| (v + hash) as u8))
    })
}

fn alpha(x: u32, y: u32) -> u8 {
    // Never 0: GIMP does not save the colour of what nobody can see.
    ((x * 5 + y * 3) % 255 + 1) as u8
}

/// Linear light to sRGB's encoding.
fn encode(v: f64) -> f64 {
    if v <= 0.003_130_8 {
        12.92 * v
    } else {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    }
}

/// sRGB's encoding to linear light.
fn decode(v: f64) -> f64 {
    if v <= 0.040_45 {
        v / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

/// Writes the inputs of all cases.
fn write_inputs(folder: &Path) {
    let save = |name: &str, image: DynamicImage| {
        image.save(folder.join(name)).expect("a PNG");
    };
    let rgb = photo();
    let luma = |x, y| {
        DynamicImage::ImageRgb8(rgb.clone())
            .to_luma8()
            .get_pixel(x, y)
            .0[0]
    };
    let grey = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Luma([luma(x, y)]));
    save(
        "rgba.png",
        DynamicImage::ImageRgba8(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            let Rgb([r, g, b]) = *rgb.get_pixel(x, y);
            Rgba([r, g, b, alpha(x, y)])
        })),
    );
    save(
        "grey-alpha.png",
        DynamicImage::ImageLumaA8(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            LumaA([grey.get_pixel(x, y).0[0], alpha(x, y)])
        })),
    );
    save(
        "rgb16.png",
        DynamicImage::ImageRgb16(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            let fine = (x * 17 + y * 29) % 256;
            Rgb(rgb
                .get_pixel(x, y)
                .0
                .map(|v| u16::from(v) * 256 + fine as u16))
        })),
    );
    write_profiled(folder, &rgb, &grey);
    save("grey.png", DynamicImage::ImageLuma8(grey));
    save("rgb.png", DynamicImage::ImageRgb8(rgb));
    let weights = dino_ir::embedded::nano();
    fs::write(folder.join("good.safetensors"), weights).expect("a file");
    fs::write(
        folder.join("truncated.safetensors"),
        &weights[..weights.len() / 2],
    )
    .expect("a file");
}

/// The same in other profiles, with 16 bits.
fn write_profiled(folder: &Path, rgb: &RgbImage, grey: &ImageBuffer<Luma<u8>, Vec<u8>>) {
    let values = |samples: &[u8]| -> Vec<f32> {
        let values = samples.iter().map(|v| f32::from(*v) / 255.0);
        values.collect()
    };
    let save = |name: &str, channels: usize, profile: &ColorProfile, values: &[f32]| {
        let mut samples = Vec::new();
        for value in values {
            let value = value.clamp(0.0, 1.0) * Depth::Sixteen.white();
            Depth::Sixteen.put(value, &mut samples);
        }
        let mut icc = profile.encode().expect("a profile");
        // libpng refuses another illuminant than D50, to the last bit.
        let d50 = [0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D];
        icc[68..80].copy_from_slice(&d50);
        let photo = Photo {
            width: WIDTH as usize,
            height: HEIGHT as usize,
            channels,
            depth: Depth::Sixteen,
            samples,
            format: Format::Png,
            metadata: Metadata {
                icc: Some(icc),
                ..Metadata::default()
            },
            notes: Vec::new(),
        };
        let mut file = Cursor::new(Vec::new());
        photo
            .encode_with(Format::Png, 98, &mut file)
            .expect("a PNG");
        fs::write(folder.join(name), file.into_inner()).expect("a file");
    };
    let adobe = ColorProfile::new_adobe_rgb();
    let colours = converted(&values(rgb), &ColorProfile::new_srgb(), &adobe);
    save("adobe.png", 3, &adobe, &colours);
    let transparent: Vec<f32> = colours
        .chunks_exact(3)
        .zip((0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| alpha(x, y))))
        .flat_map(|(rgb, alpha)| [rgb[0], rgb[1], rgb[2], f32::from(alpha) / 255.0])
        .collect();
    save("adobe-alpha.png", 4, &adobe, &transparent);
    // The same light as sRGB's.
    let encoded = values(grey)
        .iter()
        .map(|v| decode(f64::from(*v)).powf(1.0 / 1.8) as f32)
        .collect::<Vec<_>>();
    let gamma = ColorProfile::new_gray_with_gamma(1.8);
    save("grey-1.8.png", 1, &gamma, &encoded);
}

/// What `trainer restore` makes of an input.
fn trainer(folder: &Path, input: &str, arguments: &[&str]) -> DynamicImage {
    let output = folder.join("trainer.png");
    let run = Command::new(program("trainer"))
        .args(["restore", "--quiet", "--force", "--device", "cpu"])
        .args(arguments)
        .arg(folder.join(input))
        .arg("-o")
        .arg(&output)
        .output()
        .expect("the program starts");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    image::open(output).expect("its PNG")
}

/// One GIMP's results.
struct Results {
    gimp: Gimp,
    printed: String,
    failures: RefCell<Vec<String>>,
}

impl Results {
    fn image(&self, case: &str) -> DynamicImage {
        let path = self.gimp.folder().join(format!("{case}.png"));
        image::open(&path).unwrap_or_else(|error| panic!("{case}: {error}\n{}", self.printed))
    }

    fn text(&self, case: &str) -> String {
        let path = self.gimp.folder().join(format!("{case}.txt"));
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{case}: {error}\n{}", self.printed))
    }

    /// Every sample within `limit` of the expectation, in steps of 16 bits.
    fn check(&self, case: &str, expected: &DynamicImage, limit: u16) {
        let off = difference(&self.image(case), expected);
        self.expect(off <= limit, case, || format!("off by {off} of 65535"));
    }

    /// A failure is noted, so that one run of GIMP tells all of them.
    fn expect(&self, holds: bool, case: &str, what: impl FnOnce() -> String) {
        if !holds {
            let version = self.gimp.version.number();
            let failure = format!("GIMP {version}, {case}: {}", what());
            self.failures.borrow_mut().push(failure);
        }
    }
}

/// The largest difference of any sample, in steps of 16 bits.
fn difference(a: &DynamicImage, b: &DynamicImage) -> u16 {
    let (a, b) = (a.to_rgba16(), b.to_rgba16());
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// One step of 8 bits.
const STEP: u16 = 257;

#[test]
fn every_gimp_restores_as_the_trainer_does() {
    let run = |version| {
        move || {
            let gimp = Gimp::new(version);
            write_inputs(gimp.folder());
            let printed = gimp.batch("cases.scm");
            Results {
                gimp,
                printed,
                failures: RefCell::default(),
            }
        }
    };
    let threads = Version::ALL.map(|version| thread::spawn(run(version)));
    let results = threads.map(|thread| thread.join().expect("a GIMP that runs"));
    for results in &results {
        assert_eq!(results.text("finished"), "yes");
    }

    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_inputs(folder);
    let input = |name: &str| image::open(folder.join(name)).expect("an input");
    let whole = trainer(folder, "rgb.png", &[]);
    assert!(
        difference(&whole, &input("rgb.png")) > 4 * STEP,
        "the network does something"
    );

    for results in &results {
        compare_layers(results, folder, &whole);
        compare_profiles(results, folder, &whole);
        compare_removals(results, folder, &whole);
        compare_uncertainty(results, folder);
        compare_selections(results, &input("rgb.png"), &whole);
        compare_masks(results, folder);
        compare_refusals(results);
    }
    for case in [
        "whole",
        "alpha",
        "grey",
        "sixteen",
        "float-linear",
        "feathered",
    ] {
        let [two, rest @ ..] = &results;
        for other in rest {
            other.check(case, &two.image(case), STEP);
        }
    }
    for results in &results {
        let failures = results.failures.take();
        let first = failures.iter().take(20).cloned().collect::<Vec<_>>();
        assert!(
            failures.is_empty(),
            "{}\n{}",
            first.join("\n"),
            results.printed
        );
    }
}

fn compare_layers(results: &Results, folder: &Path, whole: &DynamicImage) {
    let input = |name: &str| image::open(folder.join(name)).expect("an input");
    results.check("whole", whole, STEP);
    results.check("alpha", &trainer(folder, "rgba.png", &[]), STEP);
    results.check("grey", &trainer(folder, "grey.png", &[]), STEP);
    results.check("grey-alpha", &trainer(folder, "grey-alpha.png", &[]), STEP);
    results.check("sixteen", &trainer(folder, "rgb16.png", &[]), 4);
    results.check(
        "half-strength",
        &trainer(folder, "rgb.png", &["--strength", "0.5"]),
        STEP,
    );
    results.check(
        "tiles",
        &trainer(folder, "rgb.png", &["--tile", "64"]),
        STEP,
    );
    results.check("weights-file", whole, STEP);
    results.check("last-values", whole, STEP);
    results.check("strength-0", &input("rgba.png"), 0);
    results.check("strength-0-sixteen", &input("rgb16.png"), 0);
    for case in [
        "u16-linear",
        "u32-perceptual",
        "half",
        "float-linear",
        "float-perceptual",
        "double-linear",
    ] {
        results.check(case, whole, STEP);
    }
    // Transparency is the user's, to the last bit.
    for case in ["alpha", "grey-alpha"] {
        let found = results.image(case).to_rgba8();
        let mut pixels = found.enumerate_pixels();
        let kept = pixels.all(|(x, y, pixel)| pixel.0[3] == alpha(x, y));
        results.expect(kept, case, || "alpha changed".to_owned());
    }
    results.check("offset", whole, STEP);
    for case in ["new-layer", "new-layer-locked"] {
        let (layers, name) = (results.text(case), results.text(&format!("{case}-name")));
        results.expect(layers == "2", case, || format!("{layers} layers"));
        results.expect(name.ends_with(" restored"), case, || {
            format!("called {name}")
        });
        results.check(&format!("{case}-above"), whole, STEP);
        results.check(case, &input("rgb.png"), 0);
    }
    results.check("new-layer-strength-0", &input("rgb.png"), 0);

    let alpha = trainer(folder, "rgba.png", &[]);
    results.check("all-rgb", whole, STEP);
    results.check("all-alpha", &alpha, STEP);
    let said = results.text("all");
    // Between the two is what this GIMP calls the image.
    let names_it =
        said.contains("1 image restored; left as they are: ") && said.contains(": indexed images");
    results.expect(names_it, "all", || format!("says {said}"));
    let again = difference(&results.image("all-twice"), &alpha);
    results.expect(again > 0, "all-twice", || "restored once".to_owned());
}

/// A photo looks alike in every profile, and is what the program makes of it.
fn compare_profiles(results: &Results, folder: &Path, whole: &DynamicImage) {
    let input = |name: &str| image::open(folder.join(name)).expect("an input");
    let read = |name: &str| {
        let file = fs::read(results.gimp.folder().join(format!("{name}.png")));
        let file = file.unwrap_or_else(|error| panic!("{name}: {error}\n{}", results.printed));
        Photo::decode(&file, 1 << 30).expect("a photo")
    };
    let whole: Vec<f32> = whole
        .to_rgb8()
        .iter()
        .map(|v| f32::from(*v) / 255.0)
        .collect();
    for case in ["in-adobe", "in-adobe-linear"] {
        let photo = read(case);
        results.expect(photo.metadata.icc.is_some(), case, || "no profile".into());
        let off = mean_difference(&srgb(&photo), &whole);
        results.expect(off < 0.5, case, || format!("looks different by {off}"));
    }
    let expected = |input: &str| trainer(folder, input, &[]);
    results.check("in-adobe", &expected("adobe.png"), 16);
    results.check("in-adobe-alpha", &expected("adobe-alpha.png"), 16);
    results.check("in-adobe-0", &input("adobe.png"), 0);
    results.check("in-grey-1.8", &expected("grey-1.8.png"), 16);
}

/// How much of each fault is removed, the grain of the photo among them.
fn compare_removals(results: &Results, folder: &Path, whole: &DynamicImage) {
    for (case, share) in [("half-the-noise", "0.5"), ("no-noise", "0")] {
        let arguments = ["--noise", share, "--jpeg", share];
        results.check(case, &trainer(folder, "rgb.png", &arguments), STEP);
    }
    let input = image::open(folder.join("rgb.png")).expect("an input");
    let [before, kept, left] = [&input, &results.image("no-noise"), whole].map(grain);
    let holds = kept > 0.8 * before && left < 0.7 * before;
    results.expect(holds, "no-noise", || {
        format!("keeps {kept} of {before}, else {left}")
    });
}

/// The hidden layer with the errors to be expected, against the program's map.
fn compare_uncertainty(results: &Results, folder: &Path) {
    let file = folder.join("map.png");
    let map = file.to_str().expect("a path in UTF-8");
    let part = |x: u32, y: u32| (20..60).contains(&x) && (16..48).contains(&y);
    let whole = |_: u32, _: u32| true;
    let shown = |x: u32, y: u32| alpha(x, y) > 0;
    let cases: [(&str, &str, &str, &dyn Fn(u32, u32) -> bool); 4] = [
        ("uncertain", "rgb.png", "2 hidden same", &whole),
        ("uncertain-grey", "grey-alpha.png", "2 hidden same", &shown),
        ("uncertain-new-layer", "rgb16.png", "3 hidden other", &whole),
        ("uncertain-part", "rgb.png", "2 hidden same", &part),
    ];
    for (case, input, state, is_mapped) in cases {
        let restored = trainer(folder, input, &["--uncertainty", map]);
        let told = results.text(case);
        let holds = told.starts_with(state) && told.ends_with(" expected error");
        results.expect(holds, case, || format!("is {told}"));
        if case != "uncertain-part" {
            results.check(case, &restored, STEP);
        }
        let expected = image::open(&file).expect("its map").to_rgb8();
        let found = results.image(&format!("{case}-map")).to_rgb8();
        let (mut off, mut brightest) = (0, 0);
        for (x, y, pixel) in found.enumerate_pixels() {
            if is_mapped(x, y) {
                off = off.max(distance(pixel, expected.get_pixel(x, y)));
                brightest = brightest.max(pixel.0[0]);
            }
        }
        results.expect(off <= 2, case, || format!("its map is off by {off}"));
        results.expect(brightest > 8, case, || "its map is black".to_owned());
    }
}

/// The deviation of the noise in red (Immerkaer, "Fast Noise Variance Estimation", 1996).
fn grain(image: &DynamicImage) -> f64 {
    let image = image.to_rgb8();
    let red = |x: u32, y: u32| f64::from(image.get_pixel(x, y).0[0]);
    let bend = |x, y| red(x - 1, y) - 2.0 * red(x, y) + red(x + 1, y);
    let places = (1..HEIGHT - 1).flat_map(|y| (1..WIDTH - 1).map(move |x| (x, y)));
    let bends = places.map(|(x, y)| (bend(x, y - 1) - 2.0 * bend(x, y) + bend(x, y + 1)).abs());
    let mean = bends.sum::<f64>() / f64::from((WIDTH - 2) * (HEIGHT - 2));
    (std::f64::consts::PI / 2.0).sqrt() / 6.0 * mean
}

fn compare_selections(results: &Results, input: &DynamicImage, whole: &DynamicImage) {
    let (input, whole) = (input.to_rgb8(), whole.to_rgb8());
    for case in ["rectangle", "offset-rectangle"] {
        let found = results.image(case).to_rgb8();
        for (x, y, pixel) in found.enumerate_pixels() {
            let inside = (20..60).contains(&x) && (16..48).contains(&y);
            let expected = if inside { &whole } else { &input };
            let off = distance(pixel, expected.get_pixel(x, y));
            results.expect(off <= u8::from(inside), case, || {
                format!("{x}, {y} off by {off}")
            });
        }
    }
    // A feathered border: between the two everywhere, and truly between them somewhere.
    let case = "feathered";
    let found = results.image(case).to_rgb8();
    let mut between = 0;
    for (x, y, pixel) in found.enumerate_pixels() {
        let (before, after) = (input.get_pixel(x, y).0, whole.get_pixel(x, y).0);
        for (channel, found) in pixel.0.into_iter().enumerate() {
            let low = before[channel].min(after[channel]);
            let high = before[channel].max(after[channel]);
            let inside = (low.saturating_sub(1)..=high.saturating_add(1)).contains(&found);
            results.expect(inside, case, || {
                format!("{x}, {y}: {found} is not in {low}..={high}")
            });
            between += u32::from(found > low.saturating_add(3) && found < high.saturating_sub(3));
        }
    }
    results.expect(between > 100, case, || format!("{between} samples between"));
    for (x, y) in [(0, 0), (95, 0), (0, 71), (95, 71)] {
        let off = distance(found.get_pixel(x, y), input.get_pixel(x, y));
        results.expect(off == 0, case, || format!("far outside, off by {off}"));
    }
    let off = distance(found.get_pixel(48, 36), whole.get_pixel(48, 36));
    results.expect(off <= 1, case, || format!("in the middle, off by {off}"));
}

/// The largest difference of two pixels' samples.
fn distance(a: &Rgb<u8>, b: &Rgb<u8>) -> u8 {
    let pairs = a.0.iter().zip(b.0);
    pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}

/// Masks hold linear light: the network gets them encoded, like any picture.
fn compare_masks(results: &Results, folder: &Path) {
    let before = results.image("mask-before").to_rgba8();
    let encoded = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
        let linear = f64::from(before.get_pixel(x, y).0[3]) / 255.0;
        Luma([(encode(linear) * 65535.0).round() as u16])
    });
    let path = folder.join("mask.png");
    DynamicImage::ImageLuma16(encoded)
        .save(path)
        .expect("a PNG");
    let expected = trainer(folder, "mask.png", &[]).to_luma16();
    let found = results.image("mask").to_rgba8();
    let (mut changed, mut off): (u32, f64) = (0, 0.0);
    for (x, y, pixel) in found.enumerate_pixels() {
        let expected = decode(f64::from(expected.get_pixel(x, y).0[0]) / 65535.0) * 255.0;
        off = off.max((f64::from(pixel.0[3]) - expected).abs());
        changed += u32::from(before.get_pixel(x, y).0[3].abs_diff(pixel.0[3]) > 2);
    }
    results.expect(off <= 1.5, "mask", || format!("off by {off} of 255"));
    results.expect(changed > 1000, "mask", || {
        format!("{changed} samples changed")
    });

    let channel = results.image("channel").to_rgba8();
    let clear = |x, y| channel.get_pixel(x, y).0[3];
    let partial = channel
        .pixels()
        .filter(|pixel| (1..255).contains(&pixel.0[3]))
        .count();
    let shape = clear(50, 35) < 32 && clear(2, 70) > 223;
    results.expect(partial > 50, "channel", || {
        format!("{partial} samples between")
    });
    results.expect(shape, "channel", || "not the ellipse".to_owned());
}

fn compare_refusals(results: &Results) {
    let three = results.gimp.version != Version::Two10;
    let mut cases = vec![
        ("indexed", "Image > Mode > RGB"),
        ("locked", "unlock them"),
        ("locked-group", "unlock the group"),
        ("locked-mask", "unlock them"),
        ("group", "select one layer inside it"),
        ("outside", "Select > None"),
        ("mask-new-layer", "choose the output"),
        ("uncertain-mask", "leave out"),
        ("weights-missing", "missing.safetensors"),
        ("weights-truncated", "truncated.safetensors"),
        ("weights-other", "rgb.png"),
        // GIMP 3 checks the ranges of numbers itself.
        (
            "strength-2",
            if three {
                "out of range"
            } else {
                "strength 2: use 0 to 1"
            },
        ),
        (
            "noise-2",
            if three {
                "out of range"
            } else {
                "noise 2: use 0 to 1"
            },
        ),
        ("tile-3", "tile 3"),
    ];
    if three {
        // GIMP 2.10 hands over one drawable.
        cases.push(("several", "2 layers are selected"));
    }
    for (case, expected) in cases {
        let message = results.text(case);
        results.expect(message.contains(expected), case, || {
            format!("says {message}")
        });
        let before = results.image(&format!("{case}-before"));
        let off = difference(&results.image(case), &before);
        results.expect(off == 0, case, || format!("left something, {off} of 65535"));
    }
}

#[test]
fn the_installer_finds_every_gimp() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = [".config/GIMP/3.2", ".var/app/org.gimp.GIMP/config/GIMP/3.0"];
    for folder in settings {
        fs::create_dir_all(home.path().join(folder)).expect("a folder");
    }
    let install = |arguments: &[&str]| {
        let script = dino_ir_tests::package().join("../gimp-plugin/install");
        let output = Command::new(script)
            .args(arguments)
            .env("HOME", home.path())
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .expect("the script starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let built = program("dino-ir-restore");
    let said = install(&["--program", &built.display().to_string()]);
    for folder in settings {
        let plug_ins = home.path().join(folder).join("plug-ins");
        assert!(said.contains(&plug_ins.display().to_string()), "{said}");
        let installed = plug_ins.join("dino-ir-restore/dino-ir-restore");
        let mode = fs::metadata(&installed)
            .expect("installed")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o111,
            0o111,
            "GIMP passes over what it cannot execute"
        );
        assert_eq!(fs::read(&installed).ok(), fs::read(&built).ok());
        assert!(plug_ins.join("dino-ir-restore/help/en/index.html").exists());
    }
    install(&["--uninstall"]);
    for folder in settings {
        let left = home.path().join(folder).join("plug-ins/dino-ir-restore");
        assert!(!left.exists(), "{}", left.display());
    }
}
