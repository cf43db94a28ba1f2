//! DINO: a student learns to say of degraded views what its own slow average says of clean ones.

use std::f64::consts::PI;

use anyhow::{Result, ensure};
use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor};
use dino_ir::model::dinov2::{Dinov2, Dinov2Config};
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::{Crops, GLOBALS, LOCALS, SQUARES, last_tokens, relative_errors};
use crate::train::config::{TrainConfig, read_section};
use crate::train::parameters::{flat_tensors, map_flat};
use crate::train::{StepOutput, Trainee};

/// The `[loss]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoLossConfig {
    /// The projection head.
    pub head: HeadConfig,
    /// Divides the student's logits.
    pub student_temperature: f64,
    /// Divides the teacher's: smaller, which sharpens.
    pub teacher_temperature: f64,
    /// Share of the old centre kept in each step.
    pub centre_momentum: f64,
    /// Share of the old teacher kept in the first step; rises to 1 by a cosine.
    pub teacher_momentum: f64,
    /// Weight of the patch tokens' loss.
    pub patches: f64,
}

impl Default for DinoLossConfig {
    fn default() -> Self {
        Self {
            head: HeadConfig::default(),
            student_temperature: 0.1,
            teacher_temperature: 0.04,
            centre_momentum: 0.9,
            teacher_momentum: 0.99,
            patches: 1.0,
        }
    }
}

/// A backbone with its head.
#[derive(Module, Debug)]
pub struct Network {
    /// What is kept in the end.
    pub backbone: Dinov2,
    /// Needed for training only.
    pub head: Head,
}

impl Network {
    /// Class logits `[views, 1, prototypes]` and patch logits `[views, patches, prototypes]`.
    fn forward(&self, views: Tensor<4>) -> (Tensor<3>, Tensor<3>) {
        let logits = self.head.forward(last_tokens(&self.backbone, views));
        let [_, tokens, _] = logits.dims();
        (
            logits.clone().narrow(1, 0, 1),
            logits.narrow(1, 1, tokens - 1),
        )
    }
}

/// Student, teacher and the teacher's centre.
#[derive(Module, Debug)]
pub struct SelfDistillation {
    /// Trained.
    pub student: Network,
    /// The student's average.
    pub teacher: Network,
    /// Means of the teacher's logits, `[2, prototypes]`: class tokens, patch tokens.
    pub centre: Param<Tensor<2>>,
    #[module(skip)]
    loss: DinoLossConfig,
}

impl SelfDistillation {
    /// Parameters that the optimiser must leave alone.
    pub const FROZEN: [&'static str; 2] = ["teacher.", "centre"];

    /// A randomly initialised student and a teacher equal to it, sizes from `[model]`.
    ///
    /// # Errors
    /// If the model's or the loss's table is wrong.
    pub fn new(config: &TrainConfig, device: &Device) -> Result<(Self, Dinov2Config)> {
        let sizes: Dinov2Config = read_section("model", &config.model)?;
        sizes.validate()?;
        let loss: DinoLossConfig = read_section("loss", &config.loss)?;
        ensure!(
            loss.student_temperature > 0.0 && loss.teacher_temperature > 0.0,
            "loss.student_temperature and loss.teacher_temperature must be positive"
        );
        for momentum in [loss.centre_momentum, loss.teacher_momentum] {
            ensure!(
                (0.0..=1.0).contains(&momentum),
                "loss.centre_momentum and loss.teacher_momentum must be in 0..=1"
            );
        }
        device.seed(config.seed);
        let student = Network {
            backbone: sizes.init(device),
            head: Head::new(sizes.width, &loss.head, device),
        };
        let teacher = Network {
            backbone: sizes.init(device),
            head: Head::new(sizes.width, &loss.head, device),
        };
        let mut start = flat_tensors(&student);
        let teacher = map_flat(teacher, |name, _, _| start.remove(name));
        let centre = Initializer::Zeros.init([2, loss.head.prototypes], device);
        let model = Self {
            student,
            teacher,
            centre,
            loss,
        };
        Ok((model, sizes))
    }

    pub(super) fn teacher_temperature(&self) -> f64 {
        self.loss.teacher_temperature
    }

    /// The teacher's opinions of clean global views, and the means of its logits.
    fn teach(&self, clean: Tensor<4>) -> (Tensor<3>, Tensor<3>, Tensor<1>) {
        let (class, patches) = self.teacher.forward(clean);
        let [_, _, prototypes] = class.dims();
        let centre = |row: usize| self.centre.val().narrow(0, row, 1).unsqueeze::<3>();
        let opinion = |logits: Tensor<3>, row: usize| {
            let sharp = (logits - centre(row)) / self.loss.teacher_temperature;
            softmax(sharp, 2).detach()
        };
        let mean = |logits: &Tensor<3>| {
            let logits = logits.clone().inner();
            let [views, tokens, _] = logits.dims();
            let logits = logits.reshape([views * tokens, prototypes]);
            logits.mean_dim(0).reshape([prototypes])
        };
        let statistics = Tensor::cat(vec![mean(&class), mean(&patches)], 0);
        (opinion(class, 0), opinion(patches, 1), statistics)
    }
}

impl Trainee for SelfDistillation {
    const GROUP: usize = SQUARES;

    fn loss(&self, degraded: Tensor<4>, clean: Tensor<4>) -> StepOutput {
        let (seen, shown) = (Crops::of(degraded), Crops::of(clean));
        let (class, patches, statistics) = self.teach(shown.global.clone());
        let (global, global_patches) = self.student.forward(seen.global.clone());
        let (local, _) = self.student.forward(seen.local);
        let [views, _, prototypes] = global.dims();
        let photos = views / GLOBALS;
        let of_photo = |x: Tensor<3>, views: usize| x.reshape([photos, views, prototypes]);

        // Every view of the student against every view of the teacher; the same crop counts too,
        // because the student sees it degraded.
        let student = Tensor::cat(vec![of_photo(global, GLOBALS), of_photo(local, LOCALS)], 1);
        let student = log_softmax(student / self.loss.student_temperature, 2);
        let agreement = of_photo(class, GLOBALS).matmul(student.swap_dims(1, 2));
        let mut loss = -agreement.mean();
        if self.loss.patches > 0.0 {
            let said = log_softmax(global_patches / self.loss.student_temperature, 2);
            let agreement = (patches * said).sum_dim(2).mean();
            loss = loss - agreement * self.loss.patches;
        }

        let errors = relative_errors(
            last_tokens(&self.student.backbone.clone().valid(), seen.global.inner()),
            last_tokens(&self.teacher.backbone.clone().valid(), shown.global.inner()),
        );
        let errors = errors.reshape([photos, GLOBALS]).mean_dim(1);
        StepOutput {
            loss,
            errors: errors.reshape([photos]),
            statistics: Some(statistics),
        }
    }

    fn errors(&self, degraded: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
        relative_errors(
            last_tokens(&self.student.backbone, degraded),
            last_tokens(&self.student.backbone, clean),
        )
    }

    fn after_step(self, statistics: Option<Tensor<1>>, progress: f64) -> Self {
        let start = self.loss.teacher_momentum;
        let momentum = 1.0 - (1.0 - start) * ((PI * progress).cos() + 1.0) / 2.0;
        let mut student = flat_tensors(&self.student);
        let teacher = map_flat(self.teacher, |name, _, old| {
            let new = student.remove(name)?;
            Some(old * momentum + new * (1.0 - momentum))
        });
        let kept = self.loss.centre_momentum;
        let centre = match statistics {
            Some(mean) => self.centre.map(|old| {
                let mean = mean.reshape(old.shape());
                let old_inner = old.clone().inner();
                let new = old_inner * kept + mean * (1.0 - kept);
                crate::train::parameters::lift(&old, new)
            }),
            None => self.centre,
        };
        Self {
            teacher,
            centre,
            ..self
        }
    }
}
