//! The diagnosis of an image: what is wrong with it, without restoring it.

use burn::tensor::{Tensor, TensorData};

use super::frame::Frame;
use super::part::{Part, whole};
use super::run::Release;
use super::tile_input::{read_reflected, sanitize};
use super::{Area, Network, Restorer, Source};
use crate::image::samples;
use crate::model::diagnosis::{Diagnosis, DiagnosisHead, SIDE, statistics};
use crate::ops;
use crate::{Error, Result};

/// The most windows along each side of an image, so that a large photo does not cost more.
const ALONG: usize = 2;

impl<N: Network> Restorer<N> {
    /// Whether it can [diagnose](Self::diagnose): whether the weights file holds a diagnosis head.
    pub fn diagnoses(&self) -> bool {
        self.network().diagnosis().is_some()
    }

    /// What is wrong with `source`, judged by up to four windows of [`SIDE`] pixels that are spread over it. Nothing is
    /// restored.
    ///
    /// # Errors
    /// [`Error::Weights`] if the network cannot diagnose, [`Error::InvalidImage`] on an empty image,
    /// [`Error::Device`] if the result cannot be read; the source's own errors.
    pub fn diagnose(&self, source: &dyn Source) -> Result<Diagnosis> {
        self.head()?.judge(&self.observe(source)?)
    }

    /// As [`diagnose`](Self::diagnose), where waiting for a device is not allowed, as in a browser.
    ///
    /// # Errors
    /// As `diagnose`.
    pub async fn diagnose_async(&self, source: &dyn Source) -> Result<Diagnosis> {
        let head = self.head()?;
        samples(source.width(), source.height())?;
        let _release = Release(self.network());
        let source = &Part::new(source, Frame::of(source)?.inside);
        let mut observed = Vec::new();
        for window in windows(source.width(), source.height()) {
            let (x, statistics) = self.look(source, window)?;
            let mut values = ops::values_async(self.network().describe(x)).await?;
            values.extend(statistics);
            observed.push(values);
        }
        head.judge(&observed)
    }

    fn head(&self) -> Result<&DiagnosisHead> {
        self.network().diagnosis().ok_or_else(|| {
            Error::Weights(
                "they have no diagnosis (it is made by `trainer diagnosis`); take others, such as the embedded ones"
                    .into(),
            )
        })
    }

    /// The input of the diagnosis head: for each window the network's description and the [`statistics`].
    ///
    /// # Errors
    /// As [`diagnose`](Self::diagnose).
    pub fn observe(&self, source: &dyn Source) -> Result<Vec<Vec<f32>>> {
        samples(source.width(), source.height())?;
        let _release = Release(self.network());
        let source = &Part::new(source, Frame::of(source)?.inside);
        windows(source.width(), source.height())
            .into_iter()
            .map(|window| self.observe_window(source, window))
            .collect()
    }

    fn observe_window(&self, source: &dyn Source, window: Area) -> Result<Vec<f32>> {
        let (x, statistics) = self.look(source, window)?;
        let mut values = ops::values(self.network().describe(x))?;
        values.extend(statistics);
        Ok(values)
    }

    /// A window for the network, and its [`statistics`].
    fn look(&self, source: &dyn Source, window: Area) -> Result<(Tensor<4>, Vec<f32>)> {
        let mut rgb = read_reflected(source, window, whole(source))?;
        rgb.iter_mut()
            .for_each(|sample| *sample = sanitize(*sample));
        let statistics = statistics::of(&rgb);
        let shape = [1, 3, SIDE, SIDE];
        let x = Tensor::from_data(TensorData::new(rgb, shape), &self.device);
        Ok((x, statistics))
    }
}

/// Windows spread evenly over an image. A smaller image is mirrored to fill a window.
fn windows(width: usize, height: usize) -> Vec<Area> {
    let starts = |length: usize| -> Vec<usize> {
        let count = length.div_ceil(SIDE).min(ALONG);
        let room = length.saturating_sub(SIDE);
        // In the middle of equal parts of the image.
        let start = |at: usize| (2 * at + 1) * length / (2 * count);
        (0..count)
            .map(|at| start(at).saturating_sub(SIDE / 2).min(room))
            .collect()
    };
    let rows = starts(height);
    let columns = starts(width);
    let window = |y: usize, x: usize| Area {
        x,
        y,
        width: SIDE,
        height: SIDE,
    };
    rows.iter()
        .flat_map(|&y| columns.iter().map(move |&x| window(y, x)))
        .collect()
}
