//! The plug-in as a user meets it: menu, dialog, progress, cancel, undo.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

use dino_ir_tests::gimp::desktop::Desktop;
use dino_ir_tests::gimp::window::{Window, computed, wait};
use dino_ir_tests::gimp::{Gimp, Version, largest_difference, screenshots};
use dino_ir_tests::program;
use image::{Rgb, RgbImage};

fn photo() -> RgbImage {
    RgbImage::from_fn(96, 72, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 61;
        Rgb([40 + x, 60 + y, 110].map(|v| (v + noise) as u8))
    })
}

fn use_it(version: Version) {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let file = folder.path().join("photo.png");
    photo().save(&file).expect("a PNG");
    let screenshots = screenshots(version);
    let gimp = Gimp::new(version);
    put_browser(gimp.folder());
    let window = Window::of(gimp, &file);
    let look = |name: &str| {
        let path = screenshots.join(format!("{name}.png"));
        window.desktop.screenshot(&path);
    };

    // Filters, and its last entry but one: the last is for all open images.
    window.keys(&["alt+r", "Up", "Up"]);
    look("menu");
    window.keys(&["Return"]);
    window.wait_for_window("^Restore \\(DINO-IR\\)$");
    look("dialog");
    help(&window);
    window.keys(&["Return"]);
    wait("the result", || window.is_dirty());
    let told = |line: &String| line.starts_with("said: Restored in ") && line.ends_with(" (CPU)");
    wait("what was done", || window.trace().iter().any(told));
    wait("the plug-in's end", || window.plug_ins().is_empty());
    look("result");
    window.keys(&["alt+e"]);
    look("undo");
    window.keys(&["Escape"]);
    assert!(largest_difference(&window.pixels(), &restored(folder.path(), &file)) <= 1);

    // One step back is the photo, to the last bit.
    window.keys(&["ctrl+z"]);
    wait("the undo", || !window.is_dirty());
    assert_eq!(largest_difference(&window.pixels(), &photo()), 0);

    // With its uncertainty as a layer: the two come and go in one step.
    window.keys(&["alt+r", "Up", "Up", "Return"]);
    window.wait_for_window("^Restore \\(DINO-IR\\)$");
    window.keys(&["alt+u"]);
    look("uncertainty");
    window.keys(&["Return"]);
    wait("the result", || window.is_dirty());
    wait("the plug-in's end", || window.plug_ins().is_empty());
    let layers = || window.script("(layers (first-image))");
    assert_eq!(layers().as_deref(), Some("2"));
    window.keys(&["ctrl+z"]);
    wait("the undo", || !window.is_dirty());
    assert_eq!(layers().as_deref(), Some("1"));
    assert_eq!(largest_difference(&window.pixels(), &photo()), 0);

    // A cancel in the middle leaves everything.
    window
        .script("(begin (gimp-image-scale (first-image) 2400 1800) (gimp-displays-flush))")
        .expect("scaled");
    let before = window.pixels();
    // Without the docks, whose width differs, and with the last values.
    window.keys(&["Tab", "ctrl+f"]);
    // Loading the model takes a small part of that.
    wait("the first tiles", || {
        window
            .plug_ins()
            .iter()
            .any(|plug_in| computed(*plug_in) > 5.0)
    });
    look("progress");
    wait("the cancel", || {
        cancel(&window);
        window.plug_ins().is_empty()
    });
    look("cancelled");
    assert_eq!(largest_difference(&window.pixels(), &before), 0);
}

/// A browser that notes what it is to show.
fn put_browser(folder: &Path) {
    let applications = folder.join("applications");
    fs::create_dir_all(&applications).expect("a folder");
    let note = folder.join("shown.txt");
    let entry = format!(
        "[Desktop Entry]\nType=Application\nName=Browser\nMimeType=text/html;\nExec=sh -c 'echo \"$1\" > {}' sh %u\n",
        note.display()
    );
    fs::write(applications.join("browser.desktop"), entry).expect("a file");
    let default = "[Default Applications]\ntext/html=browser.desktop\n";
    fs::write(applications.join("mimeapps.list"), default).expect("a file");
}

/// The Help button shows our own page.
fn help(window: &Window) {
    window.keys(&["F1"]);
    let note = window.gimp.folder().join("shown.txt");
    wait("the page of help", || note.exists());
    let shown = fs::read_to_string(note).expect("what was shown");
    let page = "plug-ins/dino-ir-restore/help/en/index.html";
    assert!(shown.trim_end().ends_with(page), "{shown}");
}

/// Clicks on Cancel at the right end of the status bar, which without docks is the window's.
fn cancel(window: &Window) {
    let (x, y) = (Desktop::WIDTH - 60, Desktop::HEIGHT - 38);
    window
        .desktop
        .xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
}

fn restored(folder: &Path, file: &Path) -> RgbImage {
    let output = folder.join("restored.png");
    let run = Command::new(program("trainer"))
        .args(["restore", "--quiet", "--device", "cpu"])
        .arg(file)
        .arg("-o")
        .arg(&output)
        .output()
        .expect("the program starts");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    image::open(output).expect("a PNG").to_rgb8()
}

#[test]
fn in_gimp_2_10() {
    use_it(Version::Two10);
}

#[test]
fn in_gimp_3_0() {
    use_it(Version::Three0);
}

#[test]
fn in_gimp_3_2() {
    use_it(Version::Three2);
}
