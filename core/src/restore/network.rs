//! What restoring needs of a network.

use burn::Tensor;

use super::Removal;
use crate::model::diagnosis::DiagnosisHead;

/// What restoring needs of a network.
pub trait Network {
    /// The height and the width of the input of [`forward`](Self::forward) must be multiples of this number; at least 1.
    fn multiple(&self) -> usize;

    /// The least side of a tile in pixels: a smaller tile does not show enough of the image to be restored as a part of it.
    fn least_tile(&self) -> usize {
        1
    }

    /// The peak bytes of one forward run on a tile of that size; a larger tile must not need less.
    fn activation_bytes(&self, height: usize, width: usize) -> u64;

    /// Restores a batch of RGB images, sRGB-encoded, nominally 0..=1.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` to the same.
    fn forward(&self, x: Tensor<4>) -> Tensor<4>;

    /// Whether it uses sums over all pixels of its input. If so, a calibration pass comes before the tiles of an image
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

    /// As [`forward_steered`](Self::forward_steered), with the expected absolute error of each pixel (mean over red,
    /// green and blue, 0..=1) where all faults are removed. It is only called if
    /// [`has_uncertainty`](Self::has_uncertainty) is true.
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
