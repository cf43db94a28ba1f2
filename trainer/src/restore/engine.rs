//! The network as the commands see it: whatever restores a source into a sink.

use std::path::Path;

use anyhow::Result;
use dino_ir::device::DeviceChoice;
use dino_ir::model::diagnosis::Diagnosis;
use dino_ir::restore::{Network, Options, ProgressCallback, Restorer, Sink, Source, TilePlan};

use crate::host::devices;
use crate::model::{baselines, weights};

/// Restores photos; made once, used for every file.
pub trait Engine {
    /// The tiles that a photo of this size would be cut into.
    ///
    /// # Errors
    /// As [`dino_ir::restore::plan`].
    fn plan(&self, width: usize, height: usize, options: &Options) -> dino_ir::Result<TilePlan>;

    /// Restores `source` into `sink`.
    ///
    /// # Errors
    /// As [`Restorer::restore`].
    fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> dino_ir::Result<()>;

    /// Whether it can tell what is wrong with a photo.
    fn diagnoses(&self) -> bool {
        false
    }

    /// Tells what is wrong with `source`.
    ///
    /// # Errors
    /// As [`Restorer::diagnose`].
    fn diagnose(&self, _source: &dyn Source) -> dino_ir::Result<Diagnosis> {
        Err(dino_ir::Error::Weights("they have no diagnosis".into()))
    }
}

impl<N: Network> Engine for Restorer<N> {
    fn plan(&self, width: usize, height: usize, options: &Options) -> dino_ir::Result<TilePlan> {
        Restorer::plan(self, width, height, options)
    }

    fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> dino_ir::Result<()> {
        Restorer::restore(self, source, sink, options, progress)
    }

    fn diagnoses(&self) -> bool {
        Restorer::diagnoses(self)
    }

    fn diagnose(&self, source: &dyn Source) -> dino_ir::Result<Diagnosis> {
        Restorer::diagnose(self, source)
    }
}

/// Checks, before the first photo, what holds for all of them: tile and overlap against what the network takes.
///
/// # Errors
/// [`dino_ir::Error::InvalidOption`], as [`Engine::plan`].
pub fn check(engine: &dyn Engine, options: &Options) -> dino_ir::Result<()> {
    engine.plan(1, 1, options).map(drop)
}

/// An engine, and the device it runs on.
pub struct Opened {
    /// Restores photos.
    pub engine: Box<dyn Engine>,
    /// What `auto` came down to.
    pub device: DeviceChoice,
}

/// Opens weights, or the embedded ones without a path, on a device.
///
/// # Errors
/// Weights that cannot be used, a device that cannot be opened; both say what to do instead.
pub fn open_restorer(weights: Option<&Path>, device: DeviceChoice) -> Result<Opened> {
    let file = weights.map(weights::read).transpose()?;
    let bytes = match &file {
        Some(file) => file,
        None => dino_ir::embedded::nano(),
    };
    let opened = devices::open(device, |device| -> dino_ir::Result<Box<dyn Engine>> {
        if baselines::header(bytes).is_some() {
            let net = baselines::load(bytes, device)
                .map_err(|error| dino_ir::Error::Weights(format!("{error:#}")))?;
            return Ok(Box::new(Restorer::new(net, device)));
        }
        let net = dino_ir::weights::load(bytes, device)?;
        Ok(Box::new(Restorer::new(net, device)))
    });
    let (device, engine) = opened.map_err(|error| match (error, weights) {
        (error @ dino_ir::Error::Weights(_), Some(path)) => {
            anyhow::anyhow!("{}: {error}; take another file", path.display())
        }
        (error, _) => error.into(),
    })?;
    Ok(Opened { engine, device })
}
