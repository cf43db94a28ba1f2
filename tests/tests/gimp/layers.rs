//! Layers of every precision, with and without alpha; new layers; all open images.

use std::path::Path;

use image::DynamicImage;

use super::inputs::alpha;
use super::{Results, STEP, difference, trainer};

pub fn compare(results: &Results, folder: &Path, whole: &DynamicImage) {
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
