//! A photo's samples as the network's floats, and back, a part at a time: a whole photo in floats
//! would take four times the memory of the photo.

use dino_ir::ColourProfile;
use dino_ir::restore::{Area, Sink, Source};

use super::{Depth, Photo, profile};

/// A photo's pixels as the network sees them: sRGB-encoded, whatever its profile is. Grey is read as three equal channels; what
/// alpha hides has no colours.
#[derive(Debug)]
pub struct SrgbPixels<'a> {
    photo: &'a Photo,
    profile: Option<ColourProfile>,
}

impl<'a> SrgbPixels<'a> {
    /// The pixels of `photo`.
    pub fn of(photo: &'a Photo) -> Self {
        Self {
            photo,
            profile: profile::of(photo),
        }
    }
}

impl Source for SrgbPixels<'_> {
    fn width(&self) -> usize {
        self.photo.width
    }

    fn height(&self) -> usize {
        self.photo.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        let photo = self.photo;
        let bytes = photo.depth.bytes();
        let pixel = photo.channels * bytes;
        let rows = rgb.chunks_exact_mut(area.width * 3).zip(area.y..);
        for (to, y) in rows {
            let from = (y * photo.width + area.x) * pixel;
            let samples = &photo.samples[from..from + area.width * pixel];
            for (to, from) in to.chunks_exact_mut(3).zip(samples.chunks_exact(pixel)) {
                if photo.has_alpha() && is_hidden(from, photo.depth) {
                    to.fill(f32::NAN);
                    continue;
                }
                let value = |channel: usize| {
                    let at = if photo.channels < 3 {
                        0
                    } else {
                        channel * bytes
                    };
                    photo.depth.get(&from[at..at + bytes]) / photo.depth.white()
                };
                let colour = [value(0), value(1), value(2)];
                to.copy_from_slice(&match &self.profile {
                    Some(profile) => profile.to_srgb(colour),
                    None => colour,
                });
            }
        }
        Ok(())
    }
}

/// Whether the last sample of a pixel, its alpha, is 0.
pub fn is_hidden(pixel: &[u8], depth: Depth) -> bool {
    pixel[pixel.len() - depth.bytes()..]
        .iter()
        .all(|byte| *byte == 0)
}

/// Collects restored rows as samples like those of the photo they come from, in the colours of its profile. Alpha, and all of the pixels that it hides, are
/// the photo's.
#[derive(Debug)]
pub struct Restored {
    samples: Vec<u8>,
    width: usize,
    channels: usize,
    depth: Depth,
    profile: Option<ColourProfile>,
}

impl Restored {
    /// Makes room for the restored pixels of `photo`.
    pub fn of(photo: &Photo) -> Self {
        Restored {
            samples: photo.samples.clone(),
            width: photo.width,
            channels: photo.channels,
            depth: photo.depth,
            profile: profile::of(photo),
        }
    }

    /// The samples, once every row is written.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }
}

impl Sink for Restored {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> dino_ir::Result<()> {
        let bytes = self.depth.bytes();
        let pixel = self.channels * bytes;
        let start = y * self.width * pixel;
        let samples = self
            .samples
            .get_mut(start..start + rows.len() / 3 * pixel)
            .ok_or_else(|| {
                dino_ir::Error::InvalidImage(format!("rows past the end, from row {y} on"))
            })?;
        let colours = if self.channels < 3 { 1 } else { 3 };
        let has_alpha = self.channels > colours;
        for (to, rgb) in samples.chunks_exact_mut(pixel).zip(rows.chunks_exact(3)) {
            if has_alpha && is_hidden(to, self.depth) {
                continue;
            }
            let colour = [rgb[0], rgb[1], rgb[2]];
            let colour = match &self.profile {
                Some(profile) => profile.from_srgb(colour),
                None => colour,
            };
            // The three of a grey photo are equal.
            for (to, value) in to.chunks_exact_mut(bytes).zip(&colour[..colours]) {
                put(self.depth, to, *value);
            }
        }
        Ok(())
    }
}

fn put(depth: Depth, to: &mut [u8], value: f32) {
    depth.set(value.clamp(0.0, 1.0) * depth.white(), to);
}
