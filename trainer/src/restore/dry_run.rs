//! What would be read and written.

use anyhow::{Context, Result, ensure};

use super::engine::Engine;
use super::naming::{self, Input, Job, Output};
use super::one::{explain, read};
use super::report::{Ending, Report};
use super::{Outcome, Settings, guarded};
use crate::host::{interrupt, memory, output, terminal};
use crate::photo::Photo;

/// Says on standard output what [`run`](super::run) would read and write, a line for each photo, and what would stand in the way.
/// With an `engine`, photos are read, and it is said what is wrong with each.
///
/// # Errors
/// If standard output cannot be written.
pub fn dry_run(
    jobs: &naming::Jobs,
    engine: Option<&dyn Engine>,
    settings: &Settings,
) -> Result<Outcome> {
    let mut failed = !jobs.failures.is_empty();
    for failure in &jobs.failures {
        terminal::error(&failure.to_string());
        if settings.json {
            Report::from(failure).write().context("standard output")?;
        }
    }
    for note in jobs.notes.iter().filter(|_| !settings.quiet) {
        terminal::note(note);
    }
    for job in &jobs.jobs {
        let mut report = Report::new(job, Ending::Planned);
        if settings.skip_existing && job.output.exists() {
            report.outcome = Ending::Skipped;
        } else if let Err(error) = planned(job, settings, &mut report)
            .and_then(|()| guarded(|| foreseen(job, engine, settings, &mut report)))
        {
            if interrupt::asked() {
                return Ok(Outcome::Interrupted);
            }
            failed = true;
            terminal::error(&format!("{}: {error:#}", job.input));
            report.outcome = Ending::Failed;
            report.error = Some(format!("{error:#}"));
        }
        if settings.json {
            report.write().context("standard output")?;
        } else if report.outcome == Ending::Planned {
            let line = format!("{} -> {}", job.input, job.output);
            terminal::out(&line).context("standard output")?;
        }
    }
    Ok(match failed {
        true => Outcome::Failed,
        false => Outcome::Done,
    })
}

/// What can be said of a photo that is not to be read.
fn planned(job: &Job, settings: &Settings, report: &mut Report) -> Result<()> {
    if let Input::File(path) = &job.input {
        ensure!(
            path.exists(),
            "cannot be opened; check its name and permissions"
        );
    }
    if let Some(map) = &settings.uncertainty {
        output::check(map, settings.force)?;
        report.uncertainty = Some(map.display().to_string());
    }
    let Output::File { path, .. } = &job.output else {
        return Ok(());
    };
    output::check(path, settings.force)?;
    if settings.compare {
        let comparison = naming::comparison(path);
        output::check(&comparison, settings.force)?;
        report.compare = Some(comparison.display().to_string());
    }
    Ok(())
}

/// What an engine says of a photo that is not to be restored.
fn foreseen(
    job: &Job,
    engine: Option<&dyn Engine>,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let Some(engine) = engine else { return Ok(()) };
    let budget = settings.memory.unwrap_or_else(memory::default_budget);
    let photo = Photo::decode(&read(&job.input, budget / 2)?, budget)?;
    report.sized(&photo);
    if explain(&photo, job, engine, settings, report)? && settings.skip_fine {
        report.output = None;
        report.outcome = Ending::Fine;
    }
    Ok(())
}
