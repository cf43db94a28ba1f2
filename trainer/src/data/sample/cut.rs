//! A patch and its truth.

use super::place::along;
use super::scene::{Margin, Turn};
use crate::data::dataset::{Pair, Photo};
use crate::data::degrade::grain::Grain;
use crate::data::degrade::jpeg::Compression;
use crate::data::degrade::{camera, jpeg, noise};
use crate::data::rgb::Rgb;
use anyhow::Result;
use rand::Rng;
use rand::rngs::StdRng;

/// A patch and its truth.
pub(super) struct Cut {
    pub(super) clean: Rgb,
    pub(super) degraded: Rgb,
}

impl Cut {
    pub(super) fn of_pair(pair: &Pair, patch: usize, rng: &mut StdRng) -> Self {
        let x = along(pair.clean.width, patch, rng);
        let y = along(pair.clean.height, patch, rng);
        // Rain falls and the horizon lies: real pairs are mirrored, but not turned.
        let turn = Turn {
            flip: rng.random(),
            quarters: 0,
        };
        let cut = |photo: &Photo| turn.apply(photo.patch(x, y, patch, patch));
        Self {
            clean: cut(&pair.clean),
            degraded: cut(&pair.degraded),
        }
    }

    pub(super) fn crop(self, margin: Margin, patch: usize) -> Self {
        let inner = |picture: Rgb| picture.crop(margin.left, margin.top, patch, patch);
        Self {
            clean: inner(self.clean),
            degraded: inner(self.degraded),
        }
    }

    /// Noise of a finished picture or of a camera, or compression, on top of what is there.
    pub(super) fn with_second_fault(self, rng: &mut StdRng) -> Result<Self> {
        let degraded = match rng.random_range(0..4) {
            0 => noise::degrade(&self.degraded, rng),
            1 => Grain::draw(rng).apply(&self.degraded, rng),
            2 => {
                let mut camera = camera::Camera::draw(rng);
                camera.exposure = 1.0;
                camera.shoot(&self.degraded, rng)?.1
            }
            _ => jpeg::compress_as(&self.degraded, &Compression::draw(30..=92, rng))?,
        };
        Ok(Self { degraded, ..self })
    }
}
