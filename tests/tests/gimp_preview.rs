//! The preview in the plug-in's dialog, as a user meets it in every GIMP.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dino_ir_tests::gimp::window::{Window, wait};
use dino_ir_tests::gimp::{Version, largest_difference, screenshots};
use dino_ir_tests::program;
use image::{Rgb, RgbImage};

/// How long the screen may take to show what is drawn.
const SCREEN: Duration = Duration::from_secs(60);

/// Shapes, gradients and grain, larger than the preview.
fn photo() -> RgbImage {
    RgbImage::from_fn(720, 560, |x, y| {
        let disc = (x as i32 % 180 - 90).pow(2) + (y as i32 % 140 - 70).pow(2) < 2500;
        let base = if disc {
            [190, 120, 60]
        } else {
            [40 + x / 8, 60 + y / 6, 110]
        };
        let mut seed = (x * 7919 + y * 104_729) ^ (x * y * 31);
        seed = (seed ^ (seed >> 7)).wrapping_mul(0x9e37_79b9) >> 8;
        Rgb(base.map(|value| (value + seed % 61) as u8))
    })
}

/// What `trainer restore` makes of the photo.
fn restored(folder: &Path, file: &Path, strength: &str) -> RgbImage {
    let output = folder.join(format!("restored-{strength}.png"));
    let run = Command::new(program("trainer"))
        .args([
            "restore",
            "--quiet",
            "--force",
            "--device",
            "cpu",
            "--strength",
            strength,
        ])
        .arg(file)
        .arg("-o")
        .arg(&output)
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    image::open(output).expect("a PNG").to_rgb8()
}

/// The preview as it was drawn last.
#[derive(Clone, Debug)]
struct Drawn {
    /// Columns and rows.
    size: (u32, u32),
    /// Its place on the screen.
    place: (u32, u32),
    /// The layer's first column and row that are seen.
    layer: (u32, u32),
    split: u32,
    strength: String,
    /// Areas that the network had restored.
    runs: usize,
}

impl Drawn {
    /// From `drawn 400 x 400 at 10, 20: layer 3, 4, split 200, strength 1.00, runs 2, 3.1 ms`.
    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("drawn ")?.replace([',', ':'], "");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at)?.parse::<u32>().ok();
        Some(Self {
            size: (number(0)?, number(2)?),
            place: (number(4)?, number(5)?),
            layer: (number(7)?, number(8)?),
            split: number(10)?,
            strength: (*words.get(12)?).to_owned(),
            runs: words.get(14)?.parse().ok()?,
        })
    }
}

fn drawn(window: &Window) -> Option<Drawn> {
    let trace = window.trace();
    trace.iter().rev().find_map(|line| Drawn::parse(line))
}

/// What the line below the preview says.
fn says(window: &Window) -> String {
    let trace = window.trace();
    let said = trace
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("preview says: "));
    said.unwrap_or_default().to_owned()
}

/// Takes the mouse to a place of the preview, and does something there.
fn mouse(window: &Window, drawn: &Drawn, at: (u32, u32), action: &[&str]) {
    let (x, y) = (drawn.place.0 + at.0, drawn.place.1 + at.1);
    let (x, y) = (x.to_string(), y.to_string());
    window
        .desktop
        .xdotool(&[&["mousemove", &x, &y], action].concat());
    thread::sleep(Duration::from_millis(300));
}

/// The largest difference, of 255, of the middle of the preview on the screen from a picture of the layer.
fn difference(window: &Window, picture: &RgbImage, screenshot: &Path) -> u8 {
    window.desktop.screenshot(screenshot);
    let screen = image::open(screenshot).expect("a PNG").to_rgb8();
    let drawn = drawn(window).expect("a preview");
    let middle = |size: u32| size / 2 - 100..size / 2 + 100;
    let mut largest = 0;
    for y in middle(drawn.size.1) {
        for x in middle(drawn.size.0) {
            let shown = screen.get_pixel(drawn.place.0 + x, drawn.place.1 + y);
            let expected = picture.get_pixel(drawn.layer.0 + x, drawn.layer.1 + y);
            for (shown, expected) in shown.0.into_iter().zip(expected.0) {
                largest = largest.max(shown.abs_diff(expected));
            }
        }
    }
    largest
}

/// Waits until the preview on the screen differs from a picture of the layer by no more than `allowed` of 255. What
/// the preview has drawn, the screen shows a little later; on a busy machine, much later.
fn wait_until_it_shows(window: &Window, picture: &RgbImage, allowed: u8, screenshot: &Path) {
    let start = Instant::now();
    let mut off = difference(window, picture, screenshot);
    while off > allowed {
        let version = window.gimp.version;
        let name = screenshot.display();
        assert!(
            start.elapsed() < SCREEN,
            "{version:?}: {name}: off by {off}"
        );
        thread::sleep(Duration::from_millis(300));
        off = difference(window, picture, screenshot);
    }
}

fn use_it(version: Version) {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let photo = photo();
    let file = folder.path().join("photo.png");
    photo.save(&file).expect("a PNG");
    let whole = restored(folder.path(), &file, "1");
    let half = restored(folder.path(), &file, "0.5");
    let screenshots = screenshots(version);
    let screenshot = |name: &str| screenshots.join(format!("preview-{name}.png"));
    let window = Window::open(version, &file);
    let settled = || says(&window) == "This is what OK gives";

    window.keys(&["alt+r", "Up", "Up", "Return"]);
    window.wait_for_window("^Restore \\(DINO-IR\\)$");
    wait("the preview", || settled() && drawn(&window).is_some());
    wait("the diagnosis", || {
        window
            .trace()
            .iter()
            .any(|line| line.starts_with("preview finds: This photo: noise about sigma "))
    });
    window.desktop.screenshot(&screenshot("dialog"));

    // The line goes where the mouse takes it; right of it is what OK gives.
    let seen = drawn(&window).expect("a preview");
    assert_eq!(seen.split, seen.size.0 / 2);
    let row = seen.size.1 / 3;
    mouse(&window, &seen, (seen.split, row), &["mousedown", "1"]);
    mouse(&window, &seen, (60, row), &[]);
    mouse(&window, &seen, (20, row), &["mouseup", "1"]);
    wait("the line", || {
        drawn(&window).is_some_and(|drawn| drawn.split == 20)
    });
    wait_until_it_shows(&window, &whole, 2, &screenshot("split"));

    // A press shows the photo as it is.
    mouse(&window, &seen, (200, 200), &["mousedown", "1"]);
    wait_until_it_shows(&window, &photo, 1, &screenshot("original"));
    mouse(&window, &seen, (200, 200), &["mouseup", "1"]);

    // Drawn further to the left, only the columns that come in are restored.
    let before = drawn(&window).expect("a preview");
    mouse(&window, &seen, (220, 200), &["mousedown", "1"]);
    mouse(&window, &seen, (160, 200), &["mouseup", "1"]);
    wait("the new columns", || {
        let now = drawn(&window).expect("a preview");
        now.layer.0 == before.layer.0 + 60 && now.runs > before.runs && settled()
    });
    let trace = window.trace();
    let last = trace
        .iter()
        .rev()
        .find(|line| line.starts_with("restored "));
    let columns = last.and_then(|line| line.split(' ').nth(1)?.parse::<u32>().ok());
    assert!(columns.is_some_and(|columns| columns <= 96), "{last:?}");
    wait_until_it_shows(&window, &whole, 2, &screenshot("moved"));

    // Another strength mixes anew: no run of the network.
    let runs = drawn(&window).expect("a preview").runs;
    window.keys(&["alt+g", "ctrl+a", "0", "period", "5", "Tab"]);
    wait("the strength", || {
        drawn(&window).is_some_and(|drawn| drawn.strength == "0.50")
    });
    wait_until_it_shows(&window, &half, 2, &screenshot("strength"));
    let trace = window.trace();
    let now = trace.iter().filter_map(|line| Drawn::parse(line));
    let now: Vec<Drawn> = now.filter(|drawn| drawn.strength == "0.50").collect();
    assert!(now.iter().all(|drawn| drawn.runs == runs), "{now:?}");

    // OK goes on with what the preview has found out; one step back is the photo.
    window.keys(&["alt+o"]);
    wait("the result", || window.is_dirty());
    let trace = window.trace();
    assert!(
        trace
            .iter()
            .any(|line| line == "handed over, calibrated true"),
        "{trace:?}"
    );
    assert!(
        largest_difference(&window.pixels(), &half) <= 1,
        "{version:?}"
    );
    window.keys(&["ctrl+z"]);
    wait("the undo", || !window.is_dirty());
    assert_eq!(largest_difference(&window.pixels(), &photo), 0);

    // It begins where it was left, and follows what happens to the layer meanwhile.
    let left = drawn(&window).expect("a preview");
    let before = window.trace().len();
    window.keys(&["alt+r", "Up", "Up", "Return"]);
    wait("the preview", || {
        window.trace()[before..]
            .iter()
            .any(|line| line.starts_with("drawn "))
    });
    wait("its end", settled);
    let again = drawn(&window).expect("a preview");
    assert_eq!((again.layer, again.split), (left.layer, left.split));
    assert!(!window.is_dirty(), "keeping the place is no change");
    let (x, y) = (again.layer.0 + 150, again.layer.1 + 180);
    let select = format!(
        "(begin (gimp-image-select-rectangle (first-image) CHANNEL-OP-REPLACE {x} {y} 90 60) (gimp-displays-flush))"
    );
    window.script(&select).expect("selected");
    let changed = |count: usize| {
        let trace = window.trace();
        let changes = trace[before..]
            .iter()
            .filter(|line| *line == "the layer was changed");
        changes.count() == count && settled()
    };
    wait("the selection", || changed(1));
    window.keys(&["alt+g", "ctrl+a", "1", "Tab"]);
    wait("the whole strength", || {
        drawn(&window).is_some_and(|drawn| drawn.strength == "1.00") && settled()
    });
    let partly = RgbImage::from_fn(720, 560, |column, row| {
        let selected = (x..x + 90).contains(&column) && (y..y + 60).contains(&row);
        let from = if selected { &whole } else { &photo };
        *from.get_pixel(column, row)
    });
    wait_until_it_shows(&window, &partly, 2, &screenshot("selection"));
    let invert = "(begin (gimp-selection-none (first-image)) (gimp-drawable-invert (top (first-image)) FALSE) \
                  (gimp-displays-flush))";
    window.script(invert).expect("inverted");
    wait("the negative", || changed(2));
    let mut negative = photo.clone();
    image::imageops::invert(&mut negative);
    let file = folder.path().join("negative.png");
    negative.save(&file).expect("a PNG");
    let negative = restored(folder.path(), &file, "1");
    wait_until_it_shows(&window, &negative, 2, &screenshot("painted"));
    window.keys(&["Escape"]);
    wait("the end", || window.plug_ins().is_empty());

    // Closed in the middle of its work, the dialog leaves nothing behind.
    let scaled = "(begin (gimp-image-scale (first-image) 4000 3000) (gimp-displays-flush))";
    window.script(scaled).expect("scaled");
    let before = window.trace().len();
    window.keys(&["alt+r", "Up", "Up", "Return"]);
    wait("the calibration pass", || {
        let trace = window.trace();
        trace[before..]
            .iter()
            .any(|line| line.contains("looking at the whole image"))
    });
    window.desktop.screenshot(&screenshot("busy"));
    window.keys(&["Escape"]);
    wait("the end", || window.plug_ins().is_empty());
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
