//! Photos without colours, and pixels without: what a network makes up for them is not in the result.

use super::*;

/// Blurs over 9 pixels, and tints all that it sees brown.
struct Brown;

impl Network for Brown {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 100) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let width = x.dims()[3];
        let left = x.clone().narrow(3, 0, 1).repeat_dim(3, 8);
        let wide = Tensor::cat(vec![left, x], 3);
        let shifted = (0..9).map(|by| wide.clone().narrow(3, by, width));
        let blurred = shifted.reduce(|sum, x| sum + x).expect("9 of them") / 9.0;
        let brown = Tensor::<1>::from_floats([0.05, 0.0, -0.04], &blurred.device());
        blurred * 0.9 + brown.reshape([1, 3, 1, 1])
    }
}

fn brown(name: &str, photo: &Photo) -> Photo {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join(name);
    fs::write(&input, encoded(photo)).expect("a file");
    let jobs = naming::jobs(std::slice::from_ref(&input), &Names::default()).expect("jobs");
    let engine = Restorer::new(Brown, &Device::flex());
    assert_eq!(run(&jobs, &engine, &settings()), Outcome::Done, "{name}");
    decoded(&fs::read(naming::beside(&input, naming::SUFFIX)).expect("a result"))
}

/// The colours of a grey photo three times.
fn in_three(grey: &Photo) -> Photo {
    let bytes = grey.depth.bytes();
    let samples = grey.samples.chunks_exact(bytes * grey.channels);
    let in_three =
        samples.flat_map(|pixel| [pixel[..bytes].repeat(3), pixel[bytes..].to_vec()].concat());
    Photo {
        channels: grey.channels + 2,
        samples: in_three.collect(),
        ..grey.clone()
    }
}

#[test]
fn grey_files_and_grey_in_rgb_files_give_the_same_grey() {
    for (name, format, depth) in [
        ("x.png", Format::Png, Depth::Eight),
        ("x.png", Format::Png, Depth::Sixteen),
        ("x.tif", Format::Tiff, Depth::Eight),
        ("x.tif", Format::Tiff, Depth::Sixteen),
    ] {
        for channels in [1, 2] {
            let grey = photo(format, channels, depth);
            let rgb = in_three(&grey);
            let (from_grey, from_rgb) = (brown(name, &grey), brown(name, &rgb));
            assert!(from_grey.samples != grey.samples, "{name}: restored");
            assert!(
                from_rgb.samples == in_three(&from_grey).samples,
                "{name} {channels} {depth:?}"
            );
        }
    }
}

/// A cut-out of a smooth photo, with an edge of half transparent pixels, and `hidden` where nothing is to be seen of it.
fn cut_out(format: Format, channels: usize, depth: Depth, hidden: [u8; 3]) -> Photo {
    let mut photo = photo(format, channels, depth);
    let bytes = depth.bytes();
    let width = photo.width;
    for (at, pixel) in photo.samples.chunks_exact_mut(channels * bytes).enumerate() {
        let (x, y) = (at % width, at / width);
        let alpha = match x.abs_diff(26) + y.abs_diff(20) {
            0..14 => 255,
            14..16 => 128,
            _ => 0,
        };
        let colour = match alpha {
            0 => hidden,
            _ => [120 + x as u8, 100 + y as u8, 200 - x as u8],
        };
        for (channel, to) in pixel.chunks_exact_mut(bytes).enumerate() {
            to.fill(if channel + 1 == channels {
                alpha
            } else {
                colour[channel]
            });
        }
    }
    photo
}

#[test]
fn hidden_colours_stay_and_do_not_show() {
    for (name, format) in [
        ("x.png", Format::Png),
        ("x.tif", Format::Tiff),
        ("x.webp", Format::WebP),
    ] {
        for (channels, depth) in [
            (4, Depth::Eight),
            (4, Depth::Sixteen),
            (2, Depth::Eight),
            (2, Depth::Sixteen),
        ] {
            if format == Format::WebP && (channels, depth) != (4, Depth::Eight) {
                continue;
            }
            let case = format!("{name} {channels} {depth:?}");
            let magenta = cut_out(format, channels, depth, [255, 0, 255]);
            let black = cut_out(format, channels, depth, [0, 0, 0]);
            let results = [brown(name, &magenta), brown(name, &black)];
            let pixel = channels * depth.bytes();
            let pixels = |photo: &Photo| -> Vec<Vec<u8>> {
                photo
                    .samples
                    .chunks_exact(pixel)
                    .map(<[u8]>::to_vec)
                    .collect()
            };
            let (before, after) = (pixels(&magenta), results.each_ref().map(pixels));
            let (mut changed, mut darkest) = (0, u8::MAX);
            for (at, before) in before.iter().enumerate() {
                if before[pixel - 1] == 0 {
                    assert_eq!(after[0][at], *before, "{case}: hidden");
                    assert_eq!(after[1][at], pixels(&black)[at], "{case}: hidden");
                } else {
                    assert_eq!(after[0][at], after[1][at], "{case}: visible");
                    assert_eq!(after[0][at][pixel - 1], before[pixel - 1], "{case}: alpha");
                    changed += usize::from(after[0][at] != *before);
                    darkest = darkest.min(after[0][at][depth.bytes() - 1]);
                }
            }
            // The edge is not darkened by what is blurred into it: red is 120 and more, or 0.9 of that.
            assert!(
                changed > 300 && darkest > 105,
                "{case}: {changed} {darkest}"
            );
        }
    }
}

#[test]
fn a_photo_that_is_all_hidden_stays() {
    let mut photo = photo(Format::Png, 4, Depth::Eight);
    for pixel in photo.samples.chunks_exact_mut(4) {
        pixel[3] = 0;
    }
    assert!(brown("x.png", &photo).samples == photo.samples);
}
