//! DINO-Restore adaption and fusion (equation 5):
//! `F_O = softmax(W_k(F_DA) x W_q(F_I) / sqrt(C)) x F_I + F_I`.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::model::global_statistics::GlobalStatistics;
use crate::model::layers::Conv;
use crate::model::resize::{Axis, resize_adjoint};
use crate::ops;

/// Fuses the adapted backbone features into one stage of the restoration net.
#[derive(Module, Debug)]
pub struct DrFusion {
    /// 1x1, `fused -> channels`: the adaption in channels.
    pub adapt: Conv,
    /// `W_k`, 1x1.
    pub key: Conv,
    /// `W_q`, 1x1.
    pub query: Conv,
    pub(crate) pixel_mean: bool,
}

impl DrFusion {
    /// `pixel_mean` divides the products, which are sums over pixels, by the number of pixels,
    /// so that the map does not depend on the size of the tile; at one size it is a constant
    /// factor of `W_k`.
    pub fn new(fused: usize, channels: usize, pixel_mean: bool, device: &Device) -> Self {
        Self {
            adapt: Conv::pointwise(fused, channels, true, device),
            key: Conv::pointwise(channels, channels, false, device),
            query: Conv::pointwise(channels, channels, false, device),
            pixel_mean,
        }
    }

    /// Replaces the features of one stage.
    ///
    /// # Shapes
    /// - `fused`: `[batch, fused, rows, columns]`
    /// - `features`, output: `[batch, channels, height, width]`
    pub fn forward(&self, fused: Tensor<4>, features: Tensor<4>) -> Tensor<4> {
        self.forward_with_stats(|| fused, features, &mut GlobalStatistics::Own)
    }

    /// The same with other global statistics; `fused` is asked for only if they are to be taken.
    pub fn forward_with_stats(
        &self,
        fused: impl FnOnce() -> Tensor<4>,
        features: Tensor<4>,
        stats: &mut GlobalStatistics,
    ) -> Tensor<4> {
        let [batch, channels, _, _] = features.dims();
        let products = stats.take([batch, channels, channels], || {
            self.products(fused(), features.clone())
        });
        ops::mix(products, features)
    }

    /// The attention between channels, each row summing to one.
    ///
    /// The adaption in scale is a bilinear resize `R` to the stage's size. It commutes with 1x1
    /// convolutions, and `R(k) x q = k x R^T(q)`, so that everything here runs on the small grid
    /// of patches.
    ///
    /// # Shapes
    /// - `fused`: `[batch, fused, rows, columns]`
    /// - `features`: `[batch, channels, height, width]`
    /// - output: `[batch, channels, channels]`
    pub fn map(&self, fused: Tensor<4>, features: Tensor<4>) -> Tensor<3> {
        let [_, channels, _, _] = features.dims();
        softmax(self.products(fused, features) / (channels as f64).sqrt(), 2)
    }

    /// Of all keys with all queries, `[batch, channels, channels]`: sums over pixels, or means.
    fn products(&self, fused: Tensor<4>, features: Tensor<4>) -> Tensor<3> {
        let [_, _, height, width] = features.dims();
        let [_, _, rows, columns] = fused.dims();
        let key = self.key.forward(self.adapt.forward(fused));
        let factor = match self.pixel_mean {
            true => 1.0 / (height * width) as f64,
            false => 1.0,
        };
        let query = self.query.forward(resize_adjoint(
            features,
            Axis::bilinear(rows, height),
            Axis::bilinear(columns, width),
            factor,
        ));
        ops::matmul_nt(key.flatten(2, 3), query.flatten(2, 3))
    }
}
