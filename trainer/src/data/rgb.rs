//! A plain RGB picture, as the dataset, the degradations and the metrics pass it around.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Interleaved RGB, `f32`, sRGB-encoded, nominal range 0..1, rows from the top, no alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct Rgb {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` values: red, green, blue of each pixel.
    pub pixels: Vec<f32>,
}

impl Rgb {
    /// Checks that `pixels` holds exactly `width * height` pixels and that there is at least one.
    pub fn new(width: usize, height: usize, pixels: Vec<f32>) -> Result<Self> {
        if width == 0
            || height == 0
            || width.checked_mul(height).and_then(|n| n.checked_mul(3)) != Some(pixels.len())
        {
            bail!(
                "an RGB image of {width} x {height} cannot have {} values",
                pixels.len()
            );
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// A picture from a function of column and row.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut pixel: impl FnMut(usize, usize) -> [f32; 3],
    ) -> Self {
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                pixels.extend_from_slice(&pixel(x, y));
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Reads a file in any supported format. Alpha is dropped, 16-bit samples keep their precision. Errors name the file.
    pub fn load(path: &Path) -> Result<Self> {
        let decoded = decode(path)?.into_rgb32f();
        Self::new(
            decoded.width() as usize,
            decoded.height() as usize,
            decoded.into_raw(),
        )
        .with_context(|| format!("{} has no pixels", path.display()))
    }

    /// From 8-bit samples, interleaved RGB.
    pub fn from_u8(width: usize, height: usize, samples: &[u8]) -> Result<Self> {
        Self::new(
            width,
            height,
            samples.iter().map(|&v| f32::from(v) / 255.0).collect(),
        )
    }

    /// Clipped and rounded to 8 bit, interleaved RGB.
    pub fn to_u8(&self) -> Vec<u8> {
        self.pixels.iter().map(|&v| to_byte(v)).collect()
    }

    /// Writes an 8-bit PNG.
    pub fn save_png(&self, path: &Path) -> Result<()> {
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        image::save_buffer_with_format(
            path,
            &self.to_u8(),
            width,
            height,
            image::ExtendedColorType::Rgb8,
            image::ImageFormat::Png,
        )
        .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The pixel at column `x`, row `y`.
    pub fn pixel(&self, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.width + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// The rectangle with its corner at (`x`, `y`). It must lie inside the picture.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        assert!(
            x + width <= self.width && y + height <= self.height,
            "crop outside the picture"
        );
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in y..y + height {
            let at = (row * self.width + x) * 3;
            pixels.extend_from_slice(&self.pixels[at..at + width * 3]);
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Mirrored left to right.
    pub fn flip(&self) -> Self {
        Self::from_fn(self.width, self.height, |x, y| {
            self.pixel(self.width - 1 - x, y)
        })
    }

    /// Turned by a quarter, clockwise.
    pub fn rotate90(&self) -> Self {
        Self::from_fn(self.height, self.width, |x, y| {
            self.pixel(y, self.height - 1 - x)
        })
    }

    /// Clipped to 0..1 and rounded to the 256 levels of an 8-bit file, still as `f32`.
    pub fn quantised(mut self) -> Self {
        for v in &mut self.pixels {
            *v = f32::from(to_byte(*v)) / 255.0;
        }
        self
    }

    /// Planar order, all of red, then green, then blue: what the network reads.
    pub fn to_planar(&self) -> Vec<f32> {
        let area = self.width * self.height;
        let mut planar = vec![0.0; area * 3];
        for (at, pixel) in self.pixels.chunks_exact(3).enumerate() {
            planar[at] = pixel[0];
            planar[area + at] = pixel[1];
            planar[2 * area + at] = pixel[2];
        }
        planar
    }

    /// The inverse of [`Rgb::to_planar`].
    pub fn from_planar(width: usize, height: usize, planar: &[f32]) -> Result<Self> {
        let area = width * height;
        if planar.len() != area * 3 {
            bail!(
                "an RGB image of {width} x {height} cannot have {} values",
                planar.len()
            );
        }
        let pixels = (0..area)
            .flat_map(|at| [planar[at], planar[area + at], planar[2 * area + at]])
            .collect();
        Self::new(width, height, pixels)
    }
}

/// Decodes a file by its content, whatever its extension says. Errors name the file.
pub(crate) fn decode(path: &Path) -> Result<image::DynamicImage> {
    open(path)?
        .decode()
        .with_context(|| format!("cannot read {}", path.display()))
}

/// Columns and rows of a file, from its beginning. Errors name the file.
pub(crate) fn dimensions(path: &Path) -> Result<(usize, usize)> {
    let (width, height) = open(path)?
        .into_dimensions()
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok((width as usize, height as usize))
}

fn open(path: &Path) -> Result<image::ImageReader<BufReader<File>>> {
    image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// A sample in 0..1 as the nearest 8-bit level; NaN becomes 0.
fn to_byte(v: f32) -> u8 {
    // A cast saturates and takes NaN to 0, so no clamp is needed.
    (v * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Rgb {
        Rgb::from_fn(3, 2, |x, y| [x as f32, y as f32, 0.5])
    }

    #[test]
    fn four_quarter_turns_and_two_flips_are_the_identity() {
        let image = ramp();
        assert_eq!(image.rotate90().rotate90().rotate90().rotate90(), image);
        assert_eq!(image.flip().flip(), image);
        assert_eq!((image.rotate90().width, image.rotate90().height), (2, 3));
        // Clockwise: the bottom left pixel comes to the top left.
        assert_eq!(image.rotate90().pixel(0, 0), image.pixel(0, 1));
    }

    #[test]
    fn planar_order_round_trips() {
        let image = ramp();
        assert_eq!(
            Rgb::from_planar(3, 2, &image.to_planar()).expect("same size"),
            image
        );
    }

    /// WED is given out as BMP.
    #[test]
    fn a_bmp_is_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("00001.bmp");
        let samples = ramp().to_u8();
        image::save_buffer(&path, &samples, 3, 2, image::ExtendedColorType::Rgb8).expect("written");
        assert_eq!(Rgb::load(&path).expect("readable").to_u8(), samples);
        assert_eq!(dimensions(&path).expect("readable"), (3, 2));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Rgb::load(Path::new("no-such-file.png")).expect_err("nothing there");
        assert!(format!("{error:#}").contains("no-such-file.png"));
    }

    #[test]
    fn a_wrong_size_is_refused() {
        assert!(Rgb::new(2, 2, vec![0.0; 11]).is_err());
        assert!(Rgb::new(0, 2, vec![]).is_err());
    }
}
