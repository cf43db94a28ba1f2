//! Photos whose faults are known in numbers: what a diagnosis learns from.

use anyhow::Result;
use dino_ir::model::diagnosis::Faults;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::place::Place;
use super::scene::{Margin, Scene};
use super::{Sampler, Subset};
use crate::data::dataset::Pair;
use crate::data::degrade::grain::Grain;
use crate::data::degrade::jpeg::Compression;
use crate::data::degrade::print::Print;
use crate::data::degrade::rain::Rain;
use crate::data::degrade::{Task, blur, camera, haze, jpeg, lens, noise};
use crate::data::hash::mix;
use crate::data::rgb::Rgb;

/// A patch with known faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The patch.
    pub picture: Rgb,
    /// What is wrong with it.
    pub faults: Faults,
}

/// A pixel with so much more light, of 255, is one that rain touches.
const TOUCHED: f32 = 4.0;

impl Sampler {
    /// A patch of `side` pixels with no fault, one or two, from the seed and the index alone: of four patches about one
    /// has none, two have one, and one has two.
    ///
    /// # Errors
    /// When a made JPEG cannot be written or read back.
    pub fn known(&self, index: u64, side: usize) -> Result<Known> {
        let mut rng = StdRng::seed_from_u64(mix(self.seed ^ mix(index)));
        let rng = &mut rng;
        // The scene's or the lens's fault first, then the sensor's or the file's.
        let (of_scene, of_file) = match rng.random_range(0..20) {
            0..5 => (false, false),
            5..11 => (true, false),
            11..16 => (false, true),
            _ => (true, true),
        };
        let mut known = if of_scene {
            self.with_fault_of_scene(side, rng)?
        } else {
            let picture = self.cut(Task::Clean, side, rng).0;
            undamaged(picture)
        };
        if of_file {
            known.add_fault_of_file(rng)?;
        } else if rng.random_bool(0.35) {
            // As good photos are.
            known.compress(Compression::draw(88..=98, rng))?;
        }
        let margin = (known.picture.width - side) / 2;
        // Blocks of JPEG begin anywhere.
        let start =
            |rng: &mut StdRng| margin.saturating_sub(8) + rng.random_range(0..8.min(margin + 1));
        let (x, y) = (start(rng), start(rng));
        known.picture = known.picture.crop(x, y, side, side);
        Ok(known)
    }

    /// A piece of a photo with a margin that faults may spoil, and where it is.
    pub(super) fn cut(&self, task: Task, side: usize, rng: &mut StdRng) -> (Rgb, haze::Frame) {
        let photos = Subset::Train.of(&self.data.clean);
        let photo = &photos[rng.random_range(0..photos.len())];
        let halved = rng.random::<f32>() < self.halved_share;
        let place = Place::draw(photo, halved, side, rng);
        let upright = matches!(task, Task::Rain | Task::Haze);
        let scene = Scene::cut(&place, side, Margin::even(MARGIN), upright, rng);
        let picture = match rng.random_range(0..12) {
            0 => Print::draw(rng).apply(&scene.picture).quantised(),
            _ => scene.picture,
        };
        (picture, scene.frame)
    }

    fn with_fault_of_scene(&self, side: usize, rng: &mut StdRng) -> Result<Known> {
        let task = [Task::Blur, Task::Rain, Task::Haze][rng.random_range(0..3)];
        let pairs = self.real_pairs(task, Subset::Train);
        if !pairs.is_empty() && rng.random::<f32>() < self.real_share {
            let pair = &pairs[rng.random_range(0..pairs.len())];
            return Ok(known_pair(pair, task, side, rng));
        }
        let (clean, frame) = self.cut(task, side, rng);
        let mut faults = Faults::NONE;
        let picture = match task {
            Task::Rain => {
                let rain = Rain::draw(rng);
                let light = rain.streaks(clean.width, clean.height, &mut rng.clone());
                let touched = light.iter().filter(|light| 255.0 * **light > TOUCHED);
                faults.rain = touched.count() as f32 / light.len() as f32;
                rain.apply(&clean, rng)
            }
            Task::Haze => {
                let (hazy, thickness) = haze::degrade_with_thickness(&clean, frame, rng);
                faults.haze = thickness;
                hazy
            }
            _ if rng.random_bool(0.65) => {
                faults.blur = rng.random_range(0.4..4.0);
                blur::gaussian(&clean, faults.blur).quantised()
            }
            _ => {
                let kernel = lens::Kernel::draw(rng);
                faults.blur = kernel.deviation();
                kernel.blur(&clean).quantised()
            }
        };
        Ok(Known { picture, faults })
    }
}

/// Pixels around the patch that are cut away at the end: as far as the kernels of blur reach, and whole blocks of JPEG.
pub(super) const MARGIN: usize = 16;

fn undamaged(picture: Rgb) -> Known {
    Known {
        picture,
        faults: Faults::NONE,
    }
}

/// A piece of a real pair; how thick its rain or haze is follows from the truth.
fn known_pair(pair: &Pair, task: Task, side: usize, rng: &mut StdRng) -> Known {
    let (width, height) = (pair.clean.width, pair.clean.height);
    let side = side + 2 * MARGIN;
    let start = |length: usize, rng: &mut StdRng| match length.checked_sub(side) {
        Some(room) => rng.random_range(0..=room) as isize,
        None => -((side - length) as isize / 2),
    };
    let (x, y) = (start(width, rng), start(height, rng));
    let [degraded, clean] =
        [&pair.degraded, &pair.clean].map(|photo| photo.patch(x, y, side, side));
    let mut faults = Faults::NONE;
    match task {
        Task::Rain => {
            let pairs = degraded.pixels.iter().zip(&clean.pixels);
            let touched = pairs.filter(|(rainy, clean)| 255.0 * (*rainy - *clean) > TOUCHED);
            faults.rain = touched.count() as f32 / clean.pixels.len() as f32;
        }
        _ => faults.haze = 1.0 - transmission(&degraded, &clean),
    }
    let picture = if rng.random() {
        degraded.flip()
    } else {
        degraded
    };
    Known { picture, faults }
}

/// How much of its own light reaches us from a photo's pixels: what is left of the contrast of its details, whatever
/// light the haze adds.
fn transmission(hazy: &Rgb, clean: &Rgb) -> f32 {
    const BLOCK: usize = 8;
    let (mut products, mut squares) = (0.0f32, 1e-6f32);
    for top in (0..clean.height - BLOCK + 1).step_by(BLOCK) {
        for left in (0..clean.width - BLOCK + 1).step_by(BLOCK) {
            let block = |photo: &Rgb| -> Vec<f32> {
                let pixel = |at: usize| photo.pixel(left + at % BLOCK, top + at / BLOCK)[1];
                let values: Vec<f32> = (0..BLOCK * BLOCK).map(pixel).collect();
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                values.iter().map(|value| value - mean).collect()
            };
            let (hazy, clean) = (block(hazy), block(clean));
            products += hazy.iter().zip(&clean).map(|(h, c)| h * c).sum::<f32>();
            squares += clean.iter().map(|c| c * c).sum::<f32>();
        }
    }
    (products / squares).clamp(0.0, 1.0)
}

impl Known {
    /// Noise of a finished picture or of a camera, or compression, on top of what is there.
    fn add_fault_of_file(&mut self, rng: &mut StdRng) -> Result<()> {
        match rng.random_range(0..10) {
            0..5 => {
                self.faults.noise = 75.0 * rng.random_range(0.0f32..1.0).powf(1.4);
                self.picture = noise::add(&self.picture, self.faults.noise, rng);
                Ok(())
            }
            5 => {
                let grain = Grain::draw(rng);
                self.faults.noise = grain.sigma;
                self.picture = grain.apply(&self.picture, rng);
                Ok(())
            }
            6 => {
                let mut camera = camera::Camera::draw(rng);
                camera.exposure = 1.0;
                let (clean, noisy) = camera.shoot(&self.picture, rng)?;
                let pairs = noisy.pixels.iter().zip(&clean.pixels);
                let squares: f32 = pairs.map(|(noisy, clean)| (noisy - clean).powi(2)).sum();
                self.faults.noise = 255.0 * (squares / clean.pixels.len() as f32).sqrt();
                self.picture = noisy;
                Ok(())
            }
            _ => self.compress(Compression::draw(8..=96, rng)),
        }
    }

    fn compress(&mut self, compression: Compression) -> Result<()> {
        self.faults.jpeg = f32::from(compression.quality);
        self.picture = jpeg::compress_as(&self.picture, &compression)?;
        Ok(())
    }
}
