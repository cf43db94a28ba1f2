//! How much of each fault is removed.

use std::path::Path;

use image::DynamicImage;

use super::inputs::{HEIGHT, WIDTH};
use super::{Results, STEP, trainer};

/// How much of each fault is removed, the grain of the photo among them.
pub fn compare(results: &Results, folder: &Path, whole: &DynamicImage) {
    for (case, share) in [("half-the-noise", "0.5"), ("no-noise", "0")] {
        let arguments = ["--noise", share, "--jpeg", share];
        results.check(case, &trainer(folder, "rgb.png", &arguments), STEP);
    }
    let input = image::open(folder.join("rgb.png")).expect("an input");
    let [before, kept, left] = [&input, &results.image("no-noise"), whole].map(grain);
    let holds = kept > 0.8 * before && left < 0.7 * before;
    results.expect(holds, "no-noise", || {
        format!("keeps {kept} of {before}, else {left}")
    });
}

/// The deviation of the noise in red (Immerkaer, "Fast Noise Variance Estimation", 1996).
fn grain(image: &DynamicImage) -> f64 {
    let image = image.to_rgb8();
    let red = |x: u32, y: u32| f64::from(image.get_pixel(x, y).0[0]);
    let bend = |x, y| red(x - 1, y) - 2.0 * red(x, y) + red(x + 1, y);
    let places = (1..HEIGHT - 1).flat_map(|y| (1..WIDTH - 1).map(move |x| (x, y)));
    let bends = places.map(|(x, y)| (bend(x, y - 1) - 2.0 * bend(x, y) + bend(x, y + 1)).abs());
    let mean = bends.sum::<f64>() / f64::from((WIDTH - 2) * (HEIGHT - 2));
    (std::f64::consts::PI / 2.0).sqrt() / 6.0 * mean
}
