//! A photo in memory: the pixels of its file, bit for bit, and what the file says beside them.

pub mod adapt;
pub mod bmp;
pub mod colour;
pub mod cost;
pub mod decode;
pub mod depth;
pub mod dimensions;
pub mod encode;
pub mod exif;
pub mod foreign;
pub mod format;
mod gif;
pub mod jpeg;
mod jpeg_xl;
pub mod metadata;
mod photoshop;
pub mod pixels;
pub mod png;
pub mod profile;
mod strip;
pub mod thumbnail;
pub mod tiff;
mod upright;
pub mod xmp;

pub use depth::Depth;
pub use format::Format;
pub use metadata::Metadata;
pub use upright::Orientation;

/// A decoded photo. Rows from the top, samples interleaved; alpha is the last channel, and colours
/// are not multiplied by it, whatever the file does; they are encoded as the
/// file's profile says (sRGB where there is none).
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// Bits of a sample.
    pub depth: Depth,
    /// `width * height * channels` samples.
    pub samples: Vec<u8>,
    /// What the file was.
    pub format: Format,
    /// Profile, EXIF, resolution and the like.
    pub metadata: Metadata,
    /// What the user should know: something in the file that will not be in the result.
    pub notes: Vec<String>,
}

impl Photo {
    /// Whether the last channel is alpha.
    pub fn has_alpha(&self) -> bool {
        self.channels == 2 || self.channels == 4
    }
}
