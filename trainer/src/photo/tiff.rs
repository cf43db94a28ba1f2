//! TIFF: tags in, a file out.

mod rare;

pub use rare::Rare;

use std::io::{Cursor, Seek, Write};

use anyhow::Result;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{Compression, Predictor, TiffEncoder, TiffKindStandard, TiffValue};
use tiff::tags::{ExtraSamples, Tag, Type};

use super::exif::{Directory, swap_bytes};
use super::metadata::Resolution;
use super::{Depth, Format, Metadata, Photo};

const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const SAMPLES: u16 = 277;
const PLANES: u16 = 284;
const EXTRA_SAMPLES: u16 = 338;
const XMP: u16 = 700;
const ICC: u16 = 34675;
/// Photoshop's layers: the picture as it was, in parts.
const LAYERS: u16 = 37724;

/// Tags that say how pixels are stored, or hold other ones: those of the new file are its own.
fn is_structure(tag: u16) -> bool {
    matches!(
        tag,
        254..=259 | 262..=266 | 273 | 277..=281 | 284 | 288..=293 | 301 | 317..=325 | 330
            | 332..=347 | 400..=405 | 512..=521 | 529..=532 | 559 | XMP | ICC | LAYERS
    )
}

/// Reads resolution, profile, XMP and the tags that EXIF and TIFF share.
pub fn read_metadata(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    let Some(mut directory) = Directory::parse(bytes) else {
        return metadata;
    };
    metadata.resolution = Resolution::of_tags(&directory);
    metadata.tiff_alpha = directory
        .get(EXTRA_SAMPLES)
        .and_then(|entry| entry.number())
        .and_then(|kind| u16::try_from(kind).ok());
    metadata.icc = directory.get(ICC).map(|entry| entry.value.clone());
    metadata.xmp = directory.get(XMP).map(|entry| entry.value.clone());
    directory.entries.retain(|entry| !is_structure(entry.tag));
    if !(directory.entries.is_empty() && directory.children.is_empty()) {
        metadata.exif = Some(directory.to_bytes());
    }
    metadata
}

/// What the user should know: what the file has and the photo has not.
pub fn notes(bytes: &[u8]) -> Vec<String> {
    let directory = Directory::parse(bytes).unwrap_or_default();
    let has = |tag| directory.get(tag).is_some() || directory.lost.contains(&tag);
    let more_pages =
        tiff::decoder::Decoder::new(Cursor::new(bytes)).is_ok_and(|decoder| decoder.more_images());
    let lost = |&tag: &u16| !is_structure(tag) || tag == XMP;
    [
        (is_cmyk(&directory), "CMYK, converted to RGB"),
        (more_pages, "has several pages; only the first is restored"),
        (
            has(LAYERS),
            "has layers; only the picture that they make is restored",
        ),
        (
            directory.lost.contains(&ICC),
            "its colour profile is damaged or too large, and is left out",
        ),
        (
            directory.lost.iter().any(lost),
            "some of its metadata is damaged, too large or of an unknown type, and is left out",
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, note)| note.into())
    .collect()
}

/// Whether the decoder takes four samples a pixel for three of the photo.
pub fn is_cmyk(directory: &Directory) -> bool {
    directory.get(PHOTOMETRIC).and_then(|entry| entry.number()) == Some(5)
}

/// Writes an 8- or 16-bit TIFF, deflated without loss.
///
/// # Errors
/// More than 4 GiB, and the writer's.
pub fn write(photo: &Photo, out: &mut (impl Write + Seek)) -> Result<()> {
    // Only the types that know their alpha predict across whole pixels.
    let predictor = if photo.channels == 2 {
        Predictor::None
    } else {
        Predictor::Horizontal
    };
    let mut encoder = TiffEncoder::new(out)?
        .with_compression(Compression::Deflate(DeflateLevel::Fast))
        .with_predictor(predictor);
    match photo.depth {
        Depth::Eight => match photo.channels {
            1 | 2 => write_as::<Gray8, _>(&mut encoder, photo, &photo.samples),
            3 => write_as::<RGB8, _>(&mut encoder, photo, &photo.samples),
            _ => write_as::<RGBA8, _>(&mut encoder, photo, &photo.samples),
        },
        Depth::Sixteen => {
            let samples: Vec<u16> = photo.samples16().collect();
            match photo.channels {
                1 | 2 => write_as::<Gray16, _>(&mut encoder, photo, &samples),
                3 => write_as::<RGB16, _>(&mut encoder, photo, &samples),
                _ => write_as::<RGBA16, _>(&mut encoder, photo, &samples),
            }
        }
    }
}

fn write_as<C: ColorType, W: Write + Seek>(
    encoder: &mut TiffEncoder<W, TiffKindStandard>,
    photo: &Photo,
    samples: &[C::Inner],
) -> Result<()>
where
    [C::Inner]: TiffValue,
{
    let metadata = &photo.metadata;
    let mut tags = metadata
        .exif
        .as_deref()
        .and_then(Directory::parse)
        .unwrap_or_default();
    if photo.format != Format::Tiff {
        tags.entries.retain(|entry| !is_structure(entry.tag));
    }
    if let Some(resolution) = &metadata.resolution {
        resolution.put(&mut tags);
    }
    let mut children = Vec::new();
    for (tag, child) in &tags.children {
        children.push((*tag, write_child(encoder, child)?));
    }

    let mut image = encoder.new_image::<C>(photo.width as u32, photo.height as u32)?;
    let alpha = metadata
        .tiff_alpha
        .and_then(ExtraSamples::from_u16)
        .unwrap_or(ExtraSamples::UnassociatedAlpha);
    match photo.channels {
        2 => image.extra_samples(&[alpha])?,
        4 => image
            .encoder()
            .write_tag(Tag::ExtraSamples, &[alpha.to_u16()][..])?,
        _ => {}
    }
    let directory = image.encoder();
    write_entries(directory, &tags)?;
    for (tag, offset) in children {
        directory.write_tag(Tag::from_u16_exhaustive(tag), offset)?;
    }
    if let Some(icc) = &metadata.icc {
        directory.write_tag(Tag::IccProfile, icc.as_slice())?;
    }
    if let Some(xmp) = &metadata.xmp {
        directory.write_tag(Tag::from_u16_exhaustive(XMP), xmp.as_slice())?;
    }
    image.write_data(samples)?;
    Ok(())
}

/// Writes a directory that a tag will point to; returns where it is.
fn write_child<W: Write + Seek>(
    encoder: &mut TiffEncoder<W, TiffKindStandard>,
    child: &Directory,
) -> Result<u32> {
    let mut below = Vec::new();
    for (tag, grandchild) in &child.children {
        below.push((*tag, write_child(encoder, grandchild)?));
    }
    let mut directory = encoder.extra_directory()?;
    write_entries(&mut directory, child)?;
    for (tag, offset) in below {
        directory.write_tag(Tag::from_u16_exhaustive(tag), offset)?;
    }
    Ok(directory.finish_with_offsets()?.offset)
}

fn write_entries<W: Write + Seek>(
    directory: &mut tiff::encoder::DirectoryEncoder<'_, W, TiffKindStandard>,
    tags: &Directory,
) -> Result<()> {
    for entry in &tags.entries {
        let Some(kind) = Type::from_u16(entry.kind) else {
            continue;
        };
        let mut value = entry.value.clone();
        if cfg!(target_endian = "big") {
            swap_bytes(entry.kind, &mut value);
        }
        let written = directory.write_entry_bytes(kind, &value)?;
        let mut one = tiff::Directory::empty();
        one.extend([(Tag::from_u16_exhaustive(entry.tag), written)]);
        directory.extend_from(&one);
    }
    Ok(())
}
