//! A photo without what it says about its making and its makers.

use super::metadata::Unit;
use super::{Format, Metadata, Orientation, Photo, tiff};

/// Chunks of a PNG without which its colours would be others.
const COLOURS: [&[u8; 4]; 6] = [b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"];

impl Photo {
    /// Leaves out all metadata but what the pixels need to look as they do: the words about their colours, and their shape
    /// where they are no squares. Returns how the photo was to be turned, which it does not say any more.
    pub fn strip(&mut self) -> Orientation {
        let orientation = Orientation::of(self);
        let old = std::mem::take(&mut self.metadata);
        let colours = old.exif.filter(|_| self.format == Format::Tiff);
        let mut chunks = old.png_chunks;
        chunks.retain(|(kind, _)| COLOURS.contains(&kind));
        self.metadata = Metadata {
            icc: old.icc,
            exif: colours.as_deref().and_then(tiff::colour_tags),
            resolution: old
                .resolution
                .filter(|resolution| resolution.unit == Unit::Aspect),
            png_chunks: chunks,
            tiff_extra: old.tiff_extra,
            ..Metadata::default()
        };
        orientation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::Depth;
    use crate::photo::exif::tests::sample;
    use crate::photo::metadata::Resolution;

    #[test]
    fn colours_stay_and_all_else_goes() {
        let dots = Resolution {
            x: (300, 1),
            y: (300, 1),
            unit: Unit::Inch,
        };
        let mut photo = Photo {
            width: 1,
            height: 1,
            channels: 3,
            depth: Depth::Eight,
            samples: vec![1, 2, 3],
            format: Format::Png,
            metadata: Metadata {
                icc: Some(b"profile".to_vec()),
                exif: Some(sample().to_bytes()),
                xmp: Some(b"<x/>".to_vec()),
                resolution: Some(dots),
                png_chunks: vec![(*b"gAMA", vec![0; 4]), (*b"tEXt", b"Author\0me".to_vec())],
                jpeg_segments: vec![(0xFE, b"a comment".to_vec())],
                ..Metadata::default()
            },
            notes: vec![],
        };
        let orientation = photo.strip();
        assert_eq!(orientation.number(), 6);
        let right = Metadata {
            icc: Some(b"profile".to_vec()),
            png_chunks: vec![(*b"gAMA", vec![0; 4])],
            ..Metadata::default()
        };
        assert_eq!(photo.metadata, right);
    }
}
