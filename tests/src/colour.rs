//! Colours in several profiles, and how different two look: CIEDE2000 of sRGB-encoded colours.

use dino_ir_trainer::photo::Photo;
use moxcms::{ColorProfile, Layout, RenderingIntent, ToneReprCurve, TransformOptions};

/// Linear light, the primaries of sRGB.
pub fn linear() -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    let curve = Some(ToneReprCurve::Parametric(vec![1.0]));
    profile.red_trc = curve.clone();
    profile.green_trc = curve.clone();
    profile.blue_trc = curve;
    profile
}

/// Values in the colours of another profile, by moxcms's own conversion.
///
/// # Panics
/// If moxcms has none.
pub fn converted(values: &[f32], from: &ColorProfile, to: &ColorProfile) -> Vec<f32> {
    let options = TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        ..TransformOptions::default()
    };
    let transform = from.create_transform_f32(Layout::Rgb, to, Layout::Rgb, options);
    let mut result = vec![0.0; values.len()];
    let done = transform
        .expect("a conversion")
        .transform(values, &mut result);
    done.expect("converted");
    result
}

/// The samples of a photo, sRGB-encoded.
///
/// # Panics
/// If its profile is damaged.
pub fn srgb(photo: &Photo) -> Vec<f32> {
    let samples = photo.samples.chunks_exact(photo.depth.bytes());
    let values: Vec<f32> = samples
        .map(|sample| photo.depth.get(sample) / photo.depth.white())
        .collect();
    match &photo.metadata.icc {
        Some(icc) => {
            let profile = ColorProfile::new_from_slice(icc).expect("a profile");
            converted(&values, &profile, &ColorProfile::new_srgb())
        }
        None => values,
    }
}

/// CIELAB under D65 of an sRGB-encoded colour, 0..=1.
fn lab(colour: [f32; 3]) -> [f64; 3] {
    let [red, green, blue] = colour.map(|value| {
        let value = f64::from(value);
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    let curve = |v: f64| {
        if v > 216.0 / 24389.0 {
            v.cbrt()
        } else {
            (24389.0 / 27.0 * v + 16.0) / 116.0
        }
    };
    let x = curve((0.412_456 * red + 0.357_576 * green + 0.180_437 * blue) / 0.950_47);
    let y = curve(0.212_673 * red + 0.715_152 * green + 0.072_175 * blue);
    let z = curve((0.019_334 * red + 0.119_192 * green + 0.950_304 * blue) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The mean CIEDE2000 difference of two pictures, interleaved RGB, sRGB-encoded.
pub fn mean_difference(one: &[f32], other: &[f32]) -> f64 {
    assert_eq!(one.len(), other.len(), "as many pixels");
    let pixels = one.chunks_exact(3).zip(other.chunks_exact(3));
    let sum: f64 = pixels
        .map(|(a, b)| ciede2000(lab([a[0], a[1], a[2]]), lab([b[0], b[1], b[2]])))
        .sum();
    sum / (one.len() / 3) as f64
}

/// Sharma, Wu and Dalal: The CIEDE2000 color-difference formula (2005), equations 2 to 22.
fn ciede2000([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
    let seventh = |c: f64| (c.powi(7) / (c.powi(7) + 25f64.powi(7))).sqrt();
    let chroma = (a1.hypot(b1) + a2.hypot(b2)) / 2.0;
    let stretch = 1.0 + 0.5 * (1.0 - seventh(chroma));
    let polar = |a: f64, b: f64| {
        let a = a * stretch;
        let hue = if a == 0.0 && b == 0.0 {
            0.0
        } else {
            b.atan2(a).to_degrees().rem_euclid(360.0)
        };
        (a.hypot(b), hue)
    };
    let ((c1, h1), (c2, h2)) = (polar(a1, b1), polar(a2, b2));
    let grey = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if grey => 0.0,
        turn if turn > 180.0 => turn - 360.0,
        turn if turn < -180.0 => turn + 360.0,
        turn => turn,
    };
    let hue = match (h1 + h2, (h1 - h2).abs() > 180.0) {
        (sum, _) if grey => sum,
        (sum, false) => sum / 2.0,
        (sum, true) if sum < 360.0 => (sum + 360.0) / 2.0,
        (sum, true) => (sum - 360.0) / 2.0,
    };
    let (light, chroma) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
    let cosine = |degrees: f64| degrees.to_radians().cos();
    let t =
        1.0 - 0.17 * cosine(hue - 30.0) + 0.24 * cosine(2.0 * hue) + 0.32 * cosine(3.0 * hue + 6.0)
            - 0.20 * cosine(4.0 * hue - 63.0);
    let rotation = 30.0 * (-((hue - 275.0) / 25.0).powi(2)).exp();
    let lightness = (light - 50.0).powi(2);
    let delta_l = (l2 - l1) / (1.0 + 0.015 * lightness / (20.0 + lightness).sqrt());
    let delta_c = (c2 - c1) / (1.0 + 0.045 * chroma);
    let delta_h =
        2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin() / (1.0 + 0.015 * chroma * t);
    let cross = -(2.0 * rotation).to_radians().sin() * 2.0 * seventh(chroma);
    (delta_l.powi(2) + delta_c.powi(2) + delta_h.powi(2) + cross * delta_c * delta_h).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs 1, 7, 14 and 25 of the paper's table 1.
    #[test]
    fn pairs_of_the_paper() {
        for (one, other, expected) in [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, -0.0010, 2.4900], [50.0, 0.0011, -2.4900], 4.7461),
            (
                [60.2574, -34.0099, 36.2677],
                [60.4626, -34.1751, 39.4387],
                1.2644,
            ),
        ] {
            let difference = ciede2000(one, other);
            assert!(
                (difference - expected).abs() < 1e-4,
                "{difference} for {expected}"
            );
        }
    }
}
