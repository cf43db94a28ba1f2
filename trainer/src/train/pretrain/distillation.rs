//! Distillation from a larger backbone: the student's tokens of degraded views, mapped to the
//! teacher's width, are to be the teacher's of the clean ones.

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dino_ir::model::dinov2::{Dinov2, Dinov2Config};
use dino_ir::model::layers::Linear;

use super::{Crops, GLOBALS, SQUARES, last_tokens, relative_errors};
use crate::train::config::{TrainConfig, read_section};
use crate::train::{StepOutput, Trainee};

/// Student and teacher.
#[derive(Module, Debug)]
pub struct Distillation {
    /// Trained; what is kept in the end.
    pub student: Dinov2,
    /// From the student's width to the teacher's.
    projection: Linear,
    /// Fixed.
    teacher: Dinov2,
}

impl Distillation {
    /// Parameters that the optimiser must leave alone.
    pub const FROZEN: [&'static str; 1] = ["teacher."];

    /// A randomly initialised student of the sizes in `[model]`.
    ///
    /// # Errors
    /// If the table is wrong, or one of the two has registers and the other has other ones.
    pub fn new(
        config: &TrainConfig,
        teacher: Dinov2,
        device: &Device,
    ) -> Result<(Self, Dinov2Config)> {
        let sizes: Dinov2Config = read_section("model", &config.model)?;
        sizes.validate()?;
        let registers = teacher.register_tokens.as_ref();
        let registers = registers.map_or(0, |tokens| tokens.val().dims()[1]);
        ensure!(
            registers == sizes.registers,
            "model.registers is {}, the teacher has {registers}: they must agree",
            sizes.registers
        );
        device.seed(config.seed);
        let [_, _, width] = teacher.cls_token.val().dims();
        let model = Self {
            student: sizes.init(device),
            projection: Linear::new(sizes.width, width, device),
            teacher,
        };
        Ok((model, sizes))
    }

    /// The mean squared difference from the teacher's tokens, which the final norm has brought to
    /// one scale.
    fn miss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> (Tensor<1>, Tensor<1>) {
        let student = self
            .projection
            .forward(last_tokens(&self.student, degraded));
        let teacher = last_tokens(&self.teacher, clean).detach();
        let loss = (student.clone() - teacher.clone()).square().mean();
        (loss, relative_errors(student, teacher))
    }
}

impl Trainee for Distillation {
    const GROUP: usize = SQUARES;

    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput {
        let (seen, shown) = (Crops::of(degraded), Crops::of(clean));
        let (global, errors) = self.miss(seen.global, shown.global);
        let (local, _) = self.miss(seen.local, shown.local);
        let photos = errors.dims()[0] / GLOBALS;
        let errors = errors.reshape([photos, GLOBALS]).mean_dim(1);
        StepOutput {
            loss: global + local,
            errors: errors.reshape([photos]),
            statistics: None,
        }
    }

    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
        relative_errors(
            last_tokens(&self.student, degraded),
            last_tokens(&self.student, clean),
        )
    }
}
