//! Draws training samples. A sample depends on the seed and its index alone, so a resumed run continues exactly.

mod backdrop;
mod composed;
mod cut;
mod known;
mod place;
mod scene;

use crate::data::dataset::{DataConfig, Dataset, Pair, Split, TaskWeights};
use crate::data::degrade::grain::Grain;
use crate::data::degrade::jpeg::Compression;
use crate::data::degrade::print::Print;
use crate::data::degrade::{Task, blur, camera, haze, jpeg, lens, noise, rain};
use crate::data::hash::mix;
use crate::data::rgb::Rgb;
use anyhow::{Result, bail};
use backdrop::Backdrop;
pub use composed::Composed;
use cut::Cut;
pub use known::Known;
use place::{PALE_CHOICE, Place, palest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use scene::{Margin, Scene};
use std::sync::Arc;

/// A degraded patch and its truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What was done.
    pub task: Task,
    /// Input of the network: `[3, patch, patch]`, RGB planes, 0..1.
    pub degraded: Vec<f32>,
    /// Its target, laid out alike.
    pub clean: Vec<f32>,
    /// The photo's name.
    pub name: String,
}

/// Draws samples from a dataset. Cloning is cheap: the photos are shared.
#[derive(Clone, Debug)]
pub struct Sampler {
    data: Arc<Dataset>,
    tasks: TaskWeights,
    real_share: f32,
    halved_share: f32,
    compressed_share: f32,
    pale_share: f32,
    backdrop_share: f32,
    seed: u64,
}

impl Sampler {
    /// Loads the photos of a configuration.
    pub fn new(config: &DataConfig, seed: u64) -> Result<Self> {
        Self::from_dataset(Arc::new(Dataset::load(config)?), config, seed)
    }

    /// Over photos loaded before. It is an error if a weight is negative, or if no task can be drawn.
    pub fn from_dataset(data: Arc<Dataset>, config: &DataConfig, seed: u64) -> Result<Self> {
        let sampler = Self {
            data,
            tasks: config.tasks,
            real_share: config.real_share,
            halved_share: config.halved_share,
            compressed_share: config.compressed_share,
            pale_share: config.pale_share,
            backdrop_share: config.backdrop_share,
            seed,
        };
        for (name, share) in [
            ("real_share", config.real_share),
            ("halved_share", config.halved_share),
            ("compressed_share", config.compressed_share),
            ("pale_share", config.pale_share),
            ("backdrop_share", config.backdrop_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                bail!("{name} must be between 0 and 1, not {share}");
            }
        }
        for task in Task::ALL {
            let weight = sampler.weight(task);
            if !(weight.is_finite() && weight >= 0.0) {
                bail!("the weight of task {task} must be zero or positive, not {weight}");
            }
        }
        if sampler.possible(Subset::Train).next().is_none() {
            bail!("no task with a positive weight has photos to train on");
        }
        Ok(sampler)
    }

    /// The photos.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// The sample of an index, `patch` pixels a side.
    ///
    /// # Errors
    /// When a made JPEG cannot be written or read back.
    pub fn sample(&self, index: u64, patch: usize) -> Result<Sample> {
        // Golden-ratio steps spread the tasks evenly: any run of samples has each in its share.
        let phase = mix(self.seed).wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let task = self.task_at((phase >> 11) as f32 / (1u64 << 53) as f32);
        let mut rng = StdRng::seed_from_u64(mix(self.seed ^ mix(index)));
        let real = rng.random::<f32>() < self.real_share;
        let pick = rng.random();
        self.make(task, Subset::Train, real, pick, patch, &mut rng)
    }

    /// The samples `step * count ..` of a training step, made in parallel.
    ///
    /// # Errors
    /// As [`Sampler::sample`]'s.
    pub fn samples(&self, step: u64, count: usize, patch: usize) -> Result<Vec<Sample>> {
        let first = step.wrapping_mul(count as u64);
        (0..count as u64)
            .into_par_iter()
            .map(|at| self.sample(first.wrapping_add(at), patch))
            .collect()
    }

    /// `n` samples of held-out photos, the tasks in turn, the same for every seed. Empty where nothing is held out.
    ///
    /// # Errors
    /// As [`Sampler::sample`]'s.
    pub fn validation(&self, n: usize, patch: usize) -> Result<Vec<Sample>> {
        let tasks: Vec<Task> = self.possible(Subset::HeldOut).collect();
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        (0..n)
            .into_par_iter()
            .map(|at| {
                let (task, round) = (tasks[at % tasks.len()], at / tasks.len());
                let mut rng = StdRng::seed_from_u64(mix(at as u64));
                // Real pairs and made degradations take turns where both are in use.
                let real = round % 2 == 1 && self.real_share > 0.0 || self.real_share == 1.0;
                let pairs = self.real_pairs(task, Subset::HeldOut);
                let pick = if real && !pairs.is_empty() {
                    round / 2
                } else {
                    at
                };
                self.make(task, Subset::HeldOut, real, pick as u32, patch, &mut rng)
            })
            .collect()
    }

    fn weight(&self, task: Task) -> f32 {
        match task {
            Task::Noise => self.tasks.noise,
            Task::Blur => self.tasks.blur,
            Task::Rain => self.tasks.rain,
            Task::Haze => self.tasks.haze,
            Task::Clean => self.tasks.clean,
            Task::Grain => self.tasks.grain,
            Task::Camera => self.tasks.camera,
            Task::Jpeg => self.tasks.jpeg,
            Task::Lens => self.tasks.lens,
            Task::Mixed => self.tasks.mixed,
            Task::Pair => self.tasks.pairs,
        }
    }

    /// Tasks with a positive weight for which there are photos.
    fn possible(&self, subset: Subset) -> impl Iterator<Item = Task> + '_ {
        Task::ALL.into_iter().filter(move |&task| {
            let made = task != Task::Pair && !subset.of(&self.data.clean).is_empty();
            self.weight(task) > 0.0 && (made || !self.real_pairs(task, subset).is_empty())
        })
    }

    fn real_pairs(&self, task: Task, subset: Subset) -> &[Pair] {
        match task {
            Task::Rain => subset.of(&self.data.rain),
            Task::Haze => subset.of(&self.data.haze),
            Task::Pair => subset.of(&self.data.pairs),
            Task::Noise
            | Task::Blur
            | Task::Clean
            | Task::Grain
            | Task::Camera
            | Task::Jpeg
            | Task::Lens
            | Task::Mixed => &[],
        }
    }

    fn task_at(&self, share: f32) -> Task {
        let total: f32 = self
            .possible(Subset::Train)
            .map(|task| self.weight(task))
            .sum();
        let mut left = share * total;
        let mut last = None;
        for task in self.possible(Subset::Train) {
            left -= self.weight(task);
            last = Some(task);
            if left < 0.0 {
                break;
            }
        }
        last.expect("checked by from_dataset")
    }

    fn make(
        &self,
        task: Task,
        subset: Subset,
        real: bool,
        pick: u32,
        patch: usize,
        rng: &mut StdRng,
    ) -> Result<Sample> {
        // Two faults: the scene's or the lens's first, then the sensor's or the file's.
        let first = match task {
            Task::Mixed => SCENE_FAULTS[rng.random_range(0..SCENE_FAULTS.len())],
            task => task,
        };
        let (pairs, photos) = (self.real_pairs(first, subset), subset.of(&self.data.clean));
        let real = !pairs.is_empty() && (real || photos.is_empty() || task == Task::Pair);
        let (cut, name) = if real {
            let pair = &pairs[pick as usize % pairs.len()];
            (Cut::of_pair(pair, patch, rng), &pair.degraded.name)
        } else {
            let margin = self.margin(first, rng);
            let halved = self.halved_share > 0.0 && rng.random::<f32>() < self.halved_share;
            let pale = first != Task::Haze
                && self.pale_share > 0.0
                && rng.random::<f32>() < self.pale_share;
            let place = |pick: u32, rng: &mut StdRng| {
                Place::draw(&photos[pick as usize % photos.len()], halved, patch, rng)
            };
            let place = if pale {
                let places = (0..PALE_CHOICE).map(|_| place(rng.random(), rng));
                palest(places, patch)
            } else {
                place(pick, rng)
            };
            let upright = matches!(first, Task::Rain | Task::Haze);
            let scene = Scene::cut(&place, patch, margin, upright, rng);
            (self.degrade(scene, first, rng)?, &place.photo.name)
        };
        let mut cut = match task {
            Task::Mixed => cut.with_second_fault(rng)?,
            _ => cut,
        };
        if self.backdrop_share > 0.0 && rng.random::<f32>() < self.backdrop_share {
            Backdrop::draw(rng).apply(&mut cut);
        }
        Ok(Sample {
            task,
            degraded: cut.degraded.to_planar(),
            clean: cut.clean.to_planar(),
            name: name.clone(),
        })
    }

    /// What looks beyond the patch must find the photo there, not a mirror.
    fn margin(&self, task: Task, rng: &mut StdRng) -> Margin {
        match task {
            Task::Blur => Margin::even(blur::RADIUS),
            Task::Lens => Margin::even(lens::RADIUS),
            Task::Camera | Task::Grain | Task::Jpeg => Margin::of_blocks(rng),
            Task::Clean if self.compressed_share > 0.0 => Margin::of_blocks(rng),
            _ => Margin::NONE,
        }
    }

    /// Does to a scene what the task says.
    fn degrade(&self, scene: Scene, task: Task, rng: &mut StdRng) -> Result<Cut> {
        let clean = &scene.picture;
        let (clean, degraded) = match task {
            Task::Noise => (clean.clone(), noise::degrade(clean, rng)),
            Task::Blur => (clean.clone(), blur::degrade(clean, rng)),
            Task::Rain => (clean.clone(), rain::degrade(clean, rng)),
            Task::Haze => (clean.clone(), haze::degrade(clean, scene.frame, rng)),
            Task::Lens => (clean.clone(), lens::degrade(clean, rng)),
            Task::Camera => camera::degrade(clean, rng)?,
            Task::Grain => grainy(clean, rng)?,
            Task::Jpeg => {
                let compression = Compression::draw(20..=88, rng);
                (clean.clone(), jpeg::compress_as(clean, &compression)?)
            }
            Task::Clean => {
                let good = self.good(clean, rng)?;
                (good.clone(), good)
            }
            Task::Pair | Task::Mixed => (clean.clone(), clean.clone()),
        };
        Ok(Cut { clean, degraded }.crop(scene.margin, scene.patch))
    }

    /// A photo as good ones are: some compressed lightly, some grey or old prints.
    fn good(&self, clean: &Rgb, rng: &mut StdRng) -> Result<Rgb> {
        if self.compressed_share == 0.0 {
            return Ok(clean.clone());
        }
        let photo = match rng.random_range(0..8) {
            0 => Print::draw(rng).apply(clean).quantised(),
            _ => clean.clone(),
        };
        if rng.random::<f32>() < self.compressed_share {
            return jpeg::compress_as(&photo, &Compression::draw(88..=98, rng));
        }
        Ok(photo)
    }
}

/// What comes before the camera, for photos with two faults.
const SCENE_FAULTS: [Task; 4] = [Task::Blur, Task::Lens, Task::Rain, Task::Haze];

/// Noise of finished pictures, half of them grey, a third compressed afterwards.
fn grainy(clean: &Rgb, rng: &mut StdRng) -> Result<(Rgb, Rgb)> {
    let clean = if rng.random_bool(0.5) {
        Print::draw(rng).apply(clean).quantised()
    } else {
        clean.clone()
    };
    let mut grain = Grain::draw(rng);
    let grey = clean
        .pixels
        .chunks_exact(3)
        .all(|p| p[0] == p[1] && p[1] == p[2]);
    if grey && rng.random_bool(0.7) {
        grain.common = 1.0;
    }
    let noisy = grain.apply(&clean, rng);
    let noisy = if rng.random_bool(0.35) {
        jpeg::compress_as(&noisy, &Compression::draw(50..=97, rng))?
    } else {
        noisy
    };
    Ok((clean, noisy))
}

/// Which subset of each list samples come from.
#[derive(Clone, Copy)]
enum Subset {
    Train,
    HeldOut,
}

impl Subset {
    fn of<T>(self, split: &Split<T>) -> &[T] {
        match self {
            Self::Train => &split.train,
            Self::HeldOut => &split.held_out,
        }
    }
}

#[cfg(test)]
mod tests;
