//! What the plug-in refuses: it says why, and leaves the image as it was.

use dino_ir_tests::gimp::Version;

use super::{Results, difference};

pub fn compare(results: &Results) {
    let three = results.gimp.version != Version::Two10;
    let mut cases = vec![
        ("indexed", "Image > Mode > RGB"),
        ("locked", "unlock them"),
        ("locked-group", "unlock the group"),
        ("locked-mask", "unlock them"),
        ("group", "select one layer inside it"),
        ("outside", "Select > None"),
        ("mask-new-layer", "choose the output"),
        ("uncertain-mask", "leave out"),
        ("weights-missing", "missing.safetensors"),
        ("weights-truncated", "truncated.safetensors"),
        ("weights-other", "rgb.png"),
        // GIMP 3 checks the ranges of numbers itself.
        (
            "strength-2",
            if three {
                "out of range"
            } else {
                "strength 2: use 0 to 1"
            },
        ),
        (
            "noise-2",
            if three {
                "out of range"
            } else {
                "noise 2: use 0 to 1"
            },
        ),
        ("tile-3", "tile 3"),
    ];
    if three {
        // GIMP 2.10 hands over one drawable.
        cases.push(("several", "2 layers are selected"));
    }
    for (case, expected) in cases {
        let message = results.text(case);
        results.expect(message.contains(expected), case, || {
            format!("says {message}")
        });
        let before = results.image(&format!("{case}-before"));
        let off = difference(&results.image(case), &before);
        results.expect(off == 0, case, || format!("left something, {off} of 65535"));
    }
}
