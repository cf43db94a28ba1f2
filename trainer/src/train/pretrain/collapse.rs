//! Has self-distillation collapsed? A constant answer, or one answer for everything, satisfies the
//! loss and is worth nothing.

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::Serialize;

use super::last_tokens;
use super::self_distillation::SelfDistillation;
use crate::train::Batch;

/// Figures of a teacher over validation samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Collapse {
    /// Standard deviation of the backbone's features over all tokens, mean over the channels; the
    /// final norm makes 1 the largest that is usual.
    pub feature_deviation: f64,
    /// Entropy of an image's opinion in nats, mean over the images: near `ln prototypes` if the
    /// teacher says nothing.
    pub entropy: f64,
    /// Entropy of the mean opinion in nats: near 0 if it says the same of everything.
    pub mean_entropy: f64,
    /// `ln prototypes`.
    pub largest_entropy: f64,
}

impl Collapse {
    /// Measures `model` (without autodiff) on clean validation samples.
    ///
    /// # Errors
    /// If the device returns no numbers.
    pub fn measure(model: &SelfDistillation, batches: &[Batch]) -> Result<Self> {
        let device = model.centre.val().device();
        let mut features: Vec<Tensor<2>> = Vec::new();
        let mut opinions: Vec<Tensor<2>> = Vec::new();
        for batch in batches {
            let clean = batch.tensor(&batch.clean, &device);
            let tokens = last_tokens(&model.teacher.backbone, clean);
            let [images, count, width] = tokens.dims();
            features.push(tokens.clone().reshape([images * count, width]));
            let class = model.teacher.head.forward(tokens.narrow(1, 0, 1));
            let [_, _, prototypes] = class.dims();
            let centre = model.centre.val().narrow(0, 0, 1);
            let class = class.reshape([images, prototypes]) - centre;
            opinions.push(softmax(class / model.teacher_temperature(), 1));
        }
        let features = Tensor::cat(features, 0);
        let deviation = (features.clone() - features.mean_dim(0))
            .square()
            .mean_dim(0);
        let opinions = Tensor::cat(opinions, 0);
        let [_, prototypes] = opinions.dims();
        let mean = opinions.clone().mean_dim(0);
        Ok(Self {
            feature_deviation: number(deviation.sqrt().mean())?,
            entropy: number(entropy(opinions))?,
            mean_entropy: number(entropy(mean))?,
            largest_entropy: (prototypes as f64).ln(),
        })
    }

    /// Whether the features are worth keeping: they differ, and so do the opinions.
    pub fn is_sound(&self) -> bool {
        self.feature_deviation > 0.05 && self.mean_entropy - self.entropy > 0.1
    }
}

/// Mean over the rows, in nats.
fn entropy(opinions: Tensor<2>) -> Tensor<1> {
    let terms = opinions.clone() * (opinions + 1e-12).log();
    -terms.sum_dim(1).mean()
}

fn number(value: Tensor<1>) -> Result<f64> {
    let values = value.into_data().convert::<f32>();
    let values = values.try_to_vec::<f32>().context("not f32")?;
    values.first().map(|&v| f64::from(v)).context("no number")
}
