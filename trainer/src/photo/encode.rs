//! A photo to a file's bytes, in any of the formats.

use std::io::{Seek, Write};

use anyhow::{Result, bail, ensure};
use image_webp::{ColorType as WebPColor, WebPEncoder};

use super::exif::Directory;
use super::metadata::Resolution;
use super::{Depth, Format, Metadata, Photo, bmp, jpeg, png, tiff};

impl Photo {
    /// Writes the photo as `format`: PNG and TIFF keep everything, WebP (lossless) and JPEG
    /// (quality 95, full colour resolution) hold 8 bits, JPEG no alpha.
    ///
    /// # Errors
    /// What the format cannot hold, and the writer's errors.
    pub fn encode(&self, format: Format, out: &mut (impl Write + Seek)) -> Result<()> {
        self.encode_with(format, jpeg::QUALITY, out)
    }

    /// As [`Self::encode`], with JPEG's quality from 1 to 100.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_with(
        &self,
        format: Format,
        quality: u8,
        out: &mut (impl Write + Seek),
    ) -> Result<()> {
        match format {
            Format::Png => png::write(self, out),
            Format::Jpeg => jpeg::write(self, quality, out),
            Format::WebP => self.write_webp(out),
            Format::Tiff => tiff::write(self, out),
            Format::Bmp => bmp::write(self, out),
            Format::JpegXl | Format::Gif => bail!(
                "{} is read, not written: write a PNG with -o NAME.png",
                format.name()
            ),
        }
    }

    /// What `format` cannot hold of the samples, in words for the user.
    pub fn loss(&self, format: Format) -> Option<&'static str> {
        match (self.depth, format) {
            (Depth::Sixteen, Format::Jpeg) => Some("16 bits a sample become 8: JPEG holds no more"),
            (Depth::Sixteen, Format::WebP) => Some("16 bits a sample become 8: WebP holds no more"),
            (Depth::Float, Format::Png) => Some("32 bits a sample become 16: PNG holds no more"),
            (Depth::Sixteen, Format::Bmp) => Some("16 bits a sample become 8: BMP holds no more"),
            (Depth::Float, Format::Bmp) => Some("32 bits a sample become 8: BMP holds no more"),
            (Depth::Float, Format::Jpeg) => Some("32 bits a sample become 8: JPEG holds no more"),
            (Depth::Float, Format::WebP) => Some("32 bits a sample become 8: WebP holds no more"),
            _ => None,
        }
    }

    /// The samples in 8 bits.
    pub(crate) fn samples8(&self) -> std::borrow::Cow<'_, [u8]> {
        match self.depth {
            Depth::Eight => (&self.samples).into(),
            Depth::Sixteen | Depth::Float => self
                .samples16()
                .map(|sample| ((u32::from(sample) * 255 + 32767) / 65535) as u8)
                .collect::<Vec<u8>>()
                .into(),
        }
    }

    /// The samples of a photo of more than 8 bits in 16.
    pub(crate) fn samples16(&self) -> impl Iterator<Item = u16> + '_ {
        let scale = 65535.0 / self.depth.white();
        self.samples
            .chunks_exact(self.depth.bytes())
            .map(move |sample| (self.depth.get(sample) * scale + 0.5) as u16)
    }

    fn write_webp(&self, out: &mut impl Write) -> Result<()> {
        ensure!(
            self.width <= 16384 && self.height <= 16384,
            "WebP holds at most 16384 pixels a side: write a PNG with -o NAME.png"
        );
        let color = match self.channels {
            1 => WebPColor::L8,
            2 => WebPColor::La8,
            3 => WebPColor::Rgb8,
            _ => WebPColor::Rgba8,
        };
        let mut encoder = WebPEncoder::new(out);
        let Metadata { icc, xmp, .. } = self.metadata.clone();
        encoder.set_icc_profile(icc.unwrap_or_default());
        encoder.set_exif_metadata(self.exif_with_resolution().unwrap_or_default());
        encoder.set_xmp_metadata(xmp.unwrap_or_default());
        encoder.encode(
            &self.samples8(),
            self.width as u32,
            self.height as u32,
            color,
        )?;
        Ok(())
    }

    /// EXIF for a format that has no other place for the resolution. Where it says the same
    /// already, it stays as it is: notes of a camera's maker do not survive being moved.
    fn exif_with_resolution(&self) -> Option<Vec<u8>> {
        let Metadata {
            exif, resolution, ..
        } = &self.metadata;
        let mut tags = exif
            .as_deref()
            .and_then(Directory::parse)
            .unwrap_or_default();
        let own = Resolution::of_tags(&tags);
        match resolution.filter(|resolution| !resolution.is_empty()) {
            Some(resolution) if own.is_none_or(|own| !own.same(&resolution)) => {
                resolution.put(&mut tags);
                Some(tags.to_bytes())
            }
            _ => exif.clone(),
        }
    }
}
