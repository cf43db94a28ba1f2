//! Files damaged at random: an error, or a result that keeps its promises; never a panic, never an endless loop.
//! The checkpoint reader has its own test of this kind beside it. Seeds are fixed: a failure comes again.

use std::io::Cursor;

use burn::tensor::Device;
use dino_ir::weights::Weights;
use dino_ir_trainer::photo::Photo;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A few bytes of the first `structure` changed, now and then the end cut off.
    fn damage(&mut self, good: &[u8], structure: usize) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..1 + self.below(5) {
            let at = self.below(structure.min(good.len()));
            bytes[at] = match self.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << self.below(8)),
                _ => self.next() as u8,
            };
        }
        if self.below(6) == 0 {
            bytes.truncate(self.below(good.len()));
        }
        bytes
    }
}

/// A message is one line that a person can read, whatever the damaged file says: no control characters, and not the file itself.
fn check_message(message: &str) {
    assert!(
        (10..400).contains(&message.len()) && !message.contains(char::is_control),
        "{message:?}"
    );
}

#[test]
fn damaged_weights_are_survived() {
    let good = dino_ir::embedded::nano();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("eight bytes")) as usize;
    let mut random = Random(1);
    let mut refused = 0;
    for _ in 0..400 {
        let bytes = random.damage(good, header);
        let loaded = Weights::from_bytes(&bytes).and_then(|weights| {
            weights.config()?;
            weights.model(&Device::flex()).map(drop)
        });
        if let Err(error) = loaded {
            refused += 1;
            check_message(&error.to_string());
        }
    }
    // A changed provenance or golden value is no damage to the tensors.
    assert!(refused > 150, "{refused} of 400");
}

#[test]
fn damaged_photos_are_survived() {
    let plain = RgbImage::from_fn(37, 23, |x, y| {
        Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8])
    });
    let clear = RgbaImage::from_fn(37, 23, |x, y| {
        Rgba([(x * 7) as u8, 90, (y * 11) as u8, (x + y) as u8])
    });
    let photos: [(DynamicImage, ImageFormat); 5] = [
        (plain.clone().into(), ImageFormat::Png),
        (clear.into(), ImageFormat::Png),
        (plain.clone().into(), ImageFormat::Jpeg),
        (plain.clone().into(), ImageFormat::WebP),
        (plain.into(), ImageFormat::Tiff),
    ];
    let mut random = Random(2);
    let (mut refused, mut decoded) = (0, 0);
    for (photo, format) in &photos {
        let mut good = Cursor::new(Vec::new());
        photo.write_to(&mut good, *format).expect("encoded");
        let good = good.into_inner();
        for round in 0..400 {
            // Headers are where the harm is; the rest is pixels.
            let structure = if round % 2 == 0 { 200 } else { good.len() };
            let bytes = random.damage(&good, structure);
            match Photo::decode(&bytes, 1 << 30) {
                Err(error) => {
                    refused += 1;
                    if round == 1 {
                        println!("{format:?}: {error:#}");
                    }
                    check_message(&format!("{error:#}"));
                }
                Ok(photo) => {
                    decoded += 1;
                    let samples = photo.width * photo.height * photo.channels * photo.depth.bytes();
                    assert_eq!(photo.samples.len(), samples, "{format:?}");
                    let mut out = Cursor::new(Vec::new());
                    photo
                        .encode(photo.format, &mut out)
                        .expect("what was read can be written");
                    let again = Photo::decode(out.get_ref(), 1 << 30).expect("and read again");
                    if *format != ImageFormat::Jpeg {
                        assert!(again.samples == photo.samples, "{format:?} {round}");
                    }
                }
            }
        }
    }
    assert!(
        refused > 300 && decoded > 100,
        "{refused} refused, {decoded} decoded"
    );
}
