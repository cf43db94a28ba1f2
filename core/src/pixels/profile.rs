//! Colours of another profile than sRGB's.
//!
//! A profile of three curves and a matrix, or of one curve for grey, is exactly invertible, and so is what is done here: no
//! colour is clipped. Colours outside of sRGB have values below 0 or above 1.

mod curve;
#[cfg(feature = "icc")]
mod icc;

use self::curve::Curve;
use super::Transfer;

/// A profile whose values differ from sRGB's by less than this, of 1, is sRGB.
const TOLERANCE: f64 = 1e-3;

type Matrix = [[f64; 3]; 3];

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Colours as a profile defines them. It converts them to sRGB-encoded ones, which the network expects, and back.
///
/// ```
/// use dino_ir::ColourProfile;
///
/// let p3 = ColourProfile::display_p3();
/// let [red, green, blue] = p3.to_srgb([1.0, 0.0, 0.0]);
/// assert!(red > 1.0 && green < 0.0 && blue < 0.0); // redder than sRGB can say
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ColourProfile {
    curves: [Curve; 3],
    /// From the profile's linear light to sRGB's.
    matrix: Matrix,
    inverse: Matrix,
    /// Whether equal values mean grey on both sides.
    neutral: bool,
    /// Whether it is for photos in grey.
    grey: bool,
    srgb: bool,
}

impl ColourProfile {
    /// Display P3, as browsers define it for canvases: sRGB's curve and white, and wider primaries.
    pub fn display_p3() -> Self {
        let matrix = [
            [1.224_940_176, -0.224_940_176, 0.0],
            [-0.042_056_955, 1.042_056_955, 0.0],
            [-0.019_637_555, -0.078_636_046, 1.098_273_600],
        ];
        let inverse = [
            [0.822_461_969, 0.177_538_031, 0.0],
            [0.033_194_199, 0.966_805_801, 0.0],
            [0.017_082_631, 0.072_397_441, 0.910_519_929],
        ];
        let curve = Curve::srgb();
        Self::of_colours([curve.clone(), curve.clone(), curve], matrix, inverse)
    }

    /// Of red, green and blue, each with its curve.
    fn of_colours(curves: [Curve; 3], matrix: Matrix, inverse: Matrix) -> Self {
        let white = product(&matrix, [1.0; 3]);
        let neutral = white.iter().all(|v| (v - 1.0).abs() < 2e-3)
            && curves.iter().all(|curve| *curve == curves[0]);
        Self {
            srgb: is_srgb(&curves, &matrix),
            curves,
            matrix,
            inverse,
            neutral,
            grey: false,
        }
    }

    /// Of grey.
    #[cfg(feature = "icc")]
    fn of_grey(curve: Curve) -> Self {
        let curves = [curve.clone(), curve.clone(), curve];
        Self {
            srgb: is_srgb(&curves, &IDENTITY),
            curves,
            matrix: IDENTITY,
            inverse: IDENTITY,
            neutral: true,
            grey: true,
        }
    }

    /// Whether its values are sRGB's, so that there is nothing to convert.
    pub fn is_srgb(&self) -> bool {
        self.srgb
    }

    /// Whether it is for pixels of so many channels, 1 to 4: a profile is for grey or for colours.
    pub fn fits(&self, channels: usize) -> bool {
        self.grey == (channels < 3)
    }

    /// From the profile's values, 0..=1, to sRGB-encoded ones; grey is three times the same.
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

fn is_srgb(curves: &[Curve; 3], matrix: &Matrix) -> bool {
    let near = |one: f64, other: f64| (one - other).abs() < TOLERANCE;
    let mut pairs = matrix.iter().flatten().zip(IDENTITY.iter().flatten());
    pairs.all(|(one, other)| near(*one, *other))
        && (0..=64).all(|step| {
            let value = step as f32 / 64.0;
            let encoded = |curve: &Curve| f64::from(encode(curve.light(value)));
            curves
                .iter()
                .all(|curve| near(encoded(curve), value.into()))
        })
}

fn product(matrix: &Matrix, [x, y, z]: [f32; 3]) -> [f32; 3] {
    let light = [f64::from(x), y.into(), z.into()];
    matrix.map(|row| row.iter().zip(light).map(|(a, b)| a * b).sum::<f64>() as f32)
}

fn encode(light: f32) -> f32 {
    Transfer::Linear.to_srgb(light)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_p3_comes_back_and_keeps_grey() {
        let p3 = ColourProfile::display_p3();
        assert!(!p3.is_srgb() && p3.fits(3) && p3.fits(4) && !p3.fits(2));
        for colour in [[1.0, 0.0, 0.0], [0.1, 0.9, 0.3], [0.0, 0.2, 1.0]] {
            let back = p3.from_srgb(p3.to_srgb(colour));
            for (before, after) in colour.iter().zip(back) {
                // At black the inverse of the curve is steep.
                assert!((before - after).abs() < 1e-4, "{colour:?} {back:?}");
            }
        }
        let [red, green, blue] = p3.to_srgb([0.3; 3]);
        assert!(red == green && green == blue && (red - 0.3).abs() < 1e-5);
        // CSS Color 4 has these for color(display-p3 0 1 0).
        let green = p3.to_srgb([0.0, 1.0, 0.0]);
        for (found, expected) in green.iter().zip([-0.5116, 1.0183, -0.3107]) {
            assert!((found - expected).abs() < 1e-3, "{green:?}");
        }
    }
}
