//! Multi-crop views of photos: clean for the teacher, degraded for the student.

use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::{Result, ensure};
use dino_ir::model::dinov2::patch_embed::PATCH;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb as Pixel};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::{GLOBAL, GLOBALS, LOCAL, LOCALS, SQUARES};
use crate::data::dataset::{DataConfig, Dataset, Photo, TaskWeights};
use crate::data::degrade::{Task, blur, haze, jpeg, noise, rain};
use crate::data::hash::mix;
use crate::data::rgb::Rgb;
use crate::data::sample::Sampler;
use crate::train::config::{TrainConfig, read_section};
use crate::train::{Batch, BatchRequest, BatchSource};

/// Side of what a global view shows, in the photo's pixels.
const GLOBAL_SIDE: RangeInclusive<f32> = 112.0..=448.0;
/// Side of what a local view shows.
const LOCAL_SIDE: RangeInclusive<f32> = 48.0..=160.0;
/// Largest ratio of a view's sides in the photo.
const ASPECT: f32 = 4.0 / 3.0;
/// Share of the student's views that are compressed after all else.
const JPEG_SHARE: f64 = 0.25;
/// Samples of one validation batch.
const VALIDATION_BATCH: usize = 8;

/// Draws views from the clean photos of a `[data]` table.
#[derive(Debug)]
pub struct Views {
    data: Arc<Dataset>,
    tasks: TaskWeights,
    sampler: Sampler,
    seed: u64,
}

impl Views {
    /// Loads the photos.
    ///
    /// # Errors
    /// Names the table's key or the file at fault.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        for stage in &config.stages {
            ensure!(
                stage.patch == GLOBAL,
                "pre-training has views of {GLOBAL} pixels: set every stage's patch to {GLOBAL}"
            );
        }
        ensure!(
            config.validation.patch.is_multiple_of(PATCH),
            "validation.patch must be a multiple of 14 for a backbone"
        );
        let data: DataConfig = read_section("data", &config.data)?;
        let sampler = Sampler::new(&data, config.seed)?;
        let views = Self {
            data: sampler.dataset().clone(),
            tasks: data.tasks,
            sampler,
            seed: config.seed,
        };
        ensure!(
            !views.data.clean.train.is_empty(),
            "data.clean has no photos to train on"
        );
        Ok(views)
    }

    /// The squares of one photo, `[SQUARES, 3, GLOBAL, GLOBAL]`, degraded and clean.
    fn photo(&self, index: u64) -> Result<(Vec<f32>, Vec<f32>, &str)> {
        let mut rng = StdRng::seed_from_u64(mix(self.seed ^ mix(index)));
        let photos = &self.data.clean.train;
        let photo = &photos[rng.random_range(0..photos.len())];
        let (mut degraded, mut clean) = (Vec::new(), Vec::new());
        for _ in 0..GLOBALS {
            let view = view(photo, GLOBAL_SIDE, GLOBAL, &mut rng);
            degraded.extend(self.degrade(&view, &mut rng)?.to_planar());
            clean.extend(view.to_planar());
        }
        let local = (0..LOCALS)
            .map(|_| {
                let view = view(photo, LOCAL_SIDE, LOCAL, &mut rng);
                Ok((self.degrade(&view, &mut rng)?, view))
            })
            .collect::<Result<Vec<_>>>()?;
        let square = |pick: fn(&(Rgb, Rgb)) -> &Rgb| {
            Rgb::from_fn(GLOBAL, GLOBAL, |x, y| {
                let view = pick(&local[y / LOCAL * 2 + x / LOCAL]);
                view.pixel(x % LOCAL, y % LOCAL)
            })
            .to_planar()
        };
        degraded.extend(square(|(degraded, _)| degraded));
        clean.extend(square(|(_, clean)| clean));
        Ok((degraded, clean, &photo.name))
    }

    fn degrade(&self, view: &Rgb, rng: &mut StdRng) -> Result<Rgb> {
        let weights = [
            (Task::Noise, self.tasks.noise),
            (Task::Blur, self.tasks.blur),
            (Task::Rain, self.tasks.rain),
            (Task::Haze, self.tasks.haze),
            (Task::Clean, self.tasks.clean),
        ];
        let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.random::<f32>() * total;
        let drawn = weights.into_iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        let degraded = match drawn.map_or(Task::Clean, |(task, _)| task) {
            Task::Noise => noise::degrade(view, rng),
            Task::Blur => blur::degrade(view, rng),
            Task::Rain => rain::degrade(view, rng),
            Task::Haze => haze::degrade(view, haze::Frame::WHOLE, rng),
            _ => view.clone(),
        };
        if rng.random_bool(JPEG_SHARE) {
            jpeg::degrade(&degraded, rng)
        } else {
            Ok(degraded)
        }
    }
}

impl BatchSource for Views {
    fn batch(&self, request: BatchRequest) -> Result<Batch> {
        let first = request.step.wrapping_mul(request.count as u64);
        let photos = (0..request.count as u64)
            .into_par_iter()
            .map(|at| self.photo(first.wrapping_add(at)))
            .collect::<Result<Vec<_>>>()?;
        let mut batch = Batch {
            degraded: Vec::new(),
            clean: Vec::new(),
            count: SQUARES * photos.len(),
            patch: GLOBAL,
            names: Vec::new(),
            tasks: vec!["views".to_owned(); SQUARES * photos.len()],
        };
        for (degraded, clean, name) in photos {
            batch.degraded.extend(degraded);
            batch.clean.extend(clean);
            batch
                .names
                .extend(std::iter::repeat_n(name.to_owned(), SQUARES));
        }
        Ok(batch)
    }

    fn validation(&self, samples: usize, patch: usize) -> Result<Vec<Batch>> {
        let samples = self.sampler.validation(samples, patch)?;
        Ok(samples
            .chunks(VALIDATION_BATCH)
            .map(|samples| Batch::of(samples, patch))
            .collect())
    }
}

/// A random rectangle of the photo with a mean side from `sides`, mirrored at random, resized to a
/// square.
fn view(photo: &Photo, sides: RangeInclusive<f32>, side: usize, rng: &mut StdRng) -> Rgb {
    let largest = photo.width.min(photo.height) as f32;
    let log = |x: f32| x.min(largest).max(1.0).ln();
    let mean = rng
        .random_range(log(*sides.start())..=log(*sides.end()))
        .exp();
    let aspect = rng.random_range(-ASPECT.ln()..=ASPECT.ln()).exp().sqrt();
    let fit = |wanted: f32, size: usize| (wanted.round() as usize).clamp(1, size);
    let (width, height) = (
        fit(mean * aspect, photo.width),
        fit(mean / aspect, photo.height),
    );
    let x = rng.random_range(0..=photo.width - width);
    let y = rng.random_range(0..=photo.height - height);
    let crop = photo.patch(x as isize, y as isize, width, height);
    let view = resized(&crop, side);
    if rng.random() { view.flip() } else { view }
}

/// Antialiased, so that a large crop does not flicker.
fn resized(image: &Rgb, side: usize) -> Rgb {
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer: ImageBuffer<Pixel<f32>, Vec<f32>> =
        match ImageBuffer::from_raw(width, height, image.pixels.clone()) {
            Some(buffer) => buffer,
            None => unreachable!("an Rgb has exactly its pixels"),
        };
    let small = resize(&buffer, side as u32, side as u32, FilterType::Triangle);
    Rgb {
        width: side,
        height: side,
        pixels: small.into_raw(),
    }
}
