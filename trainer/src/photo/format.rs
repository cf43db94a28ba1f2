//! The file formats that photos come in.

use std::path::Path;

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP; written without loss.
    WebP,
    /// TIFF, one page of it.
    Tiff,
    /// JPEG XL; not written.
    JpegXl,
    /// GIF, the first picture of it; not written.
    Gif,
    /// Windows bitmap.
    Bmp,
}

impl Format {
    /// Recognises a file by its first bytes.
    pub fn of_bytes(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(Format::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Format::Jpeg),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Format::WebP),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Format::Tiff),
            [0xFF, 0x0A, ..] => Some(Format::JpegXl),
            _ if bytes.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n") => Some(Format::JpegXl),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
            [b'B', b'M', ..] => Some(Format::Bmp),
            _ => None,
        }
    }

    /// The format that a path's extension stands for.
    pub fn of_path(path: &Path) -> Option<Format> {
        Format::of_extension(path.extension()?.to_str()?)
    }

    /// The format that an extension stands for.
    pub fn of_extension(extension: &str) -> Option<Format> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Format::Png),
            "jpg" | "jpeg" | "jpe" | "jfif" => Some(Format::Jpeg),
            "webp" => Some(Format::WebP),
            "tif" | "tiff" => Some(Format::Tiff),
            "jxl" => Some(Format::JpegXl),
            "gif" => Some(Format::Gif),
            "bmp" | "dib" => Some(Format::Bmp),
            _ => None,
        }
    }

    /// The format that a path's extension asks for; `None` where it stands for none that is written.
    pub fn of_output(path: &Path) -> Option<Format> {
        Format::of_path(path).filter(|format| format.written() == *format)
    }

    /// The usual extension.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpg",
            Format::WebP => "webp",
            Format::Tiff => "tif",
            Format::JpegXl => "jxl",
            Format::Gif => "gif",
            Format::Bmp => "bmp",
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
            Format::WebP => "WebP",
            Format::Tiff => "TIFF",
            Format::JpegXl => "JPEG XL",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
        }
    }

    /// The format of results where none is asked for: the same if it is written, PNG if not.
    pub fn written(self) -> Format {
        match self {
            Format::JpegXl | Format::Gif => Format::Png,
            same => same,
        }
    }
}
