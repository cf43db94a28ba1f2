//! What a suite does to each photo.

use anyhow::{Result, bail};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::numpy_random::NumpyRandom;
use super::{EvalOptions, Suite};
use crate::data::dataset::{PairFiles, stem_hash};
use crate::data::degrade::camera::Camera;
use crate::data::degrade::grain::Grain;
use crate::data::degrade::jpeg::{self, Compression};
use crate::data::degrade::print::Print;
use crate::data::degrade::{blur, noise};
use crate::data::rgb::Rgb;
use crate::eval::metrics::Protocol;

/// Seed of all that is made for measuring.
pub(super) const SEED: u32 = 0;

/// What is done to each photo of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Setting {
    /// Gaussian noise as the protocol says.
    Noise(f64),
    /// Gaussian blur, a kernel of 15 x 15.
    Blur(f64),
    /// Read, not made.
    Pairs,
    /// Noise of a camera at this sensitivity, before demosaicing, then JPEG 90.
    Camera(f64),
    /// Gaussian noise, rounded to 8 bit, then JPEG 90.
    NoiseThenJpeg(f64),
    /// The same Gaussian noise in all channels.
    CommonNoise(f64),
    /// A grey photo with Gaussian noise.
    GreyNoise(f64),
    /// JPEG of this quality.
    Jpeg(u8),
    /// Nothing: the truth is the input.
    Untouched,
    /// JPEG of this quality, which is the truth too: a good photo must come back as it was.
    UntouchedJpeg(u8),
}

impl Setting {
    /// Those of a suite.
    ///
    /// # Errors
    /// Strengths that the suite does not have, or that are not positive.
    pub(super) fn of(options: &EvalOptions) -> Result<Vec<Self>> {
        let suite = options.suite;
        let sigmas = match (&options.sigmas, suite.default_sigmas()) {
            (Some(_), []) => {
                bail!("suite {suite} has no sigma: what is done to its photos is fixed")
            }
            (Some(sigmas), _) => sigmas.as_slice(),
            (None, sigmas) => sigmas,
        };
        if let Some(sigma) = sigmas.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            bail!("sigma must be positive, not {sigma}");
        }
        let settings: Vec<Self> = match suite {
            Suite::Denoise => sigmas.iter().map(|&sigma| Self::Noise(sigma)).collect(),
            Suite::Blur => sigmas.iter().map(|&sigma| Self::Blur(sigma)).collect(),
            Suite::Pairs => vec![Self::Pairs],
            Suite::Faults => vec![
                Self::Camera(1600.0),
                Self::Camera(6400.0),
                Self::NoiseThenJpeg(25.0),
                Self::CommonNoise(25.0),
                Self::GreyNoise(25.0),
                Self::Jpeg(20),
                Self::Jpeg(40),
                Self::Jpeg(70),
            ],
            Suite::Untouched => vec![Self::Untouched, Self::UntouchedJpeg(90)],
        };
        if settings.is_empty() {
            bail!("no sigma to measure at");
        }
        Ok(settings)
    }

    /// The name in reports.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Noise(sigma) => format!("noise {sigma}"),
            Self::Blur(sigma) => format!("blur {sigma}"),
            Self::Pairs => "pairs".to_owned(),
            Self::Camera(iso) => format!("camera {iso}"),
            Self::NoiseThenJpeg(sigma) => format!("noise {sigma}, jpeg 90"),
            Self::CommonNoise(sigma) => format!("common noise {sigma}"),
            Self::GreyNoise(sigma) => format!("grey noise {sigma}"),
            Self::Jpeg(quality) => format!("jpeg {quality}"),
            Self::Untouched => "untouched".to_owned(),
            Self::UntouchedJpeg(quality) => format!("untouched jpeg {quality}"),
        }
    }

    /// The network's input and its truth, cropped as the protocol wants. Each photo has a generator of its own, so that
    /// it is degraded alike whichever photos are measured; only the protocol's own noise runs on through the set.
    pub(super) fn apply(
        self,
        protocol: Protocol,
        file: &PairFiles,
        random: &mut NumpyRandom,
    ) -> Result<Example> {
        let truth = protocol.crop(file.load_clean()?)?;
        let mut rng = StdRng::seed_from_u64(u64::from(SEED) ^ stem_hash(&file.clean));
        let grain = |sigma: f64, common| Grain {
            sigma: sigma as f32,
            common,
            size: 0.0,
        };
        let jpeg = |photo: &Rgb, quality| {
            let halved = true;
            jpeg::compress_as(photo, &Compression { quality, halved })
        };
        let input = match self {
            Self::Noise(sigma) => add_noise(&truth, sigma, protocol, random),
            Self::Blur(sigma) => blur::gaussian(&truth, sigma as f32).quantised(),
            Self::Pairs => protocol.crop(file.load_degraded()?)?,
            Self::Camera(iso) => {
                Camera::at_iso(iso as f32, &mut rng)
                    .shoot(&truth, &mut rng)?
                    .1
            }
            Self::NoiseThenJpeg(sigma) => jpeg(&noise::add(&truth, sigma as f32, &mut rng), 90)?,
            Self::CommonNoise(sigma) => grain(sigma, 1.0).apply(&truth, &mut rng),
            Self::GreyNoise(sigma) => {
                let truth = Print::NEUTRAL.apply(&truth).quantised();
                let input = grain(sigma, 1.0).apply(&truth, &mut rng);
                return Ok(Example { input, truth });
            }
            Self::Jpeg(quality) => jpeg(&truth, quality)?,
            Self::Untouched => truth.clone(),
            Self::UntouchedJpeg(quality) => {
                let input = jpeg(&truth, quality)?;
                let truth = input.clone();
                return Ok(Example { input, truth });
            }
        };
        Ok(Example { input, truth })
    }
}

/// What the network is given, and what it should return.
pub(super) struct Example {
    pub(super) input: Rgb,
    pub(super) truth: Rgb,
}

/// Noise of deviation `sigma` (8-bit units). Protocol `airnet`: clipped and truncated to 8 bit, the
/// generator runs on through the set. The others: neither clipped nor rounded, seed 0 for each photo.
pub(super) fn add_noise(
    truth: &Rgb,
    sigma: f64,
    protocol: Protocol,
    random: &mut NumpyRandom,
) -> Rgb {
    let mut own = NumpyRandom::new(SEED);
    let mut noisy = truth.clone();
    for v in &mut noisy.pixels {
        let clean = f64::from(*v);
        *v = if protocol == Protocol::Airnet {
            // Whole levels before truncation, as NumPy adds the noise to a uint8 picture.
            let level = (clean * 255.0).round() + sigma * random.gaussian();
            (level.clamp(0.0, 255.0).floor() / 255.0) as f32
        } else {
            (clean + sigma / 255.0 * own.gaussian()) as f32
        };
    }
    noisy
}
