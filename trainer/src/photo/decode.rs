//! A file's bytes to a photo, within a memory budget.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, bail, ensure};
use image::codecs::bmp::BmpDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, Limits};

use super::exif::Directory;
use super::metadata::{MAX_PROFILE, Resolution, icc_fits};
use super::{Depth, Format, Metadata, Photo, bmp, cost, foreign, gif, jpeg, jpeg_xl, png, tiff};
use crate::host::size::show_size;

/// From this number of pixels on, a file with very few bytes for its pixels is treated as damaged or hostile.
const LARGE: u64 = 20_000_000;
/// No photo of more than 20 megapixels packs so many pixels into a byte.
const MAX_PIXELS_PER_BYTE: u64 = 2000;
/// What PNG's texts and profile may take, unpacked: a few bytes of them can claim all memory.
const MAX_PNG_METADATA: u64 = 64 << 20;

impl Photo {
    /// Decodes a file of any [`Format`].
    ///
    /// # Errors
    /// One line that says what is wrong and what to do: not a photo, cut short, of a kind that is
    /// not supported, or not restorable within `budget` bytes of memory.
    pub fn decode(bytes: &[u8], budget: u64) -> Result<Photo> {
        ensure!(
            !bytes.is_empty(),
            "the file is empty: copy it again from where it came"
        );
        if let Some(refusal) = foreign::refusal(bytes) {
            bail!(refusal);
        }
        let format = Format::of_bytes(bytes).context(
            "not an image of a kind that is read (PNG, JPEG, WebP, TIFF, JPEG XL, GIF, BMP): \
             convert it to one of these first",
        )?;
        check_complete(format, bytes)?;
        let (mut photo, icc) = guarded(format, || pixels(format, bytes, budget).map_err(explain))?;

        match format {
            Format::Png => photo.metadata = png::read_metadata(bytes),
            Format::Jpeg => photo.metadata = jpeg::read_metadata(bytes),
            Format::WebP => photo.metadata = webp_metadata(bytes),
            Format::Bmp => photo.metadata = bmp::read_metadata(bytes),
            Format::Tiff | Format::JpegXl | Format::Gif => {}
        }
        photo.metadata.icc = photo.metadata.icc.or(icc).filter(|icc| !icc.is_empty());
        photo.complete_resolution();
        photo.check_profile(bytes);
        if photo.differs_from_thumbnail() == Some(true) {
            photo.notes.push(
                "the thumbnail in it shows another picture: if it was not edited, look at the result".into(),
            );
        }
        Ok(photo)
    }

    /// JFIF must give a resolution, and many files give an empty one beside that of their EXIF.
    fn complete_resolution(&mut self) {
        let metadata = &mut self.metadata;
        if metadata.resolution.is_none_or(|found| found.is_empty()) {
            let tags = metadata.exif.as_deref().and_then(Directory::parse);
            let exif = tags.as_ref().and_then(Resolution::of_tags);
            metadata.resolution = exif.or(metadata.resolution);
        }
    }

    /// Leaves a profile out that would be wrong or a danger.
    fn check_profile(&mut self, bytes: &[u8]) {
        let note = match &self.metadata.icc {
            Some(icc) if icc.len() > MAX_PROFILE => {
                "its colour profile is too large, and is left out"
            }
            Some(icc) if !icc_fits(icc, self.channels) => {
                "its colour profile is for other channels, and is left out"
            }
            None if self.format == Format::Png && png::has_profile(bytes) => {
                "its colour profile is damaged or too large, and is left out"
            }
            _ => return,
        };
        self.metadata.icc = None;
        self.notes.push(note.into());
    }
}

/// A decoder that trips says nothing about the file: another program may well read it.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        bail!(
            "this program could not read this kind of {} file (its decoder failed): \
             save it as an ordinary PNG first",
            format.name()
        )
    })
}

/// Decoders fill in what is missing from some formats; a photo with a grey lower half is no result.
fn check_complete(format: Format, bytes: &[u8]) -> Result<()> {
    let complete = match format {
        Format::WebP => bytes.get(4..8).is_some_and(|size| {
            let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]);
            bytes.len() as u64 >= u64::from(size) + 8
        }),
        _ => true,
    };
    ensure!(
        complete,
        "the file is cut short or damaged: copy it again from where it came"
    );
    Ok(())
}

/// The photo without its metadata, and its profile.
fn pixels(format: Format, bytes: &[u8], budget: u64) -> Result<(Photo, Option<Vec<u8>>)> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(budget);
    let reader = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + '_> = match format {
        Format::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(budget.min(MAX_PNG_METADATA));
            let decoder = PngDecoder::with_limits(reader, limits).map_err(png_error)?;
            ensure!(
                !decoder.is_apng()?,
                "an animation: save the picture you want as a still image"
            );
            Box::new(decoder)
        }
        Format::WebP => {
            let decoder = WebPDecoder::new(reader)?;
            ensure!(
                !decoder.has_animation(),
                "an animation: save the picture you want as a still image"
            );
            Box::new(decoder)
        }
        Format::Jpeg => return Ok((jpeg_pixels(bytes, budget)?, None)),
        Format::Tiff => return Ok((tiff::decode(bytes, budget)?, None)),
        Format::JpegXl => return jpeg_xl::decode(bytes, budget),
        Format::Gif => return Ok((gif::decode(bytes, budget)?, None)),
        Format::Bmp => Box::new(BmpDecoder::new(reader)?),
    };
    let (width, height) = decoder.dimensions();
    ensure!(
        width > 0 && height > 0,
        "the image has no pixels: take another file"
    );
    let (channels, depth) = match decoder.color_type() {
        ColorType::L8 => (1, Depth::Eight),
        ColorType::La8 => (2, Depth::Eight),
        ColorType::Rgb8 => (3, Depth::Eight),
        ColorType::Rgba8 => (4, Depth::Eight),
        ColorType::L16 => (1, Depth::Sixteen),
        ColorType::La16 => (2, Depth::Sixteen),
        ColorType::Rgb16 => (3, Depth::Sixteen),
        ColorType::Rgba16 => (4, Depth::Sixteen),
        other => bail!("samples of type {other:?} are not supported: convert it to 8 or 16 bit"),
    };
    let total = decoder.total_bytes();
    check_size(format, (width, height, channels), total, bytes, budget)?;
    decoder.set_limits(limits)?;
    let icc = match format {
        Format::WebP => webp_chunks(bytes).and_then(|mut file| file.icc_profile().ok()),
        _ => decoder.icc_profile().ok(),
    };
    let mut samples = zeroed(total)?;
    decoder.read_image_boxed(&mut samples)?;
    Ok((
        photo(format, (width, height), (channels, depth), samples),
        icc.flatten(),
    ))
}

fn jpeg_pixels(bytes: &[u8], budget: u64) -> Result<Photo> {
    let frame = jpeg::Frame::read(bytes)?;
    let size = (frame.width as u32, frame.height as u32);
    let channels = if frame.components.len() == 1 { 1 } else { 3 };
    let total = u64::from(size.0) * u64::from(size.1) * channels as u64;
    check_size(
        Format::Jpeg,
        (size.0, size.1, channels),
        total,
        bytes,
        budget,
    )?;
    let decoded = jpeg::decode(bytes)?;
    let mut photo = photo(
        Format::Jpeg,
        size,
        (channels, Depth::Eight),
        decoded.samples,
    );
    photo.notes = decoded.notes;
    if frame.components.len() == 4 {
        photo.notes.push("CMYK, converted to RGB".into());
    }
    Ok(photo)
}

pub(super) fn zeroed(bytes: u64) -> Result<Vec<u8>> {
    let bytes = usize::try_from(bytes)?;
    let mut samples = Vec::new();
    samples
        .try_reserve_exact(bytes)
        .context("more memory than there is: scale the photo down first")?;
    samples.resize(bytes, 0);
    Ok(samples)
}

pub(super) fn photo(
    format: Format,
    (width, height): (u32, u32),
    (channels, depth): (usize, Depth),
    samples: Vec<u8>,
) -> Photo {
    Photo {
        width: width as usize,
        height: height as usize,
        channels,
        depth,
        samples,
        format,
        metadata: Metadata::default(),
        notes: Vec::new(),
    }
}

/// Refuses what the header claims before any of it is allocated.
pub(super) fn check_size(
    format: Format,
    (width, height, channels): (u32, u32, usize),
    decoded: u64,
    file: &[u8],
    budget: u64,
) -> Result<()> {
    let beside = cost::of_decoding(format, file, channels, decoded);
    let size = (width.into(), height.into());
    check_held(size, decoded, beside, file, budget)
}

/// As [`check_size`], for a decoder that takes `beside` bytes beside what it has `decoded`.
pub(super) fn check_held(
    (width, height): (u64, u64),
    decoded: u64,
    beside: u64,
    file: &[u8],
    budget: u64,
) -> Result<()> {
    let bytes = file.len() as u64;
    let pixels = width.saturating_mul(height);
    ensure!(
        pixels < LARGE || pixels / bytes.max(1) < MAX_PIXELS_PER_BYTE,
        "claims {width} x {height} pixels in {}: damaged or made to exhaust memory; take another file",
        show_size(bytes)
    );
    // First what the decoder needs beside the photo, then the photo's restored copy.
    let held = decoded
        .saturating_add(beside.max(decoded))
        .saturating_add(bytes);
    cost::check(width, height, held, budget)
}

fn webp_metadata(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    if let Some(mut file) = webp_chunks(bytes) {
        metadata.exif = file.exif_metadata().unwrap_or_default().map(|exif| {
            // Some writers keep JPEG's prefix.
            exif.strip_prefix(b"Exif\0\0")
                .map(<[u8]>::to_vec)
                .unwrap_or(exif)
        });
        metadata.xmp = file.xmp_metadata().unwrap_or_default();
    }
    metadata
}

/// Reads chunks of metadata that claim no more than the file's size: the image crate's decoder takes
/// memory for whatever size a chunk claims, up to 4 GiB, before it looks for the bytes.
fn webp_chunks(bytes: &[u8]) -> Option<image_webp::WebPDecoder<Cursor<&[u8]>>> {
    let mut file = image_webp::WebPDecoder::new(Cursor::new(bytes)).ok()?;
    file.set_memory_limit(bytes.len());
    Some(file)
}

fn png_error(error: image::ImageError) -> anyhow::Error {
    match error {
        image::ImageError::Limits(_) => anyhow::anyhow!(
            "more than {} of text and other metadata: save it again without them",
            show_size(MAX_PNG_METADATA)
        ),
        other => other.into(),
    }
}

pub(super) const DAMAGED: &str = "damaged or cut short; copy it again from where it came";
const UNSUPPORTED: &str = "this kind is not supported; save it as an ordinary PNG first";

/// The note about a file of several pictures.
pub(super) fn animation(frames: usize) -> String {
    format!("an animation of {frames} pictures; only the first is restored")
}

/// Adds to a decoder's words what the user can do.
fn explain(error: anyhow::Error) -> anyhow::Error {
    use image::ImageError::{Decoding, IoError, Limits, Unsupported};
    let advice = match error.downcast_ref::<image::ImageError>() {
        Some(Decoding(_) | IoError(_)) => DAMAGED,
        Some(Limits(_)) => "larger than the memory allowed; give a larger --memory",
        Some(Unsupported(_)) => UNSUPPORTED,
        _ => return error,
    };
    anyhow::anyhow!("{advice} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoders_panic_is_not_called_damage() {
        let error = guarded::<()>(Format::Tiff, || panic!("index out of bounds"));
        let error = error.expect_err("an error").to_string();
        assert!(error.contains("this kind of TIFF file"), "{error}");
        assert!(!error.contains("damaged"), "{error}");
    }
}
