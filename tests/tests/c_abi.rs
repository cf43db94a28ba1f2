//! `libdino_ir` from C and from Python, as other programs use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dino_ir_tests::{package, program};
use image::{RgbImage, Rgba, RgbaImage};

fn root() -> PathBuf {
    package().join("..")
}

/// The folder of `libdino_ir.so`.
fn library() -> PathBuf {
    program("libdino_ir.so")
        .parent()
        .expect("its folder")
        .to_owned()
}

/// Compiles a C program against the library; every warning is an error.
fn compile(source: &Path, to: &Path) {
    let library = library();
    let output = Command::new("cc")
        .args([
            "-std=c11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-pthread",
        ])
        .arg("-I")
        .arg(root().join("gimp-plugin/include"))
        .arg(source)
        .arg("-o")
        .arg(to)
        .arg("-L")
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .args(["-ldino_ir", "-lpng"])
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", text(&output));
}

fn text(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output));
}

fn photo(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 53;
        let colour = [40 + x, 60 + y, 90].map(|v| ((v + noise) % 256) as u8);
        Rgba([colour[0], colour[1], colour[2], ((x * 3 + y) % 256) as u8])
    })
}

fn trainer(input: &Path, output: &Path) {
    succeed(
        Command::new(program("trainer"))
            .args(["restore", "--quiet", "--force", "--device", "cpu"])
            .arg(input)
            .arg("-o")
            .arg(output),
    );
}

/// The largest difference of any sample.
fn difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn the_c_example_restores_as_the_trainer_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    compile(
        &root().join("gimp-plugin/examples/restore.c"),
        &at("restore"),
    );
    let before = photo(100, 60);
    before.save(at("in.png")).expect("a PNG");

    succeed(Command::new(at("restore")).args([at("in.png"), at("out.png")]));
    trainer(&at("in.png"), &at("expected.png"));
    let open = |name: &str| image::open(at(name)).expect("a PNG").to_rgba8();
    let (found, expected) = (open("out.png"), open("expected.png"));
    assert!(difference(&found, &expected) <= 1);
    assert!(
        difference(&found, &before) > 4,
        "the network does something"
    );

    // A rectangle of it, with the stride of the whole: as the crop alone would be restored.
    let (x, y, width, height) = (17, 9, 50, 33);
    succeed(
        Command::new(at("restore"))
            .args([at("in.png"), at("out.png")])
            .args([x, y, width, height].map(|v: u32| v.to_string())),
    );
    let crop = |image: &RgbaImage| image::imageops::crop_imm(image, x, y, width, height).to_image();
    crop(&before).save(at("crop.png")).expect("a PNG");
    trainer(&at("crop.png"), &at("expected.png"));
    let found = open("out.png");
    assert!(difference(&crop(&found), &open("expected.png")) <= 1);
    for (px, py, pixel) in found.enumerate_pixels() {
        let inside = (x..x + width).contains(&px) && (y..y + height).contains(&py);
        assert!(inside || pixel == before.get_pixel(px, py), "{px}, {py}");
    }

    // What is wrong is said.
    let missing = Command::new(at("restore"))
        .args([at("missing.png"), at("out.png")])
        .output()
        .expect("it starts");
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn the_python_example_restores_as_the_trainer_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let rgb = RgbImage::from_fn(70, 44, |x, y| {
        let [r, g, b, _] = photo(70, 44).get_pixel(x, y).0;
        image::Rgb([r, g, b])
    });
    rgb.save(at("in.png")).expect("a PNG");
    let ppm = [b"P6\n70 44\n255\n".as_slice(), &rgb].concat();
    fs::write(at("in.ppm"), &ppm).expect("a file");
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command
            .arg(root().join("gimp-plugin/examples/restore.py"))
            .args([at("in.ppm"), at("out.ppm")])
            .args(arguments)
            .env("DINO_IR_LIBRARY", program("libdino_ir.so"));
        command
    };

    succeed(&mut python(&[]));
    trainer(&at("in.png"), &at("expected.png"));
    let expected = image::open(at("expected.png")).expect("a PNG").to_rgb8();
    let found = fs::read(at("out.ppm")).expect("the result");
    assert!(difference(&found[found.len() - expected.len()..], &expected) <= 1);

    succeed(&mut python(&["0"]));
    assert_eq!(fs::read(at("out.ppm")).expect("the result"), ppm);

    let refused = python(&["7"]).output().expect("it starts");
    assert!(!refused.status.success());
    assert!(text(&refused).contains("strength 7"), "{}", text(&refused));
}

#[test]
fn misuse_from_c_gives_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("hostile");
    let weights = folder.path().join("truncated.safetensors");
    let nano = dino_ir::embedded::nano();
    fs::write(&weights, &nano[..nano.len() / 3]).expect("a file");
    compile(&root().join("tests/c/hostile.c"), &program);
    succeed(Command::new(&program).arg(&weights));
}

#[test]
fn the_header_is_cplusplus_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("header.cpp");
    let text = "#include \"dino_ir.h\"\nint main() { return dino_ir_abi_version() != DINO_IR_ABI_VERSION; }\n";
    fs::write(&source, text).expect("a file");
    let library = library();
    succeed(
        Command::new("c++")
            .args(["-Wall", "-Wextra", "-Werror", "-I"])
            .arg(root().join("gimp-plugin/include"))
            .arg(&source)
            .arg("-o")
            .arg(folder.path().join("header"))
            .arg("-L")
            .arg(&library)
            .arg(format!("-Wl,-rpath,{}", library.display()))
            .arg("-ldino_ir"),
    );
    succeed(&mut Command::new(folder.path().join("header")));
}
