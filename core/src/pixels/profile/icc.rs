//! ICC profiles, as far as they are curves and a matrix.

use moxcms::{ColorProfile, DataColorSpace, ToneReprCurve, TransferCharacteristics};

use super::{ColourProfile, Curve, Matrix};
use crate::{Error, Result};

/// The largest factor in the matrix of a sound profile is about 2.
const MAX_FACTOR: f64 = 8.0;

impl ColourProfile {
    /// Of the bytes of an ICC profile.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] for bytes that are no profile, and for profiles that are not three curves and a matrix or, for
    /// grey, one curve: those that consist of tables, for inks, or of high dynamic range. What they describe is to be
    /// converted to sRGB by other means, or restored as if it were.
    pub fn from_icc(icc: &[u8]) -> Result<Self> {
        let invalid = |what: &str| Error::InvalidImage(format!("the colour profile {what}"));
        let profile = ColorProfile::new_from_slice(icc)
            .map_err(|error| invalid(&format!("is damaged: {error}")))?;
        of_profile(&profile).ok_or_else(|| {
            invalid(
                "has no curves and matrix that can be inverted: convert the pixels to sRGB first",
            )
        })
    }
}

fn of_profile(profile: &ColorProfile) -> Option<ColourProfile> {
    let transfer = profile
        .cicp
        .as_ref()
        .map(|points| points.transfer_characteristics);
    if let Some(TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg) = transfer {
        return None;
    }
    if profile.color_space == DataColorSpace::Gray {
        return Some(ColourProfile::of_grey(Curve::of(
            profile.gray_trc.as_ref()?,
        )?));
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
    let matrix = profile.transform_matrix(&srgb).v;
    let inverse = srgb.transform_matrix(profile).v;
    // Damaged or hostile otherwise; NaN is refused too.
    let sane = |matrix: &Matrix| matrix.iter().flatten().all(|v| v.abs() < MAX_FACTOR);
    (sane(&matrix) && sane(&inverse)).then(|| ColourProfile::of_colours(curves, matrix, inverse))
}

impl Curve {
    /// `None` for a curve that has no inverse, or leads from 0..=1 to elsewhere.
    pub(super) fn of(curve: &ToneReprCurve) -> Option<Self> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(profile: &ColorProfile) -> ColourProfile {
        of_profile(profile).expect("curves and a matrix")
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
    fn a_profile_is_read_from_its_bytes() {
        let bytes = ColorProfile::new_display_p3().encode().expect("a profile");
        let p3 = ColourProfile::from_icc(&bytes).expect("curves and a matrix");
        for colour in [[1.0, 0.0, 0.2], [0.1, 0.9, 0.5]] {
            let ours = ColourProfile::display_p3().to_srgb(colour);
            for (read, ours) in p3.to_srgb(colour).iter().zip(ours) {
                assert!((read - ours).abs() < 2e-3, "{read} {ours}");
            }
        }
        let grey = ColorProfile::new_gray_with_gamma(1.8).encode();
        let grey = ColourProfile::from_icc(&grey.expect("a profile")).expect("a curve");
        assert!(grey.fits(1) && grey.fits(2) && !grey.fits(3));
        for damaged in [&bytes[..100], &bytes[..bytes.len() / 2], b"", b"no profile"] {
            let error = ColourProfile::from_icc(damaged).expect_err("damaged");
            assert!(matches!(error, Error::InvalidImage(_)), "{error}");
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
