//! The numbers of the steps: for the log and for the progress bar, a few steps behind the device.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::Run;
use crate::train::Trainee;
use crate::train::log::{ByClock, Entry};
use crate::train::pace::Plan;
use crate::train::scores::psnr;

/// A step that the device may still be computing.
pub(super) struct Pending {
    /// Its number, counted from 1.
    pub(super) step: u64,
    pub(super) plan: Plan,
    pub(super) samples: usize,
    /// How long the loop took for it.
    pub(super) seconds: f64,
    /// The files of its batch.
    pub(super) names: Vec<String>,
}

impl<M: Trainee> Run<'_, M> {
    /// Looks at the numbers of all steps but the last few.
    pub(super) fn settle(&mut self, behind: usize) -> Result<()> {
        while self.pending.len() > behind {
            let numbers = self.reader.next()?;
            if let Some(step) = self.pending.pop_front() {
                self.note(&step, &numbers)?;
            }
        }
        Ok(())
    }

    /// Adds a step's gradient norm, loss and errors to the log's sums and the progress bar.
    fn note(&mut self, pending: &Pending, numbers: &[f32]) -> Result<()> {
        let &Pending {
            step,
            plan,
            samples,
            seconds,
            ..
        } = pending;
        let [norm, loss, errors @ ..] = numbers else {
            bail!("step {step}: there are no numbers");
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            bail!(
                "step {step}: the loss is {loss}, the gradient norm {norm}. Files of the batch: {}. {}",
                pending.names.join(", "),
                self.last_good()
            );
        }
        let sum: f64 = errors.iter().map(|&error| psnr(f64::from(error))).sum();
        self.state.seconds += seconds;
        let interval = &mut self.state.interval;
        interval.steps += 1;
        interval.samples += samples as u64;
        interval.loss += f64::from(*loss);
        interval.psnr += sum / errors.len() as f64;
        interval.grad_norm += f64::from(*norm);
        interval.seconds += seconds;
        interval.lr += plan.lr;
        let steps = interval.steps as f64;
        let samples_per_s = interval.samples as f64 / interval.seconds.max(1e-9);
        let message = format!(
            "loss {:.4}  {:.2} dB  {samples_per_s:.1} samples/s",
            interval.loss / steps,
            interval.psnr / steps
        );
        let by_clock = match self.options.time {
            None => {
                self.bar.set_message(message);
                self.bar.set_position(step);
                None
            }
            Some(time) => {
                self.bar
                    .set_message(format!("step {}  {message}", self.state.step));
                self.bar.set_position(time.started.elapsed().as_secs());
                Some(ByClock {
                    share: plan.progress,
                    stage: plan.stage,
                    mean_lr: interval.lr / steps,
                })
            }
        };
        if step.is_multiple_of(self.config.log_every) {
            self.log.append(&Entry::Train {
                step,
                loss: interval.loss / steps,
                psnr: interval.psnr / steps,
                lr: plan.lr,
                samples_per_s,
                grad_norm: interval.grad_norm / steps,
                seconds: self.state.seconds,
                by_clock,
            })?;
            self.state.interval = Default::default();
        }
        Ok(())
    }
}

pub(super) fn progress_bar(steps: u64, done: u64, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps).with_position(done);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}  ETA {eta}") {
        bar.set_style(style);
    }
    // The ETA is of this session; steps done before took no time in it.
    bar.reset_eta();
    bar
}
