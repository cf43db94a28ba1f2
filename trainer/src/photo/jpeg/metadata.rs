//! What a JPEG's segments say beside its picture.

use super::super::metadata::{Metadata, Resolution, Unit};
use super::super::{photoshop, xmp};
use super::segments::{APP0, APP1, APP2, APP13, APP14, COMMENT, EOI, Segments};

pub const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
pub const EXIF: &[u8] = b"Exif\0\0";
pub const ICC: &[u8] = b"ICC_PROFILE\0";
/// Photoshop's resources, IPTC among them.
pub const RESOURCES: &[u8] = b"Photoshop 3.0\0";
/// Further pictures behind the first one.
const MPF: &[u8] = b"MPF\0";
/// A gain map, as ISO 21496-1 announces it.
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
/// Boxes about the picture as it was: signed claims, layers.
const APP11: u8 = 0xEB;
/// A maker's data behind a picture that is smaller than this is padding.
const PADDING: usize = 64;

/// Reads profile, resolution, EXIF, XMP, IPTC, comments and the segments of makers. What stands for something that no result
/// has (further pictures, a video, thumbnails of the old picture) is left out, and named in `dropped` where users may miss it.
pub fn read_metadata(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    let mut profile = Vec::new();
    let (mut pictures, mut gain_map) = (false, false);
    for (marker, data) in Segments::before_scans(bytes) {
        match marker {
            APP0 if data.starts_with(b"JFIF\0") => metadata.resolution = density(data),
            // JFXX is a thumbnail, AMPF says that other pictures follow.
            APP0 => {}
            APP1 if data.starts_with(EXIF) => add_exif(&mut metadata, &data[EXIF.len()..]),
            APP1 if data.starts_with(XMP) => metadata.xmp = Some(data[XMP.len()..].to_vec()),
            APP2 if data.starts_with(ICC) => profile.push(&data[ICC.len()..]),
            APP2 if data.starts_with(MPF) => pictures = true,
            APP2 if data.starts_with(GAIN_MAP) => gain_map = true,
            APP11 => add_once(
                &mut metadata.dropped,
                "its content credentials, which vouch for the picture as it was, are left out",
            ),
            APP13 => {
                let data = without_thumbnails(data).unwrap_or_else(|| data.to_vec());
                metadata.jpeg_segments.push((APP13, data));
            }
            APP14 if data.starts_with(b"Adobe") => {}
            0xE0..=0xEF | COMMENT => metadata.jpeg_segments.push((marker, data.to_vec())),
            _ => {}
        }
    }
    match assembled(profile) {
        Some(icc) => metadata.icc = icc,
        None => metadata.dropped.push(
            "its colour profile is damaged (parts are missing or misnumbered), and is left out"
                .into(),
        ),
    }

    let behind = trailer(bytes);
    let mut video = has(behind, b"MotionPhoto_Data") || has_video(behind);
    gain_map |= has(behind, b"hdr-gain-map") || has(behind, b"hdrgainmap");
    if let Some(cleaned) = metadata.xmp.as_deref().and_then(xmp::clean) {
        gain_map |= cleaned.gain_map;
        video |= cleaned.video;
        metadata.xmp = Some(cleaned.packet);
    }
    for (holds, note) in [
        (
            gain_map,
            "its HDR gain map is left out: the result is the ordinary picture",
        ),
        (video, "the video of this motion photo is left out"),
        (
            pictures && !gain_map && !video,
            "its further pictures (such as previews) are left out",
        ),
        (
            !pictures && !gain_map && !video && behind.len() > PADDING,
            "what its maker wrote behind the picture is left out",
        ),
    ] {
        if holds {
            metadata.dropped.push(note.into());
        }
    }
    metadata
}

/// EXIF that one segment cannot hold goes on in the next.
fn add_exif(metadata: &mut Metadata, data: &[u8]) {
    let begins = data.starts_with(b"II*\0") || data.starts_with(b"MM\0*");
    match &mut metadata.exif {
        None => metadata.exif = Some(data.to_vec()),
        Some(exif) if !begins => exif.extend_from_slice(data),
        Some(_) => add_once(&mut metadata.dropped, "a second set of EXIF is left out"),
    }
}

fn add_once(notes: &mut Vec<String>, note: &str) {
    if !notes.iter().any(|known| known == note) {
        notes.push(note.into());
    }
}

/// The profile from its numbered parts: `Some(None)` without any, `None` if some are missing or doubled.
fn assembled(mut parts: Vec<&[u8]>) -> Option<Option<Vec<u8>>> {
    if parts.is_empty() {
        return Some(None);
    }
    parts.sort_by_key(|part| part.first().copied());
    let count = parts.len();
    let numbered = parts.iter().enumerate().all(|(at, part)| {
        part.len() >= 2 && usize::from(part[0]) == at + 1 && usize::from(part[1]) == count
    });
    let whole: Vec<u8> = parts
        .iter()
        .flat_map(|part| &part[2.min(part.len())..])
        .copied()
        .collect();
    numbered.then_some(Some(whole))
}

/// What follows the picture.
fn trailer(bytes: &[u8]) -> &[u8] {
    let end = Segments::of(bytes).find(|(marker, ..)| *marker == EOI);
    let rest = end.map_or(&[][..], |(_, _, rest)| rest);
    let padding = rest.iter().rev().take_while(|&&byte| byte == 0);
    &rest[..rest.len() - padding.count()]
}

/// Whether the first box of an MP4 stands anywhere: its size, which is small, and its type.
fn has_video(bytes: &[u8]) -> bool {
    let is_first = |window: &[u8]| window.starts_with(&[0, 0, 0]) && window.ends_with(b"ftyp");
    bytes.windows(8).any(is_first)
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Photoshop's resources, IPTC among them, without the thumbnails; `None` for what is something else.
fn without_thumbnails(data: &[u8]) -> Option<Vec<u8>> {
    let resources = data.strip_prefix(RESOURCES)?;
    Some([RESOURCES, &photoshop::without_thumbnails(resources)].concat())
}

fn density(data: &[u8]) -> Option<Resolution> {
    let &[unit, a, b, c, d] = data.get(7..12)? else {
        return None;
    };
    Some(Resolution {
        x: (u16::from_be_bytes([a, b]).into(), 1),
        y: (u16::from_be_bytes([c, d]).into(), 1),
        unit: match unit {
            1 => Unit::Inch,
            2 => Unit::Centimetre,
            _ => Unit::Aspect,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::write_segment;
    use super::*;

    /// Segments: markers and contents.
    type Parts<'a> = &'a [(u8, &'a [u8])];

    fn file(segments: Parts<'_>, behind: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        for (marker, data) in segments {
            write_segment(&mut bytes, *marker, &[data]).expect("a short segment");
        }
        bytes.extend([0xFF, 0xDA, 0, 2, 1, 2, 3, 0xFF, 0xD9]);
        bytes.extend(behind);
        bytes
    }

    #[test]
    fn exif_goes_on_in_a_second_segment() {
        let bytes = file(
            &[(APP1, b"Exif\0\0II*\0one, "), (APP1, b"Exif\0\0two")],
            b"",
        );
        let metadata = read_metadata(&bytes);
        assert_eq!(metadata.exif.as_deref(), Some(&b"II*\0one, two"[..]));
        let bytes = file(
            &[(APP1, b"Exif\0\0II*\0one"), (APP1, b"Exif\0\0MM\0*two")],
            b"",
        );
        let metadata = read_metadata(&bytes);
        assert_eq!(metadata.exif.as_deref(), Some(&b"II*\0one"[..]));
        assert_eq!(metadata.dropped, ["a second set of EXIF is left out"]);
    }

    #[test]
    fn profiles_come_together_or_are_said_to_be_broken() {
        let part = |text: &str| [ICC, text.as_bytes()].concat();
        let (one, two) = (part("\x01\x02on"), part("\x02\x02e"));
        let metadata = read_metadata(&file(&[(APP2, &two), (APP2, &one)], b""));
        assert_eq!(metadata.icc.as_deref(), Some(&b"one"[..]));
        for parts in [
            &[(APP2, &one[..]), (APP2, &one[..])][..],
            &[(APP2, &two[..])],
        ] {
            let metadata = read_metadata(&file(parts, b""));
            assert_eq!(metadata.icc, None);
            assert!(
                metadata.dropped[0].contains("profile"),
                "{:?}",
                metadata.dropped
            );
        }
    }

    #[test]
    fn what_is_lost_is_named_and_no_longer_announced() {
        let cases: [(Parts<'_>, &[u8], &str); 5] = [
            (
                &[(APP2, b"MPF\0MM\0*")],
                b"\xFF\xD8 the preview",
                "further pictures",
            ),
            (&[(APP2, GAIN_MAP)], b"\xFF\xD8", "gain map"),
            (
                &[(APP2, b"MPF\0MM\0*")],
                b"\xFF\xD8 ns.adobe.com/hdr-gain-map/1.0/",
                "gain map",
            ),
            (&[], b"\0\0\0\x18ftypmp42", "video"),
            (&[], &[7; 100], "maker"),
        ];
        for (segments, behind, word) in cases {
            let metadata = read_metadata(&file(segments, behind));
            assert_eq!(metadata.jpeg_segments, []);
            assert_eq!(metadata.dropped.len(), 1, "{word}");
            assert!(metadata.dropped[0].contains(word), "{:?}", metadata.dropped);
        }
        assert_eq!(read_metadata(&file(&[], &[0; 100])).dropped, [""; 0]);
    }

    #[test]
    fn photoshops_thumbnail_goes_and_iptc_stays() {
        let resource = |number: u16, data: &[u8]| {
            let mut out = b"8BIM".to_vec();
            out.extend(number.to_be_bytes());
            out.extend([0, 0]);
            out.extend((data.len() as u32).to_be_bytes());
            out.extend(data);
            out.resize(out.len().next_multiple_of(2), 0);
            out
        };
        let (iptc, thumbnail) = (resource(1028, b"caption"), resource(1036, b"old"));
        let head = b"Photoshop 3.0\0".to_vec();
        let all = [&head[..], &thumbnail, &iptc, &thumbnail].concat();
        let metadata = read_metadata(&file(&[(APP13, &all)], b""));
        assert_eq!(metadata.jpeg_segments, [(APP13, [head, iptc].concat())]);
    }
}
