//! Noise of cameras: it arises in linear light before demosaicing, and what the camera does afterwards colours it,
//! spreads it and sharpens it.
//!
//! A photo is taken back to what the sensor saw ("unprocessing": Brooks et al., "Unprocessing Images for Learned Raw
//! Denoising", CVPR 2019, whose ranges of gains and of read noise are used here), gets Poisson-Gaussian noise on a Bayer
//! mosaic, and is developed again: white balance, demosaicing, colour matrix, tone curve; often smoothed, sharpened and
//! compressed, as cameras do.

mod demosaic;

use super::blur;
use super::jpeg::{self, Compression};
use crate::data::rgb::Rgb;
use anyhow::Result;
use demosaic::{Demosaicing, Mosaic};
use dino_ir::Transfer;
use rand::Rng;
use rand_distr::StandardNormal;

/// A camera and its settings for one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Light that reaches the sensor, against the photo's: below 1 the photo is darker, its truth too.
    pub exposure: f32,
    /// White balance: gains of red and blue, green being 1.
    pub gains: [f32; 2],
    /// What each row of the colour matrix takes from the two other channels; rows sum to 1.
    pub crosstalk: [[f32; 2]; 3],
    /// Whether there is an S-shaped tone curve besides the gamma of sRGB.
    pub tone_curve: bool,
    /// Variance of the noise for each unit of light (of 1).
    pub shot: f32,
    /// Variance of the noise in the dark.
    pub read: f32,
    /// Column and row of the mosaic's first red pixel, 0 or 1.
    pub phase: [usize; 2],
    /// How the mosaic becomes a picture.
    pub demosaicing: Demosaicing,
    /// How much of small differences in brightness the camera smooths away, 0..1.
    pub smooth: f32,
    /// Deviation in pixels of the Gaussian that takes coloured noise away; 0 for none.
    pub chroma: f32,
    /// How much it sharpens, 0..1.
    pub sharpen: f32,
    /// The JPEG that it writes.
    pub compression: Option<Compression>,
}

impl Camera {
    /// Draws a camera: low sensitivities as often as high ones, two in three with smoothing of their own.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let shot = rng.random_range(1e-4f32.ln()..3e-2f32.ln()).exp();
        let mut camera = Self::body(shot, rng);
        if rng.random_bool(0.3) {
            camera.exposure = rng.random_range(0.15f32.ln()..0.0).exp();
        }
        if rng.random_bool(0.65) {
            camera.smooth = rng.random_range(0.0..0.9);
            camera.chroma = rng.random_range(0.0..2.5f32);
        }
        if rng.random_bool(0.4) {
            camera.sharpen = rng.random_range(0.0..0.8);
        }
        if rng.random_bool(0.75) {
            camera.compression = Some(Compression::draw(70..=99, rng));
        }
        camera
    }

    /// A camera at a sensitivity, with a JPEG of quality 90 and no smoothing, for measuring: the light of 1 is 450,000 /
    /// ISO electrons, as on the small sensors of phones and compact cameras.
    pub fn at_iso(iso: f32, rng: &mut impl Rng) -> Self {
        Self {
            compression: Some(Compression {
                quality: 90,
                halved: true,
            }),
            ..Self::body(2.2e-6 * iso, rng)
        }
    }

    /// A camera that neither smooths nor sharpens nor compresses.
    fn body(shot: f32, rng: &mut impl Rng) -> Self {
        let spread: f32 = rng.sample(StandardNormal);
        Self {
            exposure: 1.0,
            gains: [rng.random_range(1.9..2.4), rng.random_range(1.5..1.9)],
            crosstalk: [0; 3].map(|_| [0; 2].map(|_| rng.random_range(0.0..0.35))),
            tone_curve: rng.random_bool(0.5),
            shot,
            // Brooks et al., section 3.1: log read = 2.18 log shot + 1.2, with a deviation of 0.26.
            read: (2.18 * shot.ln() + 1.2 + 0.26 * spread).exp(),
            phase: [rng.random_range(0..2), rng.random_range(0..2)],
            demosaicing: if rng.random_bool(0.6) {
                Demosaicing::Malvar
            } else {
                Demosaicing::Bilinear
            },
            smooth: 0.0,
            chroma: 0.0,
            sharpen: 0.0,
            compression: None,
        }
    }

    /// Takes the photo: its truth, darker where the exposure is, and what the camera makes of it, both in 8 bit.
    pub fn shoot(&self, photo: &Rgb, rng: &mut impl Rng) -> Result<(Rgb, Rgb)> {
        let matrix = self.matrix();
        let scene = self.unprocess(photo, inverse(matrix));
        let truth = if self.exposure < 1.0 {
            self.develop(scene.clone(), matrix).quantised()
        } else {
            photo.clone()
        };
        let mosaic = Mosaic::new(&scene, self.phase, |light| {
            let deviation = (self.shot * light.max(0.0) + self.read).sqrt();
            // Clipped where the sensor is full, as white balance and exposure leave it.
            (light + deviation * rng.sample::<f32, _>(StandardNormal)).min(1.0)
        });
        let mut noisy = self.develop(mosaic.demosaic(self.demosaicing), matrix);
        self.finish(&mut noisy);
        let noisy = noisy.quantised();
        let noisy = match &self.compression {
            Some(compression) => jpeg::compress_as(&noisy, compression)?,
            None => noisy,
        };
        Ok((truth, noisy))
    }

    fn matrix(&self) -> [[f32; 3]; 3] {
        let [[a, b], [c, d], [e, f]] = self.crosstalk;
        [
            [1.0 + a + b, -a, -b],
            [-c, 1.0 + c + d, -d],
            [-e, -f, 1.0 + e + f],
        ]
    }

    fn all_gains(&self) -> [f32; 3] {
        [self.gains[0], 1.0, self.gains[1]]
    }

    /// What the sensor sees: linear light in the camera's own colours, before white balance.
    fn unprocess(&self, photo: &Rgb, inverse: [[f32; 3]; 3]) -> Rgb {
        let mut scene = photo.clone();
        let gains = self.all_gains();
        for pixel in scene.pixels.chunks_exact_mut(3) {
            let linear = [pixel[0], pixel[1], pixel[2]].map(|v| {
                let v = v.clamp(0.0, 1.0);
                Transfer::Linear.from_srgb(if self.tone_curve {
                    inverse_s_curve(v)
                } else {
                    v
                })
            });
            let seen = apply(inverse, linear);
            for ((v, seen), gain) in pixel.iter_mut().zip(seen).zip(gains) {
                *v = self.exposure * seen / gain;
            }
        }
        scene
    }

    /// White balance, colour matrix, gamma and tone curve; clipped to 0..1.
    fn develop(&self, mut scene: Rgb, matrix: [[f32; 3]; 3]) -> Rgb {
        let gains = self.all_gains();
        for pixel in scene.pixels.chunks_exact_mut(3) {
            let balanced = [
                pixel[0] * gains[0],
                pixel[1] * gains[1],
                pixel[2] * gains[2],
            ];
            for (v, linear) in pixel.iter_mut().zip(apply(matrix, balanced)) {
                let encoded = Transfer::Linear.to_srgb(linear.clamp(0.0, 1.0));
                *v = if self.tone_curve {
                    s_curve(encoded)
                } else {
                    encoded
                };
            }
        }
        scene
    }

    /// What the camera does about its noise: colour is smoothed, small differences of brightness shrink (coring), edges
    /// are sharpened.
    fn finish(&self, picture: &mut Rgb) {
        if self.chroma > 0.3 {
            let smooth = blur::gaussian(picture, self.chroma);
            for (pixel, smooth) in picture
                .pixels
                .chunks_exact_mut(3)
                .zip(smooth.pixels.chunks_exact(3))
            {
                let shift = luma(pixel) - luma(smooth);
                pixel
                    .iter_mut()
                    .zip(smooth)
                    .for_each(|(v, s)| *v = s + shift);
            }
        }
        if self.smooth > 0.0 {
            let around = blur::gaussian(picture, 1.0);
            // Up to some deviations of the noise in mid grey, where gamma's slope is about 1.
            let small = 3.0 * (0.2 * self.shot + self.read).sqrt();
            for (pixel, around) in picture
                .pixels
                .chunks_exact_mut(3)
                .zip(around.pixels.chunks_exact(3))
            {
                let difference = luma(around) - luma(pixel);
                let shift = self.smooth * difference * (-(difference / small).powi(2)).exp();
                pixel.iter_mut().for_each(|v| *v += shift);
            }
        }
        if self.sharpen > 0.0 {
            let around = blur::gaussian(picture, 1.0);
            for (pixel, around) in picture
                .pixels
                .chunks_exact_mut(3)
                .zip(around.pixels.chunks_exact(3))
            {
                let shift = self.sharpen * (luma(pixel) - luma(around));
                pixel.iter_mut().for_each(|v| *v += shift);
            }
        }
    }
}

/// A photo taken with a camera drawn at random: its truth and what the camera made of it.
pub fn degrade(photo: &Rgb, rng: &mut impl Rng) -> Result<(Rgb, Rgb)> {
    Camera::draw(rng).shoot(photo, rng)
}

fn luma(pixel: &[f32]) -> f32 {
    0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}

fn apply(matrix: [[f32; 3]; 3], v: [f32; 3]) -> [f32; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

/// By cofactors. A colour matrix, whose diagonal outweighs the rest of its row, has an inverse.
fn inverse(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f32 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
    [0, 1, 2].map(|r| [0, 1, 2].map(|c| minor(c, r) / determinant))
}

/// Smoothstep, as Brooks et al. take it for a camera's tone curve.
fn s_curve(v: f32) -> f32 {
    v * v * (3.0 - 2.0 * v)
}

fn inverse_s_curve(v: f32) -> f32 {
    0.5 - ((1.0 - 2.0 * v).clamp(-1.0, 1.0).asin() / 3.0).sin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn smooth_photo() -> Rgb {
        Rgb::from_fn(48, 40, |x, y| {
            let wave = |k: f32| 0.5 + 0.3 * (k * x as f32 + 0.13 * y as f32).sin();
            [wave(0.05), wave(0.035), wave(0.08)]
        })
        .quantised()
    }

    fn error(a: &Rgb, b: &Rgb) -> f32 {
        let squares: f32 = a
            .pixels
            .iter()
            .zip(&b.pixels)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        255.0 * (squares / a.pixels.len() as f32).sqrt()
    }

    #[test]
    fn a_camera_without_noise_gives_the_photo_back() {
        for seed in 0..12 {
            let mut rng = StdRng::seed_from_u64(seed);
            let camera = Camera {
                read: 0.0,
                ..Camera::body(0.0, &mut rng)
            };
            let (truth, taken) = camera.shoot(&smooth_photo(), &mut rng).expect("no file");
            assert_eq!(truth, smooth_photo());
            // What is left is demosaicing.
            let error = error(&truth, &taken);
            assert!(error < 2.0, "{seed} {camera:?}: {error}");
        }
    }

    #[test]
    fn higher_sensitivity_is_noisier_and_brightness_stays() {
        let noise = |iso| {
            let mut rng = StdRng::seed_from_u64(3);
            let camera = Camera::at_iso(iso, &mut rng);
            let (truth, taken) = camera.shoot(&smooth_photo(), &mut rng).expect("a JPEG");
            let mean = |image: &Rgb| image.pixels.iter().sum::<f32>() / image.pixels.len() as f32;
            assert!((mean(&truth) - mean(&taken)).abs() < 0.03);
            error(&truth, &taken)
        };
        let (low, high) = (noise(400.0), noise(6400.0));
        assert!(low > 2.0 && high > 2.0 * low, "{low} {high}");
    }

    #[test]
    fn a_dark_exposure_darkens_the_truth() {
        let mut rng = StdRng::seed_from_u64(5);
        let camera = Camera {
            exposure: 0.25,
            ..Camera::body(1e-3, &mut rng)
        };
        let (truth, taken) = camera.shoot(&smooth_photo(), &mut rng).expect("no file");
        let mean = |image: &Rgb| image.pixels.iter().sum::<f32>() / image.pixels.len() as f32;
        assert!(mean(&truth) < 0.7 * mean(&smooth_photo()));
        assert!((mean(&truth) - mean(&taken)).abs() < 0.03);
    }

    #[test]
    fn smoothing_makes_less_noise_and_sharpening_more() {
        let flat = Rgb::from_fn(48, 40, |_, _| [0.5; 3]);
        let deviation = |smooth: f32, sharpen: f32| {
            let mut rng = StdRng::seed_from_u64(6);
            let camera = Camera {
                smooth,
                sharpen,
                ..Camera::body(2e-3, &mut rng)
            };
            let (_, taken) = camera.shoot(&flat, &mut rng).expect("no file");
            let luma: Vec<f32> = taken.pixels.chunks_exact(3).map(luma).collect();
            let mean = luma.iter().sum::<f32>() / luma.len() as f32;
            luma.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt()
        };
        assert!(deviation(0.8, 0.0) < 0.8 * deviation(0.0, 0.0));
        assert!(deviation(0.0, 0.8) > 1.2 * deviation(0.0, 0.0));
    }

    #[test]
    fn curves_and_matrices_have_their_inverses() {
        for v in [0.0, 0.02, 0.3, 0.77, 1.0] {
            assert!((s_curve(inverse_s_curve(v)) - v).abs() < 1e-5);
            assert!((Transfer::Linear.to_srgb(Transfer::Linear.from_srgb(v)) - v).abs() < 1e-5);
        }
        let camera = Camera::body(0.0, &mut StdRng::seed_from_u64(8));
        let there = apply(camera.matrix(), [0.1, 0.5, 0.9]);
        let back = apply(inverse(camera.matrix()), there);
        assert!(
            back.iter()
                .zip([0.1, 0.5, 0.9])
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
    }
}
