//! Where a run is, and with it stage and learning rate: by the steps done, or by the time gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::clock::{Clock, TimeLimit};
use crate::train::config::TrainConfig;
use crate::train::schedule::{Stage, learning_rate, timed_learning_rate};

/// What a step is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Counted from 0.
    pub stage: usize,
    /// Learning rate.
    pub lr: f64,
    /// From 0 to 1 over the run, after this step.
    pub progress: f64,
}

/// What a run counts.
#[derive(Debug)]
pub(super) enum Pace {
    /// The configuration's steps.
    Steps,
    /// The time it was given.
    Clock(Clock),
}

/// Says which samples will be wanted, to the thread that makes them ahead.
#[derive(Clone, Debug)]
pub(super) enum Forecast {
    /// Those of the step's stage.
    Steps,
    /// Those of the present stage.
    Clock(Arc<AtomicUsize>),
}

impl Pace {
    /// As the options say.
    pub fn new(limit: Option<TimeLimit>, config: &TrainConfig) -> Self {
        limit.map_or(Self::Steps, |limit| Self::Clock(Clock::new(limit, config)))
    }

    /// For the thread that makes the samples.
    pub fn forecast(&self) -> Forecast {
        match self {
            Self::Steps => Forecast::Steps,
            Self::Clock(clock) => Forecast::Clock(Arc::clone(&clock.stage)),
        }
    }

    /// How to make the next step after `step` steps; `None` at the end of the run.
    pub fn next(&mut self, config: &TrainConfig, step: u64) -> Option<Plan> {
        match self {
            Self::Steps => {
                let position = config.position(step)?;
                Some(Plan {
                    stage: position.index,
                    lr: learning_rate(position.stage, position.step),
                    progress: (step + 1) as f64 / config.total_steps() as f64,
                })
            }
            Self::Clock(clock) => {
                let share = clock.share(Instant::now())?;
                let stage = config.stage_at(share);
                clock.stage.store(stage, Ordering::Relaxed);
                Some(Plan {
                    stage,
                    lr: timed_learning_rate(&config.stages[stage], share),
                    progress: share,
                })
            }
        }
    }

    /// Whether a validation would not cost the run its last steps.
    pub fn has_time_to_validate(&self) -> bool {
        match self {
            Self::Steps => true,
            Self::Clock(clock) => clock.has_time_to_validate(Instant::now()),
        }
    }

    /// Whether all of the time is gone.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Clock(clock) if clock.is_over(Instant::now()))
    }

    /// Learns how long a step takes.
    pub fn stepped(&mut self, time: Duration) {
        if let Self::Clock(clock) = self {
            clock.stepped(time);
        }
    }

    /// Learns how long a checkpoint takes.
    pub fn saved(&mut self, time: Duration) {
        if let Self::Clock(clock) = self {
            clock.saved(time);
        }
    }

    /// Learns how long a validation takes.
    pub fn validated(&mut self, time: Duration) {
        if let Self::Clock(clock) = self {
            clock.validated(time);
        }
    }
}

impl Forecast {
    /// The stage of a step that is some steps ahead; `None` after the last one.
    pub fn stage<'a>(&self, config: &'a TrainConfig, step: u64) -> Option<&'a Stage> {
        match self {
            Self::Steps => Some(config.position(step)?.stage),
            Self::Clock(stage) => config.stages.get(stage.load(Ordering::Relaxed)),
        }
    }
}
