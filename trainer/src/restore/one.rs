//! Restores one photo.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dino_ir::restore::{Options, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::engine::Engine;
use super::naming::{self, Input, Job, Output};
use super::report::{Ending, Explained, Report};
use super::target::{Place, Target};
use super::uncertainty::{self, Mapped};
use super::{Settings, compare, target};
use crate::host::memory;
use crate::host::size::{show_size, suggest_size};
use crate::host::{interrupt, output, terminal};
use crate::photo::pixels::SrgbPixels;
use crate::photo::{Format, Orientation, Photo, bmp, cost, jpeg, tiff};

/// Restores one photo, and notes in `report` what is found out about it on the way.
pub(super) fn restore(
    job: &Job,
    engine: &dyn Engine,
    settings: &Settings,
    count: (usize, usize),
    report: &mut Report,
) -> Result<Ending> {
    let budget = settings.memory.unwrap_or_else(memory::default_budget);
    target::check(&job.output, settings.force)?;
    let bytes = read(&job.input, budget / 2)?;
    let mut photo = Photo::decode(&bytes, budget)?;
    report.sized(&photo);
    if settings.explain || settings.skip_fine {
        let fine = explain(&photo, job, engine, settings, report)?;
        if fine && settings.skip_fine {
            report.output = None;
            return Ok(Ending::Fine);
        }
    }
    let target = Target::of(job, &photo);
    let comparison = target.file().filter(|_| settings.compare);
    let comparison = comparison.map(naming::comparison);
    if let (Output::Unfinished(_), Some(path)) = (&job.output, target.file()) {
        output::check(path, settings.force)?;
        report.output = Some(path.display().to_string());
    }
    if let Some(path) = &comparison {
        output::check(path, settings.force)?;
        report.compare = Some(path.display().to_string());
    }
    if let Some(map) = &settings.uncertainty {
        output::check(map, settings.force)?;
        report.uncertainty = Some(map.display().to_string());
    }
    check_format(&photo, target.format, settings.compare)?;

    let mut map = None;
    let shown = Orientation::of(&photo);
    let before = comparison.is_some().then(|| photo.clone());
    // Without restoration the best copy of a file is the file, which loses nothing.
    let same = settings.options.changes_nothing()
        && photo.format == target.format
        && !settings.strip
        && !(settings.quality.is_some() && target.format == Format::Jpeg);
    if same {
        target.write(settings.force, |out| Ok(out.write_all(&bytes)?))?;
    } else {
        // Upright only after the network, which sees the same pixels with and without it.
        let orientation = settings.strip.then(|| photo.strip());
        photo.adapt(target.format)?;
        note_losses(&mut photo, target.format);
        if !settings.quiet {
            for note in &photo.notes {
                terminal::note(&format!("{}: {note}", job.input));
            }
        }
        drop(bytes);
        check_memory(&photo, &target, settings, budget)?;
        if !settings.options.changes_nothing() {
            let name = job.input.to_string();
            let samples;
            (photo.samples, samples) = restored(&photo, engine, settings, budget, &name, count)?;
            let of_map = settings.uncertainty.as_deref();
            map = of_map.map(|path| (path, uncertainty::picture(&photo, shown, samples)));
        }
        if let Some(orientation) = orientation {
            photo.turn(orientation);
        }
        photo.renew_thumbnail();
        encode(&photo, &target, settings)?;
    }
    if let Some((path, map)) = map {
        encode(&map, &target.like_in(path.into(), Format::Png), settings)?;
    }
    if settings.keep_dates {
        target.date(&job.input)?;
    }
    if let (Some(before), Some(path)) = (before, comparison) {
        let target = target.like_in(path, target.format);
        encode(&compare::side_by_side(before, photo), &target, settings)?;
    }
    Ok(Ending::Restored)
}

/// Says what is wrong with a photo; whether nothing is.
pub(super) fn explain(
    photo: &Photo,
    job: &Job,
    engine: &dyn Engine,
    settings: &Settings,
    report: &mut Report,
) -> Result<bool> {
    let name = job.input.to_string();
    let diagnosis = engine.diagnose(&SrgbPixels::of(photo))?;
    let told = format!("{name}: {diagnosis}");
    report.explained = Some(Explained::new(name, photo, &diagnosis));
    if settings.explain && !settings.json {
        match job.output {
            // Nothing else may come with the photo.
            Output::Stdout => terminal::note(&told),
            _ => terminal::out(&told).context("standard output")?,
        }
    }
    Ok(diagnosis.is_fine())
}

fn encode(photo: &Photo, target: &Target, settings: &Settings) -> Result<()> {
    let quality = settings.quality.unwrap_or(jpeg::QUALITY);
    target.write(settings.force, |mut out| {
        photo.encode_with(target.format, quality, &mut out)
    })
}

/// Notes what a photo loses on its way into a format.
fn note_losses(photo: &mut Photo, format: Format) {
    let loss = photo.loss(format);
    photo.notes.extend(loss.map(String::from));
    match format {
        Format::Tiff => {}
        Format::Bmp => {
            let lost = [tiff::losses(photo), bmp::losses(photo)].concat();
            photo.notes.extend(lost);
        }
        _ => photo.notes.extend(tiff::losses(photo)),
    }
    if photo.format.written() != photo.format && format == photo.format.written() {
        let name = photo.format.name();
        let note = format!("{name} is not written; the result is a PNG");
        photo.notes.push(note);
    }
}

/// Runs the network over a photo within the budget: the restored samples, and those of the map of the expected errors, if
/// there is to be one.
fn restored(
    photo: &Photo,
    engine: &dyn Engine,
    settings: &Settings,
    budget: u64,
    name: &str,
    count: (usize, usize),
) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut sink = Mapped::of(photo, settings.uncertainty.is_some());
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
    let source = SrgbPixels::of(photo);
    let result = engine.restore(&source, &mut sink, &options, &mut |progress: Progress| {
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
    let map = map_bytes(photo, settings);
    let left = memory::left_of(budget, 2 * photo.samples.len() as u64 + extra + map);
    let network = match settings.memory {
        Some(_) => left,
        None => left.min(dino_ir::restore::DEFAULT_MEMORY),
    };
    let options = Options {
        memory: Some(network.max(1)),
        ..settings.options.clone()
    };
    match engine.plan(photo.width, photo.height, &options) {
        Ok(_) => Ok(options),
        // If the user chose the tile size, the memory is limited only if the user set that, too.
        Err(_) if settings.options.tile.is_some() && settings.memory.is_none() => {
            Ok(settings.options.clone())
        }
        Err(dino_ir::Error::OutOfMemory(_)) => anyhow::bail!(
            "{} of memory leave {} for the network, too little for this photo and tile size: \
             give --memory {} or a smaller --tile",
            show_size(budget),
            show_size(network),
            suggest_size(budget * 2)
        ),
        Err(other) => Err(other.into()),
    }
}

/// Bytes of the map of the expected errors.
fn map_bytes(photo: &Photo, settings: &Settings) -> u64 {
    match settings.uncertainty {
        Some(_) => uncertainty::BYTES * (photo.width * photo.height) as u64,
        None => 0,
    }
}

/// Refuses, before minutes of work, what cannot be written after them.
fn check_format(photo: &Photo, format: Format, compare: bool) -> Result<()> {
    ensure!(
        !(format == Format::Jpeg && photo.has_alpha()),
        "JPEG holds no transparency; write a PNG with -o NAME.png"
    );
    let most = match format {
        Format::WebP => 16384,
        Format::Jpeg => 65535,
        _ => return Ok(()),
    };
    let name = format.name();
    ensure!(
        photo.width <= most && photo.height <= most,
        "{name} holds at most {most} pixels a side; write a PNG with -o NAME.png"
    );
    // It may be turned.
    let side = photo.width.max(photo.height);
    ensure!(
        !compare || compare::width(side) <= most,
        "{name} holds at most {most} pixels a side, too few for --compare; write PNG files with --format png"
    );
    Ok(())
}

/// Refuses, before minutes of work, what takes too much memory to be written after them.
pub(super) fn check_memory(
    photo: &Photo,
    target: &Target,
    settings: &Settings,
    budget: u64,
) -> Result<()> {
    let samples = (photo.samples.len() + photo.metadata.tiff_extra.samples.len()) as u64;
    let encoding = cost::of_encoding(photo, target.format);
    let beside = match target.place {
        // The photo as it was, and the picture of both.
        Place::File(_) if settings.compare => 3 * samples + 2 * encoding,
        // What is turned is there twice.
        Place::File(_) if settings.strip => samples.max(encoding),
        Place::File(_) => encoding,
        // A pipe gets a file that has grown in memory.
        Place::Stdout | Place::Special(_) => 2 * samples + encoding,
    };
    let (width, height) = (photo.width as u64, photo.height as u64);
    // It may be turned, and then is there twice.
    let map = 2 * map_bytes(photo, settings);
    cost::check(width, height, samples + beside + map, budget)
}

pub(super) fn read(input: &Input, limit: u64) -> Result<Vec<u8>> {
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
