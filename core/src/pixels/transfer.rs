//! How numbers stand for light.

/// How the numbers of a colour channel stand for light. The network expects sRGB's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// sRGB-encoded (IEC 61966-2-1), as in nearly all files.
    #[default]
    Srgb,
    /// In proportion to light.
    Linear,
}

impl Transfer {
    /// The sRGB-encoded value.
    pub fn to_srgb(self, value: f32) -> f32 {
        match self {
            Self::Srgb => value,
            Self::Linear => odd(value, |v| {
                if v <= 0.003_130_8 {
                    12.92 * v
                } else {
                    1.055 * v.powf(1.0 / 2.4) - 0.055
                }
            }),
        }
    }

    /// From the sRGB-encoded value.
    pub fn from_srgb(self, value: f32) -> f32 {
        match self {
            Self::Srgb => value,
            Self::Linear => odd(value, |v| {
                if v <= 0.040_45 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            }),
        }
    }
}

/// Colours outside of the gamut have negative values: the curve is continued as an odd function.
fn odd(value: f32, curve: impl Fn(f32) -> f32) -> f32 {
    curve(value.abs()).copysign(value)
}
