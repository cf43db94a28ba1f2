//! The small picture inside EXIF: made anew from a restored photo, taken out where that cannot be, and compared with the
//! photo to notice a wrong decoding.

use std::ops::Range;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::Photo;
use super::jpeg::{self, Frame};

const COMPRESSION: u16 = 0x0103;
const STRIP: u16 = 0x0111;
const STRIP_BYTES: u16 = 0x0117;
const OFFSET: u16 = 0x0201;
const LENGTH: u16 = 0x0202;
/// No thumbnail is larger.
const MAX_SIDE: usize = 640;
/// What a JPEG segment leaves for EXIF.
const MAX_EXIF: usize = 65527;

impl Photo {
    /// Renews EXIF's thumbnail from the photo's pixels, or takes it out. All other values stay in their places: the notes of a
    /// camera's maker do not survive being moved.
    pub fn renew_thumbnail(&mut self) {
        let Some(mut exif) = self.metadata.exif.take() else {
            return;
        };
        if let Some(old) = Thumbnail::find(&exif) {
            let fresh = old
                .size(&exif)
                .filter(|_| !self.has_alpha())
                .and_then(|size| {
                    let room = match old.place.end == exif.len() {
                        true => MAX_EXIF
                            .saturating_sub(old.place.start)
                            .max(old.place.len()),
                        false => old.place.len(),
                    };
                    let small = self.small(size);
                    [85, 70, 50, 30].into_iter().find_map(|quality| {
                        encoded(&small, size, quality).filter(|bytes| bytes.len() <= room)
                    })
                });
            old.replace(&mut exif, fresh.as_deref().unwrap_or_default());
        }
        self.metadata.exif = Some(exif);
    }

    /// Whether the thumbnail of the file shows something else than the photo; `None` without a thumbnail to compare.
    pub fn differs_from_thumbnail(&self) -> Option<bool> {
        let exif = self.metadata.exif.as_deref()?;
        let old = Thumbnail::find(exif)?;
        let size = old.size(exif)?;
        let decoded = jpeg::decode(&exif[old.place]).ok()?.samples;
        let channels = decoded.len() / (size.0 * size.1);
        let stored: Vec<f64> = decoded.chunks_exact(channels).map(luma).collect();
        let own: Vec<f64> = self.small(size).chunks_exact(3).map(luma).collect();
        // Cameras put bars beside the picture where the shapes differ.
        let inner = fitted((self.width, self.height), size);
        let pairs = || {
            (inner.1..size.1 - inner.1)
                .flat_map(|y| (inner.0..size.0 - inner.0).map(move |x| y * size.0 + x))
                .map(|at| (stored[at], own[at]))
        };
        let count = pairs().count() as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
        let (a, b) = (
            mean(&mut pairs().map(|pair| pair.0)),
            mean(&mut pairs().map(|pair| pair.1)),
        );
        let spread_a = mean(&mut pairs().map(|pair| (pair.0 - a).powi(2)));
        let spread_b = mean(&mut pairs().map(|pair| (pair.1 - b).powi(2)));
        let shared = mean(&mut pairs().map(|pair| (pair.0 - a) * (pair.1 - b)));
        // A flat picture is like any other.
        let contrast = spread_a > 64.0 && spread_b > 4.0;
        contrast.then(|| shared / (spread_a * spread_b).sqrt() < 0.3)
    }

    /// The photo scaled down to RGB of a size, with black bars where the shapes differ.
    fn small(&self, size: (usize, usize)) -> Vec<u8> {
        let mut out = vec![0; size.0 * size.1 * 3];
        let bars = fitted((self.width, self.height), size);
        let inner = (size.0 - 2 * bars.0, size.1 - 2 * bars.1);
        for y in 0..inner.1 {
            let rows = span(y, inner.1, self.height);
            for x in 0..inner.0 {
                let columns = span(x, inner.0, self.width);
                let at = 3 * ((y + bars.1) * size.0 + x + bars.0);
                out[at..at + 3].copy_from_slice(&self.mean(columns, rows.clone()));
            }
        }
        out
    }

    /// The mean colour of an area, from at most 8 x 8 of its pixels.
    fn mean(&self, columns: Range<usize>, rows: Range<usize>) -> [u8; 3] {
        let step = |range: &Range<usize>| range.len().div_ceil(8);
        let bytes = self.depth.bytes();
        let mut sums = [0u32; 3];
        let mut count = 0;
        for y in rows.clone().step_by(step(&rows)) {
            for x in columns.clone().step_by(step(&columns)) {
                let pixel = (y * self.width + x) * self.channels * bytes;
                for (channel, sum) in sums.iter_mut().enumerate() {
                    let channel = if self.channels < 3 { 0 } else { channel };
                    let at = pixel + channel * bytes;
                    let level = self.depth.get(&self.samples[at..at + bytes]);
                    *sum += (level * 255.0 / self.depth.white()) as u32;
                }
                count += 1;
            }
        }
        sums.map(|sum| (sum / count.max(1)) as u8)
    }
}

fn luma(pixel: &[u8]) -> f64 {
    match *pixel {
        [red, green, blue] => 0.3 * f64::from(red) + 0.6 * f64::from(green) + 0.1 * f64::from(blue),
        _ => pixel[0].into(),
    }
}

/// The bars beside, and above and below, a picture of one shape in a frame of another.
fn fitted(picture: (usize, usize), frame: (usize, usize)) -> (usize, usize) {
    let wide = picture.0 * frame.1;
    let high = picture.1 * frame.0;
    // A pixel more or less is rounding.
    let bar = |side: usize, inner: usize| (side - inner.clamp(1, side)) / 2;
    match wide.cmp(&high) {
        std::cmp::Ordering::Less => (bar(frame.0, (wide / picture.1).max(1)), 0),
        _ => (0, bar(frame.1, (high / picture.0).max(1))),
    }
}

/// The pixels, of `all`, that number `index` of `count` stands for.
fn span(index: usize, count: usize, all: usize) -> Range<usize> {
    let start = (index * all / count).min(all - 1);
    start..((index + 1) * all / count).clamp(start + 1, all)
}

fn encoded(rgb: &[u8], size: (usize, usize), quality: u8) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(rgb, size.0 as u32, size.1 as u32, ExtendedColorType::Rgb8)
        .ok()?;
    Some(bytes)
}

/// Where in EXIF the thumbnail and what points to it stand.
#[derive(Debug, PartialEq)]
struct Thumbnail {
    big_endian: bool,
    /// Of the pointer to the thumbnail's directory.
    pointer: usize,
    /// Of the number that tells its length, if it is a JPEG.
    length: Option<usize>,
    /// The picture itself; empty if it is not inside.
    place: Range<usize>,
}

impl Thumbnail {
    fn find(exif: &[u8]) -> Option<Thumbnail> {
        let big_endian = match exif.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        let short = |at: usize| {
            let bytes = *exif.get(at..)?.first_chunk()?;
            Some(if big_endian {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            })
        };
        let long = |at: usize| {
            let bytes = *exif.get(at..)?.first_chunk()?;
            let number = if big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            };
            Some(number as usize)
        };
        let first = long(4)?;
        let pointer = first + 2 + 12 * usize::from(short(first)?);
        let second = long(pointer).filter(|&second| second > 0)?;
        let entries = usize::from(short(second)?);
        let entry = |tag: u16| {
            (0..entries)
                .map(|index| second + 2 + 12 * index)
                .find(|&at| short(at) == Some(tag))
        };
        let number = |tag: u16| {
            let at = entry(tag)?;
            match short(at + 2)? {
                3 => short(at + 8).map(usize::from),
                4 => long(at + 8),
                _ => None,
            }
        };
        let jpeg = number(COMPRESSION).is_none_or(|kind| kind == 6);
        let (offset, bytes) = match jpeg {
            true => (OFFSET, LENGTH),
            false => (STRIP, STRIP_BYTES),
        };
        let place = number(offset).zip(number(bytes)).and_then(|(from, bytes)| {
            let place = from..from.checked_add(bytes)?;
            (place.end <= exif.len() && from >= 8).then_some(place)
        });
        let length = entry(LENGTH).filter(|&at| jpeg && short(at + 2) == Some(4));
        Some(Thumbnail {
            big_endian,
            pointer,
            length: length.map(|at| at + 8),
            place: place.unwrap_or(0..0),
        })
    }

    /// Columns and rows, if it is a JPEG that can be replaced.
    fn size(&self, exif: &[u8]) -> Option<(usize, usize)> {
        self.length?;
        let frame = Frame::read(exif.get(self.place.clone())?).ok()?;
        (frame.width.max(frame.height) <= MAX_SIDE).then_some((frame.width, frame.height))
    }

    /// Puts another JPEG in its place; an empty one takes it out.
    fn replace(&self, exif: &mut Vec<u8>, fresh: &[u8]) {
        let put = |exif: &mut [u8], at: usize, number: u32| {
            let bytes = if self.big_endian {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            };
            if let Some(place) = exif.get_mut(at..at + 4) {
                place.copy_from_slice(&bytes);
            }
        };
        match self.length {
            Some(at) if !fresh.is_empty() => put(exif, at, fresh.len() as u32),
            _ => put(exif, self.pointer, 0),
        }
        if self.place.end == exif.len() {
            exif.truncate(self.place.start);
            exif.extend_from_slice(fresh);
        } else {
            exif[self.place.clone()].fill(0);
            exif[self.place.start..self.place.start + fresh.len()].copy_from_slice(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Depth, Format, Metadata};
    use super::*;

    /// A gradient; with a thumbnail of `small` bytes behind one value, then `behind`.
    fn photo(small: &[u8], big_endian: bool, behind: &[u8]) -> Photo {
        let short = |n: u16| {
            if big_endian {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let long = |n: u32| {
            if big_endian {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let entry = |tag: u16, kind: u16, value: [u8; 4]| {
            [&short(tag)[..], &short(kind), &long(1), &value].concat()
        };
        let six = [short(6), [0, 0]].concat().try_into().expect("four bytes");
        let exif = [
            if big_endian { &b"MM\0*"[..] } else { b"II*\0" },
            &long(8),
            &short(1),
            &entry(0x0112, 3, six),
            &long(26),
            &short(3),
            &entry(COMPRESSION, 3, six),
            &entry(OFFSET, 4, long(68)),
            &entry(LENGTH, 4, long(small.len() as u32)),
            &long(0),
            small,
            behind,
        ];
        let (width, height) = (160, 80);
        let samples = (0..width * height).flat_map(|at| {
            let (x, y) = (at % width, at / width);
            [x as u8, 3 * y as u8, 90]
        });
        Photo {
            width,
            height,
            channels: 3,
            depth: Depth::Eight,
            samples: samples.collect(),
            format: Format::Jpeg,
            metadata: Metadata {
                exif: Some(exif.concat()),
                ..Metadata::default()
            },
            notes: vec![],
        }
    }

    fn jpeg(pixel: impl Fn(usize, usize) -> u8, size: (usize, usize)) -> Vec<u8> {
        let rgb: Vec<u8> = (0..size.0 * size.1)
            .flat_map(|at| [pixel(at % size.0, at / size.0); 3])
            .collect();
        encoded(&rgb, size, 100).expect("a JPEG")
    }

    #[test]
    fn the_new_thumbnail_shows_the_photo() {
        let old = jpeg(|x, y| (x * y * 37) as u8, (40, 20));
        for (big_endian, behind) in [
            (false, &b""[..]),
            (true, b""),
            (false, b"notes"),
            (true, b"notes"),
        ] {
            let mut photo = photo(&old, big_endian, behind);
            assert_eq!(photo.differs_from_thumbnail(), Some(true));
            photo.renew_thumbnail();
            let exif = photo.metadata.exif.clone().expect("EXIF");
            assert!(exif.ends_with(behind));
            let place = Thumbnail::find(&exif).expect("a thumbnail").place;
            let fresh = jpeg::decode(&exif[place]).expect("a picture").samples;
            assert_eq!(photo.differs_from_thumbnail(), Some(false));
            let middle = &fresh[3 * (10 * 40 + 20)..][..3];
            for (found, right) in middle.iter().zip([82, 127, 90]) {
                assert!(found.abs_diff(right) < 12, "{middle:?}");
            }
        }
    }

    #[test]
    fn bars_are_kept_beside_a_photo_of_another_shape() {
        let mut photo = photo(&jpeg(|x, _| x as u8, (40, 30)), false, b"");
        photo.renew_thumbnail();
        let exif = photo.metadata.exif.expect("EXIF");
        let place = Thumbnail::find(&exif).expect("a thumbnail").place;
        let fresh = jpeg::decode(&exif[place]).expect("a picture").samples;
        assert!(fresh[..3 * 40].iter().all(|&sample| sample < 20));
        assert!(fresh[3 * (40 * 15 + 39)] > 120);
    }

    #[test]
    fn what_cannot_be_renewed_is_taken_out() {
        // No room, no JPEG, nowhere.
        for (small, behind) in [(&b"\xFF\xD8 tiny"[..], &b"notes"[..]), (b"", b"")] {
            let mut photo = photo(small, true, behind);
            photo.renew_thumbnail();
            let exif = photo.metadata.exif.expect("EXIF");
            assert_eq!(Thumbnail::find(&exif), None);
            assert!(!exif.windows(4).any(|window| window == b"tiny"));
            assert!(exif.ends_with(behind));
        }
        let whole = photo(&jpeg(|x, _| x as u8, (8, 8)), false, b"")
            .metadata
            .exif
            .expect("EXIF");
        for length in 0..whole.len() {
            let mut photo = photo(b"", false, b"");
            photo.metadata.exif = Some(whole[..length].to_vec());
            let _ = photo.differs_from_thumbnail();
            photo.renew_thumbnail();
        }
    }
}
