//! The numbers of TIFF's tags.

pub const SUBFILE: u16 = 254;
pub const OLD_SUBFILE: u16 = 255;
pub const WIDTH: u16 = 256;
pub const HEIGHT: u16 = 257;
pub const BITS: u16 = 258;
pub const COMPRESSION: u16 = 259;
pub const PHOTOMETRIC: u16 = 262;
pub const FILL_ORDER: u16 = 266;
pub const STRIP_OFFSETS: u16 = 273;
pub const SAMPLES: u16 = 277;
pub const STRIP_ROWS: u16 = 278;
pub const STRIP_BYTES: u16 = 279;
pub const PLANES: u16 = 284;
pub const FAX_OPTIONS: u16 = 292;
pub const TRANSFER: u16 = 301;
pub const PREDICTOR: u16 = 317;
pub const WHITE_POINT: u16 = 318;
pub const PRIMARIES: u16 = 319;
pub const COLOUR_MAP: u16 = 320;
pub const TILE_WIDTH: u16 = 322;
pub const TILE_HEIGHT: u16 = 323;
pub const TILE_OFFSETS: u16 = 324;
pub const TILE_BYTES: u16 = 325;
pub const SUB_PAGES: u16 = 330;
pub const INK_SET: u16 = 332;
pub const EXTRA_SAMPLES: u16 = 338;
pub const SAMPLE_FORMAT: u16 = 339;
pub const JPEG_TABLES: u16 = 347;
pub const YCBCR_WEIGHTS: u16 = 529;
pub const YCBCR_SAMPLING: u16 = 530;
pub const REFERENCE_LEVELS: u16 = 532;
pub const XMP: u16 = 700;
pub const ICC: u16 = 34675;
/// Pictures of a volume, one behind the other.
pub const DEPTH: u16 = 32997;
/// Photoshop's resources: names of channels, guides, a thumbnail.
pub const RESOURCES: u16 = 34377;
/// Photoshop's layers: the picture as it was, in parts.
pub const LAYERS: u16 = 37724;
pub const DNG_VERSION: u16 = 50706;

/// What the values of the samples mean as colours.
pub const COLOUR_TAGS: [u16; 4] = [TRANSFER, WHITE_POINT, PRIMARIES, REFERENCE_LEVELS];

/// Tags that say how pixels are stored, or hold other ones: those of a new file are its own.
pub fn is_structure(tag: u16) -> bool {
    matches!(
        tag,
        254..=259 | 262..=266 | 273 | 277..=281 | 284 | 288..=293 | 301 | 317..=325 | 330
            | 332..=347 | 400..=405 | 512..=521 | 529..=532 | 559 | DEPTH | XMP | ICC | LAYERS
    )
}
