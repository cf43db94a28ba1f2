//! The Python package, laid out as its wheel installs it: the native module that the workspace builds, beside the
//! Python files. `tests/release/run` builds the wheel itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use dino_ir_tests::{package, program};
use image::{Rgb, RgbImage};

/// Noise on a slope, with an edge.
fn photo(path: &Path) {
    let mut seed = 1_u32;
    let picture = RgbImage::from_fn(180, 120, |x, y| {
        let base = if x > 90 { 60 } else { 150 } + y / 2;
        Rgb([0, 20, 40].map(|tint| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (base + tint + (seed >> 27)).min(255) as u8
        }))
    });
    picture.save(path).expect("a photo to restore");
}

#[test]
fn arrays_are_restored_as_files_are() {
    let python = Command::new(package().join("photos/venv"))
        .output()
        .expect("the script starts");
    let python = String::from_utf8_lossy(&python.stdout).trim().to_owned();
    assert!(!python.is_empty(), "tests/photos/venv tells no Python");

    let folder = tempfile::tempdir().expect("a folder");
    let source = package().join("../core/python");
    let installed = folder.path().join("dino_ir");
    fs::create_dir(&installed).expect("a folder for the package");
    fs::copy(
        source.join("dino_ir/__init__.py"),
        installed.join("__init__.py"),
    )
    .expect("the Python side");
    let native = program("libdino_ir_python.so");
    fs::copy(native, installed.join("_native.abi3.so")).expect("the native side");
    let noisy = folder.path().join("noisy.png");
    photo(&noisy);

    let tested = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(source.join("tests"))
        .current_dir(folder.path())
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DINO_IR_COMMAND", program("trainer"))
        .env("DINO_IR_PHOTO", &noisy)
        .output()
        .expect("Python starts");
    let told = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{told}");
    assert!(told.contains(" passed"), "{told}");
}
