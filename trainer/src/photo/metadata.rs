//! What a photo file says beside its pixels, and survives restoration.

use super::exif::Directory;

/// From this size on a colour profile is damaged or made to exhaust memory.
pub const MAX_PROFILE: usize = 16 << 20;

const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;

/// Metadata of a photo. What only one format can hold is kept as it was, and written back when
/// the format stays the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// ICC profile.
    pub icc: Option<Vec<u8>>,
    /// EXIF, from its byte-order mark on (orientation included: pixels stay as they are stored).
    pub exif: Option<Vec<u8>>,
    /// XMP packet.
    pub xmp: Option<Vec<u8>>,
    /// Pixels per length.
    pub resolution: Option<Resolution>,
    /// PNG chunks about colour, text and time, and those that may be copied unread.
    pub png_chunks: Vec<([u8; 4], Vec<u8>)>,
    /// JPEG segments: IPTC, comments, those of makers; marker and contents.
    pub jpeg_segments: Vec<(u8, Vec<u8>)>,
    /// What the file has and no result will have, in words for the user.
    pub dropped: Vec<String>,
    /// TIFF's channels beside colours.
    pub tiff_extra: TiffExtra,
}

/// What a TIFF has beside colours: masks, spot colours, and a word on its alpha.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TiffExtra {
    /// What the channels after the colours mean, in the file's order: 0 nothing said, 1 alpha that
    /// colours are multiplied by, 2 alpha that they are not.
    pub kinds: Vec<u16>,
    /// The samples of those that are not the photo's alpha, interleaved, of the photo's depth.
    pub samples: Vec<u8>,
}

impl TiffExtra {
    /// Where among the channels alpha is.
    pub fn alpha(&self) -> Option<usize> {
        self.kinds.iter().position(|kind| matches!(kind, 1 | 2))
    }
}

/// Resolution of an image: pixels per `unit`, as fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolution {
    /// Across.
    pub x: (u32, u32),
    /// Down.
    pub y: (u32, u32),
    /// Per what.
    pub unit: Unit,
}

/// The length that a resolution counts pixels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// None: only the aspect ratio counts.
    Aspect,
    /// Inch.
    Inch,
    /// Centimetre.
    Centimetre,
    /// Metre.
    Metre,
}

impl Unit {
    fn metres(self) -> f64 {
        match self {
            Unit::Aspect | Unit::Metre => 1.0,
            Unit::Inch => 0.0254,
            Unit::Centimetre => 0.01,
        }
    }
}

impl Resolution {
    /// What the tags of EXIF or TIFF say.
    pub fn of_tags(tags: &Directory) -> Option<Resolution> {
        let fraction = |tag| {
            let (over, under) = tags.get(tag)?.fraction()?;
            (over > 0 && under > 0).then_some((over, under))
        };
        Some(Resolution {
            x: fraction(X_RESOLUTION)?,
            y: fraction(Y_RESOLUTION)?,
            unit: match tags.get(RESOLUTION_UNIT).and_then(|entry| entry.number()) {
                Some(1) => Unit::Aspect,
                Some(3) => Unit::Centimetre,
                _ => Unit::Inch,
            },
        })
    }

    /// Writes it into the tags of EXIF or TIFF.
    pub fn put(&self, tags: &mut Directory) {
        let (unit, under): (u16, u32) = match self.unit {
            Unit::Aspect => (1, 1),
            Unit::Inch => (2, 1),
            Unit::Centimetre => (3, 1),
            Unit::Metre => (3, 100),
        };
        let fraction =
            |(n, d): (u32, u32)| [n.to_le_bytes(), d.saturating_mul(under).to_le_bytes()].concat();
        tags.set(X_RESOLUTION, 5, fraction(self.x));
        tags.set(Y_RESOLUTION, 5, fraction(self.y));
        tags.set(RESOLUTION_UNIT, 3, unit.to_le_bytes().to_vec());
    }

    /// Whether both come to the same whole numbers.
    pub fn same(&self, other: &Resolution) -> bool {
        self.per(Unit::Inch) == other.per(Unit::Inch)
    }

    /// Whether it says no more than that pixels are square.
    pub fn is_empty(&self) -> bool {
        self.unit == Unit::Aspect && self.x == self.y
    }

    /// Whole pixels per `unit`, across and down. An aspect ratio stays one, whatever is asked for.
    pub fn per(&self, unit: Unit) -> (u32, u32) {
        let scale = if self.unit == Unit::Aspect {
            1.0
        } else {
            unit.metres() / self.unit.metres()
        };
        let count = |(over, under): (u32, u32)| {
            (f64::from(over) / f64::from(under.max(1)) * scale).round() as u32
        };
        (count(self.x), count(self.y))
    }
}

/// Whether an ICC profile describes pixels of `channels` channels: a CMYK profile says nothing
/// about the RGB that its image was decoded to.
pub fn icc_fits(icc: &[u8], channels: usize) -> bool {
    match icc.get(16..20) {
        Some(b"GRAY") => channels < 3,
        Some(b"RGB ") => channels >= 3,
        Some(b"CMYK" | b"Lab ") => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seventy_two_dots_survive_the_trip_through_metres() {
        let inch = Resolution {
            x: (72, 1),
            y: (300, 1),
            unit: Unit::Inch,
        };
        let (x, y) = inch.per(Unit::Metre);
        assert_eq!((x, y), (2835, 11811));
        let metre = Resolution {
            x: (x, 1),
            y: (y, 1),
            unit: Unit::Metre,
        };
        assert_eq!(metre.per(Unit::Inch), (72, 300));
    }
}
