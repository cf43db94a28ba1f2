//! What the plug-in does, for any host.

mod clock;
mod streams;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dino_ir::Fault;
use dino_ir::device::DeviceChoice;
use dino_ir::restore::{Area, Network, Options, Progress, Restorer, Statistics};

use self::clock::Clock;
pub use self::streams::to_rgb;
use self::streams::{Input, Output};
use crate::host::{Colour, Drawable, Host, Refused};
use crate::language::{fill, tr, tr_n};
use crate::preview::Preview;
use crate::settings::{self, Settings};
use crate::weights;

/// Why nothing was restored; one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Colours of a palette cannot be restored.
    #[error("indexed images cannot be restored: convert the image first (Image > Mode > RGB)")]
    Indexed,
    /// A group has no pixels of its own.
    #[error("a layer group has no pixels of its own: select one layer inside it")]
    Group,
    /// Not exactly one drawable.
    #[error("{0} layers are selected: select exactly one layer, mask or channel")]
    Several(usize),
    /// The user has locked the pixels.
    #[error(
        "the pixels are locked: unlock them (Layers dialog, Lock), or for a layer choose the output \"New layer above it\""
    )]
    Locked,
    /// The user has locked the pixels of a group.
    #[error("the pixels of the layer's group are locked: unlock the group (Layers dialog, Lock)")]
    GroupLocked,
    /// Nothing selected lies in the layer.
    #[error(
        "the selection is empty or outside of the layer: select something in it, or nothing at all (Select > None)"
    )]
    Outside,
    /// Not even the rows of the smallest tile fit the memory.
    #[error("the layer is too wide to be restored at once: select a narrower part of it")]
    TooWide,
    /// A mask, channel or floating selection cannot have a layer above it.
    #[error(
        "there can be no layer above a mask, a channel or a floating selection: choose the output \"Replace the layer\""
    )]
    NoLayer,
    /// Nor one with its uncertainty.
    #[error(
        "there can be no layer above a mask, a channel or a floating selection: leave out \"Uncertainty as a layer\""
    )]
    NoUncertainty,
    /// Some of all open images could not be restored.
    #[error("{0}")]
    Some(String),
    /// A setting from a script is out of its range.
    #[error("{0}")]
    Setting(String),
    /// The editor did not take the result.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Weights, device, or the restoration itself.
    #[error(transparent)]
    Core(#[from] dino_ir::Error),
    /// GIMP's library is not the expected one.
    #[error("this GIMP does not work with the plug-in: {0}")]
    Library(String),
    /// A bug.
    #[error("internal error ({0}): the image is unchanged; please report this bug")]
    Panic(String),
}

impl Error {
    /// It in the user's language, as far as the core is not the one that speaks.
    pub fn message(&self) -> String {
        match self {
            Self::Several(count) => fill(
                tr_n(
                    "{count} layer is selected: select exactly one layer, mask or channel",
                    "{count} layers are selected: select exactly one layer, mask or channel",
                    *count,
                ),
                &[("count", count)],
            ),
            Self::Library(reason) => fill(
                tr("this GIMP does not work with the plug-in: {reason}"),
                &[("reason", reason)],
            ),
            Self::Panic(reason) => fill(
                tr("internal error ({reason}): the image is unchanged; please report this bug"),
                &[("reason", reason)],
            ),
            plain => tr(&plain.to_string()).to_owned(),
        }
    }
}

/// A model, and what computes it.
pub struct Model<N: Network> {
    /// The model.
    pub restorer: Restorer<N>,
    /// Its device.
    pub device: DeviceChoice,
}

/// Opens what the settings name.
///
/// # Errors
/// [`Error::Core`]; [`Error::Setting`] if a GPU is asked for and none works.
pub fn open(settings: &Settings) -> Result<Model<dino_ir::weights::Loaded>, Error> {
    let path = settings.weights.as_deref();
    let mut failed = None;
    for device in settings.device.candidates() {
        match weights::open(path, *device) {
            Ok(opened) => {
                // On the terminal that GIMP was started from, as GIMP's own warnings.
                for refusal in &opened.refused {
                    eprintln!("dino-ir-restore: {refusal}");
                }
                return Ok(Model {
                    restorer: opened.loaded,
                    device: opened.device,
                });
            }
            Err(error @ (dino_ir::Error::Device(_) | dino_ir::Error::Golden(_))) => {
                failed = Some(error);
            }
            // Bad weights are so on every device.
            Err(error) => return Err(error.into()),
        }
    }
    match (failed, settings.device) {
        (Some(_), settings::Device::Gpu) => {
            let none = tr(
                "no GPU works with this build of the plug-in: choose the device Automatic or CPU",
            );
            Err(Error::Setting(none.to_owned()))
        }
        (Some(error), _) => Err(error.into()),
        (None, _) => unreachable!("every setting names a device"),
    }
}

/// What restores.
pub struct Engine<N: Network> {
    /// The model on its device.
    pub restorer: Arc<Restorer<N>>,
    /// Which one that is.
    pub device: DeviceChoice,
    /// What a preview has found out about the whole drawable.
    pub statistics: Option<Statistics>,
}

impl<N: Network> From<Model<N>> for Engine<N> {
    fn from(model: Model<N>) -> Self {
        Self {
            restorer: Arc::new(model.restorer),
            device: model.device,
            statistics: None,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// What computed.
    pub device: DeviceChoice,
    /// How long it took.
    pub time: Duration,
}

impl Done {
    /// A line for the user.
    pub fn message(&self) -> String {
        let device = match self.device {
            DeviceChoice::Cpu => tr("CPU"),
            _ => tr("GPU"),
        };
        let time = clock::about(self.time);
        fill(
            tr("Restored in {time} ({device})"),
            &[("time", &time), ("device", &device)],
        )
    }
}

/// Restores the host's drawable. `open` is called only once the drawable and the settings are found
/// good, and not where no bit changes, for a strength of 0 or if nothing is to be removed: then nothing is [`Done`].
///
/// # Errors
/// Any [`Error`]; the image is then as it was. A panic becomes one too.
pub fn run<N: Network>(
    host: &mut dyn Host,
    settings: &Settings,
    open: impl FnOnce(&Settings) -> Result<Model<N>, Error>,
) -> Result<Option<Done>, Error> {
    caught(|| restore(host, settings, |_| Ok(open(settings)?.into())))
}

/// As [`run`], for one of several drawables: what the first one has opened serves all.
///
/// # Errors
/// As [`run`].
pub fn run_one_of<N: Network>(
    host: &mut dyn Host,
    settings: &Settings,
    opened: &mut Option<Engine<N>>,
    open: impl FnOnce(&Settings) -> Result<Model<N>, Error>,
) -> Result<Option<Done>, Error> {
    let prepare = |_: &RefCell<&mut dyn Host>| {
        let engine = match opened.take() {
            Some(engine) => engine,
            None => open(settings)?.into(),
        };
        let engine = opened.insert(engine);
        Ok(Engine {
            restorer: Arc::clone(&engine.restorer),
            device: engine.device,
            statistics: None,
        })
    };
    caught(|| restore(host, settings, prepare))
}

/// As [`run`], with what a preview of the drawable has found out already.
///
/// # Errors
/// As [`run`].
pub fn run_previewed<N: Network + Send + Sync + 'static>(
    host: &mut dyn Host,
    settings: &Settings,
    preview: Preview<N>,
    open: impl FnOnce(&Settings) -> Result<Model<N>, Error>,
) -> Result<Option<Done>, Error> {
    let prepare = |host: &RefCell<&mut dyn Host>| {
        let clock = Clock::start();
        let finished = preview.finish(host, settings, &mut |progress| {
            let (fraction, text) = clock.tell(Progress {
                // The restoration itself follows.
                total: progress.total + 1,
                ..progress
            });
            host.borrow_mut().progress(fraction, &text);
        })?;
        match finished {
            Some(engine) => Ok(engine),
            None => Ok(open(settings)?.into()),
        }
    };
    caught(|| restore(host, settings, prepare))
}

/// The part of a drawable that a preview begins with; an error where no setting would help.
///
/// # Errors
/// Those of [`run`] that are about the drawable.
pub fn previewed(drawable: &Drawable) -> Result<Area, Error> {
    check_drawable(
        &Drawable {
            locked: false,
            ..*drawable
        },
        settings::Output::Replace,
    )
}

/// Turns a panic into an error.
///
/// # Errors
/// Those of `work`, and [`Error::Panic`].
pub fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Panic(text.unwrap_or_else(|| "panic".to_owned())))
    })
}

fn restore<N: Network>(
    host: &mut dyn Host,
    settings: &Settings,
    prepare: impl FnOnce(&RefCell<&mut dyn Host>) -> Result<Engine<N>, Error>,
) -> Result<Option<Done>, Error> {
    let start = Instant::now();
    check_settings(settings)?;
    let drawable = host.drawable();
    let selection = check_drawable(&drawable, settings.output)?;
    if settings.uncertainty && !drawable.layer {
        return Err(Error::NoUncertainty);
    }
    // Where nothing is restored there is no uncertainty of it either.
    if settings.changes_nothing() {
        if settings.output == settings::Output::NewLayer {
            host.duplicate()?;
        }
        return Ok(None);
    }

    host.progress(0.0, tr("Restoring"));
    let host = RefCell::new(host);
    let Engine {
        restorer,
        device,
        statistics,
    } = prepare(&host)?;
    let options = options(&restorer, &drawable, selection, settings)?;
    let source = Input::new(&host, &drawable);
    let mut sink = Output::new(&host, &drawable, selection, options.uncertainty);
    let clock = Clock::start();
    let progress = &mut |progress| {
        let (fraction, text) = clock.tell(progress);
        host.borrow_mut().progress(fraction, &text);
        // GIMP's own Cancel ends the whole process.
        ControlFlow::Continue(())
    };
    match &statistics {
        Some(known) => {
            restorer.restore_part(
                &source,
                selection,
                Some(known),
                &mut sink,
                &options,
                progress,
            )?;
        }
        None => restorer.restore_area(&source, selection, &mut sink, &options, progress)?,
    }
    let errors = sink.into_errors();
    host.into_inner().finish(settings.output, errors.as_ref())?;
    Ok(Some(Done {
        device,
        time: start.elapsed(),
    }))
}

fn check_settings(settings: &Settings) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::Setting(text));
    if !(0.0..=1.0).contains(&settings.strength) {
        return invalid(fill(
            tr("strength {strength}: use 0 to 1"),
            &[("strength", &settings.strength)],
        ));
    }
    for (fault, named) in Fault::ALL.into_iter().zip(&settings::FAULTS) {
        let (fault, share) = (named.name.to_string_lossy(), settings.removal.of(fault));
        if !(0.0..=1.0).contains(&share) {
            return invalid(fill(
                tr("{fault} {share}: use 0 to 1"),
                &[("fault", &fault), ("share", &share)],
            ));
        }
    }
    if !(0..=settings::MAX_TILE).contains(&settings.tile_size) {
        return invalid(fill(
            tr("tile size {size}: use 0 (automatic) to {most}"),
            &[("size", &settings.tile_size), ("most", &settings::MAX_TILE)],
        ));
    }
    Ok(())
}

/// Refuses what cannot be restored, before minutes of work; returns the selection's bounds.
fn check_drawable(drawable: &Drawable, output: settings::Output) -> Result<Area, Error> {
    if drawable.group {
        return Err(Error::Group);
    }
    if drawable.colour == Colour::Indexed {
        return Err(Error::Indexed);
    }
    if drawable.group_locked {
        return Err(Error::GroupLocked);
    }
    match output {
        settings::Output::Replace if drawable.locked => return Err(Error::Locked),
        settings::Output::NewLayer if !drawable.layer => return Err(Error::NoLayer),
        _ => {}
    }
    drawable.selection.ok_or(Error::Outside)
}

/// The core's options: with its own bound of memory, 1 GiB, unless the tiles are given. With the program, its weights and
/// GIMP's own caches a photo of 24 megapixels then stays under 1.5 GiB.
///
/// # Errors
/// [`Error::TooWide`] if not even the rows of the smallest tile fit.
pub fn options<N: Network>(
    restorer: &Restorer<N>,
    drawable: &Drawable,
    selection: Area,
    settings: &Settings,
) -> Result<Options, Error> {
    let tile = (settings.tile_size > 0).then_some(settings.tile_size as usize);
    let options = Options {
        strength: settings.strength as f32,
        tile,
        removal: settings.removal,
        // Of nothing there is none.
        uncertainty: settings.uncertainty && !settings.changes_nothing(),
        ..Options::default()
    };
    let plan = restorer.plan_area(drawable.width, drawable.height, selection, &options);
    match plan {
        Err(dino_ir::Error::OutOfMemory(_)) => Err(Error::TooWide),
        plan => plan.map(|_| options).map_err(Error::from),
    }
}

/// A network of a test's own.
#[cfg(test)]
pub fn on_cpu<N: Network>(network: N) -> Model<N> {
    Model {
        restorer: Restorer::new(network, &burn::tensor::Device::flex()),
        device: DeviceChoice::Cpu,
    }
}

#[cfg(test)]
mod tests;
