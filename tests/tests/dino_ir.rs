//! The program `dino-ir`: what it says, what it refuses, what it writes, and how it watches a folder.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dino_ir_tests::program;
use dino_ir_tests::program::{dino_ir, stderr};
use image::{Rgb, RgbImage};
use serde_json::Value;

fn photo(path: &Path) {
    let image = RgbImage::from_fn(40, 30, |x, y| Rgb([(5 * x) as u8, (7 * y) as u8, 90]));
    image.save(path).expect("written");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The lines of standard output, each of which must be one object.
fn reports(output: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn outcomes(reports: &[Value]) -> Vec<(&str, &str)> {
    reports
        .iter()
        .map(|report| {
            let text = |name: &str| report[name].as_str().expect("a text");
            (text("input"), text("outcome"))
        })
        .collect()
}

#[test]
fn json_says_what_became_of_each_photo() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for name in ["a.png", "c.png"] {
        photo(&at.join(name));
    }
    fs::write(at.join("b.png"), "no photo").expect("written");
    fs::write(at.join("c.restored.png"), "precious").expect("written");
    let arguments = ["a.png", "b.png", "c.png", "--json", "--skip-existing"];

    let planned = dino_ir(&[&arguments[..], &["--dry-run"]].concat(), at);
    assert!(planned.status.success(), "{}", stderr(&planned));
    let found = reports(&planned.stdout);
    assert_eq!(
        outcomes(&found),
        [
            ("a.png", "planned"),
            ("b.png", "planned"),
            ("c.png", "skipped")
        ]
    );
    assert!(!at.join("a.restored.png").exists());
    let seconds: Vec<_> = found.iter().map(|of| of["seconds"].as_f64()).collect();
    assert!(seconds[0] > Some(0.0) && seconds[1..] == [None, None]);

    let output = dino_ir(&arguments, at);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = reports(&output.stdout);
    assert_eq!(
        outcomes(&found),
        [
            ("a.png", "restored"),
            ("b.png", "failed"),
            ("c.png", "skipped")
        ]
    );
    assert_eq!(found[0]["output"], "a.restored.png");
    assert_eq!(found[0]["megapixels"], 0.0012);
    assert_eq!(found[0]["device"], "cpu");
    assert!(found[0]["seconds"].as_f64() > Some(0.0) && found[0]["error"].is_null());
    let error = found[1]["error"].as_str().expect("a message");
    assert!(error.contains("not an image"), "{error}");
    assert!(stderr(&output).contains(error), "named for people too");
    let kept = fs::read(at.join("c.restored.png")).expect("a file");
    assert_eq!(kept, b"precious");
}

#[test]
fn what_makes_no_sense_is_refused_in_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    for (arguments, word) in [
        ("a.png --quality 0", "1..=100"),
        ("a.png --quality 101", "1..=100"),
        ("a.png --quality 80 --format webp", "without loss"),
        ("a.png --quality 80 -o b.png", "without loss"),
        ("a.png --suffix a/b", "slash"),
        ("a.png --suffix=", "slash"),
        ("a.png --suffix .x -o b.png", "--suffix"),
        ("a.png --output-dir x -o y", "cannot be used with"),
        ("a.png --output-dir a.png", "not a folder"),
        ("a.png --json -o -", "--json"),
        ("a.png --compare -o -", "--compare"),
        ("a.png --skip-exsting", "'--skip-existing'"),
        ("a.png -q -v", "cannot be used with"),
        ("--watch . -o .", "--suffix"),
        ("--watch . a.png", "cannot be used with"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = dino_ir(&arguments, at);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(names(at), ["a.png"]);
}

#[test]
fn results_are_called_and_made_as_wished() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    let line = "a.png --output-dir new.d --suffix -x --format jpeg --quality 60 --compare -v";
    let output = dino_ir(&line.split(' ').collect::<Vec<_>>(), at);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(names(&at.join("new.d")), ["a-x.compare.jpg", "a-x.jpg"]);
    let said = stderr(&output);
    assert!(said.contains("megapixels in"), "{said}");
    let both = image::open(at.join("new.d/a-x.compare.jpg")).expect("a picture");
    assert_eq!((both.width(), both.height()), (82, 30));

    // Two photos, one name: said before the first of them is looked at.
    photo(&at.join("a.jpg"));
    let output = dino_ir(&["a.jpg", "a.png", "-o", "out/", "--format", "png"], at);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    let (named, worked) = (said.find("also that of another"), said.find("1 tile"));
    assert!(named.is_some() && named < worked, "{said}");
}

/// A program that a test started, and ends in any case.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn watching(folder: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(program("dino-ir"))
            .args(["--watch", "in", "--json"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Running(child.expect("it starts"))
    }

    fn wait_for(&mut self, file: &Path) {
        let start = Instant::now();
        while !file.exists() {
            let ended = self.0.try_wait().expect("its state");
            assert!(ended.is_none(), "it ended: {ended:?}");
            assert!(start.elapsed() < Duration::from_secs(120), "{file:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(mut self) -> Output {
        let read = |pipe: Option<&mut dyn std::io::Read>| {
            let mut bytes = Vec::new();
            pipe.expect("a pipe").read_to_end(&mut bytes).expect("read");
            bytes
        };
        let status = self.0.wait().expect("it ends");
        Output {
            status,
            stdout: read(self.0.stdout.as_mut().map(|pipe| pipe as _)),
            stderr: read(self.0.stderr.as_mut().map(|pipe| pipe as _)),
        }
    }
}

#[test]
fn a_watched_folder_is_restored_as_photos_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir(at.join("in")).expect("a folder");
    photo(&at.join("in/early.png"));
    fs::write(at.join("in/notes.txt"), "no photo").expect("written");
    // Its results lie in the folder that it watches, and must not come back as photos.
    let mut running = Running::watching(at, &["-o", "in/out", "--force"]);
    running.wait_for(&at.join("in/out/early.png"));
    photo(&at.join("whole.png"));
    let bytes = fs::read(at.join("whole.png")).expect("a photo");
    // Comes in pieces, as over a network.
    for end in [0, bytes.len() / 2, bytes.len()] {
        fs::write(at.join("in/late.png"), &bytes[..end]).expect("written");
        std::thread::sleep(Duration::from_millis(300));
    }
    running.wait_for(&at.join("in/out/late.png"));
    std::thread::sleep(Duration::from_millis(2500));
    interrupt(&running.0);
    let output = running.end();
    let found = reports(&output.stdout);
    assert_eq!(
        outcomes(&found),
        [("in/early.png", "restored"), ("in/late.png", "restored")],
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_watched_folder_that_vanishes_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::create_dir(at.join("in")).expect("a folder");
    photo(&at.join("in/a.png"));
    let mut running = Running::watching(at, &["-q"]);
    running.wait_for(&at.join("in/a.restored.png"));
    fs::rename(at.join("in"), at.join("gone")).expect("renamed");
    let output = running.end();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("in: this folder is not there"), "{said}");

    let output = dino_ir(&["--watch", "nowhere"], at);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
}

fn interrupt(child: &Child) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status();
    assert!(sent.expect("the shell starts").success());
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let noise = RgbImage::from_fn(200, 200, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 251;
        Rgb([noise as u8, (noise * 3) as u8, (noise * 7) as u8])
    });
    noise.save(at.join("a.png")).expect("written");
    // What the system does where no block is left, of a size that needs no disk of its own.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' a.png --json --strength 0.01",
        program("dino-ir").display()
    );
    let output = Command::new("sh")
        .args(["-c", &limited])
        .current_dir(at)
        .output()
        .expect("the shell starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a.restored.png cannot be written"), "{said}");
    assert_eq!(outcomes(&reports(&output.stdout)), [("a.png", "failed")]);
    assert_eq!(names(at), ["a.png"]);
    let output = dino_ir(&["a.png", "-o", "/dev/full", "-q"], at);
    let said = stderr(&output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1));
    assert!(said.contains("/dev/full cannot be written"), "{said}");
}

#[test]
fn a_share_that_is_read_only_is_said_before_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    fs::create_dir(at.join("share")).expect("a folder");
    // Permissions do not stop who runs tests as root.
    let command = format!(
        "mount -t tmpfs -o ro none share && exec '{}' a.png -o share/",
        program("dino-ir").display()
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &command])
        .current_dir(at)
        .output()
        .expect("it starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("share/a.png cannot be written") && !said.contains("tile"),
        "{said}"
    );
}
