//! Validations: how well the averaged weights restore what no step has seen.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Run;
use crate::train::checkpoint::BEST;
use crate::train::log::Entry;
use crate::train::plot::{CURVES, write_curves};
use crate::train::scores::{Scores, input_errors};
use crate::train::{Batch, Trainee};

impl<M: Trainee> Run<'_, M> {
    pub(super) fn validate_if_due(&mut self, batches: &[Batch]) -> Result<()> {
        let (every, step) = (self.config.validation.every, self.state.step);
        let due = every > 0 && step > 0 && step.is_multiple_of(every);
        if due && self.validation_psnr().is_none() && self.pace.has_time_to_validate() {
            self.validate(batches)
        } else {
            Ok(())
        }
    }

    /// Validation PSNR of the weights as they are now in dB, if it is known.
    pub(super) fn validation_psnr(&self) -> Option<f64> {
        let (step, psnr) = self.validated?;
        (step == self.state.step).then_some(psnr)
    }

    /// Mean PSNR by task of the averaged weights; keeps the best. Gives up quietly when stopped or out of time.
    pub(super) fn validate(&mut self, batches: &[Batch]) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        self.settle(0)?;
        let started = Instant::now();
        let model = self.ema.apply(self.model.valid());
        let mut scores = Scores::default();
        for batch in batches {
            if self.stopped() || self.pace.is_over() {
                return Ok(());
            }
            let degraded = batch.tensor(&batch.degraded, &self.device);
            let errors = model.errors(degraded, batch.tensor(&batch.clean, &self.device));
            let errors = errors
                .into_data()
                .try_to_vec::<f32>()
                .context("the result is not f32")?;
            if let Some(name) = scores.add(batch, &errors) {
                bail!(
                    "step {}: validation gave NaN or infinity for {name}. {}",
                    self.state.step,
                    self.last_good()
                );
            }
        }
        let tasks = scores.means();
        let psnr = tasks.values().sum::<f64>() / tasks.len() as f64;
        let input = self.input_psnr.get_or_insert_with(|| {
            let mut scores = Scores::default();
            for batch in batches {
                scores.add(batch, &input_errors(batch));
            }
            scores.means()
        });
        self.log.append(&Entry::Validation {
            step: self.state.step,
            psnr,
            tasks,
            input: input.clone(),
            seconds: self.state.seconds,
        })?;
        self.validated = Some((self.state.step, psnr));
        self.pace.validated(started.elapsed());
        write_curves(&self.log.entries()?, &self.options.out.join(CURVES))?;
        if self.state.best_psnr.is_none_or(|best| psnr > best) {
            self.state.best_psnr = Some(psnr);
            self.snapshot().save(&self.options.out, BEST)?;
        }
        Ok(())
    }
}
