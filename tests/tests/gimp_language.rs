//! The plug-in in German. The machine has no German locale: that is what it does not need.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::thread;

use dino_ir_tests::gimp::window::{Window, wait};
use dino_ir_tests::gimp::{Gimp, Version, screenshots};
use image::{Rgb, RgbImage};

fn write_photo(folder: &Path) -> std::path::PathBuf {
    let photo = RgbImage::from_fn(200, 150, |x, y| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 61;
        Rgb([40 + x / 2, 60 + y, 110].map(|value| (value + noise) as u8))
    });
    let file = folder.join("foto.png");
    photo.save(&file).expect("a PNG");
    file
}

#[test]
fn every_gimp_hears_it_in_german() {
    thread::scope(|scope| {
        for version in Version::ALL {
            scope.spawn(move || {
                let german = ["LC_ALL=de_DE.UTF-8", "LANG=de_DE.UTF-8"];
                let gimp = Gimp::new(version).with(&german);
                write_photo(gimp.folder());
                let printed = gimp.batch("language.scm");
                let refused = fs::read_to_string(gimp.folder().join("refused.txt"));
                let refused = refused.unwrap_or_else(|error| panic!("{error}\n{printed}"));
                assert!(refused.contains("Indizierte Bilder"), "{refused}");
                let said = "2 Bilder wiederhergestellt. Wiederhergestellt in ";
                assert!(printed.contains(said), "{printed}");
            });
        }
    });
}

#[test]
fn its_dialog_is_german() {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let file = write_photo(folder.path());
    // As GIMP says it to its plug-ins when German is chosen in its preferences.
    let gimp = Gimp::new(Version::Two10).with(&["LC_ALL=C.UTF-8", "LANGUAGE=de"]);
    let window = Window::of(gimp, &file);
    // The menu "Filter", whose letter is that of "Farben" too; last in it is a goat.
    window.click(541, 33);
    window.keys(&["Up", "Up", "Up", "Return"]);
    window.wait_for_window("^Wiederherstellen \\(DINO-IR\\)$");
    let says = |what: &str| window.trace().iter().any(|line| line.contains(what));
    wait("the preview", || {
        says("preview says: Das ist das Ergebnis mit OK")
    });
    wait("the diagnosis", || says("preview finds: Dieses Foto: "));
    let path = screenshots(Version::Two10).join("german.png");
    window.desktop.screenshot(&path);
    window.keys(&["Return"]);
    wait("the result", || window.is_dirty());
    let said = "said: Wiederhergestellt in ";
    wait("what was done", || says(said) && says(" (Prozessor)"));
}
