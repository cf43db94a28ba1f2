//! The command `restore`: photos in, restored photos out, whatever happens to any one of them.

pub mod engine;
pub mod naming;
pub mod output;

use std::fs::{File, FileTimes, Metadata, Permissions};
use std::io::{self, Cursor, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dino_ir::restore::{Options, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::engine::Engine;
use self::naming::{Input, Job, Output};
use crate::memory;
use crate::photo::pixels::Restored;
use crate::photo::{Format, Photo, bmp, cost, tiff};
use crate::size::{show_size, suggest_size};
use crate::{interrupt, terminal};

/// What the command line says about every photo.
#[derive(Clone, Debug)]
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
    /// No progress, no notes.
    pub quiet: bool,
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
    let mut failed = !jobs.failures.is_empty();
    for failure in &jobs.failures {
        terminal::error(failure);
    }
    for note in jobs.notes.iter().filter(|_| !settings.quiet) {
        terminal::note(note);
    }
    let mut there = 0;
    for (index, job) in jobs.jobs.iter().enumerate() {
        if interrupt::asked() {
            return Outcome::Interrupted;
        }
        if settings.skip_existing && job.output.exists() {
            there += 1;
            continue;
        }
        let count = (index + 1, jobs.jobs.len());
        let Err(error) = guarded(|| restore(job, engine, settings, count)) else {
            continue;
        };
        if interrupt::asked() || is_cancelled(&error) {
            return Outcome::Interrupted;
        }
        failed = true;
        if !terminal::is_broken_pipe(&error) {
            terminal::error(&format!("{}: {error:#}", name(&job.input)));
        }
    }
    if there > 0 && !settings.quiet {
        let results = if there == 1 {
            "result was"
        } else {
            "results were"
        };
        terminal::note(&format!(
            "{there} {results} there already and left as they are"
        ));
    }
    if failed {
        Outcome::Failed
    } else {
        Outcome::Done
    }
}

/// Says on standard output what [`run`] would read and write, a line for each photo, and what would stand in the way.
///
/// # Errors
/// If standard output cannot be written.
pub fn dry_run(jobs: &naming::Jobs, settings: &Settings) -> Result<Outcome> {
    let mut failed = !jobs.failures.is_empty();
    for failure in &jobs.failures {
        terminal::error(failure);
    }
    for note in jobs.notes.iter().filter(|_| !settings.quiet) {
        terminal::note(note);
    }
    let mut out = io::stdout().lock();
    for job in &jobs.jobs {
        if settings.skip_existing && job.output.exists() {
            continue;
        }
        let unfit = match (&job.input, &job.output) {
            (Input::File(path), _) if !path.exists() => Err(anyhow::anyhow!(
                "cannot be opened; check its name and permissions"
            )),
            (_, Output::File { path, .. }) => output::check(path, settings.force),
            _ => Ok(()),
        };
        if let Err(error) = unfit {
            failed = true;
            terminal::error(&format!("{}: {error:#}", name(&job.input)));
            continue;
        }
        writeln!(out, "{} -> {}", name(&job.input), job.output).context("standard output")?;
    }
    Ok(match failed {
        true => Outcome::Failed,
        false => Outcome::Done,
    })
}

/// Does the work for one file. A decoder that trips over it costs that file only, and does not make it a damaged one.
fn guarded(work: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(anyhow::anyhow!(
            "stopped by an error in the program, which cannot handle this kind of file; \
             save it as an ordinary PNG first, and please report it"
        ))
    })
}

fn restore(
    job: &Job,
    engine: &dyn Engine,
    settings: &Settings,
    count: (usize, usize),
) -> Result<()> {
    let budget = settings.memory.unwrap_or_else(memory::default_budget);
    match &job.output {
        Output::File { path, .. } => output::check(path, settings.force)?,
        Output::Stdout => ensure!(!io::stdout().is_terminal(), ON_TERMINAL),
        Output::Special(path) => ensure!(!is_terminal(path), ON_TERMINAL),
        Output::Folder(_) => {}
    }
    let bytes = read(&job.input, budget / 2)?;
    let mut photo = Photo::decode(&bytes, budget)?;
    let target = target(job, &photo);
    if let (Output::Folder(_), Place::File(path)) = (&job.output, &target.place) {
        output::check(path, settings.force)?;
    }
    check_format(&photo, target.format)?;
    // Without restoration the best copy of a file is the file, which loses nothing.
    if settings.options.strength == 0.0 && photo.format == target.format {
        target.write(settings.force, |out| Ok(out.write_all(&bytes)?))?;
        return target.date(job, settings);
    }
    photo.adapt(target.format)?;
    let loss = photo.loss(target.format);
    photo.notes.extend(loss.map(String::from));
    match target.format {
        Format::Tiff => {}
        Format::Bmp => {
            let lost = [tiff::losses(&photo), bmp::losses(&photo)].concat();
            photo.notes.extend(lost);
        }
        _ => photo.notes.extend(tiff::losses(&photo)),
    }
    if photo.format.written() != photo.format && target.format == photo.format.written() {
        let name = photo.format.name();
        let note = format!("{name} is not written; the result is a PNG");
        photo.notes.push(note);
    }
    if !settings.quiet {
        for note in &photo.notes {
            terminal::note(&format!("{}: {note}", name(&job.input)));
        }
    }
    drop(bytes);
    check_memory(&photo, &target, budget)?;
    if settings.options.strength > 0.0 {
        photo.samples = restored(&photo, engine, settings, budget, &name(&job.input), count)?;
    }
    photo.renew_thumbnail();
    target.write(settings.force, |mut out| {
        photo.encode(target.format, &mut out)
    })?;
    target.date(job, settings)
}

/// Runs the network over a photo within the budget.
fn restored(
    photo: &Photo,
    engine: &dyn Engine,
    settings: &Settings,
    budget: u64,
    name: &str,
    count: (usize, usize),
) -> Result<Vec<u8>> {
    let mut sink = Restored::of(photo);
    let options = options_within(photo, engine, settings, budget)?;
    let plan = engine.plan(photo.width, photo.height, &options)?;
    if !settings.quiet {
        terminal::note(&format!(
            "{name}: {} x {}, {} of {} x {} pixels",
            photo.width,
            photo.height,
            if plan.len() == 1 {
                "1 tile".into()
            } else {
                format!("{} tiles", plan.len())
            },
            plan.tile_width(),
            plan.tile_height(),
        ));
    }
    let bar = bar(settings.quiet, name, count);
    let result = engine.restore(photo, &mut sink, &options, &mut |progress: Progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        if interrupt::asked() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    result?;
    Ok(sink.into_samples())
}

/// Gives the network what the photo leaves of the budget.
fn options_within(
    photo: &Photo,
    engine: &dyn Engine,
    settings: &Settings,
    budget: u64,
) -> Result<Options> {
    // Without a bound the library's own default is the faster choice, unless memory is scarce.
    let extra = photo.metadata.tiff_extra.samples.len() as u64;
    let left = memory::left_of(budget, 2 * photo.samples.len() as u64 + extra);
    let network = match settings.memory {
        Some(_) => left,
        None => left.min(dino_ir::restore::DEFAULT_MEMORY),
    };
    let fits = |network: u64| -> Result<(Options, u64)> {
        let options = Options {
            memory: Some(network.max(1)),
            ..settings.options.clone()
        };
        let plan = engine.plan(photo.width, photo.height, &options).map_err(|error| match error {
            dino_ir::Error::OutOfMemory(_) => anyhow::anyhow!(
                "{} of memory leave {} for the network, too little for this photo and tile size: \
                 give --memory {} or a smaller --tile",
                show_size(budget),
                show_size(network),
                suggest_size(budget * 2)
            ),
            other => other.into(),
        })?;
        // The band of result rows in floats, and its weights.
        let band = plan.tile_height() as u64 * photo.width as u64 * 16;
        Ok((options, band))
    };
    let found = fits(network).and_then(|(_, band)| fits(network.saturating_sub(band)));
    match found {
        // A tile that the user fixed is held against a bound only if the user set that too.
        Err(_) if settings.options.tile.is_some() && settings.memory.is_none() => {
            Ok(settings.options.clone())
        }
        found => Ok(found?.0),
    }
}

/// Where a result goes, and as what.
struct Target {
    place: Place,
    format: Format,
    /// The input's permissions, which the result takes over.
    like: Option<Permissions>,
}

/// Where a result goes.
enum Place {
    Stdout,
    File(PathBuf),
    /// A pipe or a device, which stays what it is.
    Special(PathBuf),
}

fn target(job: &Job, photo: &Photo) -> Target {
    let (place, named) = match &job.output {
        Output::Stdout => (Place::Stdout, None),
        Output::Special(path) => (Place::Special(path.clone()), Format::of_output(path)),
        Output::File { path, convert } => (
            Place::File(path.clone()),
            Format::of_output(path).filter(|_| *convert),
        ),
        Output::Folder(folder) => (
            Place::File(folder.join(format!(
                "stdin.{}",
                job.format.unwrap_or(photo.format.written()).extension()
            ))),
            None,
        ),
    };
    let like = match &job.input {
        Input::File(path) => path.metadata().ok().filter(Metadata::is_file),
        Input::Stdin => None,
    };
    Target {
        place,
        format: job.format.or(named).unwrap_or(photo.format.written()),
        like: like.map(|meta| meta.permissions()),
    }
}

impl Target {
    /// Gives the result the times of its photo, if that is wished.
    fn date(&self, job: &Job, settings: &Settings) -> Result<()> {
        let (true, Place::File(result), Input::File(photo)) =
            (settings.keep_dates, &self.place, &job.input)
        else {
            return Ok(());
        };
        let dated = photo.metadata().and_then(|meta| {
            let times = FileTimes::new()
                .set_accessed(meta.accessed()?)
                .set_modified(meta.modified()?);
            File::options().write(true).open(result)?.set_times(times)
        });
        dated.with_context(|| {
            format!(
                "{}: its date cannot be set; the result is whole",
                result.display()
            )
        })
    }

    fn write(
        &self,
        force: bool,
        write: impl FnOnce(&mut dyn WriteSeek) -> Result<()>,
    ) -> Result<()> {
        if let Place::File(path) = &self.place {
            return output::write_like(path, force, self.like.clone(), |out| write(out));
        }
        // Half a photo on a pipe is a partial file too.
        let mut whole = Cursor::new(Vec::new());
        write(&mut whole)?;
        match &self.place {
            Place::Special(path) => File::options()
                .write(true)
                .open(path)
                .and_then(|mut out| out.write_all(whole.get_ref()))
                .with_context(|| format!("{} cannot be written", path.display())),
            _ => {
                let mut out = io::stdout().lock();
                out.write_all(whole.get_ref())
                    .and_then(|()| out.flush())
                    .context("standard output")
            }
        }
    }
}

const ON_TERMINAL: &str = "a photo's bytes are nothing for a terminal; give -o FILE, or lead the output into a file or a pipe";

/// Whether a device is a terminal. Pipes are not opened: that would wait for their reader.
fn is_terminal(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        path.metadata()
            .is_ok_and(|meta| meta.file_type().is_char_device())
            && File::open(path).is_ok_and(|file| file.is_terminal())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// What encoders write to.
trait WriteSeek: Write + io::Seek {}

impl<T: Write + io::Seek> WriteSeek for T {}

/// Refuses, before minutes of work, what cannot be written after them.
fn check_format(photo: &Photo, format: Format) -> Result<()> {
    ensure!(
        !(format == Format::Jpeg && photo.has_alpha()),
        "JPEG holds no transparency; write a PNG with -o NAME.png"
    );
    ensure!(
        format != Format::WebP || (photo.width <= 16384 && photo.height <= 16384),
        "WebP holds at most 16384 pixels a side; write a PNG with -o NAME.png"
    );
    ensure!(
        format != Format::Jpeg || (photo.width <= 65535 && photo.height <= 65535),
        "JPEG holds at most 65535 pixels a side; write a PNG with -o NAME.png"
    );
    Ok(())
}

/// Refuses, before minutes of work, what takes too much memory to be written after them.
fn check_memory(photo: &Photo, target: &Target, budget: u64) -> Result<()> {
    let samples = (photo.samples.len() + photo.metadata.tiff_extra.samples.len()) as u64;
    // A pipe gets a file that has grown in memory.
    let piped = match target.place {
        Place::File(_) => 0,
        Place::Stdout | Place::Special(_) => 2 * samples,
    };
    let held = samples + piped + cost::of_encoding(photo, target.format);
    cost::check(photo.width as u64, photo.height as u64, held, budget)
}

fn read(input: &Input, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match input {
        Input::Stdin => {
            io::stdin()
                .lock()
                .take(limit + 1)
                .read_to_end(&mut bytes)
                .context("cannot be read")?;
        }
        Input::File(path) => {
            let file =
                File::open(path).context("cannot be opened; check its name and permissions")?;
            let meta = file.metadata().context("cannot be read")?;
            ensure!(!meta.is_dir(), "is a folder; give a photo");
            if meta.len() <= limit {
                bytes.reserve_exact(meta.len() as usize);
            }
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .context("cannot be read; check its permissions")?;
        }
    }
    ensure!(
        bytes.len() as u64 <= limit,
        "the file alone takes more than half of the memory allowed; give a larger --memory"
    );
    Ok(bytes)
}

fn name(input: &Input) -> String {
    match input {
        Input::Stdin => "standard input".into(),
        Input::File(path) => path.display().to_string(),
    }
}

fn bar(quiet: bool, name: &str, (number, of): (usize, usize)) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} tiles, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let short = Path::new(name)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let short = terminal::clean(&short);
    bar.set_prefix(if of > 1 {
        format!("[{number}/{of}] {short}")
    } else {
        short
    });
    bar
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<dino_ir::Error>(),
        Some(dino_ir::Error::Cancelled)
    )
}

#[cfg(test)]
mod tests;
