//! Layer masks and channels.

use std::path::Path;

use image::{DynamicImage, ImageBuffer, Luma};

use super::inputs::{HEIGHT, WIDTH, decode, encode};
use super::{Results, trainer};

/// Masks hold linear light: the network gets them encoded, like any picture.
pub fn compare(results: &Results, folder: &Path) {
    let before = results.image("mask-before").to_rgba8();
    let encoded = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
        let linear = f64::from(before.get_pixel(x, y).0[3]) / 255.0;
        Luma([(encode(linear) * 65535.0).round() as u16])
    });
    let path = folder.join("mask.png");
    DynamicImage::ImageLuma16(encoded)
        .save(path)
        .expect("a PNG");
    let expected = trainer(folder, "mask.png", &[]).to_luma16();
    let found = results.image("mask").to_rgba8();
    let (mut changed, mut off): (u32, f64) = (0, 0.0);
    for (x, y, pixel) in found.enumerate_pixels() {
        let expected = decode(f64::from(expected.get_pixel(x, y).0[0]) / 65535.0) * 255.0;
        off = off.max((f64::from(pixel.0[3]) - expected).abs());
        changed += u32::from(before.get_pixel(x, y).0[3].abs_diff(pixel.0[3]) > 2);
    }
    results.expect(off <= 1.5, "mask", || format!("off by {off} of 255"));
    results.expect(changed > 1000, "mask", || {
        format!("{changed} samples changed")
    });

    let channel = results.image("channel").to_rgba8();
    let clear = |x, y| channel.get_pixel(x, y).0[3];
    let partial = channel
        .pixels()
        .filter(|pixel| (1..255).contains(&pixel.0[3]))
        .count();
    let shape = clear(50, 35) < 32 && clear(2, 70) > 223;
    results.expect(partial > 50, "channel", || {
        format!("{partial} samples between")
    });
    results.expect(shape, "channel", || "not the ellipse".to_owned());
}
