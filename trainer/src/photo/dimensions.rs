//! How large a photo is, from the beginning of its file.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use image::ImageReader;
use jxl_oxide::JxlImage;

use super::Format;

/// Enough to tell every format by, and to hold a GIF's size.
const BEGINNING: usize = 64;

/// Columns and rows as the file claims them; `None` for what is no photo.
pub fn of_file(path: &Path) -> Option<(usize, usize)> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let mut beginning = Vec::new();
    let limit = BEGINNING as u64;
    file.by_ref().take(limit).read_to_end(&mut beginning).ok()?;
    file.rewind().ok()?;
    let (width, height) = match Format::of_bytes(&beginning)? {
        Format::Gif => {
            let at = |at| {
                Some(u16::from_le_bytes([
                    *beginning.get(at)?,
                    *beginning.get(at + 1)?,
                ]))
            };
            (at(6)?.into(), at(8)?.into())
        }
        Format::JpegXl => {
            let image = JxlImage::builder().read(file).ok()?;
            (image.width(), image.height())
        }
        Format::Png | Format::Jpeg | Format::WebP | Format::Tiff | Format::Bmp => {
            let reader = ImageReader::new(file).with_guessed_format().ok()?;
            reader.into_dimensions().ok()?
        }
    };
    Some((width as usize, height as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_their_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let image = image::RgbImage::new(37, 21);
        for name in ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"] {
            let path = folder.path().join(name);
            image.save(&path).expect("written");
            assert_eq!(of_file(&path), Some((37, 21)), "{name}");
        }
        let path = folder.path().join("a.gif");
        std::fs::write(&path, b"GIF89a\x25\x00\x15\x00").expect("written");
        assert_eq!(of_file(&path), Some((37, 21)));
        std::fs::write(&path, "no photo").expect("written");
        assert_eq!(of_file(&path), None);
        assert_eq!(of_file(folder.path()), None);
    }
}
