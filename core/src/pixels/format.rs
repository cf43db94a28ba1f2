//! How pixels are stored, and the one conversion to the network's numbers and back.

use super::{ColourProfile, Transfer};
use crate::{Error, Result};

/// The type of a sample, in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleType {
    /// 0 to 255.
    U8,
    /// 0 to 65535.
    U16,
    /// Nominally 0 to 1; results are not clamped.
    F32,
}

impl SampleType {
    /// Its bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }

    /// The value of a sample's bytes, 0..=1.
    fn get(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::U8, [a]) => f32::from(*a) / 255.0,
            (Self::U16, [a, b]) => f32::from(u16::from_ne_bytes([*a, *b])) / 65535.0,
            (Self::F32, [a, b, c, d]) => f32::from_ne_bytes([*a, *b, *c, *d]),
            _ => unreachable!("samples are cut by their own size"),
        }
    }

    /// Stores a value, rounded to the nearest and clamped where the type asks for it.
    fn put(self, to: &mut [u8], value: f32) {
        // A cast saturates, and takes NaN to 0.
        match self {
            Self::U8 => to[0] = (value * 255.0).round() as u8,
            Self::U16 => {
                to.copy_from_slice(&((f64::from(value) * 65535.0).round() as u16).to_ne_bytes());
            }
            Self::F32 => to.copy_from_slice(&value.to_ne_bytes()),
        }
    }
}

/// Which colours the values of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding<'a> {
    /// Those of sRGB's primaries.
    Transfer(Transfer),
    /// Those of a profile.
    Profile(&'a ColourProfile),
}

impl Encoding<'_> {
    fn to_srgb(self, colour: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Transfer(transfer) => colour.map(|value| transfer.to_srgb(value)),
            Self::Profile(profile) => profile.to_srgb(colour),
        }
    }

    fn of_srgb(self, colour: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Transfer(transfer) => colour.map(|value| transfer.from_srgb(value)),
            Self::Profile(profile) => profile.from_srgb(colour),
        }
    }
}

/// How a pixel is stored: samples side by side, alpha last and not multiplied into the colours. Where alpha is 0, or
/// less, a pixel is hidden.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelFormat<'a> {
    channels: usize,
    sample: SampleType,
    encoding: Encoding<'a>,
}

impl<'a> PixelFormat<'a> {
    /// `channels`: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] for another number of channels.
    pub fn new(channels: usize, sample: SampleType, transfer: Transfer) -> Result<Self> {
        if !(1..=4).contains(&channels) {
            return Err(Error::InvalidImage(format!(
                "{channels} channels: use 1 to 4"
            )));
        }
        Ok(Self {
            channels,
            sample,
            encoding: Encoding::Transfer(transfer),
        })
    }

    /// Its channels, 1 to 4.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes of a pixel.
    pub fn bytes(&self) -> usize {
        self.channels * self.sample.bytes()
    }

    /// The same with another transfer.
    pub(super) fn with_transfer(self, transfer: Transfer) -> Self {
        Self {
            encoding: Encoding::Transfer(transfer),
            ..self
        }
    }

    /// The same in the colours of a profile.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] if the profile is for grey and the pixels are not, or the other way round.
    pub fn with_profile(self, profile: &'a ColourProfile) -> Result<Self> {
        if !profile.fits(self.channels) {
            let (wrong, right) = match self.colours() {
                1 => ("colours", "grey"),
                _ => ("grey", "colours"),
            };
            return Err(Error::InvalidImage(format!(
                "the colour profile is for {wrong}, but the pixels have {} channels: use one for {right}",
                self.channels
            )));
        }
        Ok(Self {
            encoding: match profile.is_srgb() {
                true => Encoding::Transfer(Transfer::Srgb),
                false => Encoding::Profile(profile),
            },
            ..self
        })
    }

    /// Colour channels: 1 or 3.
    fn colours(&self) -> usize {
        if self.channels < 3 { 1 } else { 3 }
    }

    /// Bytes of the colours of a pixel; alpha comes after them.
    fn colour_bytes(&self) -> usize {
        self.colours() * self.sample.bytes()
    }

    /// Whether the alpha of a pixel, if it has one, is 0 or less.
    ///
    /// # Panics
    /// If `pixel` does not hold one.
    pub fn hides(&self, pixel: &[u8]) -> bool {
        let alpha = &pixel[self.colour_bytes()..];
        !alpha.is_empty() && self.sample.get(alpha) <= 0.0
    }

    /// The sRGB-encoded colour of a pixel, grey three times.
    fn colour(&self, pixel: &[u8]) -> [f32; 3] {
        let bytes = self.sample.bytes();
        let value = |channel: usize| {
            let at = channel.min(self.colours() - 1) * bytes;
            self.sample.get(&pixel[at..at + bytes])
        };
        self.encoding.to_srgb([value(0), value(1), value(2)])
    }

    /// The colours of `pixels` for [`Source::read`](crate::restore::Source::read): grey three times, NaN where alpha hides.
    ///
    /// # Panics
    /// If both do not hold the same number of pixels.
    pub fn read(&self, pixels: &[u8], rgb: &mut [f32]) {
        assert_eq!(pixels.len() / self.bytes(), rgb.len() / 3, "as many pixels");
        let pixels = pixels.chunks_exact(self.bytes());
        for (to, from) in rgb.chunks_exact_mut(3).zip(pixels) {
            match self.hides(from) {
                true => to.fill(f32::NAN),
                false => to.copy_from_slice(&self.colour(from)),
            }
        }
    }

    /// Stores restored `rgb` of the pixels `before`, which are of this format, in `after`, which is of the format `to` with
    /// as many channels. Alpha, and all of a pixel that it hides, are those of `before`.
    ///
    /// # Panics
    /// If the three do not hold the same number of pixels, or the channels differ.
    pub fn write(&self, rgb: &[f32], before: &[u8], after: &mut [u8], to: &PixelFormat<'_>) {
        assert_eq!(self.channels, to.channels, "as many channels");
        assert_eq!(before.len() / self.bytes(), rgb.len() / 3, "as many pixels");
        assert_eq!(after.len() / to.bytes(), rgb.len() / 3, "as many pixels");
        let pixels = before
            .chunks_exact(self.bytes())
            .zip(after.chunks_exact_mut(to.bytes()));
        for (rgb, (before, after)) in rgb.chunks_exact(3).zip(pixels) {
            let hidden = self.hides(before);
            if hidden && self == to {
                after.copy_from_slice(before);
                continue;
            }
            let colour = match hidden {
                true => self.colour(before),
                false => [rgb[0], rgb[1], rgb[2]],
            };
            let (colours, alpha) = after.split_at_mut(to.colour_bytes());
            // The three of a grey photo are equal.
            let samples = colours.chunks_exact_mut(to.sample.bytes());
            for (sample, value) in samples.zip(to.encoding.of_srgb(colour)) {
                to.sample.put(sample, value);
            }
            let kept = &before[self.colour_bytes()..];
            if self.sample == to.sample {
                alpha.copy_from_slice(kept);
            } else if !kept.is_empty() {
                to.sample.put(alpha, self.sample.get(kept));
            }
        }
    }
}
