//! A photo turned as EXIF says it is to be shown.

use super::Photo;
use super::exif::Directory;

const TAG: u16 = 0x0112;

/// EXIF's orientation: how stored pixels are turned, or mirrored, to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u16);

impl Orientation {
    /// What a photo's metadata say; as stored where they say nothing that is known.
    pub fn of(photo: &Photo) -> Self {
        let exif = photo.metadata.exif.as_deref();
        let number = exif
            .and_then(Directory::parse)
            .and_then(|tags| tags.get(TAG)?.number());
        match number {
            Some(number @ 2..=8) => Orientation(number as u16),
            _ => Orientation(1),
        }
    }

    /// EXIF's number, from 1 for what is shown as stored to 8.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether rows become columns.
    fn swaps(self) -> bool {
        self.0 >= 5
    }

    /// The place, in a stored picture of that size, of the pixel shown at a place.
    fn stored(self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        let (right, bottom) = (width - 1, height - 1);
        match self.0 {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, bottom - x),
            7 => (right - y, bottom - x),
            8 => (right - y, x),
            _ => (x, y),
        }
    }

    /// The samples of a picture of `size` as they are shown; a pixel is `pixel` bytes.
    fn turned(self, samples: &[u8], size: (usize, usize), pixel: usize) -> Vec<u8> {
        let (columns, rows) = if self.swaps() { (size.1, size.0) } else { size };
        let mut out = Vec::with_capacity(samples.len());
        for y in 0..rows {
            for x in 0..columns {
                let (x, y) = self.stored((x, y), size);
                let at = (y * size.0 + x) * pixel;
                out.extend_from_slice(&samples[at..at + pixel]);
            }
        }
        out
    }
}

impl Photo {
    /// Turns pixels that were to be shown in an orientation, so that they are shown alike without a word on it.
    pub fn turn(&mut self, orientation: Orientation) {
        if orientation == Orientation(1) {
            return;
        }
        let size = (self.width, self.height);
        let pixel = self.channels * self.depth.bytes();
        self.samples = orientation.turned(&self.samples, size, pixel);
        let extra = &mut self.metadata.tiff_extra.samples;
        if !extra.is_empty() {
            *extra = orientation.turned(extra, size, extra.len() / (size.0 * size.1));
        }
        if orientation.swaps() {
            (self.width, self.height) = (size.1, size.0);
            if let Some(resolution) = &mut self.metadata.resolution {
                (resolution.x, resolution.y) = (resolution.y, resolution.x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_orientation_is_shown_upright() {
        // The letter F as the eight orientations store it.
        let f = ["##", "#.", "##", "#."];
        for (number, rows) in [
            (1, &f[..]),
            (2, &["##", ".#", "##", ".#"]),
            (3, &[".#", "##", ".#", "##"]),
            (4, &["#.", "##", "#.", "##"]),
            (5, &["####", "#.#."]),
            (6, &["#.#.", "####"]),
            (7, &[".#.#", "####"]),
            (8, &["####", ".#.#"]),
        ] {
            let size = (rows[0].len(), rows.len());
            let shown = Orientation(number).turned(rows.concat().as_bytes(), size, 1);
            assert_eq!(String::from_utf8_lossy(&shown), f.concat(), "{number}");
        }
    }
}
