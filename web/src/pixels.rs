//! Between the browser's pixels and the network's: bytes RGBA, alpha not multiplied in, and floats RGB in 0..=1.

/// `rgb` gets the colours of `rgba`; where alpha is 0 there are none, but NaN.
///
/// # Panics
/// If the two do not hold the same number of pixels.
pub fn to_floats(rgba: &[u8], rgb: &mut [f32]) {
    assert_eq!(rgba.len() / 4, rgb.len() / 3, "as many pixels");
    for (from, to) in rgba.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        if from[3] == 0 {
            to.fill(f32::NAN);
            continue;
        }
        for (from, to) in from.iter().zip(to) {
            *to = f32::from(*from) / 255.0;
        }
    }
}

/// The colours of `rgba` give way to `rgb`, clamped and rounded; alpha stays, and with it all that it hides.
///
/// # Panics
/// If the two do not hold the same number of pixels.
pub fn to_bytes(rgb: &[f32], rgba: &mut [u8]) {
    assert_eq!(rgba.len() / 4, rgb.len() / 3, "as many pixels");
    for (from, to) in rgb.chunks_exact(3).zip(rgba.chunks_exact_mut(4)) {
        if to[3] == 0 {
            continue;
        }
        for (from, to) in from.iter().zip(to) {
            // The cast saturates: below 0 and above 1 are clamped by it.
            *to = (from * 255.0).round() as u8;
        }
    }
}

/// Converts the colours of `rgb`.
pub fn convert(rgb: &mut [f32], convert: impl Fn([f32; 3]) -> [f32; 3]) {
    for pixel in rgb.as_chunks_mut().0 {
        *pixel = convert(*pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_and_alpha_stays() {
        let rgba: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v / 2, 7]).collect();
        let mut rgb = vec![0.0; 256 * 3];
        to_floats(&rgba, &mut rgb);
        let mut back: Vec<u8> = [0, 0, 0, 7].repeat(256);
        to_bytes(&rgb, &mut back);
        assert_eq!(back, rgba);
    }

    #[test]
    fn hidden_pixels_have_no_colours_and_stay() {
        let mut rgba = [255, 0, 255, 0, 1, 2, 3, 1];
        let mut rgb = [0.0; 6];
        to_floats(&rgba, &mut rgb);
        assert!(rgb[..3].iter().all(|sample| sample.is_nan()));
        assert_eq!(rgb[3..], [1.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0]);
        to_bytes(&[0.5; 6], &mut rgba);
        assert_eq!(rgba, [255, 0, 255, 0, 128, 128, 128, 1]);
    }

    #[test]
    fn what_is_out_of_range_is_clamped() {
        let mut rgba = [1, 2, 3, 4];
        to_bytes(&[-0.3, 1.7, 0.5], &mut rgba);
        assert_eq!(rgba, [0, 255, 128, 4]);
    }
}
