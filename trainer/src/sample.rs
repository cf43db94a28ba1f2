//! Draws training samples. A sample depends on the seed and its index alone, so a resumed run continues exactly.

use crate::dataset::{DataConfig, Dataset, Pair, Photo, Split, TaskWeights};
use crate::degrade::{Task, blur, haze, noise, rain};
use crate::rgb::Rgb;
use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
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
            seed,
        };
        if !(0.0..=1.0).contains(&config.real_share) {
            bail!(
                "real_share must be between 0 and 1, not {}",
                config.real_share
            );
        }
        for task in Task::ALL {
            let weight = sampler.weight(task);
            if !(weight.is_finite() && weight >= 0.0) {
                bail!("the weight of task {task} must be zero or positive, not {weight}");
            }
        }
        if sampler.possible(Half::Train).next().is_none() {
            bail!("no task with a positive weight has photos to train on");
        }
        Ok(sampler)
    }

    /// The photos.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// The sample of an index, `patch` pixels a side.
    pub fn sample(&self, index: u64, patch: usize) -> Sample {
        // Golden-ratio steps spread the tasks evenly: any run of samples has each in its share.
        let phase = mix(self.seed).wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let task = self.task_at((phase >> 11) as f32 / (1u64 << 53) as f32);
        let mut rng = StdRng::seed_from_u64(mix(self.seed ^ mix(index)));
        let real = rng.random::<f32>() < self.real_share;
        let pick = rng.random();
        self.make(task, Half::Train, real, pick, patch, &mut rng)
    }

    /// The samples `step * count ..` of a training step, made in parallel.
    pub fn samples(&self, step: u64, count: usize, patch: usize) -> Vec<Sample> {
        let first = step.wrapping_mul(count as u64);
        (0..count as u64)
            .into_par_iter()
            .map(|at| self.sample(first.wrapping_add(at), patch))
            .collect()
    }

    /// `n` samples of held-out photos, the tasks in turn, the same for every seed. Empty where nothing is held out.
    pub fn validation(&self, n: usize, patch: usize) -> Vec<Sample> {
        let tasks: Vec<Task> = self.possible(Half::HeldOut).collect();
        if tasks.is_empty() {
            return Vec::new();
        }
        (0..n)
            .into_par_iter()
            .map(|at| {
                let (task, round) = (tasks[at % tasks.len()], at / tasks.len());
                let mut rng = StdRng::seed_from_u64(mix(at as u64));
                // Real pairs and made degradations take turns where both are in use.
                let real = round % 2 == 1 && self.real_share > 0.0 || self.real_share == 1.0;
                let pairs = self.real_pairs(task, Half::HeldOut);
                let pick = if real && !pairs.is_empty() {
                    round / 2
                } else {
                    at
                };
                self.make(task, Half::HeldOut, real, pick as u32, patch, &mut rng)
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
            Task::Pair => self.tasks.pairs,
        }
    }

    /// Tasks with a positive weight for which there are photos.
    fn possible(&self, half: Half) -> impl Iterator<Item = Task> + '_ {
        Task::ALL.into_iter().filter(move |&task| {
            let made = task != Task::Pair && !half.of(&self.data.clean).is_empty();
            self.weight(task) > 0.0 && (made || !self.real_pairs(task, half).is_empty())
        })
    }

    fn real_pairs(&self, task: Task, half: Half) -> &[Pair] {
        match task {
            Task::Rain => half.of(&self.data.rain),
            Task::Haze => half.of(&self.data.haze),
            Task::Pair => half.of(&self.data.pairs),
            Task::Noise | Task::Blur | Task::Clean => &[],
        }
    }

    fn task_at(&self, share: f32) -> Task {
        let total: f32 = self
            .possible(Half::Train)
            .map(|task| self.weight(task))
            .sum();
        let mut left = share * total;
        let mut last = None;
        for task in self.possible(Half::Train) {
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
        half: Half,
        real: bool,
        pick: u32,
        patch: usize,
        rng: &mut StdRng,
    ) -> Sample {
        let (pairs, photos) = (self.real_pairs(task, half), half.of(&self.data.clean));
        let real = !pairs.is_empty() && (real || photos.is_empty() || task == Task::Pair);
        let (clean, degraded, name) = if real {
            let pair = &pairs[pick as usize % pairs.len()];
            let (clean, degraded) = cut_pair(pair, patch, rng);
            (clean, degraded, &pair.degraded.name)
        } else {
            let photo = &photos[pick as usize % photos.len()];
            let (clean, degraded) = cut_and_degrade(photo, task, patch, rng);
            (clean, degraded, &photo.name)
        };
        Sample {
            task,
            degraded: degraded.to_planar(),
            clean: clean.to_planar(),
            name: name.clone(),
        }
    }
}

/// Which half of each list samples come from.
#[derive(Clone, Copy)]
enum Half {
    Train,
    HeldOut,
}

impl Half {
    fn of<T>(self, split: &Split<T>) -> &[T] {
        match self {
            Self::Train => &split.train,
            Self::HeldOut => &split.held_out,
        }
    }
}

fn cut_pair(pair: &Pair, patch: usize, rng: &mut StdRng) -> (Rgb, Rgb) {
    let x = place(pair.clean.width, patch, rng);
    let y = place(pair.clean.height, patch, rng);
    // Rain falls and the horizon lies: real pairs are mirrored, but not turned.
    let turn = Turn {
        flip: rng.random(),
        quarters: 0,
    };
    let cut = |photo: &Photo| turn.apply(photo.patch(x, y, patch, patch));
    (cut(&pair.clean), cut(&pair.degraded))
}

fn cut_and_degrade(photo: &Photo, task: Task, patch: usize, rng: &mut StdRng) -> (Rgb, Rgb) {
    let x = place(photo.width, patch, rng);
    let y = place(photo.height, patch, rng);
    let upright = matches!(task, Task::Rain | Task::Haze);
    let turn = Turn {
        flip: rng.random(),
        quarters: if upright { 0 } else { rng.random_range(0..4) },
    };
    // Blur looks beyond the patch, so that its border is blurred from the photo and not from a mirror.
    let margin = if task == Task::Blur { blur::RADIUS } else { 0 };
    let offset = margin as isize;
    let wide = turn.apply(photo.patch(
        x - offset,
        y - offset,
        patch + 2 * margin,
        patch + 2 * margin,
    ));
    match task {
        Task::Noise => {
            let noisy = noise::degrade(&wide, rng);
            (wide, noisy)
        }
        Task::Blur => {
            let blurred = blur::degrade(&wide, rng);
            let inner = |image: &Rgb| image.crop(margin, margin, patch, patch);
            (inner(&wide), inner(&blurred))
        }
        Task::Rain => {
            let rainy = rain::degrade(&wide, rng);
            (wide, rainy)
        }
        Task::Haze => {
            let (width, height) = (photo.width as f32, photo.height as f32);
            let frame = haze::Frame {
                left: x as f32 / width,
                top: y as f32 / height,
                width: patch as f32 / width,
                height: patch as f32 / height,
            };
            let hazy = haze::degrade(&wide, frame, rng);
            (wide, hazy)
        }
        Task::Clean | Task::Pair => (wide.clone(), wide),
    }
}

/// A place for a patch along one side; a photo smaller than the patch is put in its middle and mirrored around.
fn place(size: usize, patch: usize, rng: &mut StdRng) -> isize {
    if size > patch {
        rng.random_range(0..=size - patch) as isize
    } else {
        -((patch - size) as isize / 2)
    }
}

/// One of the eight positions of a square.
#[derive(Clone, Copy)]
struct Turn {
    flip: bool,
    quarters: u8,
}

impl Turn {
    fn apply(self, image: Rgb) -> Rgb {
        let image = if self.flip { image.flip() } else { image };
        (0..self.quarters).fold(image, |image, _| image.rotate90())
    }
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(seed: u64, width: usize, height: usize) -> Arc<Photo> {
        let mut rng = StdRng::seed_from_u64(seed);
        let samples = (0..width * height * 3).map(|_| rng.random()).collect();
        Arc::new(Photo {
            name: format!("{seed}.png"),
            width,
            height,
            samples,
        })
    }

    fn sampler(seed: u64) -> Sampler {
        let clean = Split {
            train: (0..6).map(|s| photo(s, 50, 40)).collect(),
            held_out: vec![photo(9, 70, 90)],
        };
        let pair = Pair {
            degraded: photo(20, 60, 60),
            clean: photo(21, 60, 60),
        };
        let rain = Split {
            train: vec![pair],
            held_out: vec![],
        };
        let none = Split {
            train: vec![],
            held_out: vec![],
        };
        let data = Dataset {
            clean,
            rain,
            haze: none.clone(),
            pairs: none,
        };
        let config = DataConfig {
            tasks: TaskWeights {
                noise: 2.0,
                clean: 1.0,
                ..TaskWeights::default()
            },
            ..DataConfig::default()
        };
        Sampler::from_dataset(Arc::new(data), &config, seed).expect("valid")
    }

    #[test]
    fn a_sample_is_made_again_from_seed_and_index() {
        let (one, two) = (sampler(7), sampler(7));
        let _ = one.sample(3, 32);
        let eleventh = one.sample(11, 32);
        assert_eq!(eleventh, two.sample(11, 32));
        assert_ne!(eleventh.clean, sampler(8).sample(11, 32).clean);
        let samples = one.samples(2, 5, 32);
        assert_eq!((samples.len(), &samples[1]), (5, &eleventh));
        assert_eq!(eleventh.degraded.len(), 3 * 32 * 32);
    }

    #[test]
    fn tasks_come_in_their_shares() {
        let samples = sampler(1).samples(0, 600, 8);
        let count = |task| samples.iter().filter(|sample| sample.task == task).count();
        assert!(
            (197..=203).contains(&count(Task::Noise)),
            "{}",
            count(Task::Noise)
        );
        assert!((97..=103).contains(&count(Task::Blur)));
        assert_eq!(count(Task::Pair), 0);
        let real = samples
            .iter()
            .filter(|sample| sample.name == "20.png")
            .count();
        assert!((30..=70).contains(&real), "{real}");
        assert!(
            samples
                .iter()
                .all(|s| s.task != Task::Clean || s.clean == s.degraded)
        );
    }

    #[test]
    fn photos_smaller_than_the_patch_are_no_trouble() {
        for sample in sampler(2).samples(0, 24, 160) {
            assert_eq!(
                (sample.clean.len(), sample.degraded.len()),
                (3 * 160 * 160, 3 * 160 * 160)
            );
            assert!(sample.degraded.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    #[test]
    fn validation_uses_held_out_photos_and_ignores_the_seed() {
        let samples = sampler(1).validation(10, 24);
        assert_eq!(samples, sampler(99).validation(10, 24));
        assert!(samples.iter().all(|sample| sample.name == "9.png"));
        let tasks: Vec<Task> = samples[..5].iter().map(|sample| sample.task).collect();
        assert_eq!(
            tasks,
            [Task::Noise, Task::Blur, Task::Rain, Task::Haze, Task::Clean]
        );
    }

    #[test]
    fn impossible_settings_are_refused() {
        let data = Arc::clone(sampler(1).dataset());
        let with = |tasks| {
            Sampler::from_dataset(
                Arc::clone(&data),
                &DataConfig {
                    tasks,
                    ..DataConfig::default()
                },
                1,
            )
        };
        let none = TaskWeights {
            noise: 0.0,
            blur: 0.0,
            rain: 0.0,
            haze: 0.0,
            clean: 0.0,
            pairs: 1.0,
        };
        assert!(with(none).is_err());
        assert!(
            with(TaskWeights {
                noise: -1.0,
                ..none
            })
            .is_err()
        );
        assert!(
            with(TaskWeights {
                noise: f32::NAN,
                ..none
            })
            .is_err()
        );
    }
}
