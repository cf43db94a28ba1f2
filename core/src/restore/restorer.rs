//! The restoration of whole images, while the caller waits.

use std::ops::ControlFlow;

use burn::tensor::Device;

use super::calibration::Calibration;
use super::overview::Overview;
use super::progress::report;
use super::run::Release;
use super::stream::copy;
use super::{
    ImageSink, Network, Options, ProgressCallback, Restoration, Sink, Source, TileInput, TilePlan,
    plan, run,
};
use crate::Result;
use crate::image::Image;
use crate::ops::{self, values};

/// Restores images with one network on one device.
#[derive(Debug)]
pub struct Restorer<N: Network> {
    pub(super) network: N,
    pub(super) device: Device,
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
    /// As [`plan`](fn@super::plan).
    pub fn plan(&self, width: usize, height: usize, options: &Options) -> Result<TilePlan> {
        plan(&self.network, width, height, options)
    }

    /// Restores `source` into `sink`, rows from top to bottom, each once. The result is not clamped:
    /// that is for the caller when it quantises. With strength 0, or if nothing is to be removed, the pixels
    /// are copied as they are.
    /// With [`Options::uncertainty`] the sink also gets the expected errors, after the rows that they belong to.
    /// A flat frame around a photo stays as it is. A photo of one tone keeps its tone. If red, green and blue are equal in every visible pixel, they are equal in the
    /// result, bit by bit.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::Error::InvalidOption), [`InvalidImage`](crate::Error::InvalidImage) and
    /// [`OutOfMemory`](crate::Error::OutOfMemory) before anything is written; [`Cancelled`](crate::Error::Cancelled) when
    /// `progress` breaks; [`Device`](crate::Error::Device) when the device fails; the errors of the source and the sink,
    /// unchanged. After an error nothing more is written.
    pub fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> Result<()> {
        options.validate()?;
        if options.changes_nothing() {
            return copy(source, sink, progress);
        }
        let (overview, options, plan) = self.overview(source, options)?;
        let calibration = match plan.len() {
            1 => Calibration::none(plan.clone()),
            _ => self.calibration(&plan, &options),
        };
        let restoration = Restoration::of_part(plan.area(), plan, calibration, overview, &options)?;
        self.finish(restoration, source, sink, progress)
    }

    /// Looks at all of a source: what is known of it, the options that follow, and its tiles.
    pub(super) fn overview(
        &self,
        source: &dyn Source,
        options: &Options,
    ) -> Result<(Overview, Options, TilePlan)> {
        let plan = |options| self.plan(source.width(), source.height(), options);
        // Bad options are an error before anything is read.
        plan(options)?;
        let overview = Overview::of(source)?;
        let veil = self.veil_inside(source, overview.frame.inside, options)?;
        let overview = overview.with_veil(veil);
        let options = overview.options(options);
        let plan = plan(&options)?;
        Ok((overview, options, plan))
    }

    /// The calibration pass of an image that is restored in the tiles of `plan`. On the CPU it uses the largest tiles that
    /// the memory allows: the larger they are, the closer the result is to that of the whole image. The memory of a GPU is
    /// not known; there it uses the tiles of the plan.
    pub(super) fn calibration(&self, plan: &TilePlan, options: &Options) -> Calibration {
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
    pub(super) fn finish(
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

    pub(super) fn run(&self, input: TileInput) -> Result<Vec<f32>> {
        values(run(&self.network, input, &self.device))
    }
}
