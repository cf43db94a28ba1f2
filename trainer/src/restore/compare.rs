//! A photo before and after, side by side in one picture.

use crate::photo::metadata::TiffExtra;
use crate::photo::{Depth, Photo};

/// The line between them is one part in so many of a photo's width.
const LINE: usize = 300;

/// Columns of the picture of a photo of that many.
pub fn width(photo: usize) -> usize {
    2 * photo + line(photo)
}

fn line(width: usize) -> usize {
    (width / LINE).max(2)
}

/// Left the photo before, right the same after; both upright, a white line between them, and no metadata but their colours.
///
/// # Panics
/// If they are not of the same kind and size.
pub fn side_by_side(mut before: Photo, mut after: Photo) -> Photo {
    for photo in [&mut before, &mut after] {
        let orientation = photo.strip();
        photo.turn(orientation);
    }
    let same = |one: &Photo| (one.width, one.height, one.channels, one.depth);
    assert_eq!(same(&before), same(&after), "one photo, twice");
    let pixel = after.channels * after.depth.bytes();
    let white = white(&after).repeat(line(after.width));
    let row = after.width * pixel;
    let mut samples = Vec::with_capacity((2 * row + white.len()) * after.height);
    let rows = before.samples.chunks_exact(row);
    for (left, right) in rows.zip(after.samples.chunks_exact(row)) {
        samples.extend_from_slice(left);
        samples.extend_from_slice(&white);
        samples.extend_from_slice(right);
    }
    after.width = width(after.width);
    after.samples = samples;
    after.metadata.tiff_extra = TiffExtra::default();
    after
}

/// A pixel that is white, and hides what is behind it.
fn white(photo: &Photo) -> Vec<u8> {
    let depth: Depth = photo.depth;
    let mut pixel = Vec::new();
    for _ in 0..photo.channels {
        depth.put(depth.white(), &mut pixel);
    }
    pixel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::exif::tests::sample;
    use crate::photo::{Format, Metadata};

    #[test]
    fn before_stands_left_of_after_and_both_upright() {
        let photo = |samples: [u8; 6]| Photo {
            width: 3,
            height: 2,
            channels: 1,
            depth: Depth::Eight,
            samples: samples.to_vec(),
            format: Format::Jpeg,
            metadata: Metadata {
                // To be turned to the right.
                exif: Some(sample().to_bytes()),
                ..Metadata::default()
            },
            notes: vec![],
        };
        let both = side_by_side(photo([1, 2, 3, 4, 5, 6]), photo([11, 12, 13, 14, 15, 16]));
        assert_eq!((both.width, both.height), (6, 3));
        let right = [
            [4, 1, 255, 255, 14, 11],
            [5, 2, 255, 255, 15, 12],
            [6, 3, 255, 255, 16, 13],
        ];
        assert_eq!(both.samples, right.concat());
        assert_eq!(both.metadata.exif, None);
    }
}
