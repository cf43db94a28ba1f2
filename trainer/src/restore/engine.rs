//! The network as the commands see it: whatever restores a source into a sink.

use std::path::Path;

use anyhow::Result;
use dino_ir::restore::{Network, Options, ProgressCallback, Restorer, Sink, Source, TilePlan};

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
}

/// Opens weights, or the embedded ones without a path, on a device.
///
/// # Errors
/// Weights that cannot be used, a device that cannot be opened; both say what to do instead.
pub fn open_restorer(weights: Option<&Path>, device: &str) -> Result<Box<dyn Engine>> {
    let _ = (weights, device);
    anyhow::bail!("this build holds no network yet")
}
