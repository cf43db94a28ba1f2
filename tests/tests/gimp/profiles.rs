//! Images with a colour profile.

use std::fs;
use std::path::Path;

use dino_ir_tests::colour::{mean_difference, srgb};
use dino_ir_trainer::photo::Photo;
use image::DynamicImage;

use super::{Results, trainer};

/// A photo looks alike in every profile, and is what the program makes of it.
pub fn compare(results: &Results, folder: &Path, whole: &DynamicImage) {
    let input = |name: &str| image::open(folder.join(name)).expect("an input");
    let read = |name: &str| {
        let file = fs::read(results.gimp.folder().join(format!("{name}.png")));
        let file = file.unwrap_or_else(|error| panic!("{name}: {error}\n{}", results.printed));
        Photo::decode(&file, 1 << 30).expect("a photo")
    };
    let whole: Vec<f32> = whole
        .to_rgb8()
        .iter()
        .map(|v| f32::from(*v) / 255.0)
        .collect();
    for case in ["in-adobe", "in-adobe-linear"] {
        let photo = read(case);
        results.expect(photo.metadata.icc.is_some(), case, || "no profile".into());
        let off = mean_difference(&srgb(&photo), &whole);
        results.expect(off < 0.5, case, || format!("looks different by {off}"));
    }
    let expected = |input: &str| trainer(folder, input, &[]);
    results.check("in-adobe", &expected("adobe.png"), 16);
    results.check("in-adobe-alpha", &expected("adobe-alpha.png"), 16);
    results.check("in-adobe-0", &input("adobe.png"), 0);
    results.check("in-grey-1.8", &expected("grey-1.8.png"), 16);
}
