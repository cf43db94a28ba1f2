//! The `trainer` program on good, odd and hostile files.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dino_ir_tests::program;
use dino_ir_tests::program::{stderr, trainer};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

/// The complaints among the lines of standard error.
fn complaints(output: &Output) -> Vec<String> {
    let notes = ["device:", "tile", "note"];
    stderr(output)
        .lines()
        .filter(|line| !line.trim().is_empty() && !notes.iter().any(|n| line.starts_with(n)))
        .map(str::to_owned)
        .collect()
}

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 41;
        Rgb([x, y, x + y].map(|v| ((v * 3 + noise) % 256) as u8))
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_photo_is_restored_beside_itself_and_never_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(97, 61).save(at.join("a.png")).expect("written");
    let first = trainer(&["restore", "a.png"], at);
    assert!(first.status.success(), "{}", stderr(&first));
    assert_eq!(names(at), ["a.png", "a.restored.png"]);
    let before = fs::read(at.join("a.restored.png")).expect("the result");
    let restored = image::open(at.join("a.restored.png")).expect("an image");
    assert_eq!((restored.width(), restored.height()), (97, 61));
    assert_ne!(restored.to_rgb8(), photo(97, 61), "the net did something");
    let second = trainer(&["restore", "a.png"], at);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("--force"), "{}", stderr(&second));
    assert_eq!(
        fs::read(at.join("a.restored.png")).expect("the result"),
        before
    );
    assert!(
        trainer(&["restore", "a.png", "--force"], at)
            .status
            .success()
    );
}

#[test]
fn every_kind_of_pixel_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let grey = GrayImage::from_fn(33, 20, |x, y| Luma([(x * 5 + y * 3) as u8]));
    let alpha = RgbaImage::from_fn(20, 33, |x, y| Rgba([x as u8, 90, y as u8, (x * 9) as u8]));
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_fn(24, 24, |x, y| {
        Rgb([(x * 2000) as u16, (y * 2000) as u16, 513])
    });
    let images: [(&str, DynamicImage); 7] = [
        ("one.png", photo(1, 1).into()),
        ("row.png", photo(31, 1).into()),
        ("column.tif", photo(1, 31).into()),
        ("grey.png", grey.into()),
        ("alpha.png", alpha.into()),
        ("deep.png", deep.into()),
        ("web.webp", photo(40, 30).into()),
    ];
    for (name, image) in &images {
        image.save(at.join(name)).expect("written");
    }
    let output = trainer(&["restore", ".", "-o", "out"], at);
    assert!(output.status.success(), "{}", stderr(&output));
    for (name, image) in &images {
        let restored = image::open(at.join("out").join(name)).expect("a result");
        assert_eq!(restored.color(), image.color(), "{name}");
        let size = (restored.width(), restored.height());
        assert_eq!(size, (image.width(), image.height()), "{name}");
    }
    let restored = image::open(at.join("out/alpha.png"))
        .expect("a result")
        .to_rgba8();
    let before = image::open(at.join("alpha.png"))
        .expect("an image")
        .to_rgba8();
    for (restored, before) in restored.pixels().zip(before.pixels()) {
        assert_eq!(restored[3], before[3], "alpha is kept");
    }
    let strength = trainer(&["restore", ".", "-o", "same", "--strength", "0"], at);
    assert!(strength.status.success(), "{}", stderr(&strength));
    for (name, image) in &images {
        let same = image::open(at.join("same").join(name)).expect("a result");
        assert_eq!(same.as_bytes(), image.as_bytes(), "{name} at strength 0");
    }
}

#[test]
fn hostile_files_get_a_line_each_and_the_rest_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(40, 40).save(at.join("good.png")).expect("written");
    let png = fs::read(at.join("good.png")).expect("the photo");
    fs::write(at.join("text.png"), "this is no image").expect("written");
    fs::write(at.join("empty.jpg"), "").expect("written");
    fs::write(at.join("cut.png"), &png[..png.len() / 2]).expect("written");
    fs::write(at.join("bomb.png"), bomb(&png)).expect("written");
    let before = names(at);
    let files = [
        "text.png",
        "empty.jpg",
        "cut.png",
        "bomb.png",
        "missing.png",
    ];
    let mut arguments = vec!["restore"];
    arguments.extend(files);
    arguments.extend(["good.png", "-o", "out"]);
    let output = trainer(&arguments, at);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let complaints = complaints(&output);
    for name in files {
        let lines: Vec<_> = complaints
            .iter()
            .filter(|line| line.contains(name))
            .collect();
        assert_eq!(lines.len(), 1, "{name}: {complaints:?}");
    }
    assert_eq!(names(&at.join("out")), ["good.png"]);
    assert!(
        names(at)
            .iter()
            .all(|name| before.contains(name) || name == "out")
    );
}

/// The header of a 10000 x 10000 image in front of the body of a small one.
fn bomb(png: &[u8]) -> Vec<u8> {
    let mut bomb = png.to_vec();
    bomb[16..20].copy_from_slice(&10_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&10_000u32.to_be_bytes());
    let checksum = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    bomb
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    photo(9, 9)
        .save(folder.path().join("a.png"))
        .expect("written");
    for arguments in [
        "restore a.png --strength 2",
        "restore a.png --device toaster",
        "restore a.png --tile 0",
        "restore a.png --tile 4",
        "restore a.png --tile 64 --overlap 64",
        "restore a.png --tile 64 --overlap 60",
        "restore a.png --memory much",
        "restore a.png --only haze,fog",
        "restore a.png --haze 1.5",
        "restore a.png --noise none",
        "restore a.png --only haze --noise 0.5",
        "eval --suite nonsense --data .",
        "eval --suite blur --data . --tile 0",
        "eval --suite blur --data . --tile 4",
        "eval --suite blur --data . --sigma 0",
        "eval --suite blur --data . --limit 0",
        "eval --suite pairs --data . --sigma 15",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = trainer(&arguments, folder.path());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(names(folder.path()), ["a.png"]);
}

#[test]
fn an_evaluation_asks_for_its_files_first_and_prints_before_it_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir_all(at.join("clean")).expect("made");
    photo(24, 24).save(at.join("clean/a.png")).expect("written");
    let eval = [
        "eval", "--suite", "blur", "--data", "clean", "--sigma", "2", "--limit", "1",
    ];
    let with = |more: &[&str]| trainer(&[&eval[..], more].concat(), at);
    for flag in ["--json", "--csv", "--chart"] {
        let output = with(&[flag, "clean"]);
        assert_eq!(output.status.code(), Some(1), "{flag}");
        assert!(output.stdout.is_empty(), "{flag}: nothing is measured");
        assert!(stderr(&output).contains("clean is a folder"), "{flag}");
    }
    let output = with(&["--json", "new/folder/a.json", "--csv", "new/a.csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(at.join("new/folder/a.json").exists() && at.join("new/a.csv").exists());
    // What is in the way only when it is written.
    fs::create_dir(at.join("new/b.json.tmp")).expect("made");
    let output = with(&["--json", "new/b.json", "--csv", "new/b.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("blur 2"));
    assert!(stderr(&output).contains("cannot write new/b.json"));
    assert!(at.join("new/b.csv").exists());
}

#[test]
fn devices_that_this_build_lacks_are_named_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    photo(9, 9)
        .save(folder.path().join("a.png"))
        .expect("written");
    for device in ["wgpu", "cuda:3"] {
        let output = trainer(&["restore", "a.png", "--device", device], folder.path());
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("device cpu"),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(names(folder.path()), ["a.png"]);
}

#[test]
fn unusable_weights_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(9, 9).save(at.join("a.png")).expect("written");
    let weights = dino_ir::embedded::nano();
    fs::write(at.join("cut.safetensors"), &weights[..weights.len() / 3]).expect("written");
    let mut nan = weights.to_vec();
    let end = nan.len();
    nan[end - 2..].copy_from_slice(&[0xff, 0x7f]);
    fs::write(at.join("nan.safetensors"), nan).expect("written");
    fs::create_dir(at.join("folder.safetensors")).expect("made");
    let mut next = weights.to_vec();
    let format = br#"\"format\":1"#;
    let found = next.windows(format.len()).position(|part| part == format);
    next[found.expect("the format") + format.len() - 1] = b'9';
    fs::write(at.join("next.safetensors"), next).expect("written");
    for name in [
        "cut.safetensors",
        "nan.safetensors",
        "next.safetensors",
        "folder.safetensors",
        "a.png",
        "none",
        "/dev/zero",
    ] {
        for arguments in [
            &["restore", "a.png", "--weights", name][..],
            &["info", name],
        ] {
            let output = trainer(arguments, at);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            let complaints = complaints(&output);
            assert_eq!(complaints.len(), 1, "{complaints:?}");
            assert!(complaints[0].contains(name), "{complaints:?}");
        }
    }
    assert!(!at.join("a.restored.png").exists());
}

/// Sends what Ctrl-C sends.
fn interrupt(child: &Child) {
    // The shell's own: a small system has no program of that name.
    let interrupted = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .expect("the shell starts");
    assert!(interrupted.success());
}

#[test]
fn interrupting_leaves_no_partial_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(3000, 2000)
        .save(at.join("large.png"))
        .expect("written");
    let mut child = Command::new(program("trainer"))
        .args(["restore", "large.png", "--tile", "128"])
        .current_dir(at)
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_secs(2));
    interrupt(&child);
    let start = Instant::now();
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "it was still at work");
    // The promise is two seconds; a loaded machine gets more before this is called a hang.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(names(at), ["large.png"]);
    photo(30, 20).save(at.join("small.png")).expect("written");
    assert!(trainer(&["restore", "small.png"], at).status.success());
}

/// A step of minutes: the run ends without it, and without half a file.
#[test]
fn interrupting_a_long_step_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir(at.join("clean")).expect("made");
    for index in 0..4 {
        let path = at.join(format!("clean/{index}.png"));
        photo(40 + index, 40).save(path).expect("written");
    }
    let config = "accumulate = 512\nloss = { lambda = 0.0 }\nmodel = { preset = \"nano\" }\n\
        data = { clean = [\"clean\"] }\nvalidation = { samples = 0 }\n\
        [[stage]]\nsteps = 9\nbatch = 4096\npatch = 32\nlr = 1e-4\n";
    fs::write(at.join("run.toml"), config).expect("written");
    let mut child = Command::new(program("trainer"))
        .args(["train", "--config", "run.toml"])
        .current_dir(at)
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // The log is opened once all else is ready.
    let start = Instant::now();
    while !at.join("run/log.jsonl").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(5));
    interrupt(&child);
    let start = Instant::now();
    assert!(!child.wait().expect("it ends").success());
    assert!(start.elapsed() < Duration::from_secs(20));
    let left = names(&at.join("run"));
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn streams_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(50, 40).save(at.join("a.png")).expect("written");
    let input = fs::File::open(at.join("a.png")).expect("the photo");
    let output = Command::new(program("trainer"))
        .args(["restore", "-", "-o", "-"])
        .stdin(input)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let restored = image::load_from_memory(&output.stdout).expect("a PNG on standard output");
    assert_eq!((restored.width(), restored.height()), (50, 40));
}

#[test]
fn bench_measures_every_stage_and_a_training_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [
        "bench",
        "--size",
        "72x64",
        "--threads",
        "1",
        "--runs",
        "1",
        "--train",
        "1",
    ];
    let output = trainer(&[&arguments[..], &["--json"]].concat(), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["size"], serde_json::json!([72, 64]));
    assert_eq!(report["threads"], 1);
    let positive = |value: &serde_json::Value| value.as_f64().is_some_and(|number| number > 0.0);
    for number in ["gemm_gflops", "image_ms"] {
        assert!(positive(&report[number]), "{number} in {report}");
    }
    for number in ["ms", "crops_per_s", "loss", "grad_norm"] {
        assert!(
            positive(&report["train"][0][number]),
            "{number} in {report}"
        );
    }
    let stages = report["stages"].as_array().expect("stages");
    for stage in [
        "dinov2 + psf",
        "encoder 1",
        "dr fusion 4",
        "latent",
        "decoder 1",
        "output",
    ] {
        let found = stages.iter().find(|found| found["name"] == stage);
        assert!(found.is_some_and(|found| positive(&found["ms"])), "{stage}");
    }
    for wrong in ["72", "0x64", "72x64x3"] {
        let output = trainer(&["bench", "--size", wrong], folder.path());
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}
