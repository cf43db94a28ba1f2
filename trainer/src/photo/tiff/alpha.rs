//! Associated alpha: colours that are stored multiplied by alpha.

use crate::photo::{Depth, Photo};

/// Divides colours by alpha. Where it is 0 there is no colour to be known: black.
pub fn divide(colours: &mut [f32], alpha: f32, white: f32) {
    for colour in colours {
        let level = f64::from(*colour) * f64::from(white) / f64::from(alpha);
        *colour = if alpha > 0.0 {
            whole(level, white).min(white)
        } else {
            0.0
        };
    }
}

/// Divides the colours of a photo's samples by its last channel.
pub fn divide_by_alpha(samples: &mut [u8], channels: usize, depth: Depth) {
    let bytes = depth.bytes();
    for pixel in samples.chunks_exact_mut(channels * bytes) {
        let (colours, alpha) = pixel.split_at_mut((channels - 1) * bytes);
        let alpha = depth.get(alpha);
        for colour in colours.chunks_exact_mut(bytes) {
            let mut level = [depth.get(colour)];
            divide(&mut level, alpha, depth.white());
            depth.set(level[0], colour);
        }
    }
}

/// A row of the photo's samples with the colours multiplied by alpha: never above it.
pub fn multiplied(photo: &Photo, row: &mut [u8]) {
    let bytes = photo.depth.bytes();
    let white = photo.depth.white();
    for pixel in row.chunks_exact_mut(photo.channels * bytes) {
        let (colours, alpha) = pixel.split_at_mut((photo.channels - 1) * bytes);
        let alpha = photo.depth.get(alpha);
        for colour in colours.chunks_exact_mut(bytes) {
            let level = f64::from(photo.depth.get(colour)) * f64::from(alpha) / f64::from(white);
            photo.depth.set(whole(level, white), colour);
        }
    }
}

/// Rounds levels of depths that hold whole ones: what is divided and multiplied again comes back.
fn whole(level: f64, white: f32) -> f32 {
    if white > 1.0 {
        level.round() as f32
    } else {
        level as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_survive_division_and_multiplication() {
        for alpha in 0..=255u8 {
            for colour in 0..=alpha {
                let mut level = [f32::from(colour)];
                divide(&mut level, alpha.into(), 255.0);
                let mut row = [0, alpha];
                Depth::Eight.set(level[0], &mut row[..1]);
                let photo = Photo {
                    width: 1,
                    height: 1,
                    channels: 2,
                    depth: Depth::Eight,
                    samples: vec![],
                    format: crate::photo::Format::Tiff,
                    metadata: Default::default(),
                    notes: vec![],
                };
                multiplied(&photo, &mut row);
                assert_eq!(row, [colour, alpha]);
            }
        }
    }
}
