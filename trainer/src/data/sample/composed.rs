//! Pairs of photos for steering: one has two faults, the other only one of them. Such pairs cost nothing: the same fault is
//! laid over the photo with the other fault and over the photo without it.

use anyhow::Result;
use dino_ir::Fault;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::known::MARGIN;
use super::place::along;
use super::{Sampler, Subset};
use crate::data::degrade::camera::Camera;
use crate::data::degrade::grain::Grain;
use crate::data::degrade::haze::Frame;
use crate::data::degrade::jpeg::Compression;
use crate::data::degrade::lens::Kernel;
use crate::data::degrade::rain::Rain;
use crate::data::degrade::{Task, blur, haze, jpeg, noise};
use crate::data::hash::mix;
use crate::data::rgb::Rgb;

/// A patch with one fault or two.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// With all its faults.
    pub picture: Rgb,
    /// Its faults.
    pub faults: Vec<Present>,
}

/// A fault of a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Which.
    pub fault: Fault,
    /// The patch when this fault is removed and the other is not. Nothing where there is no other: there what the network
    /// makes of it is as good as it gets.
    pub without: Option<Rgb>,
}

/// How a fault is made; the same each time.
struct Maker {
    kind: Kind,
    frame: Frame,
    seed: u64,
}

enum Kind {
    Noise(f32),
    Grain(Grain),
    Camera(Camera),
    Jpeg(Compression),
    Blur(f32),
    Lens(Kernel),
    Rain(Rain),
    Haze,
}

/// Standard deviations of noise.
const SIGMA: std::ops::Range<f32> = 5.0..55.0;

impl Kind {
    fn draw(fault: Fault, rng: &mut StdRng) -> Self {
        match (fault, rng.random_range(0..10)) {
            (Fault::Noise, 0..6) => Self::Noise(rng.random_range(SIGMA)),
            (Fault::Noise, 6..8) => Self::Grain(Grain::draw(rng)),
            (Fault::Noise, _) => {
                let exposure = 1.0;
                Self::Camera(Camera {
                    exposure,
                    ..Camera::draw(rng)
                })
            }
            (Fault::Blur, 0..6) => Self::Blur(rng.random_range(0.7..3.5)),
            (Fault::Blur, _) => Self::Lens(Kernel::draw(rng)),
            (Fault::Rain, _) => Self::Rain(Rain::draw(rng)),
            (Fault::Haze, _) => Self::Haze,
            (Fault::Jpeg, _) => Self::Jpeg(Compression::draw(10..=85, rng)),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Noise(_) | Self::Grain(_) | Self::Camera(_) => Fault::Noise,
            Self::Jpeg(_) => Fault::Jpeg,
            Self::Blur(_) | Self::Lens(_) => Fault::Blur,
            Self::Rain(_) => Fault::Rain,
            Self::Haze => Fault::Haze,
        }
    }
}

impl Maker {
    fn draw(fault: Fault, frame: Frame, rng: &mut StdRng) -> Self {
        Self {
            kind: Kind::draw(fault, rng),
            frame,
            seed: rng.random(),
        }
    }

    fn apply(&self, photo: &Rgb) -> Result<Rgb> {
        let rng = &mut StdRng::seed_from_u64(self.seed);
        Ok(match &self.kind {
            Kind::Noise(sigma) => noise::add(photo, *sigma, rng),
            Kind::Grain(grain) => grain.apply(photo, rng),
            Kind::Camera(camera) => camera.shoot(photo, rng)?.1,
            Kind::Jpeg(compression) => jpeg::compress_as(photo, compression)?,
            Kind::Blur(sigma) => blur::gaussian(photo, *sigma).quantised(),
            Kind::Lens(kernel) => kernel.blur(photo).quantised(),
            Kind::Rain(rain) => rain.apply(photo, rng),
            Kind::Haze => haze::degrade(photo, self.frame, rng),
        })
    }
}

/// Two faults in the order in which they come to a photo: the scene's, the lens's, the sensor's, the file's.
const PAIRS: [[Fault; 2]; 10] = [
    [Fault::Haze, Fault::Noise],
    [Fault::Haze, Fault::Noise],
    [Fault::Rain, Fault::Noise],
    [Fault::Blur, Fault::Noise],
    [Fault::Haze, Fault::Jpeg],
    [Fault::Rain, Fault::Jpeg],
    [Fault::Blur, Fault::Jpeg],
    [Fault::Haze, Fault::Rain],
    [Fault::Haze, Fault::Blur],
    [Fault::Noise, Fault::Jpeg],
];

impl Sampler {
    /// A patch of `side` pixels with one fault (a third) or two, from the seed and the index alone.
    ///
    /// # Errors
    /// When a made JPEG cannot be written or read back.
    pub fn composed(&self, index: u64, side: usize) -> Result<Composed> {
        let mut rng = StdRng::seed_from_u64(mix(self.seed ^ mix(index)));
        let rng = &mut rng;
        let pair = PAIRS[rng.random_range(0..PAIRS.len())];
        let single = rng.random_range(0..3) == 0;
        let first = match single {
            true => Fault::ALL[rng.random_range(0..Fault::ALL.len())],
            false => pair[0],
        };
        let (clean, spoilt, frame) = self.first_fault(first, side, rng)?;
        let composed = if single {
            let alone = Present {
                fault: first,
                without: None,
            };
            Composed {
                picture: spoilt,
                faults: vec![alone],
            }
        } else {
            let second = Maker::draw(pair[1], frame, rng);
            let (picture, other) = (second.apply(&spoilt)?, second.apply(&clean)?);
            let present = |fault, without| Present {
                fault,
                without: Some(without),
            };
            Composed {
                picture,
                faults: vec![present(first, other), present(second.kind.fault(), spoilt)],
            }
        };
        // Blocks of JPEG begin anywhere.
        let [x, y] = [0; 2].map(|_| MARGIN - rng.random_range(0..8));
        Ok(composed.cropped(x, y, side))
    }

    /// A piece of a photo without and with its first fault, and where it is in its photo.
    fn first_fault(
        &self,
        fault: Fault,
        side: usize,
        rng: &mut StdRng,
    ) -> Result<(Rgb, Rgb, Frame)> {
        let task = match fault {
            Fault::Rain => Task::Rain,
            Fault::Haze => Task::Haze,
            Fault::Noise | Fault::Blur | Fault::Jpeg => Task::Clean,
        };
        let pairs = self.real_pairs(task, Subset::Train);
        if !pairs.is_empty() && rng.random::<f32>() < self.real_share {
            let pair = &pairs[rng.random_range(0..pairs.len())];
            let side = side + 2 * MARGIN;
            let x = along(pair.clean.width, side, rng);
            let y = along(pair.clean.height, side, rng);
            let flip = rng.random();
            let [clean, spoilt] = [&pair.clean, &pair.degraded].map(|photo| {
                let patch = photo.patch(x, y, side, side);
                if flip { patch.flip() } else { patch }
            });
            return Ok((clean, spoilt, Frame::WHOLE));
        }
        let (clean, frame) = self.cut(task, side, rng);
        let spoilt = Maker::draw(fault, frame, rng).apply(&clean)?;
        Ok((clean, spoilt, frame))
    }
}

impl Composed {
    fn cropped(mut self, x: usize, y: usize, side: usize) -> Self {
        self.picture = self.picture.crop(x, y, side, side);
        for present in &mut self.faults {
            present.without = present
                .without
                .take()
                .map(|photo| photo.crop(x, y, side, side));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::dataset::{DataConfig, Dataset, Photo};

    fn sampler() -> Sampler {
        let photo = |seed: u64| {
            let mut rng = StdRng::seed_from_u64(seed);
            let (width, height) = (120, 100);
            let samples = (0..width * height * 3).map(|_| rng.random_range(60..190));
            Arc::new(Photo {
                name: format!("{seed}.png"),
                width,
                height,
                samples: samples.collect(),
            })
        };
        let data = Dataset::of_clean((0..3).map(photo));
        Sampler::from_dataset(Arc::new(data), &DataConfig::default(), 4).expect("valid")
    }

    #[test]
    fn one_fault_goes_and_the_other_stays() {
        let sampler = sampler();
        let (mut pairs, mut singles) = (0, 0);
        for index in 0..60 {
            let patch = sampler.composed(index, 32).expect("made");
            assert_eq!(patch, sampler.composed(index, 32).expect("made again"));
            assert_eq!((patch.picture.width, patch.picture.height), (32, 32));
            match &patch.faults[..] {
                [alone] => {
                    assert_eq!(alone.without, None);
                    singles += 1;
                }
                [first, second] => {
                    assert_ne!(first.fault, second.fault);
                    let [one, other] = [first, second].map(|present| {
                        let without = present.without.as_ref().expect("what is left");
                        assert_eq!((without.width, without.height), (32, 32));
                        assert_ne!(without, &patch.picture, "{index}: {:?}", present.fault);
                        without
                    });
                    assert_ne!(one, other);
                    pairs += 1;
                }
                others => panic!("{} faults", others.len()),
            }
        }
        assert!(pairs > 25 && singles > 8, "{pairs} and {singles}");
    }

    /// Without the haze there is the same noise as with it.
    #[test]
    fn the_fault_that_stays_is_the_same() {
        let noise = Maker {
            kind: Kind::Noise(20.0),
            frame: Frame::WHOLE,
            seed: 9,
        };
        let grey = |level: f32| Rgb::from_fn(24, 24, |_, _| [level; 3]);
        let [dark, light] = [0.4, 0.6].map(|level| noise.apply(&grey(level)).expect("made"));
        for (dark, light) in dark.pixels.iter().zip(&light.pixels) {
            assert!((light - dark - 0.2).abs() < 1.01 / 255.0);
        }
    }
}
