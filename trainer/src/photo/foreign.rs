//! Files that people have and this program does not read: what they are, and what to do.

use std::path::Path;

use super::exif::Entry;

const EXPORT: &str = "export it as PNG or 16-bit TIFF first";

/// A line about a file of a known kind that is not read.
pub fn refusal(bytes: &[u8]) -> Option<String> {
    if let Some(kind) = camera_raw(bytes) {
        return Some(develop(kind));
    }
    let what = match bytes {
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop document",
        _ if bytes.starts_with(b"gimp xcf") => "a GIMP project",
        _ if bytes.starts_with(b"%PDF") => "a PDF document",
        _ if bytes.starts_with(b"v/1\x01") => "an OpenEXR image",
        _ if bytes.starts_with(b"#?RADIANCE") || bytes.starts_with(b"#?RGBE") => {
            "a Radiance HDR image"
        }
        _ if bytes.starts_with(b"\0\0\0\x0cjP  ")
            || bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) =>
        {
            "a JPEG 2000 image"
        }
        _ if bytes.starts_with(b"SDPX") || bytes.starts_with(b"XPDS") => "a DPX image",
        _ if bytes.starts_with(b"qoif") => "a QOI image",
        _ if bytes.starts_with(b"farbfeld") => "a farbfeld image",
        _ if bytes.starts_with(b"DDS ") => "a DDS texture",
        _ if bytes.starts_with(b"\0\0\x01\0") => "an icon",
        _ if bytes.starts_with(b"AT&TFORM") => "a DjVu document",
        _ if bytes.starts_with(b"\x1aE\xdf\xa3") => "a video",
        _ if bytes.starts_with(b"II\xbc") => "a JPEG XR image",
        [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..] => "a Netpbm image (PPM, PGM, PBM)",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return iso_media(bytes),
        _ => return None,
    };
    Some(format!("{what}, which is not read: {EXPORT}"))
}

/// Whether a file's extension says that it is a photo of a kind that is not read.
pub fn is_foreign(path: &Path) -> bool {
    const EXTENSIONS: [&str; 24] = [
        "heic", "heif", "hif", "avif", "nef", "nrw", "cr2", "cr3", "crw", "arw", "sr2", "dng",
        "pef", "orf", "rw2", "raf", "srw", "x3f", "3fr", "iiq", "dcr", "mrw", "jp2", "psd",
    ];
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

/// A line about a TIFF whose samples are those of a camera's sensor.
pub fn raw(maker: Option<&Entry>) -> String {
    let maker = maker.map(|entry| entry.value.to_ascii_uppercase());
    let kinds: [(&[u8], &str); 8] = [
        (b"NIKON", "Nikon NEF"),
        (b"CANON", "Canon CR2"),
        (b"SONY", "Sony ARW"),
        (b"PENTAX", "Pentax PEF"),
        (b"RICOH", "Ricoh DNG"),
        (b"SAMSUNG", "Samsung SRW"),
        (b"HASSELBLAD", "Hasselblad 3FR"),
        (b"EASTMAN", "Kodak DCR"),
    ];
    let kind = maker.as_deref().and_then(|maker| {
        let found = kinds.iter().find(|(name, _)| maker.starts_with(name));
        found.map(|(_, kind)| *kind)
    });
    develop(kind.unwrap_or("DNG, NEF, CR2, ARW or the like"))
}

fn develop(kind: &str) -> String {
    format!(
        "camera raw ({kind}), not a picture yet: develop it with a raw converter first, \
         and export it as 16-bit TIFF"
    )
}

fn camera_raw(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        _ if bytes.starts_with(b"FUJIFILMCCD-RAW") => "Fujifilm RAF",
        _ if bytes.starts_with(b"IIRO")
            || bytes.starts_with(b"IIRS")
            || bytes.starts_with(b"MMOR") =>
        {
            "Olympus ORF"
        }
        _ if bytes.starts_with(b"IIU\0") => "Panasonic RW2",
        _ if bytes.starts_with(b"FOVb") => "Sigma X3F",
        _ if bytes.starts_with(b"\0MRM") => "Minolta MRW",
        _ if bytes.get(6..14) == Some(b"HEAPCCDR") => "Canon CRW",
        _ if bytes.starts_with(b"II*\0") && bytes.get(8..10) == Some(b"CR") => "Canon CR2",
        _ if bytes.starts_with(b"II*\0") && bytes.get(8..12) == Some(b"IIII") => "Phase One IIQ",
        _ if bytes.get(4..12) == Some(b"ftypcrx ") => "Canon CR3",
        _ => return None,
    })
}

/// HEIF's family: pictures and videos in boxes.
fn iso_media(bytes: &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    // The kind is said once, and then all that it goes for.
    let brands = bytes.get(8..length.clamp(12, bytes.len().max(12)))?;
    let has = |names: &[&[u8]]| brands.chunks_exact(4).any(|brand| names.contains(&brand));
    Some(if has(&[b"avif", b"avis"]) {
        format!("an AVIF image, which is not read: {EXPORT}")
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        format!("a HEIC image, as iPhones take them, which is not read: {EXPORT}")
    } else {
        "a video, not a photo: save the picture you want as a still image".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_has_a_name() {
        let file = |brands: &[u8]| {
            let length = 8 + brands.len() as u32;
            [&length.to_be_bytes()[..], b"ftyp", brands, b"more"].concat()
        };
        for (bytes, name) in [
            (file(b"heic\0\0\0\0mif1heic"), "HEIC"),
            (file(b"mif1\0\0\0\0mif1avif"), "AVIF"),
            (file(b"crx \0\0\0\x01crx isom"), "Canon CR3"),
            (file(b"isom\0\0\0\0mp42"), "video"),
            (b"FUJIFILMCCD-RAW 0201".to_vec(), "Fujifilm RAF"),
            (b"IIRO\x08\0\0\0".to_vec(), "Olympus ORF"),
            (b"IIU\0\x18\0\0\0".to_vec(), "Panasonic RW2"),
            (b"II*\0\x10\0\0\0CR\x02\0".to_vec(), "Canon CR2"),
            (b"8BPS\0\x01".to_vec(), "Photoshop"),
            (b"P6\n1 1\n255\n".to_vec(), "Netpbm"),
        ] {
            let line = refusal(&bytes).expect(name);
            assert!(line.contains(name), "{line}");
            assert!(line.contains("export") || line.contains("save"), "{line}");
            for length in 0..bytes.len() {
                let _ = refusal(&bytes[..length]);
            }
        }
        for read in [
            &b"\x89PNG\r\n\x1a\n"[..],
            b"II*\0\x08\0\0\0\0\0\0\0",
            b"plain text",
        ] {
            assert_eq!(refusal(read), None);
        }
    }
}
