//! PNG: chunks of metadata in, a file out.

use std::io::Write;

use anyhow::Result;

use super::metadata::{Resolution, Unit};
use super::{Depth, Metadata, Photo};

/// Chunks that stay true of restored pixels, whatever the colour type becomes.
const KEPT: [&[u8; 4]; 10] = [
    b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tEXt", b"zTXt", b"iTXt", b"tIME",
];
/// Chunks about the pixels as they were stored, or read elsewhere.
const OWN: [&[u8; 4]; 11] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"iCCP",
    b"iDOT",
];

/// The keyword of XMP among PNG's texts.
const XMP: &str = "XML:com.adobe.xmp";

/// Reads resolution, EXIF, XMP and the chunks worth keeping; the profile comes from the decoder.
pub fn read_metadata(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    for (kind, data) in chunks(bytes) {
        match &kind {
            b"pHYs" => metadata.resolution = physical(data),
            b"eXIf" => metadata.exif = Some(data.to_vec()),
            _ if OWN.contains(&&kind) => {}
            // A small fourth letter says that a chunk stays true whatever becomes of the picture.
            // A small first one, that readers may pass over it.
            _ if KEPT.contains(&&kind)
                || kind[0].is_ascii_lowercase() && kind[3].is_ascii_lowercase() =>
            {
                if let (b"iTXt", None, Some(xmp)) = (&kind, &metadata.xmp, xmp_text(data)) {
                    metadata.xmp = Some(xmp);
                    continue;
                }
                metadata.png_chunks.push((kind, data.to_vec()));
            }
            b"caBX" => metadata.dropped.push(
                "its content credentials, which vouch for the picture as it was, are left out"
                    .into(),
            ),
            _ => metadata.dropped.push(format!(
                "its chunk {} may not outlive a change of the picture, and is left out",
                kind.escape_ascii()
            )),
        }
    }
    metadata
}

/// Whether the file has a profile, readable or not.
pub fn has_profile(bytes: &[u8]) -> bool {
    chunks(bytes).any(|(kind, _)| kind == *b"iCCP")
}

/// Writes an 8- or 16-bit PNG.
///
/// # Errors
/// The writer's.
pub fn write(photo: &Photo, out: &mut impl Write) -> Result<()> {
    let mut info = png::Info::with_size(photo.width as u32, photo.height as u32);
    info.color_type = match photo.channels {
        1 => png::ColorType::Grayscale,
        2 => png::ColorType::GrayscaleAlpha,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    };
    info.bit_depth = match photo.depth {
        Depth::Eight => png::BitDepth::Eight,
        Depth::Sixteen | Depth::Float => png::BitDepth::Sixteen,
    };
    let metadata = &photo.metadata;
    info.icc_profile = metadata.icc.as_deref().map(Into::into);
    info.exif_metadata = metadata.exif.as_deref().map(Into::into);
    info.pixel_dims = metadata.resolution.map(|resolution| {
        let (xppu, yppu) = resolution.per(Unit::Metre);
        let unit = match resolution.unit {
            Unit::Aspect => png::Unit::Unspecified,
            _ => png::Unit::Meter,
        };
        png::PixelDimensions { xppu, yppu, unit }
    });

    let mut encoder = png::Encoder::with_info(out, info)?;
    if let Some(xmp) = &metadata.xmp {
        encoder.add_itxt_chunk(XMP.into(), String::from_utf8_lossy(xmp).into_owned())?;
    }
    let mut writer = encoder.write_header()?;
    for (kind, data) in &metadata.png_chunks {
        // The profile says more than these two, and may not stand beside sRGB.
        if !(metadata.icc.is_some() && kind == b"sRGB") {
            writer.write_chunk(png::chunk::ChunkType(*kind), data)?;
        }
    }
    let mut stream = writer.stream_writer()?;
    match photo.depth {
        Depth::Eight => stream.write_all(&photo.samples)?,
        Depth::Sixteen | Depth::Float => {
            let mut samples = photo.samples16();
            let mut row = Vec::new();
            for _ in 0..photo.height {
                row.clear();
                let one = samples.by_ref().take(photo.width * photo.channels);
                row.extend(one.flat_map(u16::to_be_bytes));
                stream.write_all(&row)?;
            }
        }
    }
    stream.finish()?;
    writer.finish()?;
    Ok(())
}

/// The types and data of a file's chunks, up to its end or to what is no chunk.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, data, next) = chunk(rest)?;
        rest = if kind == *b"IEND" { &[] } else { next };
        Some((kind, data))
    })
}

/// Splits the first chunk off: its type, its data, what follows it.
fn chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let end = length.checked_add(8)?;
    Some((kind, bytes.get(8..end)?, bytes.get(end.checked_add(4)?..)?))
}

fn physical(data: &[u8]) -> Option<Resolution> {
    let &[a, b, c, d, e, f, g, h, unit] = data else {
        return None;
    };
    Some(Resolution {
        x: (u32::from_be_bytes([a, b, c, d]), 1),
        y: (u32::from_be_bytes([e, f, g, h]), 1),
        unit: if unit == 1 { Unit::Metre } else { Unit::Aspect },
    })
}

/// Whether a text chunk is an XMP packet.
pub fn is_xmp(data: &[u8]) -> bool {
    data.strip_prefix(XMP.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&0))
}

/// The XMP packet of an iTXt chunk.
fn xmp_text(data: &[u8]) -> Option<Vec<u8>> {
    let [0, compressed, 0, rest @ ..] = data.strip_prefix(XMP.as_bytes())? else {
        return None;
    };
    // Language and translated keyword, each ended by a zero, stand before the text.
    let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
    match compressed {
        0 => Some(text.to_vec()),
        _ => unpacked(data),
    }
}

/// The text of a compressed iTXt chunk, unpacked by the decoder of a file that is made of it.
fn unpacked(data: &[u8]) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let mut writer = png::Encoder::new(&mut file, 1, 1).write_header().ok()?;
    writer.write_chunk(png::chunk::iTXt, data).ok()?;
    writer.write_image_data(&[0]).ok()?;
    writer.finish().ok()?;
    let reader = png::Decoder::new(std::io::Cursor::new(&file))
        .read_info()
        .ok()?;
    let text = reader.info().utf8_text.first()?.get_text().ok()?;
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::new(&mut bytes, 1, 1)
            .write_header()
            .expect("a header");
        for (kind, data) in chunks {
            writer
                .write_chunk(png::chunk::ChunkType(**kind), data)
                .expect("a chunk");
        }
        writer.write_image_data(&[0]).expect("a pixel");
        writer.finish().expect("an end");
        bytes
    }

    #[test]
    fn what_stays_true_is_kept_and_the_rest_is_named() {
        let metadata = read_metadata(&file(&[
            (b"cICP", &[9, 16, 0, 1]),
            (b"mDCV", &[0; 24]),
            (b"cLLI", &[0; 8]),
            (b"sBIT", &[8]),
            (b"abCd", b"safe to copy"),
            (b"abCD", b"not safe to copy"),
            (b"caBX", b"signed"),
        ]));
        let kinds: Vec<[u8; 4]> = metadata.png_chunks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [*b"cICP", *b"mDCV", *b"cLLI", *b"abCd"]);
        assert_eq!(metadata.dropped.len(), 2);
        assert!(
            metadata.dropped[0].contains("abCD"),
            "{:?}",
            metadata.dropped
        );
    }

    /// What would make the result unreadable is not kept: a damaged file's remains, and chunks that readers must know.
    #[test]
    fn what_is_no_chunk_is_not_kept() {
        let mut damaged = file(&[(b"abCd", b"kept"), (b"XbCd", b"must be known")]);
        assert_eq!(read_metadata(&damaged).png_chunks.len(), 1);
        damaged.extend([0, 0, 0, 2, b'a', b'b', b'C', b'd', 1, 2, 0, 0, 0, 0]);
        assert_eq!(read_metadata(&damaged).png_chunks.len(), 1);
        let mut remains = damaged[..8].to_vec();
        remains.extend([0, 0, 0, 2, 0, 0, 12, b'j', 1, 2, 0, 0, 0, 0]);
        assert!(read_metadata(&remains).png_chunks.is_empty());
    }

    #[test]
    fn packed_xmp_is_unpacked() {
        let mut chunk = png::text_metadata::ITXtChunk::new(XMP, "<x:xmpmeta/>");
        chunk.compressed = true;
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::new(&mut bytes, 1, 1)
            .write_header()
            .expect("a header");
        writer.write_text_chunk(&chunk).expect("a chunk");
        writer.write_image_data(&[0]).expect("a pixel");
        writer.finish().expect("an end");
        assert_eq!(
            read_metadata(&bytes).xmp.as_deref(),
            Some(&b"<x:xmpmeta/>"[..])
        );
    }
}
