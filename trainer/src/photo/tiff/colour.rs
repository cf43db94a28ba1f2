//! A page's samples to a photo's: grey or RGB, alpha, and the channels beside them.

use half::f16;

use super::alpha;
use super::layout::{Colour, Layout, Sample};
use crate::photo::Depth;

/// What becomes of a page's samples.
pub struct Plan<'a> {
    layout: &'a Layout,
    /// Channels of the photo: grey or RGB, with alpha or without.
    pub channels: usize,
    /// Depth of the photo.
    pub depth: Depth,
    /// Where among the extra samples alpha is.
    pub alpha: Option<usize>,
    /// Whether colours are stored multiplied by alpha.
    pub associated: bool,
}

/// A page as a photo.
pub struct Converted {
    /// The photo's samples.
    pub samples: Vec<u8>,
    /// Those of the other channels, interleaved.
    pub extra: Vec<u8>,
    /// Floating-point samples above 1 or below 0, or not numbers at all; they are clipped.
    pub clipped: usize,
}

impl<'a> Plan<'a> {
    /// Plans what a layout can become.
    pub fn new(layout: &'a Layout) -> Self {
        let alpha = layout.extra.iter().position(|kind| matches!(kind, 1 | 2));
        let colours = if matches!(layout.colour, Colour::Grey { .. }) {
            1
        } else {
            3
        };
        Plan {
            layout,
            channels: colours + usize::from(alpha.is_some()),
            depth: match layout.sample {
                Sample { float: true, .. } => Depth::Float,
                Sample { bits: ..=8, .. } => Depth::Eight,
                _ => Depth::Sixteen,
            },
            alpha,
            associated: alpha.is_some_and(|at| layout.extra[at] == 1),
        }
    }

    /// Channels beside colour and alpha.
    pub fn others(&self) -> usize {
        self.layout.extra.len() - usize::from(self.alpha.is_some())
    }

    /// Bytes of the photo's samples, and of those of its other channels.
    pub fn bytes(&self) -> (u64, u64) {
        let pixels = self.layout.width as u64 * self.layout.height as u64;
        let each = pixels * self.depth.bytes() as u64;
        (each * self.channels as u64, each * self.others() as u64)
    }

    /// Whether the page's samples are the photo's.
    fn is_identity(&self) -> bool {
        let layout = self.layout;
        let plain = matches!(
            layout.colour,
            Colour::Rgb | Colour::Grey { inverted: false }
        );
        (plain || layout.decodes_to_rgb())
            && matches!(layout.sample.bits, 8 | 16)
            && !layout.sample.float
            && self.others() == 0
            && !self.associated
    }

    /// Converts samples as [`super::blocks::read`] gives them.
    pub fn convert(&self, page: Vec<u8>) -> Converted {
        let mut converted = Converted {
            samples: page,
            extra: vec![],
            clipped: 0,
        };
        if self.is_identity() {
            return converted;
        }
        let page = std::mem::take(&mut converted.samples);
        let (samples, extra) = self.bytes();
        converted.samples.reserve_exact(samples as usize);
        converted.extra.reserve_exact(extra as usize);
        let layout = self.layout;
        let colours = layout.colour.samples();
        let mut levels = vec![0.0; layout.samples];
        for pixel in page.chunks_exact(layout.samples * layout.sample.bytes()) {
            self.levels(pixel, &mut levels);
            let (colour, extra) = levels.split_at_mut(colours);
            if let (Some(at), true) = (self.alpha, self.associated) {
                alpha::divide(colour, extra[at], self.white());
            }
            match self.colour(colour) {
                Value::Grey(level) => self.store(&[level], &mut converted),
                Value::Rgb(levels) => self.store(&levels, &mut converted),
            }
            for (index, level) in extra.iter().enumerate() {
                if Some(index) == self.alpha {
                    self.store(&[*level], &mut converted);
                }
            }
            for (index, level) in extra.iter().enumerate() {
                if Some(index) != self.alpha {
                    self.depth.put(*level, &mut converted.extra);
                }
            }
        }
        converted
    }

    /// The largest level of the photo's depth.
    fn white(&self) -> f32 {
        self.depth.white()
    }

    /// A pixel's samples in levels of the photo's depth; indices as they are.
    fn levels(&self, pixel: &[u8], levels: &mut [f32]) {
        let Sample { bits, float } = self.layout.sample;
        let colours = match self.layout.colour {
            Colour::Palette(_) => 1,
            _ => 0,
        };
        let largest = ((1u64 << bits.min(32)) - 1) as f64;
        let scale = f64::from(self.white()) / largest;
        let samples = pixel.chunks_exact(self.layout.sample.bytes());
        for (index, (level, sample)) in levels.iter_mut().zip(samples).enumerate() {
            *level = match *sample {
                [a] => f32::from(a),
                [a, b] if float => f16::from_ne_bytes([a, b]).to_f32(),
                [a, b] => f32::from(u16::from_ne_bytes([a, b])),
                [a, b, c, d] if float => f32::from_ne_bytes([a, b, c, d]),
                [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]) as f32,
                [a, b, c, d, e, f, g, h] => f64::from_ne_bytes([a, b, c, d, e, f, g, h]) as f32,
                _ => 0.0,
            };
            if !float && index >= colours && bits != 8 && bits != 16 {
                *level = (f64::from(*level) * scale).round() as f32;
            }
        }
    }

    fn colour(&self, stored: &[f32]) -> Value {
        let white = self.white();
        match (&self.layout.colour, stored) {
            (_, &[r, g, b]) if self.layout.decodes_to_rgb() => Value::Rgb([r, g, b]),
            (Colour::Grey { inverted: true }, &[level]) => Value::Grey(white - level),
            (Colour::Grey { .. }, &[level]) => Value::Grey(level),
            (Colour::Palette(colours), &[index]) => {
                let colour = colours.get(index as usize).copied().unwrap_or_default();
                Value::Rgb(colour.map(f32::from))
            }
            (Colour::Cmyk, &[c, m, y, k]) => {
                Value::Rgb([c, m, y].map(|ink| (white - ink) * (white - k) / white))
            }
            (
                Colour::YCbCr {
                    weights, levels, ..
                },
                &[y, cb, cr],
            ) => Value::Rgb(rgb_of_ycbcr([y, cb, cr], *weights, *levels)),
            (Colour::Lab { offset }, &[l, a, b]) => {
                let deep = self.depth == Depth::Sixteen;
                Value::Rgb(rgb_of_lab([l, a, b], *offset, deep).map(|level| level * white))
            }
            (_, &[r, g, b, ..]) => Value::Rgb([r, g, b]),
            _ => Value::Grey(0.0),
        }
    }

    fn store(&self, levels: &[f32], converted: &mut Converted) {
        for &level in levels {
            let inside = level.clamp(0.0, self.white());
            // What is not a number is black.
            let inside = if inside.is_nan() { 0.0 } else { inside };
            if self.depth == Depth::Float && inside != level {
                converted.clipped += 1;
            }
            self.depth.put(inside, &mut converted.samples);
        }
    }
}

enum Value {
    Grey(f32),
    Rgb([f32; 3]),
}

fn rgb_of_ycbcr(stored: [f32; 3], [red, green, blue]: [f32; 3], levels: [[f32; 2]; 3]) -> [f32; 3] {
    let full = |at: usize, range: f32| {
        let [black, white] = levels[at];
        (stored[at] - black) * range / (white - black)
    };
    let (y, cb, cr) = (full(0, 255.0), full(1, 127.0), full(2, 127.0));
    let r = y + cr * (2.0 - 2.0 * red);
    let b = y + cb * (2.0 - 2.0 * blue);
    [r, (y - red * r - blue * b) / green, b]
}

/// sRGB, 0 to 1, of CIE L*a*b* with the white of D50, from 8 bits or, where `deep`, 16.
fn rgb_of_lab([l, a, b]: [f32; 3], offset: bool, deep: bool) -> [f32; 3] {
    let unit = if deep { 256.0 } else { 1.0 };
    let difference = |stored: f32| match stored / unit {
        level if offset => level - 128.0,
        level if level >= 128.0 => level - 256.0, // two's complement
        level => level,
    };
    let white = match (deep, offset) {
        (false, _) => 255.0,
        (true, false) => 65535.0,
        // ICC's encoding of 16 bits.
        (true, true) => 65280.0,
    };
    let fy = (l / white * 100.0 + 16.0) / 116.0;
    let fx = fy + difference(a) / 500.0;
    let fz = fy - difference(b) / 200.0;
    let linear = |f: f32| {
        if f > 6.0 / 29.0 {
            f * f * f
        } else {
            3.0 * (6.0f32 / 29.0).powi(2) * (f - 4.0 / 29.0)
        }
    };
    // D50, and sRGB's matrix adapted to it (Bradford).
    let [x, y, z] = [0.9642 * linear(fx), linear(fy), 0.8249 * linear(fz)];
    [
        3.133_856 * x - 1.616_867 * y - 0.490_615 * z,
        -0.978_768 * x + 1.916_142 * y + 0.033_454 * z,
        0.071_945 * x - 0.228_991 * y + 1.405_243 * z,
    ]
    .map(|value| {
        if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        }
    })
}
