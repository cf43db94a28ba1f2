//! A photo from a file's bytes to the network's floats, back, and to a file.

#![no_main]

use std::io::Cursor;

use dino_ir::restore::{Area, Sink, Source};
use dino_ir_fuzz::Limited;
use dino_ir_trainer::photo::pixels::{Restored, SrgbPixels};
use dino_ir_trainer::photo::{Depth, Format, Photo};
use libfuzzer_sys::fuzz_target;

/// As `--memory` says; 256 MiB of it are the network's. Decoded photos get up to 32 MiB.
const BUDGET: u64 = 320 << 20;

#[global_allocator]
static ALLOCATOR: Limited = Limited::to(BUDGET as usize);

/// Pixels of which more would make the fuzzer slow, not the test better.
const SMALL: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut photo) = Photo::decode(bytes, BUDGET) else {
        return;
    };
    let (width, height) = (photo.width, photo.height);
    let expected = width * height * photo.channels * photo.depth.bytes();
    assert_eq!(photo.samples.len(), expected);
    if width * height > SMALL {
        return;
    }
    let mut rows = vec![0.0; 3 * width * height];
    let area = Area {
        x: 0,
        y: 0,
        width,
        height,
    };
    SrgbPixels::of(&photo).read(area, &mut rows).expect("a photo in memory");
    // Hidden pixels have no colours; those outside of sRGB's gamut lie a little outside of 0..=1.
    let sane = |rgb: &[f32]| {
        rgb.iter().all(|value| value.is_nan()) || rgb.iter().all(|value| value.abs() < 16.0)
    };
    assert!(rows.chunks_exact(3).all(sane));
    let mut restored = Restored::of(&photo);
    restored.write_rows(0, &rows).expect("rows of the photo");
    photo.samples = restored.into_samples();

    for format in [
        Format::Png,
        Format::Jpeg,
        Format::WebP,
        Format::Tiff,
        Format::Bmp,
    ] {
        let mut file = Cursor::new(Vec::new());
        if photo.encode(format, &mut file).is_err() {
            continue;
        }
        let again = Photo::decode(file.get_ref(), BUDGET).expect("what was written is read");
        assert_eq!((again.width, again.height), (width, height));
        if format == Format::Png && photo.depth != Depth::Float {
            assert_eq!(again.samples, photo.samples);
        }
    }
});
