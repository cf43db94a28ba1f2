//! The images that GIMP and the program restore.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use dino_ir_tests::colour::converted;
use dino_ir_trainer::photo::{Depth, Format, Metadata, Photo};
use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba};
use moxcms::ColorProfile;

pub const WIDTH: u32 = 96;
pub const HEIGHT: u32 = 72;

/// Something like a noisy photo: shapes, a gradient, grain.
fn photo() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let disc = (x as i32 - 40).pow(2) + (y as i32 - 36).pow(2) < 500;
        let hash = (x * 7919 + y * 104_729 + x * y * 31) % 61;
        let base = if disc {
            [190, 120, 60]
        } else {
            [40 + x, 60 + y, 110]
        };
        Rgb(base.map(|v| (v + hash) as u8))
    })
}

pub fn alpha(x: u32, y: u32) -> u8 {
    // Never 0: GIMP does not save the colour of what nobody can see.
    ((x * 5 + y * 3) % 255 + 1) as u8
}

/// Linear light to sRGB's encoding.
pub fn encode(v: f64) -> f64 {
    if v <= 0.003_130_8 {
        12.92 * v
    } else {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    }
}

/// sRGB's encoding to linear light.
pub fn decode(v: f64) -> f64 {
    if v <= 0.040_45 {
        v / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

/// Writes the inputs of all cases.
pub fn write_inputs(folder: &Path) {
    let save = |name: &str, image: DynamicImage| {
        image.save(folder.join(name)).expect("a PNG");
    };
    let rgb = photo();
    let luma = |x, y| {
        DynamicImage::ImageRgb8(rgb.clone())
            .to_luma8()
            .get_pixel(x, y)
            .0[0]
    };
    let grey = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Luma([luma(x, y)]));
    save(
        "rgba.png",
        DynamicImage::ImageRgba8(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            let Rgb([r, g, b]) = *rgb.get_pixel(x, y);
            Rgba([r, g, b, alpha(x, y)])
        })),
    );
    save(
        "grey-alpha.png",
        DynamicImage::ImageLumaA8(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            LumaA([grey.get_pixel(x, y).0[0], alpha(x, y)])
        })),
    );
    save(
        "rgb16.png",
        DynamicImage::ImageRgb16(ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            let fine = (x * 17 + y * 29) % 256;
            Rgb(rgb
                .get_pixel(x, y)
                .0
                .map(|v| u16::from(v) * 256 + fine as u16))
        })),
    );
    write_profiled(folder, &rgb, &grey);
    save("grey.png", DynamicImage::ImageLuma8(grey));
    save("rgb.png", DynamicImage::ImageRgb8(rgb));
    let weights = dino_ir::embedded::nano();
    fs::write(folder.join("good.safetensors"), weights).expect("a file");
    fs::write(
        folder.join("truncated.safetensors"),
        &weights[..weights.len() / 2],
    )
    .expect("a file");
}

/// The same in other profiles, with 16 bits.
fn write_profiled(folder: &Path, rgb: &RgbImage, grey: &ImageBuffer<Luma<u8>, Vec<u8>>) {
    let values = |samples: &[u8]| -> Vec<f32> {
        let values = samples.iter().map(|v| f32::from(*v) / 255.0);
        values.collect()
    };
    let save = |name: &str, channels: usize, profile: &ColorProfile, values: &[f32]| {
        let mut samples = Vec::new();
        for value in values {
            let value = value.clamp(0.0, 1.0) * Depth::Sixteen.white();
            Depth::Sixteen.put(value, &mut samples);
        }
        let mut icc = profile.encode().expect("a profile");
        // libpng refuses another illuminant than D50, to the last bit.
        let d50 = [0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D];
        icc[68..80].copy_from_slice(&d50);
        let photo = Photo {
            width: WIDTH as usize,
            height: HEIGHT as usize,
            channels,
            depth: Depth::Sixteen,
            samples,
            format: Format::Png,
            metadata: Metadata {
                icc: Some(icc),
                ..Metadata::default()
            },
            notes: Vec::new(),
        };
        let mut file = Cursor::new(Vec::new());
        photo
            .encode_with(Format::Png, 98, &mut file)
            .expect("a PNG");
        fs::write(folder.join(name), file.into_inner()).expect("a file");
    };
    let adobe = ColorProfile::new_adobe_rgb();
    let colours = converted(&values(rgb), &ColorProfile::new_srgb(), &adobe);
    save("adobe.png", 3, &adobe, &colours);
    let transparent: Vec<f32> = colours
        .chunks_exact(3)
        .zip((0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| alpha(x, y))))
        .flat_map(|(rgb, alpha)| [rgb[0], rgb[1], rgb[2], f32::from(alpha) / 255.0])
        .collect();
    save("adobe-alpha.png", 4, &adobe, &transparent);
    // The same light as sRGB's.
    let encoded = values(grey)
        .iter()
        .map(|v| decode(f64::from(*v)).powf(1.0 / 1.8) as f32)
        .collect::<Vec<_>>();
    let gamma = ColorProfile::new_gray_with_gamma(1.8);
    save("grey-1.8.png", 1, &gamma, &encoded);
}
