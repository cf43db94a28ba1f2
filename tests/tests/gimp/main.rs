//! The plug-in in GIMP 2.10, 3.0 and 3.2, driven by scripts, against the `trainer` program.
#![cfg(unix)]

mod inputs;
mod installer;
mod layers;
mod masks;
mod profiles;
mod refusals;
mod removals;
mod selections;
mod uncertainty;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use dino_ir_tests::gimp::{Gimp, Version};
use dino_ir_tests::program;
use image::DynamicImage;

use self::inputs::write_inputs;

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
        layers::compare(results, folder, &whole);
        profiles::compare(results, folder, &whole);
        removals::compare(results, folder, &whole);
        uncertainty::compare(results, folder);
        selections::compare(results, &input("rgb.png"), &whole);
        masks::compare(results, folder);
        refusals::compare(results);
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
