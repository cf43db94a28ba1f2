//! TIFF: a page's pixels and tags in, a file out.
//!
//! It is read by code of our own, on decoders of the compressions alone: what the layouts of TIFF
//! can be combined to is more than libraries read right.

mod alpha;
mod blocks;
mod colour;
mod compression;
mod fax;
mod layout;
mod pages;
mod predictor;
mod tags;
mod write;

pub use alpha::divide_by_alpha;
pub use write::write;

use anyhow::{Result, ensure};

use self::colour::Plan;
use self::layout::{Colour, Layout};
use self::pages::Pages;
use self::tags::*;
use super::decode::check_held;
use super::exif::Directory;
use super::metadata::{Resolution, TiffExtra};
use super::{Depth, Format, Metadata, Photo, photoshop};

/// Reads the photo of a file: of several pages, the first that is no thumbnail.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn decode(bytes: &[u8], budget: u64) -> Result<Photo> {
    let pages = Pages::of(bytes)?;
    let layout = Layout::of(&pages.photo, bytes.starts_with(b"MM"), bytes.len())?;
    let plan = Plan::new(&layout);
    let (samples, extra) = plan.bytes();
    let size = (layout.width as u64, layout.height as u64);
    let beside = blocks::page_bytes(&layout)
        .zip(blocks::block_bytes(&layout))
        .and_then(|(page, block)| u64::try_from(page.checked_add(block)?).ok())
        .unwrap_or(u64::MAX);
    check_held(size, samples + extra, beside, bytes, budget)?;

    let page = blocks::read(&layout, bytes)?;
    let converted = plan.convert(page);
    let mut photo = Photo {
        width: layout.width,
        height: layout.height,
        channels: plan.channels,
        depth: plan.depth,
        samples: converted.samples,
        format: Format::Tiff,
        metadata: Metadata::default(),
        notes: vec![],
    };
    photo.metadata = metadata(&pages);
    photo.metadata.tiff_extra = TiffExtra {
        kinds: layout.extra.clone(),
        samples: converted.extra,
    };
    photo.notes = notes(&pages, &layout);
    drop_colour_tags(&mut photo, &layout);
    note_clipping(&mut photo, converted.clipped)?;
    Ok(photo)
}

/// Resolution, profile, XMP and the tags that EXIF and TIFF share.
fn metadata(pages: &Pages) -> Metadata {
    let mut tags = pages.photo.clone();
    // A thumbnail in front has the metadata of both.
    if let Some(first) = &pages.first {
        let missing = |tag| tags.get(tag).is_none() && !is_reserved(tag);
        let entries: Vec<_> = first
            .entries
            .iter()
            .filter(|entry| missing(entry.tag))
            .cloned()
            .collect();
        tags.entries.extend(entries);
        for (tag, child) in &first.children {
            if tags.children.iter().all(|(known, _)| known != tag) {
                tags.children.push((*tag, child.clone()));
            }
        }
    }
    let mut metadata = Metadata {
        resolution: Resolution::of_tags(&tags),
        icc: tags.get(ICC).map(|entry| entry.value.clone()),
        xmp: tags.get(XMP).map(|entry| entry.value.clone()),
        ..Metadata::default()
    };
    tags.entries
        .retain(|entry| !is_structure(entry.tag) || COLOUR_TAGS.contains(&entry.tag));
    for entry in &mut tags.entries {
        if entry.tag == RESOURCES {
            entry.value = photoshop::without_thumbnails(&entry.value);
        }
    }
    if !(tags.entries.is_empty() && tags.children.is_empty()) {
        metadata.exif = Some(tags.to_bytes());
    }
    metadata
}

/// What tags say about colours, without all the others; `None` where they say nothing.
pub fn colour_tags(exif: &[u8]) -> Option<Vec<u8>> {
    let mut tags = Directory::parse(exif)?;
    tags.entries
        .retain(|entry| COLOUR_TAGS.contains(&entry.tag));
    tags.children.clear();
    (!tags.entries.is_empty()).then(|| tags.to_bytes())
}

/// Whether a page says a thing of its own pixels only.
fn is_reserved(tag: u16) -> bool {
    is_structure(tag) && !matches!(tag, XMP | ICC | WHITE_POINT | PRIMARIES)
}

/// What the user should know: what the file has and the photo has not.
fn notes(pages: &Pages, layout: &Layout) -> Vec<String> {
    let page = &pages.photo;
    let has = |tag| page.get(tag).is_some() || page.lost.contains(&tag);
    let lost = |&tag: &u16| !is_structure(tag) || tag == XMP;
    let bits = layout.sample.bits;
    let mut notes: Vec<String> = [
        (layout.colour == Colour::Cmyk, "CMYK, converted to RGB"),
        (
            matches!(layout.colour, Colour::Lab { .. }),
            "CIELab, converted to sRGB",
        ),
        (
            pages.first.is_some(),
            "its first page is a thumbnail; the full-size picture is restored, without it",
        ),
        (
            pages.mask,
            "has a transparency mask in a page of its own, which is left out",
        ),
        (
            has(LAYERS),
            "has layers; only the picture that they make is restored",
        ),
        (
            page.lost.contains(&ICC),
            "its colour profile is damaged or too large, and is left out",
        ),
        (
            page.lost.iter().any(lost),
            "some of its metadata is damaged, too large or of an unknown type, and is left out",
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, note)| note.into())
    .collect();
    if pages.left_out > 0 {
        notes.push(format!(
            "has several pages; one is restored, {} left out",
            pages.left_out
        ));
    }
    if bits == 64 || bits == 16 && layout.sample.float {
        notes.push(format!("{bits}-bit floating-point samples become 32-bit"));
    } else if bits == 32 && !layout.sample.float {
        notes.push("32 bits a sample become 16".into());
    }
    notes
}

/// Leaves out tags about the meaning of samples that are not the photo's any more.
fn drop_colour_tags(photo: &mut Photo, layout: &Layout) {
    let converted = !matches!(
        layout.colour,
        Colour::Grey { inverted: false } | Colour::Rgb
    );
    let rescaled = layout.sample.bits != 8 * photo.depth.bytes();
    let exif = photo.metadata.exif.as_deref().and_then(Directory::parse);
    let Some(mut tags) = exif else { return };
    let before = tags.entries.len();
    tags.entries.retain(|entry| match entry.tag {
        WHITE_POINT | PRIMARIES => !matches!(layout.colour, Colour::Lab { .. } | Colour::Cmyk),
        TRANSFER | REFERENCE_LEVELS => !converted && !rescaled,
        _ => true,
    });
    // Levels of black and white belong to YCbCr, and were heeded.
    let heeded = matches!(layout.colour, Colour::YCbCr { .. });
    if tags.entries.len() != before {
        if !heeded {
            photo.notes.push(
                "tags about the colours of its samples do not hold for the result, and are left out"
                    .into(),
            );
        }
        photo.metadata.exif = Some(tags.to_bytes());
    }
}

/// Says how much of a floating-point photo is outside black and white.
fn note_clipping(photo: &mut Photo, clipped: usize) -> Result<()> {
    let colours = photo.channels - usize::from(photo.has_alpha());
    let all = photo.width * photo.height * colours;
    ensure!(
        photo.depth != Depth::Float || clipped <= all / 2,
        "most of its floating-point values are not between 0 (black) and 1 (white): \
         scale them to that range first"
    );
    if clipped > 0 {
        let percent = 100.0 * clipped as f64 / all as f64;
        photo.notes.push(format!(
            "{percent:.2} % of its floating-point values are not between 0 (black) and 1 (white), \
             and are clipped"
        ));
    }
    Ok(())
}

/// What another format than TIFF has no place for, in words for the user.
pub fn losses(photo: &Photo) -> Vec<String> {
    let extra = &photo.metadata.tiff_extra;
    let others = extra.kinds.len() - usize::from(extra.alpha().is_some());
    let exif = photo.metadata.exif.as_deref().and_then(Directory::parse);
    let colour_tags = exif.is_some_and(|tags| {
        [TRANSFER, WHITE_POINT, PRIMARIES]
            .iter()
            .any(|tag| tags.get(*tag).is_some())
    });
    let mut notes = Vec::new();
    if others > 0 {
        notes.push(format!(
            "{others} extra channel{} (a mask or spot colour), which only TIFF holds: left out",
            if others == 1 { "" } else { "s" }
        ));
    }
    if photo.format == Format::Tiff && colour_tags && photo.metadata.icc.is_none() {
        notes.push(
            "TIFF's tags about its colours (white point, primaries) mean nothing to most programs \
             in another format; convert it to a profile first"
                .into(),
        );
    }
    notes
}
