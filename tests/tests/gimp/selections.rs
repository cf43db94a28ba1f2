//! Images of which a part is selected.

use image::{DynamicImage, Rgb};

use super::Results;

pub fn compare(results: &Results, input: &DynamicImage, whole: &DynamicImage) {
    let (input, whole) = (input.to_rgb8(), whole.to_rgb8());
    for case in ["rectangle", "offset-rectangle"] {
        let found = results.image(case).to_rgb8();
        for (x, y, pixel) in found.enumerate_pixels() {
            let inside = (20..60).contains(&x) && (16..48).contains(&y);
            let expected = if inside { &whole } else { &input };
            let off = distance(pixel, expected.get_pixel(x, y));
            results.expect(off <= u8::from(inside), case, || {
                format!("{x}, {y} off by {off}")
            });
        }
    }
    // A feathered border: between the two everywhere, and truly between them somewhere.
    let case = "feathered";
    let found = results.image(case).to_rgb8();
    let mut between = 0;
    for (x, y, pixel) in found.enumerate_pixels() {
        let (before, after) = (input.get_pixel(x, y).0, whole.get_pixel(x, y).0);
        for (channel, found) in pixel.0.into_iter().enumerate() {
            let low = before[channel].min(after[channel]);
            let high = before[channel].max(after[channel]);
            let inside = (low.saturating_sub(1)..=high.saturating_add(1)).contains(&found);
            results.expect(inside, case, || {
                format!("{x}, {y}: {found} is not in {low}..={high}")
            });
            between += u32::from(found > low.saturating_add(3) && found < high.saturating_sub(3));
        }
    }
    results.expect(between > 100, case, || format!("{between} samples between"));
    for (x, y) in [(0, 0), (95, 0), (0, 71), (95, 71)] {
        let off = distance(found.get_pixel(x, y), input.get_pixel(x, y));
        results.expect(off == 0, case, || format!("far outside, off by {off}"));
    }
    let off = distance(found.get_pixel(48, 36), whole.get_pixel(48, 36));
    results.expect(off <= 1, case, || format!("in the middle, off by {off}"));
}

/// The largest difference of two pixels' samples.
pub fn distance(a: &Rgb<u8>, b: &Rgb<u8>) -> u8 {
    let pairs = a.0.iter().zip(b.0);
    pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}
