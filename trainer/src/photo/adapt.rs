//! Metadata of a photo for another file format: what that format can hold is converted, and the rest is reported.

use anyhow::Result;

use super::exif::{Directory, Entry, IPTC};
use super::jpeg::{MAX_EXIF, MAX_ICC, MAX_XMP};
use super::metadata::icc_fits;
use super::{Format, Photo, colour, jpeg, png, xmp};

/// Tags of the notes of a camera's maker, which only its own programs read.
const MAKER_NOTE: u16 = 0x927C;

impl Photo {
    /// Makes the metadata ready for a file of `format`; what is lost on the way is added to the notes.
    ///
    /// # Errors
    /// Colours that the format has no words for.
    pub fn adapt(&mut self, format: Format) -> Result<()> {
        let dropped = std::mem::take(&mut self.metadata.dropped);
        self.notes.extend(dropped);
        if let Some(cleaned) = self.metadata.xmp.as_deref().and_then(xmp::clean) {
            self.metadata.xmp = Some(cleaned.packet);
        }
        if format != self.format {
            self.convert_colour()?;
            self.leave_behind();
        }
        if format == Format::Jpeg {
            self.move_iptc();
            self.fit_into_segments();
        }
        if format == Format::WebP {
            self.leave_grey_profile();
        }
        Ok(())
    }

    /// TIFF has a tag for IPTC, and readers of JPEG look for it among Photoshop's resources.
    fn move_iptc(&mut self) {
        if self.format != Format::Tiff {
            return;
        }
        let exif = self.metadata.exif.as_deref();
        let Some(mut tags) = exif.and_then(Directory::parse) else {
            return;
        };
        let Some(iptc) = tags.get(IPTC).map(|entry| entry.value.clone()) else {
            return;
        };
        tags.entries.retain(|entry| entry.tag != IPTC);
        self.metadata.exif = Some(tags.to_bytes());
        match jpeg::iptc_segment(&iptc) {
            Some(segment) => self.metadata.jpeg_segments.push(segment),
            None => self
                .notes
                .push("its IPTC is too large for a JPEG, and is left out".into()),
        }
    }

    /// WebP stores grey as colours, which a profile for grey says nothing about.
    fn leave_grey_profile(&mut self) {
        let icc = &mut self.metadata.icc;
        if icc.take_if(|icc| !icc_fits(icc, 3)).is_some() {
            self.notes.push(
                "its colour profile is for grey, which WebP stores as colours, and is left out"
                    .into(),
            );
        }
    }

    /// A profile in place of PNG's own words, of which cICP is truer than a profile beside it.
    fn convert_colour(&mut self) -> Result<()> {
        let chunks = &self.metadata.png_chunks;
        if self.metadata.icc.is_none() || colour::has_code_points(chunks) {
            self.metadata.icc = colour::profile(chunks, self.channels)?;
        }
        Ok(())
    }

    /// Names what only the photo's own format can hold, and leaves it out.
    fn leave_behind(&mut self) {
        let segments = std::mem::take(&mut self.metadata.jpeg_segments);
        let chunks = std::mem::take(&mut self.metadata.png_chunks);
        let mut lost = Vec::new();
        let mut lose = |what: &'static str| {
            if !lost.contains(&what) {
                lost.push(what);
            }
        };
        for (marker, data) in &segments {
            lose(match marker {
                0xED if data.starts_with(b"Photoshop 3.0\0") => "IPTC and other Photoshop data",
                0xFE => "comments",
                0xE1 if data.starts_with(b"http://ns.adobe.com/xmp/extension/\0") => {
                    "a part of its XMP"
                }
                _ => "segments of makers (APP)",
            });
        }
        for (kind, data) in &chunks {
            match kind {
                b"tEXt" | b"zTXt" | b"iTXt" if !png::is_xmp(data) => lose("texts"),
                b"tEXt" | b"zTXt" | b"iTXt" | b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" | b"tIME" => {}
                b"mDCV" | b"cLLI" => lose("measures of its display"),
                _ => lose("chunks of programs"),
            }
        }
        if !lost.is_empty() {
            self.notes.push(format!(
                "{} are left out: they are kept only where {1} stays {1}",
                lost.join(", "),
                self.format.name()
            ));
        }
    }

    /// A JPEG's segments hold 64 KiB: what matters goes in, what is too large stays out.
    fn fit_into_segments(&mut self) {
        if let Some(exif) = self.metadata.exif.take_if(|exif| exif.len() > MAX_EXIF) {
            self.metadata.exif = shrunk(&exif);
            self.notes.push(match &self.metadata.exif {
                Some(_) => {
                    "its EXIF is too large for a JPEG: the largest values are left out".into()
                }
                None => "its EXIF is too large for a JPEG, and is left out".into(),
            });
        }
        if self
            .metadata
            .xmp
            .take_if(|xmp| xmp.len() > MAX_XMP)
            .is_some()
        {
            self.notes
                .push("its XMP is too large for a JPEG, and is left out".into());
        }
        if self
            .metadata
            .icc
            .take_if(|icc| icc.len() > MAX_ICC)
            .is_some()
        {
            self.notes
                .push("its colour profile is too large for a JPEG, and is left out".into());
        }
    }
}

/// EXIF without its thumbnail and maker's notes, then without its largest values, until it fits into a segment.
fn shrunk(exif: &[u8]) -> Option<Vec<u8>> {
    let mut tags = Directory::parse(exif)?;
    remove(&mut tags, &|entry| entry.tag == MAKER_NOTE);
    loop {
        let bytes = tags.to_bytes();
        if bytes.len() <= MAX_EXIF {
            return Some(bytes);
        }
        let largest = largest(&tags);
        if largest <= 4 {
            return None;
        }
        remove(&mut tags, &|entry| entry.value.len() == largest);
    }
}

fn largest(tags: &Directory) -> usize {
    let own = tags.entries.iter().map(|entry| entry.value.len());
    own.chain(tags.children.iter().map(|(_, child)| largest(child)))
        .max()
        .unwrap_or(0)
}

fn remove(tags: &mut Directory, unwanted: &dyn Fn(&Entry) -> bool) {
    tags.entries.retain(|entry| !unwanted(entry));
    for (_, child) in &mut tags.children {
        remove(child, unwanted);
    }
}

#[cfg(test)]
mod tests {
    use super::super::exif::tests::sample;
    use super::super::{Depth, Metadata};
    use super::*;

    fn photo(format: Format) -> Photo {
        Photo {
            width: 1,
            height: 1,
            channels: 3,
            depth: Depth::Eight,
            samples: vec![0; 3],
            format,
            metadata: Metadata::default(),
            notes: vec![],
        }
    }

    #[test]
    fn large_exif_keeps_what_matters() {
        let mut tags = sample();
        tags.set(0x010E, 2, vec![b'y'; 70_000]);
        tags.children[0].1.set(MAKER_NOTE, 7, vec![1; 50_000]);
        tags.children[0].1.set(0x9286, 7, vec![2; 40_000]);
        let mut large = photo(Format::Png);
        large.metadata.exif = Some(tags.to_bytes());
        let mut fits = large.clone();
        large.adapt(Format::Jpeg).expect("a JPEG");
        let exif = large.metadata.exif.expect("EXIF");
        assert!(exif.len() <= MAX_EXIF);
        let mut expected = sample();
        // What is not too large stays.
        expected.children[0].1.set(0x9286, 7, vec![2; 40_000]);
        assert_eq!(
            Directory::parse(&exif),
            Directory::parse(&expected.to_bytes())
        );
        assert!(large.notes[0].contains("EXIF"), "{:?}", large.notes);
        fits.adapt(Format::WebP).expect("a WebP");
        assert_eq!(fits.metadata.exif, Some(tags.to_bytes()));
    }

    #[test]
    fn iptc_moves_to_where_readers_of_jpeg_look() {
        let mut tags = sample();
        tags.set(IPTC, 7, b"\x1c\x02\x5a\0\x05Paris".to_vec());
        let mut tiff = photo(Format::Tiff);
        tiff.metadata.exif = Some(tags.to_bytes());
        tiff.clone().adapt(Format::Png).expect("a PNG");
        let mut large = tiff.clone();
        tiff.adapt(Format::Jpeg).expect("a JPEG");
        assert_eq!(tiff.metadata.exif, Some(sample().to_bytes()));
        // A resource of kind 0404 without a name; ten bytes.
        let resource = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x5a\0\x05Paris";
        assert_eq!(tiff.metadata.jpeg_segments, [(0xED, resource.to_vec())]);
        assert!(tiff.notes.is_empty(), "{:?}", tiff.notes);

        tags.set(IPTC, 7, vec![1; 70_000]);
        large.metadata.exif = Some(tags.to_bytes());
        large.adapt(Format::Jpeg).expect("a JPEG");
        assert!(large.metadata.jpeg_segments.is_empty());
        assert!(large.notes[0].contains("IPTC"), "{:?}", large.notes);
    }

    #[test]
    fn a_profile_for_grey_does_not_stand_beside_colours() {
        let mut grey = photo(Format::Png);
        (grey.channels, grey.samples) = (1, vec![0]);
        let mut profile = vec![0; 132];
        profile[16..20].copy_from_slice(b"GRAY");
        grey.metadata.icc = Some(profile);
        let mut tiff = grey.clone();
        tiff.adapt(Format::Tiff).expect("a TIFF");
        assert!(tiff.metadata.icc.is_some());
        grey.adapt(Format::WebP).expect("a WebP");
        assert_eq!(grey.metadata.icc, None);
        assert!(grey.notes[0].contains("profile"), "{:?}", grey.notes);
    }

    #[test]
    fn what_another_format_cannot_hold_is_named() {
        let mut jpeg = photo(Format::Jpeg);
        jpeg.metadata.jpeg_segments = vec![
            (0xED, b"Photoshop 3.0\0caption".to_vec()),
            (0xFE, b"a comment".to_vec()),
            (0xE5, b"a maker's".to_vec()),
        ];
        jpeg.metadata.dropped = vec!["its gain map".into()];
        let mut same = jpeg.clone();
        same.adapt(Format::Jpeg).expect("a JPEG");
        assert_eq!(
            (same.metadata.jpeg_segments.len(), same.notes.len()),
            (3, 1)
        );
        jpeg.adapt(Format::Png).expect("a PNG");
        assert_eq!(jpeg.notes[0], "its gain map");
        for word in ["IPTC", "comments", "makers", "JPEG"] {
            assert!(jpeg.notes[1].contains(word), "{:?}", jpeg.notes);
        }

        let mut png = photo(Format::Png);
        png.metadata.png_chunks = vec![
            (*b"tEXt", b"Title\0x".to_vec()),
            (*b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>".to_vec()),
            (*b"gAMA", 100_000u32.to_be_bytes().to_vec()),
        ];
        png.adapt(Format::WebP).expect("a WebP");
        assert_eq!(
            png.notes,
            ["texts are left out: they are kept only where PNG stays PNG"]
        );
        assert!(png.metadata.icc.is_some());
    }

    #[test]
    fn xmp_holds_no_picture_of_the_past() {
        let packet = |thumbnail: &str| {
            format!("<a xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='5'>{thumbnail}</a>")
                .into_bytes()
        };
        for format in [Format::Png, Format::WebP, Format::Tiff] {
            let mut photo = photo(format);
            photo.metadata.xmp = Some(packet("<xmp:Thumbnails>old</xmp:Thumbnails>"));
            photo.adapt(format).expect("the same format");
            assert_eq!(photo.metadata.xmp, Some(packet("")));
        }
    }

    #[test]
    fn colours_of_high_dynamic_range_stay_in_png() {
        let mut png = photo(Format::Png);
        png.metadata.png_chunks = vec![(*b"cICP", vec![9, 16, 0, 1])];
        assert!(png.clone().adapt(Format::Tiff).is_err());
        png.adapt(Format::Png).expect("a PNG");
        assert_eq!(png.metadata.png_chunks.len(), 1);
        // Its sRGB is truer than a profile.
        png.metadata.png_chunks = vec![(*b"cICP", vec![1, 13, 0, 1])];
        png.metadata.icc = Some(vec![0; 128]);
        png.adapt(Format::WebP).expect("a WebP");
        assert_eq!(png.metadata.icc, None);
    }
}
