//! The stages of a run, and the learning rate over the steps of one.

use serde::{Deserialize, Serialize};

/// A part of the run with its own patch size, batch and learning rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Optimiser steps in this stage.
    pub steps: u64,
    /// Samples in a step.
    pub batch: usize,
    /// Side of the square crops in pixels, a multiple of 8.
    pub patch: usize,
    /// Learning rate at the start (after warm-up).
    pub lr: f64,
    /// Learning rate that `cosine`, `decay` and runs by the clock end at, and `step` never goes under.
    #[serde(default)]
    pub lr_end: f64,
    /// `constant`, `cosine`, `step` or `decay`.
    #[serde(default)]
    pub schedule: Schedule,
    /// Steps in which the learning rate rises linearly from near 0.
    #[serde(default)]
    pub warmup: u64,
    /// `step` schedule: steps between drops.
    #[serde(default = "Stage::default_drop_every")]
    pub drop_every: u64,
    /// `step` schedule: the factor of a drop.
    #[serde(default = "Stage::default_drop_factor")]
    pub drop_factor: f64,
    /// `decay` schedule and runs by the clock: the last share in which the learning rate falls.
    #[serde(default = "Stage::default_decay")]
    pub decay: f64,
}

impl Stage {
    fn default_drop_every() -> u64 {
        10_000
    }

    fn default_drop_factor() -> f64 {
        0.5
    }

    fn default_decay() -> f64 {
        0.25
    }
}

/// How the learning rate goes from a stage's `lr` to its `lr_end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// `lr` throughout.
    Constant,
    /// Half a cosine from `lr` down to `lr_end`.
    #[default]
    Cosine,
    /// `lr` times `drop_factor` after every `drop_every` steps, never under `lr_end`.
    Step,
    /// `lr`, then straight down to `lr_end` over the last share `decay` of the steps.
    Decay,
}

/// Share of a run by the clock in which the learning rate rises from near 0.
const WARM_UP: f64 = 0.05;

/// The learning rate at `step` of `stage`, counted from 0. The first `warmup` steps rise linearly.
pub fn learning_rate(stage: &Stage, step: u64) -> f64 {
    if step < stage.warmup {
        return stage.lr * (step + 1) as f64 / stage.warmup as f64;
    }
    match stage.schedule {
        Schedule::Constant => stage.lr,
        Schedule::Cosine => {
            let length = (stage.steps - stage.warmup).max(1) as f64;
            let progress = ((step - stage.warmup) as f64 / length).min(1.0);
            let weight = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
            stage.lr_end + (stage.lr - stage.lr_end) * weight
        }
        Schedule::Step => {
            let drops = (step - stage.warmup) / stage.drop_every.max(1);
            (stage.lr * stage.drop_factor.powf(drops as f64)).max(stage.lr_end)
        }
        Schedule::Decay => decayed(stage, step as f64 / stage.steps as f64),
    }
}

/// The learning rate of a run by the clock when `share` of its time is gone, 0..=1: it rises, stays, and in the last
/// share `decay` falls, whatever the stage's `schedule` and `warmup` are, which count steps.
pub fn timed_learning_rate(stage: &Stage, share: f64) -> f64 {
    if share < WARM_UP {
        // Not from 0: the first step is to count.
        return stage.lr * (share / WARM_UP).max(0.01);
    }
    decayed(stage, share)
}

/// `lr` until the last share `decay`, in which it falls to `lr_end`.
fn decayed(stage: &Stage, share: f64) -> f64 {
    let left = (1.0 - share).max(0.0);
    if left >= stage.decay {
        return stage.lr;
    }
    stage.lr_end + (stage.lr - stage.lr_end) * left / stage.decay
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(schedule: Schedule) -> Stage {
        Stage {
            steps: 110,
            batch: 1,
            patch: 8,
            lr: 1.0,
            lr_end: 0.1,
            schedule,
            warmup: 10,
            drop_every: 20,
            drop_factor: 0.5,
            decay: 0.25,
        }
    }

    #[test]
    fn warms_up_then_follows_the_schedule() {
        let constant = stage(Schedule::Constant);
        assert!((learning_rate(&constant, 0) - 0.1).abs() < 1e-12);
        assert!((learning_rate(&constant, 9) - 1.0).abs() < 1e-12);
        assert_eq!(learning_rate(&constant, 109), 1.0);

        let cosine = stage(Schedule::Cosine);
        assert_eq!(learning_rate(&cosine, 10), 1.0);
        assert!((learning_rate(&cosine, 60) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&cosine, 110) - 0.1).abs() < 1e-12);

        let step = stage(Schedule::Step);
        assert_eq!(learning_rate(&step, 29), 1.0);
        assert_eq!(learning_rate(&step, 30), 0.5);
        assert_eq!(learning_rate(&step, 109), 0.1);

        let decay = Stage {
            steps: 200,
            ..stage(Schedule::Decay)
        };
        assert_eq!(learning_rate(&decay, 10), 1.0);
        assert_eq!(learning_rate(&decay, 150), 1.0);
        assert!((learning_rate(&decay, 175) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&decay, 199) - 0.118).abs() < 1e-12);
    }

    #[test]
    fn the_clock_warms_up_stays_and_anneals() {
        let stage = stage(Schedule::Constant);
        let at = |share| timed_learning_rate(&stage, share);
        assert!(at(0.0) > 0.0);
        assert!((at(0.025) - 0.5).abs() < 1e-12);
        assert_eq!((at(0.05), at(0.75)), (1.0, 1.0));
        assert!((at(0.875) - 0.55).abs() < 1e-12);
        assert!((at(1.0) - 0.1).abs() < 1e-12);
    }
}
