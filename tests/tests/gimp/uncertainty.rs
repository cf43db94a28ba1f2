//! The hidden layer that shows the expected errors.

use std::path::Path;

use super::inputs::alpha;
use super::selections::distance;
use super::{Results, STEP, trainer};

/// The hidden layer with the expected errors, against the program's map.
pub fn compare(results: &Results, folder: &Path) {
    let file = folder.join("map.png");
    let map = file.to_str().expect("a path in UTF-8");
    // Nothing is told of pixels that nobody sees or selected.
    let is_mapped = |case: &str, x: u32, y: u32| match case {
        "uncertain-grey" => alpha(x, y) > 0,
        "uncertain-part" => (20..60).contains(&x) && (16..48).contains(&y),
        _ => true,
    };
    for (case, input, state) in [
        ("uncertain", "rgb.png", "2 hidden same"),
        ("uncertain-grey", "grey-alpha.png", "2 hidden same"),
        ("uncertain-new-layer", "rgb16.png", "3 hidden other"),
        ("uncertain-part", "rgb.png", "2 hidden same"),
    ] {
        let restored = trainer(folder, input, &["--uncertainty", map]);
        let told = results.text(case);
        let holds = told.starts_with(state) && told.ends_with(" expected error");
        results.expect(holds, case, || format!("is {told}"));
        if case != "uncertain-part" {
            results.check(case, &restored, STEP);
        }
        let expected = image::open(&file).expect("its map").to_rgb8();
        let found = results.image(&format!("{case}-map")).to_rgb8();
        let (mut off, mut brightest) = (0, 0);
        for (x, y, pixel) in found.enumerate_pixels() {
            if is_mapped(case, x, y) {
                off = off.max(distance(pixel, expected.get_pixel(x, y)));
                brightest = brightest.max(pixel.0[0]);
            }
        }
        results.expect(off <= 2, case, || format!("its map is off by {off}"));
        results.expect(brightest > 8, case, || "its map is black".to_owned());
    }
}
