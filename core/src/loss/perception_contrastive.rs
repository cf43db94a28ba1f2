//! DINO perception contrastive loss (equation 6): the restored image's shallow features shall be
//! near the clean image's and far from the degraded one's.

use burn::tensor::Tensor;

use crate::model::dinov2::Dinov2;

/// Keeps the ratio finite where the restored image equals the degraded one.
const EPSILON: f64 = 1e-6;

/// `sum_i w_i D(psi_i(v), psi_i(v+)) / D(psi_i(v), psi_i(v-))`, D the mean absolute difference.
#[derive(Clone, Debug)]
pub struct PerceptionContrastive {
    blocks: Vec<usize>,
    weights: Vec<f64>,
}

/// The three images of the loss, each `[batch, 3, height, width]`, RGB in 0..1.
#[derive(Clone, Debug)]
pub struct Triplet {
    /// `v`, the restored image: the only one through which gradients flow.
    pub restored: Tensor<4>,
    /// `v+`, the clean image.
    pub clean: Tensor<4>,
    /// `v-`, the degraded image.
    pub degraded: Tensor<4>,
}

impl PerceptionContrastive {
    /// Equal weights, summing to one, over `blocks` (ascending, counted from 1).
    pub fn new(blocks: Vec<usize>) -> Self {
        let weights = vec![1.0 / blocks.len().max(1) as f64; blocks.len()];
        Self { blocks, weights }
    }

    /// With `w_i` for each block.
    ///
    /// # Panics
    /// If there is not one weight for each block.
    pub fn with_weights(self, weights: Vec<f64>) -> Self {
        assert_eq!(
            weights.len(),
            self.blocks.len(),
            "one weight for each block"
        );
        Self { weights, ..self }
    }

    /// The loss, `[1]`, zero without blocks; blocks that `backbone` lacks add nothing. It is frozen.
    pub fn forward(&self, backbone: &Dinov2, triplet: Triplet) -> Tensor<1> {
        let device = triplet.restored.device();
        let psi = |image: Tensor<4>| backbone.features(image, &self.blocks).blocks;
        let fixed = |image: Tensor<4>| psi(image.detach());
        let restored = psi(triplet.restored);
        let clean = fixed(triplet.clean);
        let degraded = fixed(triplet.degraded);
        let mut loss = Tensor::zeros([1], &device);
        let features = restored.into_iter().zip(clean).zip(degraded);
        for (((v, positive), negative), weight) in features.zip(&self.weights) {
            let near = (v.clone() - positive).abs().mean();
            let far = (v - negative).abs().mean();
            loss = loss + near / (far + EPSILON) * *weight;
        }
        loss
    }
}
