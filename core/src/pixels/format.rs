//! How pixels are stored, and the one conversion to the network's numbers and back.

use super::Transfer;
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

/// How a pixel is stored: samples side by side, alpha last and not multiplied into the colours. Where alpha is 0, or
/// less, a pixel is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelFormat {
    channels: usize,
    sample: SampleType,
    transfer: Transfer,
}

impl PixelFormat {
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
            transfer,
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
        Self { transfer, ..self }
    }

    /// Colour channels: 1 or 3.
    fn colours(&self) -> usize {
        if self.channels < 3 { 1 } else { 3 }
    }

    /// Whether the alpha of a pixel, if it has one, is 0 or less.
    fn hides(&self, pixel: &[u8]) -> bool {
        let alpha = self.sample.bytes() * self.colours();
        alpha < pixel.len() && self.sample.get(&pixel[alpha..]) <= 0.0
    }

    /// The colours of `pixels` for [`Source::read`](crate::restore::Source::read): grey three times, NaN where alpha hides.
    ///
    /// # Panics
    /// If both do not hold the same number of pixels.
    pub fn read(&self, pixels: &[u8], rgb: &mut [f32]) {
        assert_eq!(pixels.len() / self.bytes(), rgb.len() / 3, "as many pixels");
        let bytes = self.sample.bytes();
        let grey = self.colours() == 1;
        for (to, from) in rgb
            .chunks_exact_mut(3)
            .zip(pixels.chunks_exact(self.bytes()))
        {
            if self.hides(from) {
                to.fill(f32::NAN);
                continue;
            }
            for (channel, to) in to.iter_mut().enumerate() {
                let at = if grey { 0 } else { channel * bytes };
                *to = self
                    .transfer
                    .to_srgb(self.sample.get(&from[at..at + bytes]));
            }
        }
    }

    /// Stores restored `rgb` of the pixels `before`, which are of this format, in `after`, which is of the format `to` with
    /// as many channels. Alpha, and all of a pixel that it hides, are those of `before`.
    ///
    /// # Panics
    /// If the three do not hold the same number of pixels, or the channels differ.
    pub fn write(&self, rgb: &[f32], before: &[u8], after: &mut [u8], to: &Self) {
        assert_eq!(self.channels, to.channels, "as many channels");
        assert_eq!(before.len() / self.bytes(), rgb.len() / 3, "as many pixels");
        assert_eq!(after.len() / to.bytes(), rgb.len() / 3, "as many pixels");
        let colours = self.colours();
        let pixels = before
            .chunks_exact(self.bytes())
            .zip(after.chunks_exact_mut(to.bytes()));
        for (rgb, (before, after)) in rgb.chunks_exact(3).zip(pixels) {
            let hidden = self.hides(before);
            let samples = before
                .chunks_exact(self.sample.bytes())
                .zip(after.chunks_exact_mut(to.sample.bytes()));
            for (at, (before, after)) in samples.enumerate() {
                if at == colours {
                    self.keep(before, after, to, |value| value);
                } else if hidden {
                    self.keep(before, after, to, |value| {
                        to.transfer.from_srgb(self.transfer.to_srgb(value))
                    });
                } else {
                    // The three of a grey photo are equal.
                    to.sample.put(after, to.transfer.from_srgb(rgb[at]));
                }
            }
        }
    }

    /// Copies a sample: bit by bit if both formats store samples alike.
    fn keep(&self, before: &[u8], after: &mut [u8], to: &Self, convert: impl Fn(f32) -> f32) {
        if self.sample == to.sample && self.transfer == to.transfer {
            after.copy_from_slice(before);
        } else {
            to.sample.put(after, convert(self.sample.get(before)));
        }
    }
}
