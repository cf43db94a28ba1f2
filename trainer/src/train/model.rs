//! What a model must offer to be trained.

use burn::module::Module;
use burn::tensor::Tensor;

/// What a model says about a batch.
#[derive(Debug)]
pub struct StepOutput {
    /// The loss to minimise, one value.
    pub loss: Tensor<1>,
    /// Mean squared error of each group of samples, `[groups]`, outside autodiff: the log's PSNR.
    pub errors: Tensor<1>,
    /// What [`Trainee::after_step`] wants to know about the batch, outside autodiff: a mean.
    pub statistics: Option<Tensor<1>>,
}

/// Mean squared error of each sample, clamped to 0..1: `[count]`, outside autodiff. NaN where a
/// restored value is not finite.
///
/// # Shapes
/// - both: `[count, 3, height, width]`, RGB, nominal 0..1
pub fn squared_errors(restored: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
    let [count, ..] = restored.dims();
    let (restored, clean) = (restored.inner(), clean.inner());
    // Clamping would hide an infinity; times zero it is NaN.
    let hidden = restored.clone() * 0.0;
    let error = (restored.clamp(0.0, 1.0) - clean).square() + hidden;
    let error = error.reshape([count as i32, -1]);
    error.mean_dim(1).reshape([count])
}

/// A model that can be trained.
pub trait Trainee: Module {
    /// Samples that belong together: a batch holds a multiple of these.
    const GROUP: usize = 1;

    /// Loss and errors for a batch; both `[batch, 3, height, width]`, RGB 0..1, on an autodiff device.
    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput;

    /// Mean squared error of each validation sample, `[count]`, for samples
    /// `[count, 3, height, width]`, RGB 0..1.
    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1>;

    /// What changes besides the trained parameters, after the optimiser's step. `progress` goes
    /// from 0 to 1 over the run.
    fn after_step(self, statistics: Option<Tensor<1>>, progress: f64) -> Self {
        let _ = (statistics, progress);
        self
    }
}
