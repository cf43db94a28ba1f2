//! Runs by the clock: how much of the time is gone, and when to end so that all is written within it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::train::config::TrainConfig;

/// The time that a run is given.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    /// When the command began: reading photos and writing weights count too.
    pub started: Instant,
    /// How long after that it is to be done.
    pub length: Duration,
}

impl TimeLimit {
    fn end(&self) -> Instant {
        self.started + self.length
    }
}

/// A run's time, and how much of it what comes after the last step will need.
#[derive(Debug)]
pub(super) struct Clock {
    limit: TimeLimit,
    /// When the first step could begin.
    begun: Instant,
    /// Share of the time for steps that was gone at the last look.
    share: f64,
    /// What a step takes, rather too much.
    step: Duration,
    /// What writing a checkpoint takes.
    save: Duration,
    /// What a validation takes, if there was one.
    validation: Option<Duration>,
    /// What it takes in steps, roughly.
    validation_steps: f64,
    /// The present stage, for the thread that makes samples.
    pub stage: Arc<AtomicUsize>,
}

impl Clock {
    pub fn new(limit: TimeLimit, config: &TrainConfig) -> Self {
        let pixels = |samples: usize, patch: usize| (samples * patch * patch) as f64;
        let validation = &config.validation;
        let step = config
            .stages
            .last()
            .map_or(1.0, |stage| pixels(stage.batch, stage.patch));
        Self {
            limit,
            begun: Instant::now(),
            share: 0.0,
            step: Duration::ZERO,
            save: Duration::ZERO,
            validation: None,
            // Without gradients a sample takes a third, but batches are smaller.
            validation_steps: pixels(validation.samples, validation.patch) / step / 2.0,
            stage: Arc::default(),
        }
    }

    /// Share of the time that is gone, which never shrinks; `None` if another step would end too late.
    pub fn share(&mut self, now: Instant) -> Option<f64> {
        let last = self.last();
        if now + self.step > last {
            return None;
        }
        let all = last.saturating_duration_since(self.begun).as_secs_f64();
        let gone = now.saturating_duration_since(self.begun).as_secs_f64();
        self.share = self.share.max(gone / all.max(1e-9)).min(1.0);
        Some(self.share)
    }

    pub fn has_time_to_validate(&self, now: Instant) -> bool {
        now + self.validation() <= self.last()
    }

    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.limit.end()
    }

    pub fn stepped(&mut self, time: Duration) {
        // The first steps, in which kernels are compiled, are forgotten by and by.
        self.step = time.max(self.step.mul_f64(0.9));
    }

    pub fn saved(&mut self, time: Duration) {
        self.save = time.max(self.save);
    }

    pub fn validated(&mut self, time: Duration) {
        self.validation = Some(time);
    }

    /// When steps must be over: a validation, the best and the last checkpoint and the weights come after them.
    fn last(&self) -> Instant {
        let reserve = self.validation().mul_f64(1.2) + 3 * self.save;
        let end = self.limit.end();
        end.checked_sub(reserve).unwrap_or(self.limit.started)
    }

    fn validation(&self) -> Duration {
        let guess = || self.step.mul_f64(self.validation_steps);
        self.validation.unwrap_or_else(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[validation]\nsamples = 4\npatch = 64\n[[stage]]\nsteps = 1\nbatch = 2\npatch = 64\nlr = 1e-3\n";

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn steps_end_in_time_for_what_comes_after() {
        let config = TrainConfig::parse(TEXT, &[]).expect("valid");
        let limit = TimeLimit {
            started: Instant::now(),
            length: seconds(100.0),
        };
        let mut clock = Clock::new(limit, &config);
        let at = |time: f64| limit.started + seconds(time);
        clock.begun = at(10.0);
        clock.saved(seconds(2.0));
        // Checkpoints take until second 94: steps have 84 seconds.
        let half = clock.share(at(52.0)).expect("half is left");
        assert!((half - 0.5).abs() < 1e-6, "{half}");
        // Now steps are known to take 4 seconds, and so would a validation of as many pixels.
        clock.stepped(seconds(4.0));
        assert!(clock.share(at(84.0)).is_some());
        assert!(clock.share(at(86.0)).is_none());
        assert!(clock.has_time_to_validate(at(84.0)) && !clock.has_time_to_validate(at(86.0)));
        // One was measured: 10 seconds and a fifth.
        clock.validated(seconds(10.0));
        assert!(clock.share(at(77.0)).is_some_and(|share| share <= 1.0));
        assert!(clock.share(at(79.0)).is_none());
        assert!(!clock.is_over(at(99.0)) && clock.is_over(at(100.0)));
    }

    #[test]
    fn no_time_is_no_step() {
        let config = TrainConfig::parse(TEXT, &[]).expect("valid");
        let limit = TimeLimit {
            started: Instant::now(),
            length: seconds(1.0),
        };
        let mut clock = Clock::new(limit, &config);
        clock.saved(seconds(1.0));
        assert!(clock.share(limit.started + seconds(0.1)).is_none());
    }
}
