//! About how long photos take: the speed is measured on a small tile, once.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dino_ir::image::Image;
use dino_ir::restore::{ImageSink, Options};
use indicatif::HumanDuration;

use super::engine::Engine;
use crate::host::interrupt;

/// Sides of what is restored for a measure. The first run of a network prepares what later ones find.
const SIDES: [usize; 2] = [64, 256];
/// After a run that takes longer than this a larger one is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Foresees how long an engine takes, and adds up what it has foreseen.
pub struct Estimate<'a> {
    engine: &'a dyn Engine,
    options: Options,
    seconds_per_pixel: OnceCell<Option<f64>>,
    total: f64,
    photos: usize,
}

impl<'a> Estimate<'a> {
    /// Of a restoration with these options.
    pub fn new(engine: &'a dyn Engine, options: Options) -> Self {
        Self {
            engine,
            options,
            seconds_per_pixel: OnceCell::new(),
            total: 0.0,
            photos: 0,
        }
    }

    /// The seconds that one more photo of this size takes, overlaps of its tiles included; `None` where it cannot be restored.
    pub fn add(&mut self, width: usize, height: usize) -> Option<f64> {
        let plan = self.engine.plan(width, height, &self.options).ok()?;
        let pixels = plan.len() * plan.tile_width() * plan.tile_height();
        let measured = self.seconds_per_pixel.get_or_init(|| self.measure().ok());
        let seconds = (*measured)? * pixels as f64;
        self.total += seconds;
        self.photos += 1;
        Some(seconds)
    }

    /// All of it, in words, if there was anything to foresee.
    pub fn told(&self) -> Option<String> {
        let time = HumanDuration(Duration::try_from_secs_f64(self.total.max(1.0)).ok()?);
        match self.photos {
            0 => None,
            1 => Some(format!("about {time} for 1 photo")),
            photos => Some(format!("about {time} for {photos} photos")),
        }
    }

    fn measure(&self) -> dino_ir::Result<f64> {
        let mut measured = f64::INFINITY;
        for side in SIDES {
            let image = Image::new(side, side, vec![0.5; side * side * 3])?;
            let mut sink = ImageSink::new(side, side)?;
            let start = Instant::now();
            self.engine.restore(
                &image,
                &mut sink,
                &self.options,
                &mut |_| match interrupt::asked() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                },
            )?;
            let taken = start.elapsed();
            measured = taken.as_secs_f64() / (side * side) as f64;
            if taken > PATIENCE {
                break;
            }
        }
        Ok(measured)
    }
}
