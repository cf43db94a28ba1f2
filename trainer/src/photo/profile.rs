//! Colours as a photo's profile defines them, and as the network expects them: sRGB-encoded.
//!
//! A profile of three curves and a matrix, or of one curve for grey, is exactly invertible, and so is what is done here: no colour is
//! clipped. Colours outside of sRGB have values below 0 or above 1.

use dino_ir::Transfer;
use moxcms::{ColorProfile, DataColorSpace, Matrix3d, ToneReprCurve, TransferCharacteristics};

use super::{Photo, colour};

/// A profile whose values differ from sRGB's by less than this, of 1, is sRGB.
const TOLERANCE: f64 = 1e-3;

/// The largest factor in the matrix of a sound profile is about 2.
const MAX_FACTOR: f64 = 8.0;

/// Converts the colours of a photo to sRGB-encoded ones and back.
#[derive(Clone, Debug)]
pub struct Conversion {
    curves: [Curve; 3],
    /// From the profile's linear light to sRGB's.
    matrix: Matrix3d,
    inverse: Matrix3d,
    /// Whether equal values mean grey on both sides.
    neutral: bool,
}

impl Conversion {
    /// `None` where the colours are sRGB, or where no curves and matrix define them (tables, high dynamic range): the network then
    /// sees the values as they are.
    pub fn of(photo: &Photo) -> Option<Self> {
        let metadata = &photo.metadata;
        let chunks = &metadata.png_chunks;
        let made = match &metadata.icc {
            Some(icc) if !colour::has_code_points(chunks) => {
                ColorProfile::new_from_slice(icc).ok()?
            }
            _ => ColorProfile::new_from_slice(&colour::profile(chunks, photo.channels).ok()??)
                .ok()?,
        };
        let conversion = Self::of_profile(&made, photo.channels)?;
        (!conversion.is_srgb()).then_some(conversion)
    }

    fn of_profile(profile: &ColorProfile, channels: usize) -> Option<Self> {
        let code_points = profile.cicp.as_ref();
        if code_points.is_some_and(|points| {
            matches!(
                points.transfer_characteristics,
                TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg
            )
        }) {
            return None;
        }
        if channels < 3 {
            let grey = profile.color_space == DataColorSpace::Gray;
            let curve = Curve::of(profile.gray_trc.as_ref().filter(|_| grey)?)?;
            return Some(Self {
                curves: [curve.clone(), curve.clone(), curve],
                matrix: IDENTITY,
                inverse: IDENTITY,
                neutral: true,
            });
        }
        if profile.color_space != DataColorSpace::Rgb || profile.pcs != DataColorSpace::Xyz {
            return None;
        }
        let curves = [
            Curve::of(profile.red_trc.as_ref()?)?,
            Curve::of(profile.green_trc.as_ref()?)?,
            Curve::of(profile.blue_trc.as_ref()?)?,
        ];
        let srgb = ColorProfile::new_srgb();
        let matrix = profile.transform_matrix(&srgb);
        let inverse = srgb.transform_matrix(profile);
        // Damaged or hostile otherwise; NaN is refused too.
        let sane = |matrix: &Matrix3d| matrix.v.iter().flatten().all(|v| v.abs() < MAX_FACTOR);
        if !sane(&matrix) || !sane(&inverse) {
            return None;
        }
        let white = product(&matrix, [1.0; 3]);
        let neutral = white.iter().all(|v| (v - 1.0).abs() < 2e-3)
            && curves.iter().all(|curve| *curve == curves[0]);
        Some(Self {
            curves,
            matrix,
            inverse,
            neutral,
        })
    }

    fn is_srgb(&self) -> bool {
        let near = |one: f64, other: f64| (one - other).abs() < TOLERANCE;
        let values = self.matrix.v.iter().flatten();
        let mut pairs = values.zip(IDENTITY.v.iter().flatten());
        pairs.all(|(one, other)| near(*one, *other))
            && (0..=64).all(|step| {
                let value = step as f32 / 64.0;
                let encoded = |curve: &Curve| f64::from(encode(curve.light(value)));
                self.curves
                    .iter()
                    .all(|curve| near(encoded(curve), value.into()))
            })
    }

    /// From the profile's values, 0..=1, to sRGB-encoded ones.
    pub fn to_srgb(&self, colour: [f32; 3]) -> [f32; 3] {
        let [red, green, blue] = &self.curves;
        if self.neutral && colour[0] == colour[1] && colour[1] == colour[2] {
            return [encode(red.light(colour[0])); 3];
        }
        let light = [
            red.light(colour[0]),
            green.light(colour[1]),
            blue.light(colour[2]),
        ];
        product(&self.matrix, light).map(encode)
    }

    /// From sRGB-encoded values to the profile's.
    pub fn from_srgb(&self, colour: [f32; 3]) -> [f32; 3] {
        let [red, green, blue] = &self.curves;
        let light = colour.map(|value| Transfer::Linear.from_srgb(value));
        if self.neutral && colour[0] == colour[1] && colour[1] == colour[2] {
            return [red.value(light[0]); 3];
        }
        let light = product(&self.inverse, light);
        [
            red.value(light[0]),
            green.value(light[1]),
            blue.value(light[2]),
        ]
    }
}

const IDENTITY: Matrix3d = Matrix3d {
    v: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
};

fn product(matrix: &Matrix3d, [x, y, z]: [f32; 3]) -> [f32; 3] {
    let light = [f64::from(x), y.into(), z.into()];
    matrix
        .v
        .map(|row| row.iter().zip(light).map(|(a, b)| a * b).sum::<f64>() as f32)
}

fn encode(light: f32) -> f32 {
    Transfer::Linear.to_srgb(light)
}

/// What the arithmetic may add to a light; a step of a table's 16 bits is 15 times as much.
const ROUNDING: f32 = 1e-6;

/// How values stand for light. Continued below 0 as an odd function, and above 1.
#[derive(Clone, Debug, PartialEq)]
enum Curve {
    /// `(a x + b)^gamma + e` from `d` on, and `c x + f` below.
    Parametric {
        gamma: f32,
        a: f32,
        b: f32,
        c: f32,
        d: f32,
        e: f32,
        f: f32,
    },
    /// Light at equal steps of the values from 0 to 1, never falling.
    Table(Vec<f32>),
}

impl Curve {
    /// `None` for a curve that has no inverse, or leads from 0..=1 to elsewhere.
    fn of(curve: &ToneReprCurve) -> Option<Self> {
        let curve = Self::rising(curve)?;
        let sound =
            (0.0..0.5).contains(&curve.light(0.0)) && (0.5..2.0).contains(&curve.light(1.0));
        sound.then_some(curve)
    }

    fn rising(curve: &ToneReprCurve) -> Option<Self> {
        let parametric = |gamma, [a, b, c, d, e, f]: [f32; 6]| {
            let rises = gamma > 0.0 && a > 0.0 && (d <= 0.0 || c > 0.0);
            let all = [gamma, a, b, c, d, e, f];
            (rises && all.iter().all(|v| v.is_finite())).then_some(Self::Parametric {
                gamma,
                a,
                b,
                c,
                d,
                e,
                f,
            })
        };
        match curve {
            ToneReprCurve::Parametric(parameters) => match parameters[..] {
                [gamma] => parametric(gamma, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
                [gamma, a, b] => parametric(gamma, [a, b, 0.0, -b / a, 0.0, 0.0]),
                [gamma, a, b, c] => parametric(gamma, [a, b, 0.0, -b / a, c, c]),
                [gamma, a, b, c, d] => parametric(gamma, [a, b, c, d, 0.0, 0.0]),
                [gamma, a, b, c, d, e, f] => parametric(gamma, [a, b, c, d, e, f]),
                _ => None,
            },
            ToneReprCurve::Lut(table) => match table[..] {
                [] => parametric(1.0, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
                [gamma] => parametric(f32::from(gamma) / 256.0, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
                [first, .., last] => (first < last && table.is_sorted())
                    .then(|| Self::Table(table.iter().map(|&v| f32::from(v) / 65535.0).collect())),
            },
        }
    }

    /// The light of a value.
    fn light(&self, value: f32) -> f32 {
        if value < 0.0 {
            return -self.light(-value);
        }
        match self {
            Self::Parametric {
                gamma, a, b, d, e, ..
            } if value >= *d => (a * value + b).max(0.0).powf(*gamma) + e,
            Self::Parametric { c, f, .. } => c * value + f,
            Self::Table(table) => {
                let at = value * (table.len() - 1) as f32;
                let step = (at as usize).min(table.len() - 2);
                table[step] + (at - step as f32) * (table[step + 1] - table[step])
            }
        }
    }

    /// The value of a light.
    fn value(&self, light: f32) -> f32 {
        if light < 0.0 {
            return -self.value(-light);
        }
        match self {
            Self::Parametric {
                gamma,
                a,
                b,
                c,
                d,
                e,
                f,
            } => {
                let bend = (a * d.max(0.0) + b).max(0.0).powf(*gamma) + e;
                if light >= bend || *c <= 0.0 {
                    ((light - e).max(0.0).powf(1.0 / gamma) - b) / a
                } else {
                    (light - f) / c
                }
            }
            Self::Table(table) => {
                // Dark values of a table may share one light; what rounding adds to it must not skip them.
                let above = table.partition_point(|&at| at < light - ROUNDING);
                let step = above.clamp(1, table.len() - 1) - 1;
                let rise = table[step + 1] - table[step];
                let part = if rise > 0.0 {
                    (light - table[step]) / rise
                } else {
                    0.0
                };
                (step as f32 + part) / (table.len() - 1) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(profile: &ColorProfile) -> Conversion {
        let channels = if profile.color_space == DataColorSpace::Gray {
            1
        } else {
            3
        };
        Conversion::of_profile(profile, channels).expect("curves and a matrix")
    }

    #[test]
    fn srgb_is_known_and_others_are_not_taken_for_it() {
        assert!(conversion(&ColorProfile::new_srgb()).is_srgb());
        for other in [
            ColorProfile::new_adobe_rgb(),
            ColorProfile::new_display_p3(),
            ColorProfile::new_pro_photo_rgb(),
            ColorProfile::new_gray_with_gamma(1.8),
        ] {
            assert!(!conversion(&other).is_srgb());
        }
    }

    #[test]
    fn colours_come_back_those_outside_of_srgb_too() {
        let mut table = ColorProfile::new_adobe_rgb();
        let curve = (0..1024).map(|at| (65535.0 * (f64::from(at) / 1023.0).powf(2.2)) as u16);
        table.red_trc = Some(ToneReprCurve::Lut(curve.collect()));
        for profile in [
            table,
            ColorProfile::new_display_p3(),
            ColorProfile::new_pro_photo_rgb(),
        ] {
            let conversion = conversion(&profile);
            for colour in [
                [0.0, 1.0, 0.0],
                [1.0, 0.02, 0.4],
                [0.3, 0.3, 0.3],
                [0.9, 0.1, 1.0],
                [1.2, 0.5, -0.1],
            ] {
                let there = conversion.to_srgb(colour);
                let back = conversion.from_srgb(there);
                for (before, after) in colour.iter().zip(back) {
                    // Where a gamma's inverse is steep, at black, rounding is an eighth of a step of 8 bits at most.
                    assert!(
                        (before - after).abs() < if *before == 0.0 { 5e-4 } else { 1e-4 },
                        "{colour:?} {there:?} {back:?}"
                    );
                }
            }
            let green = conversion.to_srgb([0.0, 1.0, 0.0]);
            assert!(green.iter().any(|v| !(0.0..=1.0).contains(v)), "{green:?}");
        }
    }

    #[test]
    fn grey_stays_grey() {
        for profile in [
            ColorProfile::new_adobe_rgb(),
            ColorProfile::new_pro_photo_rgb(),
        ] {
            let [red, green, blue] = conversion(&profile).to_srgb([0.4; 3]);
            assert!(red == green && green == blue);
        }
    }

    #[test]
    fn curves_without_an_inverse_are_refused() {
        for curve in [
            ToneReprCurve::Lut(vec![0, 500, 400, 65535]),
            ToneReprCurve::Lut(vec![7, 7]),
            ToneReprCurve::Parametric(vec![0.0]),
            ToneReprCurve::Parametric(vec![2.0, 1.0, -0.1]),
            ToneReprCurve::Parametric(vec![f32::NAN]),
        ] {
            assert_eq!(Curve::of(&curve), None, "{curve:?}");
        }
    }
}
