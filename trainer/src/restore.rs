//! The command `restore`: photos in, restored photos out, whatever happens to any one of them.

mod compare;
mod dry_run;
pub mod engine;
mod estimate;
pub mod naming;
mod one;
pub mod report;
mod target;
pub mod uncertainty;
pub mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use dino_ir::restore::Options;

pub use self::dry_run::dry_run;
use self::engine::Engine;
use self::naming::Job;
use self::report::{Ending, Report};
use crate::host::{interrupt, terminal};

/// What the command line says about every photo.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How to restore; its `memory` is filled in for each photo.
    pub options: Options,
    /// Bound of the process's resident memory, in bytes; `None`: from what the machine has free.
    pub memory: Option<u64>,
    /// Overwrite results that exist.
    pub force: bool,
    /// Leave results that exist, and do not ask for them again.
    pub skip_existing: bool,
    /// Give results the times of their photos.
    pub keep_dates: bool,
    /// Leave metadata out, but for what pixels look like.
    pub strip: bool,
    /// Quality of JPEG files, from 1 to 100; `None`: the usual one.
    pub quality: Option<u8>,
    /// Write a picture of each photo before and after beside its result.
    pub compare: bool,
    /// Where the map of the expected errors of the one photo is written.
    pub uncertainty: Option<PathBuf>,
    /// Say what is wrong with each photo.
    pub explain: bool,
    /// Do not restore photos that have no fault.
    pub skip_fine: bool,
    /// No progress, no notes.
    pub quiet: bool,
    /// Say more of each photo.
    pub verbose: bool,
    /// Say on standard output what became of each photo, a line of JSON for each.
    pub json: bool,
    /// What computes, by its name.
    pub device: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every photo is restored.
    Done,
    /// Some are not; each is named on standard error.
    Failed,
    /// The user stopped it.
    Interrupted,
}

/// Restores every job. Failures go to standard error, a line each, and the rest is done all the same.
pub fn run(jobs: &naming::Jobs, engine: &dyn Engine, settings: &Settings) -> Outcome {
    let work = Work { engine, settings };
    work.all(jobs).unwrap_or_else(|error| {
        if !terminal::is_broken_pipe(&error) {
            terminal::error(&format!("{error:#}"));
        }
        Outcome::Failed
    })
}

/// Restores photos one after another, and reports the result of each.
pub struct Work<'a> {
    /// The network.
    pub engine: &'a dyn Engine,
    /// What the command line says.
    pub settings: &'a Settings,
}

impl Work<'_> {
    fn all(&self, jobs: &naming::Jobs) -> Result<Outcome> {
        for failure in &jobs.failures {
            self.tell(failure)?;
        }
        for note in jobs.notes.iter().filter(|_| !self.settings.quiet) {
            terminal::note(note);
        }
        let mut failed = !jobs.failures.is_empty();
        let (mut there, mut fine) = (0, 0);
        for (index, job) in jobs.jobs.iter().enumerate() {
            if interrupt::asked() {
                return Ok(Outcome::Interrupted);
            }
            match self.restore(job, (index + 1, jobs.jobs.len()))? {
                Ending::Interrupted => return Ok(Outcome::Interrupted),
                Ending::Failed => failed = true,
                Ending::Skipped => there += 1,
                Ending::Fine => fine += 1,
                Ending::Restored | Ending::Planned => {}
            }
        }
        if there > 0 && !self.settings.quiet {
            let results = if there == 1 {
                "result was"
            } else {
                "results were"
            };
            terminal::note(&format!(
                "{there} {results} there already and left as they are"
            ));
        }
        if fine > 0 && !self.settings.quiet {
            let photos = if fine == 1 {
                "photo seems"
            } else {
                "photos seem"
            };
            terminal::note(&format!("{fine} {photos} fine and no result was written"));
        }
        Ok(if failed {
            Outcome::Failed
        } else {
            Outcome::Done
        })
    }

    /// Names an input that is no job.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn tell(&self, failure: &naming::Failure) -> Result<()> {
        terminal::error(&failure.to_string());
        self.report(&Report::from(failure))
    }

    fn report(&self, report: &Report) -> Result<()> {
        if self.settings.json {
            report.write().context("standard output")?;
        }
        Ok(())
    }

    /// Restores one photo, the `count.0`-th of `count.1`, unless there is a result and that is to stay.
    ///
    /// # Errors
    /// Those of standard output; what is wrong with the photo is printed, and is an [`Ending`].
    pub fn restore(&self, job: &Job, count: (usize, usize)) -> Result<Ending> {
        let settings = self.settings;
        let mut report = Report::new(job, Ending::Skipped);
        if settings.skip_existing && job.output.exists() {
            self.report(&report)?;
            return Ok(report.outcome);
        }
        report.device = Some(settings.device.clone());
        let start = Instant::now();
        let done = guarded(|| one::restore(job, self.engine, settings, count, &mut report));
        let seconds = start.elapsed().as_secs_f64();
        report.seconds = Some((seconds * 1000.0).round() / 1000.0);
        report.outcome = match done {
            Ok(ending) => ending,
            Err(error) if interrupt::asked() || is_cancelled(&error) => Ending::Interrupted,
            Err(error) => {
                if !terminal::is_broken_pipe(&error) {
                    terminal::error(&format!("{}: {error:#}", job.input));
                }
                report.error = Some(format!("{error:#}").replace('\n', " "));
                Ending::Failed
            }
        };
        if settings.verbose && report.outcome == Ending::Restored {
            terminal::note(&format!(
                "{} -> {}: {:.1} megapixels in {seconds:.1} s on {}",
                report.input,
                report.output.as_deref().unwrap_or_default(),
                report.megapixels.unwrap_or_default(),
                settings.device
            ));
        }
        self.report(&report)?;
        Ok(report.outcome)
    }
}

/// Does the work for one file. A decoder that trips over it costs that file only, and does not make it a damaged one.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(anyhow::anyhow!(
            "stopped by an error in the program, which cannot handle this kind of file; \
             save it as an ordinary PNG first, and please report it"
        ))
    })
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<dino_ir::Error>(),
        Some(dino_ir::Error::Cancelled)
    )
}

#[cfg(test)]
mod tests;
