//! PNG's words about colour as an ICC profile, for formats that know no others.

use anyhow::{Context, Result, bail, ensure};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    LocalizableString, MatrixCoefficients, ProfileText, ToneReprCurve, TransferCharacteristics,
};

/// Chunks of a PNG, by their types.
type Chunks = [([u8; 4], Vec<u8>)];

/// The gamma and chromaticities that stand for sRGB, as PNG writes them.
const SRGB_GAMMA: u32 = 45455;
const SRGB_PLACES: [u32; 8] = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000];

/// Where a profile says when it was made: year, month, day, hour, minute and second, two bytes each.
const DATE: std::ops::Range<usize> = 24..36;

/// Whether there is a chunk cICP, which takes the place of a profile.
pub fn has_code_points(chunks: &Chunks) -> bool {
    find(chunks, b"cICP").is_some()
}

/// A profile that says the same as the chunks cICP, sRGB, gAMA and cHRM; `None` where they say sRGB, or nothing.
///
/// # Errors
/// High dynamic range, and codes that no profile stands for.
pub fn profile(chunks: &Chunks, channels: usize) -> Result<Option<Vec<u8>>> {
    let profile = match find(chunks, b"cICP") {
        Some(&[primaries, transfer, matrix, range]) => {
            ensure!(
                !matches!(transfer, 16 | 18),
                "a picture of high dynamic range (cICP), which only PNG keeps here: write a PNG with -o NAME.png"
            );
            ensure!(
                matrix == 0 && range == 1,
                "colours in a range that only PNG's cICP describes: write a PNG with -o NAME.png"
            );
            of_code_points(primaries, transfer)
                .context("colours that only PNG's cICP describes: write a PNG with -o NAME.png")?
        }
        Some(_) => bail!("its cICP chunk is damaged: write a PNG with -o NAME.png"),
        None if find(chunks, b"sRGB").is_some() => None,
        None => of_gamma(find(chunks, b"gAMA"), find(chunks, b"cHRM")),
    };
    let Some(mut profile) = profile else {
        return Ok(None);
    };
    if channels < 3 {
        let curve = profile.red_trc;
        profile = ColorProfile::new_gray_with_gamma(1.0);
        profile.gray_trc = curve;
    }
    // A profile must have both.
    let text = |text: &str| {
        let localised = LocalizableString::new("en".into(), "US".into(), text.into());
        Some(ProfileText::Localizable(vec![localised]))
    };
    profile.description = text("Colours of a PNG");
    profile.copyright = text("Public Domain");
    let mut bytes = profile.encode().context("its colours fit no profile")?;
    // The encoder writes the time of day, and the same photo shall give the same file.
    if let Some(date) = bytes.get_mut(DATE) {
        date.copy_from_slice(&[0x07, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    Ok(Some(bytes))
}

fn find<'a>(chunks: &'a Chunks, kind: &[u8; 4]) -> Option<&'a [u8]> {
    let chunk = chunks.iter().find(|(known, _)| known == kind);
    chunk.map(|(_, data)| data.as_slice())
}

/// `None`: not known; `Some(None)`: sRGB.
fn of_code_points(primaries: u8, transfer: u8) -> Option<Option<ColorProfile>> {
    if (primaries, transfer) == (1, 13) {
        return Some(None);
    }
    let color_primaries = CicpColorPrimaries::try_from(primaries).ok()?;
    let transfer_characteristics = TransferCharacteristics::try_from(transfer).ok()?;
    ToneReprCurve::try_from(transfer_characteristics).ok()?;
    ColorPrimaries::try_from(color_primaries).ok()?;
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.color_space = DataColorSpace::Rgb;
    profile.red_trc.is_some().then_some(Some(profile))
}

fn of_gamma(gamma: Option<&[u8]>, places: Option<&[u8]>) -> Option<ColorProfile> {
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let gamma = gamma.and_then(number).filter(|&gamma| gamma > 0);
    let places: Option<Vec<u32>> = places
        .filter(|data| data.len() == 32)
        .map(|data| data.chunks_exact(4).filter_map(number).collect());
    let near = |one: u32, other: u32| one.abs_diff(other) <= 200;
    let srgb_places = places.as_ref().is_none_or(|places| {
        places
            .iter()
            .zip(SRGB_PLACES)
            .all(|(&place, srgb)| near(place, srgb))
    });
    if srgb_places && gamma.is_none_or(|gamma| near(gamma, SRGB_GAMMA)) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some(places) = places.filter(|_| !srgb_places) {
        // A y of zero is no colour.
        if places.iter().skip(1).step_by(2).any(|&y| y == 0) {
            return None;
        }
        let at = |index: usize| {
            Chromaticity::new(
                places[2 * index] as f32 / 1e5,
                places[2 * index + 1] as f32 / 1e5,
            )
        };
        let primaries = ColorPrimaries {
            red: at(1),
            green: at(2),
            blue: at(3),
        };
        profile.update_rgb_colorimetry(at(0).to_xyyb(), primaries);
        profile.media_white_point = Some(at(0).to_xyyb().to_xyzd());
    }
    profile.cicp = None;
    if let Some(gamma) = gamma.filter(|&gamma| !near(gamma, SRGB_GAMMA)) {
        let curve = ToneReprCurve::Parametric(vec![1e5 / gamma as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    Some(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(chunks: &[(&[u8; 4], &[u8])], channels: usize) -> Result<Option<ColorProfile>> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|(kind, data)| (**kind, data.to_vec()))
            .collect();
        let bytes = profile(&chunks, channels)?;
        Ok(bytes.map(|bytes| ColorProfile::new_from_slice(&bytes).expect("a profile")))
    }

    fn numbers(values: &[u32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .collect()
    }

    #[test]
    fn srgb_needs_no_profile() {
        for chunks in [
            &[][..],
            &[(b"cICP", &[1, 13, 0, 1][..])],
            &[
                (b"gAMA", &numbers(&[45455])),
                (b"cHRM", &numbers(&SRGB_PLACES)),
            ],
            &[(b"sRGB", &[0]), (b"gAMA", &numbers(&[100_000]))],
        ] {
            assert!(made(chunks, 3).expect("known").is_none());
        }
    }

    #[test]
    fn other_colours_get_one() {
        let p3 = made(&[(b"cICP", &[12, 13, 0, 1])], 3)
            .expect("known")
            .expect("a profile");
        let right = ColorProfile::new_display_p3();
        assert!((p3.red_colorant.x - right.red_colorant.x).abs() < 1e-3);
        assert!((p3.blue_colorant.z - right.blue_colorant.z).abs() < 1e-3);

        let linear = made(&[(b"gAMA", &numbers(&[100_000]))], 3)
            .expect("known")
            .expect("a profile");
        let sixteenth = |profile: &ColorProfile| match &profile.red_trc {
            Some(ToneReprCurve::Parametric(curve)) => curve[0],
            other => panic!("{other:?}"),
        };
        assert!((sixteenth(&linear) - 1.0).abs() < 1e-3);
        // Adobe RGB's green.
        let mut places = SRGB_PLACES;
        (places[4], places[5]) = (21000, 71000);
        let chunks = [
            (b"cHRM", &numbers(&places)[..]),
            (b"gAMA", &numbers(&[45470])),
        ];
        let adobe = made(&chunks, 3).expect("known").expect("a profile");
        let right = ColorProfile::new_adobe_rgb();
        assert!((adobe.green_colorant.y - right.green_colorant.y).abs() < 1e-3);

        let grey = made(&[(b"gAMA", &numbers(&[50_000]))], 1)
            .expect("known")
            .expect("a profile");
        assert_eq!(grey.color_space, DataColorSpace::Gray);
        assert!(grey.gray_trc.is_some());
    }

    #[test]
    fn a_profile_does_not_tell_the_time() {
        let chunks = [(*b"gAMA", numbers(&[100_000]))];
        let bytes = profile(&chunks, 3).expect("known").expect("a profile");
        assert_eq!(bytes[DATE], [7, 234, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn high_dynamic_range_and_unknown_codes_are_refused() {
        for points in [
            [9, 16, 0, 1],
            [9, 18, 0, 1],
            [1, 13, 0, 0],
            [1, 13, 1, 1],
            [3, 3, 0, 1],
            [2, 2, 0, 1],
        ] {
            let error = made(&[(b"cICP", &points)], 3).expect_err("refused");
            assert!(error.to_string().contains("-o NAME.png"), "{error:#}");
        }
    }
}
