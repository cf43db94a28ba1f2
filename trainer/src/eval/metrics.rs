//! PSNR and SSIM by three named protocols, which are never mixed in one table.

use crate::data::rgb::Rgb;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How two pictures are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As AirNet, PromptIR and the paper's tables: RGB, output clipped and not rounded, SSIM with a
    /// uniform 7 x 7 window averaged over the channels, photos cropped to multiples of 16.
    #[default]
    Airnet,
    /// As Restormer: RGB, output rounded to 8 bit, SSIM with a Gaussian window of 11 x 11, sigma 1.5.
    Restormer,
    /// As deraining papers: the luma of MATLAB's `rgb2ycbcr` on 8-bit pictures, the same Gaussian window.
    Y,
}

impl Protocol {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Airnet => "airnet",
            Self::Restormer => "restormer",
            Self::Y => "y",
        }
    }

    /// Cuts a photo, before it is degraded or restored, to the part that the protocol looks at.
    pub fn crop(self, image: Rgb) -> Result<Rgb> {
        const MULTIPLE: usize = 16;
        if self != Self::Airnet {
            return Ok(image);
        }
        let (over_x, over_y) = (image.width % MULTIPLE, image.height % MULTIPLE);
        let (width, height) = (image.width - over_x, image.height - over_y);
        if width == 0 || height == 0 {
            bail!(
                "{} x {} is too small for protocol airnet, which needs {MULTIPLE} pixels",
                image.width,
                image.height
            );
        }
        Ok(image.crop(over_x / 2, over_y / 2, width, height))
    }

    /// Compares a restored picture with its truth. They must be of one size, at least a window wide
    /// and high, and finite.
    pub fn score(self, output: &Rgb, truth: &Rgb) -> Result<Score> {
        if (output.width, output.height) != (truth.width, truth.height) {
            bail!(
                "the output is {} x {}, its truth {} x {}",
                output.width,
                output.height,
                truth.width,
                truth.height
            );
        }
        if !output.pixels.iter().all(|v| v.is_finite()) {
            bail!("the output has values that are not finite");
        }
        let (output, truth) = (self.planes(output), self.planes(truth));
        let (peak, window) = match self {
            Self::Airnet => (1.0, Window::uniform()),
            Self::Restormer | Self::Y => (255.0, Window::gaussian()),
        };
        let count = (output.len() * output[0].values.len()) as f64;
        let squares: f64 = output.iter().zip(&truth).map(|(a, b)| a.squares(b)).sum();
        let mut ssim = 0.0;
        for (a, b) in output.iter().zip(&truth) {
            ssim += window.ssim(a, b, peak)? / output.len() as f64;
        }
        Ok(Score {
            psnr: 10.0 * (peak * peak * count / squares).log10(),
            ssim,
        })
    }

    fn planes(self, image: &Rgb) -> Vec<Plane> {
        let plane = |value: &dyn Fn(&[f32]) -> f64| Plane {
            width: image.width,
            height: image.height,
            values: image.pixels.chunks_exact(3).map(value).collect(),
        };
        let byte = |v: f32| f64::from((v * 255.0).round().clamp(0.0, 255.0));
        match self {
            Self::Airnet => (0..3)
                .map(|c| plane(&|p| f64::from(p[c].clamp(0.0, 1.0))))
                .collect(),
            Self::Restormer => (0..3).map(|c| plane(&|p| byte(p[c]))).collect(),
            Self::Y => vec![plane(&|p| {
                let [r, g, b] = [byte(p[0]), byte(p[1]), byte(p[2])];
                ((65.481 * r + 128.553 * g + 24.966 * b) / 255.0 + 16.0).round()
            })],
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Airnet, Self::Restormer, Self::Y]
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| {
                anyhow::anyhow!("unknown protocol {name:?}: expected airnet, restormer or y")
            })
    }
}

/// How near a picture is to its truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Peak signal-to-noise ratio in dB, infinite for equal pictures.
    pub psnr: f64,
    /// Structural similarity, 1 for equal pictures.
    pub ssim: f64,
}

/// One channel.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f64>,
}

impl Plane {
    fn squares(&self, other: &Self) -> f64 {
        self.values
            .iter()
            .zip(&other.values)
            .map(|(a, b)| (a - b).powi(2))
            .sum()
    }
}

/// A separable window and the factor that makes its variances unbiased, or not.
struct Window {
    taps: Vec<f64>,
    unbiased: f64,
}

impl Window {
    /// 7 x 7, sample covariance (scikit-image's default).
    fn uniform() -> Self {
        Self {
            taps: vec![1.0 / 7.0; 7],
            unbiased: 49.0 / 48.0,
        }
    }

    /// 11 x 11, sigma 1.5, population covariance (Wang et al. 2004).
    fn gaussian() -> Self {
        let taps: Vec<f64> = (-5..=5)
            .map(|at| (-0.5 * (f64::from(at) / 1.5).powi(2)).exp())
            .collect();
        let sum: f64 = taps.iter().sum();
        Self {
            taps: taps.into_iter().map(|tap| tap / sum).collect(),
            unbiased: 1.0,
        }
    }

    /// Mean structural similarity over all places where the window lies inside.
    fn ssim(&self, a: &Plane, b: &Plane, peak: f64) -> Result<f64> {
        let side = self.taps.len();
        if a.width < side || a.height < side {
            bail!(
                "{} x {} is smaller than SSIM's window of {side} x {side}",
                a.width,
                a.height
            );
        }
        let mean = |value: &dyn Fn(f64, f64) -> f64| {
            let values = a.values.iter().zip(&b.values);
            self.filter(
                &values.map(|(&a, &b)| value(a, b)).collect::<Vec<_>>(),
                a.width,
            )
        };
        let (mean_a, mean_b) = (mean(&|a, _| a), mean(&|_, b| b));
        let (aa, bb, ab) = (
            mean(&|a, _| a * a),
            mean(&|_, b| b * b),
            mean(&|a, b| a * b),
        );
        let (c1, c2) = ((0.01 * peak).powi(2), (0.03 * peak).powi(2));
        let mut sum = 0.0;
        for at in 0..aa.len() {
            let (ma, mb) = (mean_a[at], mean_b[at]);
            let variance = self.unbiased * (aa[at] - ma * ma + bb[at] - mb * mb);
            let covariance = self.unbiased * (ab[at] - ma * mb);
            sum += (2.0 * ma * mb + c1) * (2.0 * covariance + c2)
                / ((ma * ma + mb * mb + c1) * (variance + c2));
        }
        Ok(sum / aa.len() as f64)
    }

    /// Weighted means at all places where the window lies inside.
    fn filter(&self, values: &[f64], width: usize) -> Vec<f64> {
        let (side, height) = (self.taps.len(), values.len() / width);
        let (inner_width, inner_height) = (width - side + 1, height - side + 1);
        let mut rows = vec![0.0; inner_width * height];
        for (row, line) in rows
            .chunks_exact_mut(inner_width)
            .zip(values.chunks_exact(width))
        {
            for (tap, weight) in self.taps.iter().enumerate() {
                for (sum, value) in row.iter_mut().zip(&line[tap..]) {
                    *sum += weight * value;
                }
            }
        }
        let mut inner = vec![0.0; inner_width * inner_height];
        for (y, row) in inner.chunks_exact_mut(inner_width).enumerate() {
            for (tap, weight) in self.taps.iter().enumerate() {
                let from = (y + tap) * inner_width;
                for (sum, value) in row.iter_mut().zip(&rows[from..from + inner_width]) {
                    *sum += weight * value;
                }
            }
        }
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::numpy_random::NumpyRandom;

    // Expected values are scikit-image's, from:
    //
    //     import numpy as np
    //     from skimage.metrics import peak_signal_noise_ratio as psnr, structural_similarity as ssim
    //     np.random.seed(3)
    //     h, w = 32, 48
    //     y, x, c = np.mgrid[:h, :w, :3]
    //     clean = ((x * 5 + y * 3 + c * 40 + (x // 8 + y // 8) % 2 * 60) % 256) / 255
    //     for amount in (0.1, 0.5):
    //         output = (clean + amount * (np.random.rand(h, w, 3) - 0.5)).astype(np.float32).astype(float)
    //         a = np.clip(output, 0, 1)
    //         u = np.floor(a * 255 + 0.5)
    //         v = np.floor(clean * 255 + 0.5)
    //         luma = lambda i: np.floor(i @ [65.481, 128.553, 24.966] / 255 + 16.5)
    //         gauss = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    //         print(psnr(clean, a, data_range=1), ssim(clean, a, data_range=1, channel_axis=2))
    //         print(psnr(v, u, data_range=255), ssim(v, u, channel_axis=2, **gauss))
    //         print(psnr(luma(v), luma(u), data_range=255), ssim(luma(v), luma(u), **gauss))
    const EXPECTED: [[(f64, f64); 3]; 2] = [
        [
            (30.91463205319204, 0.9721069963036687),
            (30.9055069477445, 0.9728889766103218),
            (35.76586398732567, 0.9776141265925031),
        ],
        [
            (17.496563118614127, 0.6865105210489836),
            (17.496056123030684, 0.6761047889900943),
            (22.204648852715838, 0.7036435335914983),
        ],
    ];

    fn clean() -> Rgb {
        Rgb::from_fn(48, 32, |x, y| {
            let value = |c: usize| (x * 5 + y * 3 + c * 40 + (x / 8 + y / 8) % 2 * 60) % 256;
            [0, 1, 2].map(|c: usize| value(c) as f32 / 255.0)
        })
    }

    #[test]
    fn agrees_with_scikit_image() {
        let clean = clean();
        let mut random = NumpyRandom::new(3);
        for (amount, expected) in [0.1, 0.5].into_iter().zip(EXPECTED) {
            let mut output = clean.clone();
            for v in &mut output.pixels {
                let exact = f64::from((*v * 255.0).round()) / 255.0;
                *v = (exact + amount * (random.uniform() - 0.5)) as f32;
            }
            let protocols = [Protocol::Airnet, Protocol::Restormer, Protocol::Y];
            for (protocol, (psnr, ssim)) in protocols.into_iter().zip(expected) {
                let score = protocol.score(&output, &clean).expect("comparable");
                assert!((score.psnr - psnr).abs() < 1e-4, "{protocol} {score:?}");
                assert!((score.ssim - ssim).abs() < 1e-5, "{protocol} {score:?}");
            }
        }
    }

    #[test]
    fn equal_pictures_are_perfect() {
        let score = Protocol::Airnet
            .score(&clean(), &clean())
            .expect("comparable");
        assert_eq!(score.psnr, f64::INFINITY);
        assert!((score.ssim - 1.0).abs() < 1e-12);
    }

    #[test]
    fn airnet_crops_the_middle_and_the_others_nothing() {
        let image = Rgb::from_fn(35, 48, |x, y| [x as f32, y as f32, 0.0]);
        let cut = Protocol::Airnet.crop(image.clone()).expect("large enough");
        assert_eq!(
            (cut.width, cut.height, cut.pixel(0, 0)),
            (32, 48, [1.0, 0.0, 0.0])
        );
        assert_eq!(Protocol::Y.crop(image.clone()).expect("any size"), image);
        assert!(Protocol::Airnet.crop(image.crop(0, 0, 15, 20)).is_err());
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let mut broken = clean();
        broken.pixels[7] = f32::NAN;
        assert!(Protocol::Airnet.score(&broken, &clean()).is_err());
        assert!(
            Protocol::Airnet
                .score(&clean().rotate90(), &clean())
                .is_err()
        );
        let small = clean().crop(0, 0, 10, 10);
        assert!(Protocol::Restormer.score(&small, &small).is_err());
        assert!("psnr".parse::<Protocol>().is_err());
    }
}
