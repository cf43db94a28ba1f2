//! Planes of samples to pixels: colours that are stored with fewer samples are interpolated, then converted.

use super::frame::Frame;
use super::segments::{APP0, APP14, Segments};

/// One component's samples, rows of `stride`.
pub struct Plane {
    pub samples: Vec<u8>,
    pub stride: usize,
}

/// What the components stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// One level.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Luma and two colour differences.
    YCbCr,
    /// Four inks, stored as their opposites.
    Cmyk,
    /// The same, three of them as luma and two colour differences.
    Ycck,
    /// What the file around it says: the components stay as they are.
    Stored,
}

impl Colours {
    /// What JFIF and Adobe say; without a word of theirs, what the names of the components do.
    pub fn of(bytes: &[u8], frame: &Frame) -> Colours {
        let mut jfif = false;
        let mut adobe = None;
        for (marker, data) in Segments::before_scans(bytes) {
            match marker {
                APP0 if data.starts_with(b"JFIF\0") => jfif = true,
                APP14 if data.starts_with(b"Adobe") => adobe = data.get(11).copied(),
                _ => {}
            }
        }
        let names: Vec<u8> = frame.components.iter().map(|part| part.id).collect();
        match (names.len(), adobe) {
            (1, _) => Colours::Grey,
            (4, Some(2)) => Colours::Ycck,
            (4, _) => Colours::Cmyk,
            (_, Some(0)) if !jfif => Colours::Rgb,
            (_, None) if !jfif && names == *b"RGB" => Colours::Rgb,
            _ => Colours::YCbCr,
        }
    }

    /// How many components stand for them; `None`: any number.
    pub fn components(self) -> Option<usize> {
        match self {
            Colours::Grey => Some(1),
            Colours::Rgb | Colours::YCbCr => Some(3),
            Colours::Cmyk | Colours::Ycck => Some(4),
            Colours::Stored => None,
        }
    }
}

/// Interleaved pixels of all planes: grey or RGB, or the components as they are stored.
pub fn pixels(frame: &Frame, planes: &[Plane], colours: Colours) -> Vec<u8> {
    let channels = match colours {
        Colours::Grey => 1,
        Colours::Stored => planes.len(),
        _ => 3,
    };
    let mut out = vec![0; frame.width * frame.height * channels];
    // Interpolation writes whole samples, of which a pixel may be a part.
    let mut rows = vec![vec![0; frame.width + 8]; planes.len()];
    for (y, out) in out.chunks_exact_mut(frame.width * channels).enumerate() {
        for ((plane, component), row) in planes.iter().zip(&frame.components).zip(&mut rows) {
            let each = (
                frame.most.0 / component.factors.0,
                frame.most.1 / component.factors.1,
            );
            wide(plane, component.size, each, y, row);
        }
        convert(&rows, colours, out);
    }
    out
}

/// Row `y` of the picture, of a plane that has a sample for `each` so many pixels across and down.
fn wide(plane: &Plane, size: (usize, usize), each: (usize, usize), y: usize, out: &mut [u8]) {
    let row = |y: usize| &plane.samples[y * plane.stride..][..size.0];
    let near = row(y / each.1);
    // The next row on the other side, for rows that lie between two of the plane's.
    let far = || {
        let last = size.1 - 1;
        let y = if y.is_multiple_of(2) {
            (y / 2).saturating_sub(1)
        } else {
            (y / 2 + 1).min(last)
        };
        row(y)
    };
    match each {
        (1, 1) => out[..size.0].copy_from_slice(near),
        (1, 2) => {
            let bias = 1 + (y % 2) as u16;
            for ((out, &near), &far) in out.iter_mut().zip(near).zip(far()) {
                *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        }
        (2, 1) if size.0 > 2 => {
            between(near.iter().map(|&near| u16::from(near)), (2, 1, 2), out);
        }
        (2, 2) if size.0 > 2 => {
            let sums = near.iter().zip(far());
            let sums = sums.map(|(&near, &far)| 3 * u16::from(near) + u16::from(far));
            between(sums, (4, 8, 7), out);
        }
        (across, _) => {
            for (out, &near) in out.chunks_mut(across).zip(near) {
                out.fill(near);
            }
        }
    }
}

/// Two pixels for each value, a quarter of the way to its neighbours; values are `1 << (bits - 2)` times too large, and the
/// two roundings differ so that no level is preferred.
fn between(
    values: impl Iterator<Item = u16>,
    (bits, left, right): (u32, u16, u16),
    out: &mut [u8],
) {
    let mut values = values.peekable();
    let mut before = None;
    for pair in out.chunks_exact_mut(2) {
        let Some(value) = values.next() else { return };
        let (previous, next) = (
            before.unwrap_or(value),
            values.peek().copied().unwrap_or(value),
        );
        pair[0] = ((3 * value + previous + left) >> bits) as u8;
        pair[1] = ((3 * value + next + right) >> bits) as u8;
        before = Some(value);
    }
}

fn convert(rows: &[Vec<u8>], colours: Colours, out: &mut [u8]) {
    match (colours, rows) {
        (Colours::Grey, [grey]) => out.copy_from_slice(&grey[..out.len()]),
        (Colours::Rgb, [red, green, blue]) => {
            for (x, out) in out.chunks_exact_mut(3).enumerate() {
                out.copy_from_slice(&[red[x], green[x], blue[x]]);
            }
        }
        (Colours::YCbCr, [y, cb, cr]) => {
            for (x, out) in out.chunks_exact_mut(3).enumerate() {
                out.copy_from_slice(&rgb(y[x], cb[x], cr[x]));
            }
        }
        (Colours::Cmyk, [cyan, magenta, yellow, black]) => {
            for (x, out) in out.chunks_exact_mut(3).enumerate() {
                let paper = [cyan[x], magenta[x], yellow[x]];
                out.copy_from_slice(&paper.map(|paper| printed(paper, black[x])));
            }
        }
        (Colours::Ycck, [y, cb, cr, black]) => {
            for (x, out) in out.chunks_exact_mut(3).enumerate() {
                let paper = rgb(y[x], cb[x], cr[x]).map(|ink| 255 - ink);
                out.copy_from_slice(&paper.map(|paper| printed(paper, black[x])));
            }
        }
        (Colours::Stored, rows) => {
            for (x, out) in out.chunks_exact_mut(rows.len()).enumerate() {
                for (out, row) in out.iter_mut().zip(rows) {
                    *out = row[x];
                }
            }
        }
        // There are as many components as the colours have.
        _ => {}
    }
}

/// What black ink leaves of the light that paper and another ink give back.
fn printed(paper: u8, black: u8) -> u8 {
    ((u32::from(paper) * u32::from(black) + 127) / 255) as u8
}

/// ITU-R BT.601 over the full range, with 16 fraction bits.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91881 * cr + HALF) >> 16);
    let green = y + ((-22554 * cb - 46802 * cr + HALF) >> 16);
    let blue = y + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}
