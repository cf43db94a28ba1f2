//! What a sample is.

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Samples of one byte.
    Eight,
    /// Samples of two bytes, in the machine's order.
    Sixteen,
    /// Floating-point samples of four bytes, in the machine's order: 0 is black, 1 is white.
    Float,
}

impl Depth {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
            Depth::Float => 4,
        }
    }

    /// The level of white.
    pub fn white(self) -> f32 {
        match self {
            Depth::Eight => 255.0,
            Depth::Sixteen => 65535.0,
            Depth::Float => 1.0,
        }
    }

    /// The level of a sample, from 0 to [`Depth::white`].
    pub fn get(self, sample: &[u8]) -> f32 {
        match (self, sample) {
            (Depth::Sixteen, &[a, b]) => u16::from_ne_bytes([a, b]).into(),
            (Depth::Float, &[a, b, c, d]) => f32::from_ne_bytes([a, b, c, d]),
            (_, sample) => sample.first().copied().unwrap_or_default().into(),
        }
    }

    /// Stores a level, rounded and clipped to what the depth can hold.
    pub fn set(self, level: f32, sample: &mut [u8]) {
        match self {
            Depth::Eight => sample.copy_from_slice(&[(level + 0.5) as u8]),
            Depth::Sixteen => sample.copy_from_slice(&((level + 0.5) as u16).to_ne_bytes()),
            Depth::Float => sample.copy_from_slice(&level.to_ne_bytes()),
        }
    }

    /// Appends a level.
    pub fn put(self, level: f32, samples: &mut Vec<u8>) {
        let start = samples.len();
        samples.resize(start + self.bytes(), 0);
        self.set(level, &mut samples[start..]);
    }
}
