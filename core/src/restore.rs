//! Restoring an image: tiles, the network, blending; progress, cancelling, strength.
//!
//! [`Restorer`] does all of it while the caller waits. It drives [`Restoration`], a state machine that hands out tiles and
//! accepts results. A caller that runs the network in its own way drives it directly.

mod calibration;
mod diagnose;
mod dihedral;
mod hidden;
mod options;
mod part;
mod peak_memory;
mod removal;
mod restoration;
mod statistics;
mod stream;
mod tile_input;
mod toning;
mod uncertainty;

use std::ops::ControlFlow;

use burn::Tensor;
use burn::tensor::{Device, TensorData};

use self::calibration::Calibration;
pub use self::options::{DEFAULT_MEMORY, Options};
pub use self::removal::Removal;
pub use self::restoration::{FinishedRows, Progress, Restoration};
pub use self::statistics::Statistics;
pub use self::stream::{ImageSink, Sink, Source};
pub use self::tile_input::{Purpose, TileInput};
use self::toning::Toning;
pub use crate::tile::{Area, TilePlan};

use crate::image::Image;
use crate::model::diagnosis::DiagnosisHead;
use crate::ops;
use crate::tile::TileRules;
use crate::{Error, Result};

/// What restoring needs of a network.
pub trait Network {
    /// The height and the width of the input of [`forward`](Self::forward) are multiples of this; at least 1.
    fn multiple(&self) -> usize;

    /// The least side of a tile in pixels: a smaller tile does not show enough of the image to be restored as a part of it.
    fn least_tile(&self) -> usize {
        1
    }

    /// The peak bytes of one forward run on a tile of that size; must not fall with either side.
    fn activation_bytes(&self, height: usize, width: usize) -> u64;

    /// Restores a batch of RGB images, sRGB-encoded, nominally 0..=1.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` to the same.
    fn forward(&self, x: Tensor<4>) -> Tensor<4>;

    /// Whether it computes sums over all pixels of its input. If so, a calibration pass comes before the tiles of an image
    /// ([`crate::model::global_statistics`]).
    fn has_global_statistics(&self) -> bool {
        false
    }

    /// The sums over all pixels that [`forward`](Self::forward) computes on its way.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` to `[batch, statistics]`
    fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, ..] = x.dims();
        Tensor::zeros([batch, 0], &x.device())
    }

    /// The bytes of the [`global_statistics`](Self::global_statistics) of one image, at most.
    fn statistics_bytes(&self) -> u64 {
        0
    }

    /// As [`forward`](Self::forward), with the global statistics of a calibration pass in place of its own.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` and `[batch, statistics]` to the first
    fn forward_with_stats(&self, x: Tensor<4>, _stats: Tensor<2>) -> Tensor<4> {
        self.forward(x)
    }

    /// Whether [`forward_steered`](Self::forward_steered) can keep faults.
    fn steers(&self) -> bool {
        false
    }

    /// As [`forward`](Self::forward), or as [`forward_with_stats`](Self::forward_with_stats) if there are statistics, with
    /// as much of each fault removed as `removal` says.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` and `[batch, statistics]` to the first
    fn forward_steered(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        _removal: &Removal,
    ) -> Tensor<4> {
        match stats {
            Some(stats) => self.forward_with_stats(x, stats),
            None => self.forward(x),
        }
    }

    /// The bytes of steering, in addition to [`activation_bytes`](Self::activation_bytes).
    fn steering_bytes(&self, _height: usize, _width: usize) -> u64 {
        0
    }

    /// Whether [`forward_with_uncertainty`](Self::forward_with_uncertainty) can tell.
    fn has_uncertainty(&self) -> bool {
        false
    }

    /// As [`forward_steered`](Self::forward_steered), with the absolute error to be expected of each pixel (mean over red,
    /// green and blue, 0..=1) where all faults are removed. It is only called for networks that
    /// [can tell](Self::has_uncertainty).
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` and `[batch, statistics]` to `[batch, 3, height, width]` and `[batch, 1, height, width]`
    fn forward_with_uncertainty(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> [Tensor<4>; 2] {
        let unknown = x.zeros_like().narrow(1, 0, 1);
        [self.forward_steered(x, stats, removal), unknown]
    }

    /// The bytes of the uncertainty, in addition to [`activation_bytes`](Self::activation_bytes).
    fn uncertainty_bytes(&self, _height: usize, _width: usize) -> u64 {
        0
    }

    /// The input of the diagnosis head. It is only called for networks that have a [`diagnosis`](Self::diagnosis).
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` to `[batch, values]`
    fn describe(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, ..] = x.dims();
        Tensor::zeros([batch, 0], &x.device())
    }

    /// The diagnosis head, if the network has one. It is on the CPU.
    fn diagnosis(&self) -> Option<&DiagnosisHead> {
        None
    }

    /// Called after an image: frees the buffers that were kept for the next tile.
    fn release(&self) {}
}

impl<N: Network + ?Sized> Network for &N {
    fn multiple(&self) -> usize {
        (**self).multiple()
    }

    fn least_tile(&self) -> usize {
        (**self).least_tile()
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (**self).activation_bytes(height, width)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        (**self).forward(x)
    }

    fn has_global_statistics(&self) -> bool {
        (**self).has_global_statistics()
    }

    fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
        (**self).global_statistics(x)
    }

    fn statistics_bytes(&self) -> u64 {
        (**self).statistics_bytes()
    }

    fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
        (**self).forward_with_stats(x, stats)
    }

    fn steers(&self) -> bool {
        (**self).steers()
    }

    fn forward_steered(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> Tensor<4> {
        (**self).forward_steered(x, stats, removal)
    }

    fn steering_bytes(&self, height: usize, width: usize) -> u64 {
        (**self).steering_bytes(height, width)
    }

    fn has_uncertainty(&self) -> bool {
        (**self).has_uncertainty()
    }

    fn forward_with_uncertainty(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> [Tensor<4>; 2] {
        (**self).forward_with_uncertainty(x, stats, removal)
    }

    fn uncertainty_bytes(&self, height: usize, width: usize) -> u64 {
        (**self).uncertainty_bytes(height, width)
    }

    fn describe(&self, x: Tensor<4>) -> Tensor<2> {
        (**self).describe(x)
    }

    fn diagnosis(&self) -> Option<&DiagnosisHead> {
        (**self).diagnosis()
    }

    fn release(&self) {
        (**self).release();
    }
}

/// Asked before the first tile and after each run of the network; `Break` cancels.
pub type ProgressCallback<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Restores images with one network on one device.
#[derive(Debug)]
pub struct Restorer<N: Network> {
    network: N,
    device: Device,
}

impl<N: Network> Restorer<N> {
    /// `device` is where the network's weights are.
    pub fn new(network: N, device: &Device) -> Self {
        Self {
            network,
            device: device.clone(),
        }
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The tiles that [`restore`](Self::restore) would use.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn plan(&self, width: usize, height: usize, options: &Options) -> Result<TilePlan> {
        plan(&self.network, width, height, options)
    }

    /// Restores `source` into `sink`, rows from top to bottom, each once. The result is not clamped:
    /// that is for the caller when it quantises. With strength 0, or if nothing is to be removed, the pixels
    /// are copied as they are.
    /// With [`Options::uncertainty`] the sink also gets the errors to be expected, after the rows that they belong to.
    /// A photo of one tone keeps its tone. If red, green and blue are equal in every visible pixel, they are equal in the
    /// result, bit by bit.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::InvalidImage`] and [`Error::OutOfMemory`] before anything is
    /// written; [`Error::Cancelled`] when `progress` breaks, [`Error::Device`] when the result cannot
    /// be had, and the errors of the source and the sink as they gave them; after any, nothing more is written.
    pub fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        options.validate()?;
        if options.changes_nothing() {
            return stream::copy(source, sink, progress);
        }
        let plan = self.plan(source.width(), source.height(), options)?;
        let calibration = match plan.len() {
            1 => Calibration::none(plan.clone()),
            _ => self.calibration(&plan, options),
        };
        let toning = Toning::of(source)?;
        let restoration = Restoration::of_part(plan.area(), plan, calibration, toning, options)?;
        self.finish(restoration, source, sink, progress)
    }

    /// The calibration pass of an image that is restored in the tiles of `plan`. On the CPU it uses the largest tiles that
    /// the memory allows: the larger they are, the closer the result is to that of the whole image. The memory of a GPU is
    /// not known; there it uses the tiles of the plan.
    fn calibration(&self, plan: &TilePlan, options: &Options) -> Calibration {
        if !self.network.has_global_statistics() {
            return Calibration::none(plan.clone());
        }
        let largest = Options {
            tile: None,
            overlap: None,
            ..options.clone()
        };
        let pixels = |plan: &TilePlan| plan.tile_width() * plan.tile_height();
        let larger = ops::computes_on_cpu(&self.device)
            .then(|| self.plan(plan.width(), plan.height(), &largest).ok())
            .flatten()
            .filter(|larger| pixels(larger) > pixels(plan));
        Calibration::new(larger.unwrap_or_else(|| plan.clone()), options.passes())
    }

    /// Runs the network until there is nothing left to restore.
    fn finish(
        &self,
        mut restoration: Restoration,
        source: &dyn Source,
        sink: &mut dyn Sink,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        let _release = Release(&self.network);
        report(progress, restoration.progress())?;
        while let Some(input) = restoration.next_tile(source)? {
            let output = self.run(input)?;
            if let Some(rows) = restoration.accept(&output)? {
                sink.write_rows(rows.y, rows.rgb)?;
                if let Some(errors) = rows.uncertainty {
                    sink.write_uncertainty(rows.y, errors)?;
                }
            }
            report(progress, restoration.progress())?;
        }
        Ok(())
    }

    /// Restores an image in memory.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_image(&self, image: &Image, options: &Options) -> Result<Image> {
        let mut sink = ImageSink::new(image.width(), image.height())?;
        self.restore(
            image,
            &mut sink,
            options,
            &mut |_| ControlFlow::Continue(()),
        )?;
        sink.finish()
    }

    fn run(&self, input: TileInput) -> Result<Vec<f32>> {
        host(run(&self.network, input, &self.device))
    }
}

/// Runs a network for its [`Purpose`]; the result is for [`Restoration::accept`].
pub fn run<N: Network + ?Sized>(network: &N, input: TileInput, device: &Device) -> Tensor<1> {
    let shape = [1, 3, input.height, input.width];
    let x = Tensor::<4>::from_data(TensorData::new(input.planar, shape), device);
    let stats = match input.purpose {
        Purpose::Calibrate => return network.global_statistics(x).flatten(0, 1),
        Purpose::Restore => None,
        Purpose::RestoreWithStats(stats) => {
            Some(Tensor::<1>::from_floats(stats.as_slice(), device).unsqueeze())
        }
    };
    if input.uncertainty {
        let [restored, errors] = network.forward_with_uncertainty(x, stats, &input.removal);
        return Tensor::cat(vec![restored, errors], 1).flatten(0, 3);
    }
    let restored = match stats {
        stats if input.removal != Removal::ALL => network.forward_steered(x, stats, &input.removal),
        Some(stats) => network.forward_with_stats(x, stats),
        None => network.forward(x),
    };
    restored.flatten(0, 3)
}

/// A result's values.
pub(crate) fn host<const D: usize>(result: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::Device(format!("the result cannot be read: {error}"))
    };
    let data = result
        .try_into_data_as::<f32>()
        .map_err(|error| failed(&error))?;
    data.try_into_vec::<f32>().map_err(|error| failed(&error))
}

/// Releases a network's buffers however a restoration ends.
struct Release<'a, N: Network>(&'a N);

impl<N: Network> Drop for Release<'_, N> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The tiles for an image of that size.
///
/// # Errors
/// [`Error::InvalidOption`] on options out of range or beyond what the network can do, [`Error::InvalidImage`] on an empty or impossible
/// size, [`Error::OutOfMemory`] with the least memory that would do.
pub fn plan<N: Network + ?Sized>(
    network: &N,
    width: usize,
    height: usize,
    options: &Options,
) -> Result<TilePlan> {
    options.validate()?;
    // A tile that the caller fixed is held against a budget only if the caller set that too.
    let memory = options
        .memory
        .or(options.tile.is_none().then_some(DEFAULT_MEMORY));
    let rules = TileRules {
        multiple: network.multiple(),
        tile: options.tile,
        overlap: options.overlap,
        memory,
    };
    if options.removal != Removal::ALL && !network.steers() {
        return Err(Error::InvalidOption(
            "these weights cannot remove one fault and keep another: remove all, or take weights with a steering head \
             (trainer steering)"
                .to_owned(),
        ));
    }
    if options.uncertainty && !network.has_uncertainty() {
        return Err(Error::InvalidOption(
            "these weights cannot tell the errors to be expected: do without, or take weights with an uncertainty head \
             (trainer uncertainty)"
                .to_owned(),
        ));
    }
    let bytes = |tile_height, tile_width| {
        peak_memory::peak_bytes(network, [tile_height, tile_width], [height, width], options)
    };
    let plan = TilePlan::new(width, height, &rules, &bytes)?;
    let least = network.least_tile();
    if rules.overlap.is_some() || rules.tile.is_none_or(|tile| tile >= least) {
        return Ok(plan);
    }
    let larger = TileRules {
        tile: Some(least),
        ..rules
    };
    Ok(TilePlan::new(width, height, &larger, &bytes).unwrap_or(plan))
}

/// What to do about values that are not finite, which neither sound weights nor a sound device give.
fn broken(what: &str) -> Error {
    Error::Device(format!(
        "{what}: its weights or its device are broken; take other weights or the device cpu"
    ))
}

pub(crate) fn report(callback: ProgressCallback<'_>, progress: Progress) -> Result<()> {
    match callback(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

#[cfg(test)]
mod tests;
