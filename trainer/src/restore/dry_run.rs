//! What would be read and written.

use anyhow::{Context, Result, ensure};
use dino_ir::restore::Options;

use super::engine::Engine;
use super::estimate::Estimate;
use super::naming::{self, Input, Job, Output};
use super::one::{explain, read};
use super::report::{Ending, Report};
use super::{Outcome, Settings, guarded};
use crate::host::{interrupt, memory, output, terminal};
use crate::photo::{Photo, dimensions};

/// Says on standard output what [`run`](super::run) would read and write, a line for each photo, and what would stand in the way;
/// with an `engine`, also about how long it would take. Photos are read only if it is to be said what is wrong with each.
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
    let options = Options {
        memory: Some(settings.memory.unwrap_or_else(memory::default_budget) / 2),
        ..settings.options.clone()
    };
    let mut estimate = engine.map(|engine| Estimate::new(engine, options));
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
        if let (Some(estimate), Ending::Planned) = (&mut estimate, report.outcome) {
            report.seconds = estimated(job, settings, estimate, &mut report);
        }
        if settings.json {
            report.write().context("standard output")?;
        } else if report.outcome == Ending::Planned {
            let line = format!("{} -> {}", job.input, job.output);
            terminal::out(&line).context("standard output")?;
        }
    }
    if interrupt::asked() {
        return Ok(Outcome::Interrupted);
    }
    let told = estimate.and_then(|estimate| estimate.told());
    if let Some(told) = told.filter(|_| !settings.quiet) {
        terminal::note(&told);
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

/// The seconds that a photo takes, if its file tells how large it is.
fn estimated(
    job: &Job,
    settings: &Settings,
    estimate: &mut Estimate<'_>,
    report: &mut Report,
) -> Option<f64> {
    let Input::File(path) = &job.input else {
        return None;
    };
    let (width, height) = dimensions::of_file(path)?;
    report.megapixels = Some((width * height) as f64 / 1e6);
    match settings.options.changes_nothing() {
        true => None,
        false => estimate.add(width, height),
    }
}

/// What an engine says of a photo that is not to be restored.
fn foreseen(
    job: &Job,
    engine: Option<&dyn Engine>,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let wanted = settings.explain || settings.skip_fine;
    let Some(engine) = engine.filter(|_| wanted) else {
        return Ok(());
    };
    let budget = settings.memory.unwrap_or_else(memory::default_budget);
    let photo = Photo::decode(&read(&job.input, budget / 2)?, budget)?;
    report.sized(&photo);
    if explain(&photo, job, engine, settings, report)? && settings.skip_fine {
        report.output = None;
        report.outcome = Ending::Fine;
    }
    Ok(())
}
