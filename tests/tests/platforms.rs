//! Programs for other systems, run on this one: `tests/platforms/run` builds them, and Wine or QEMU runs them.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dino_ir_tests::program::stderr;
use dino_ir_tests::{package, program};
use image::{Rgb, RgbImage};

/// A system, and how its programs run here.
struct System {
    target: &'static str,
    runner: &'static [&'static str],
    suffix: &'static str,
}

const WINDOWS: System = System {
    target: "x86_64-pc-windows-gnu",
    runner: &["/usr/lib/wine/wine64"],
    suffix: ".exe",
};

const ARM64: System = System {
    target: "aarch64-unknown-linux-gnu",
    runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    suffix: "",
};

impl System {
    /// Where a program or a library of it lies.
    fn built(&self, name: &str) -> PathBuf {
        let built = std::env::var_os("DINO_IR_PLATFORMS").expect("tests/platforms/run says where");
        let folder = Path::new(&built).join(self.target).join("gpu");
        folder.join(name)
    }

    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(self.runner[0]);
        command.args(&self.runner[1..]).arg(program);
        command
    }

    fn dino_ir(&self) -> Command {
        self.run(&self.built(&format!("dino-ir{}", self.suffix)))
    }
}

/// Noise on a slope, with an edge.
fn photo(path: &Path, width: u32, height: u32) {
    let mut seed = 1_u32;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let base = if x > width / 2 { 60 } else { 150 } + y * 30 / height;
        Rgb([0, 20, 40].map(|tint| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (base + tint + (seed >> 27)).min(255) as u8
        }))
    });
    picture.save(path).expect("a photo");
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
}

/// That it failed with exit code 1 and one line, which names something.
fn assert_refused(output: &Output, name: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(name), "{said}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder").flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    pairs.max().expect("samples")
}

/// The command restores a PNG to this system's own pixels, below a name that needs care.
fn restores_as_here(system: &System) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("Grüße aus Köln");
    fs::create_dir(&folder).expect("a folder");
    let noisy = folder.join("ein süßes Foto.png");
    photo(&noisy, 88, 60);
    succeed(system.dino_ir().arg("--quiet").arg(&noisy));
    assert_eq!(
        names(&folder),
        ["ein süßes Foto.png", "ein süßes Foto.restored.png"]
    );
    let here = folder.join("here.png");
    succeed(
        Command::new(program("dino-ir"))
            .args(["--quiet", "--device", "cpu"])
            .arg(&noisy)
            .arg("-o")
            .arg(&here),
    );
    let open = |path: &Path| image::open(path).expect("a picture").to_rgb8().into_raw();
    let there = open(&folder.join("ein süßes Foto.restored.png"));
    let difference = largest_difference(&there, &open(&here));
    println!("{}: differs by {difference}", system.target);
    assert!(difference <= 1);
    assert!(
        largest_difference(&there, &open(&noisy)) > 4,
        "the network does something"
    );
}

/// One line for what is no photo; nothing is left behind.
fn refuses_what_is_no_photo(system: &System) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("letter.png");
    fs::write(&path, "Dear Sir or Madam").expect("a file");
    let output = system.dino_ir().arg("--quiet").arg(&path).output();
    assert_refused(&output.expect("it starts"), "letter.png");
    assert_eq!(names(folder.path()), ["letter.png"]);
}

#[test]
#[ignore = "tests/platforms/run builds the program for Windows"]
fn windows_restores_as_this_system_does() {
    restores_as_here(&WINDOWS);
    refuses_what_is_no_photo(&WINDOWS);
}

#[test]
#[ignore = "tests/platforms/run builds the program for Windows"]
fn windows_refuses_a_folder_that_is_read_only() {
    let folder = tempfile::tempdir().expect("a folder");
    photo(&folder.path().join("a.png"), 40, 30);
    let output = WINDOWS
        .dino_ir()
        .args(["a.png", "--quiet", "-o"])
        // Even root can make no file there.
        .arg(r"Z:\sys\kernel\a.png")
        .current_dir(folder.path())
        .output();
    assert_refused(&output.expect("it starts"), r"Z:\sys\kernel\a.png");
}

#[test]
#[ignore = "tests/platforms/run builds the program for Windows"]
fn windows_leaves_nothing_behind_after_ctrl_c() {
    let folder = tempfile::tempdir().expect("a folder");
    photo(&folder.path().join("big.png"), 4000, 3000);
    let mut child = WINDOWS
        .dino_ir()
        .arg("big.png")
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Its first line comes once it listens; then it has far more to do than this takes.
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("a line");
    assert!(line.starts_with("device:"), "{line}");
    std::thread::sleep(Duration::from_secs(1));
    // Wine makes Ctrl-C of it.
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let status = child.wait().expect("its end");
    assert_eq!(status.code(), Some(130), "{status}");
    assert_eq!(names(folder.path()), ["big.png"]);
}

#[test]
#[ignore = "tests/platforms/run builds the library for Windows"]
fn windows_c_library_restores_as_this_system_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let compile = |compiler: &str, program: &Path, library: &Path| {
        succeed(
            Command::new(compiler)
                .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
                .arg(package().join("../gimp-plugin/include"))
                .arg(package().join("platforms/pattern.c"))
                .arg(library)
                .arg("-o")
                .arg(program),
        );
    };
    for library in ["dino_ir.dll", "bcryptprimitives.dll"] {
        fs::copy(WINDOWS.built(library), at(library)).expect("a copy");
    }
    let (theirs, ours) = (at("pattern.exe"), at("pattern"));
    compile("x86_64-w64-mingw32-gcc", &theirs, &at("dino_ir.dll"));
    let library = program("libdino_ir.so");
    compile("cc", &ours, &library);

    succeed(
        WINDOWS
            .run(&theirs)
            .arg("there.rgb")
            .current_dir(folder.path()),
    );
    succeed(
        Command::new(&ours)
            .arg(at("here.rgb"))
            .env("LD_LIBRARY_PATH", library.parent().expect("its folder")),
    );
    let read = |name: &str| fs::read(at(name)).expect("pixels");
    let (there, here) = (read("there.rgb"), read("here.rgb"));
    assert!(there.len() > 10_000 && largest_difference(&there, &here) <= 1);
}

#[test]
#[ignore = "tests/platforms/run builds the plug-in for Windows"]
fn windows_plug_in_starts_and_finds_no_gimp() {
    let plug_in = WINDOWS.built("dino-ir-restore.exe");
    let output = WINDOWS.run(&plug_in).output();
    assert_refused(&output.expect("it starts"), "it is started by GIMP");
    let output = WINDOWS
        .run(&plug_in)
        .args(["-gimp", "277", "10", "12", "-query", "0"])
        .output();
    assert_refused(&output.expect("it starts"), "libgimp-3.0-0.dll");
}

#[test]
#[ignore = "tests/platforms/run builds the plug-in for Windows"]
fn windows_installer_puts_the_plug_in_where_gimp_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let source = package().join("../gimp-plugin");
    fs::create_dir_all(at("help/en")).expect("a folder");
    for name in ["install.cmd", "help/en/index.html"] {
        fs::copy(source.join(name), at(name)).expect("a copy");
    }
    let program = "dino-ir-restore.exe";
    fs::copy(WINDOWS.built(program), at(program)).expect("a copy");
    // The user's settings are where this says.
    let settings = "@set APPDATA=%~dp0settings\r\n@call \"%~dp0install.cmd\" %*\r\n";
    fs::write(at("here.cmd"), settings).expect("a file");
    let install = |argument: &str| {
        let mut command = WINDOWS.run(Path::new("cmd.exe"));
        command.args(["/c", "here.cmd", argument]);
        command
            .current_dir(folder.path())
            .output()
            .expect("it starts")
    };

    let output = install("");
    assert_eq!(output.status.code(), Some(1), "there is no GIMP");
    let [old, new] = ["2.10", "3.0"].map(|version| at("settings/GIMP").join(version));
    for settings in [&old, &new] {
        fs::create_dir_all(settings).expect("a folder");
    }
    // A second time it replaces what is there.
    for _ in 0..2 {
        let output = install("");
        assert!(output.status.success(), "{}", stderr(&output));
        for settings in [&old, &new] {
            let installed = settings.join("plug-ins/dino-ir-restore");
            assert_eq!(names(&installed), [program, "help"]);
            assert!(installed.join("help/en/index.html").exists());
        }
    }
    assert_eq!(names(&at("settings/GIMP")), ["2.10", "3.0"]);
    let output = install("/uninstall");
    assert!(output.status.success(), "{}", stderr(&output));
    for settings in [&old, &new] {
        assert!(names(&settings.join("plug-ins")).is_empty());
    }
}

#[test]
#[ignore = "tests/platforms/run builds the program for 64-bit Arm"]
fn arm64_restores_as_this_system_does() {
    restores_as_here(&ARM64);
    refuses_what_is_no_photo(&ARM64);
}
