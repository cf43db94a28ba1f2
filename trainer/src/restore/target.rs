//! Where a result goes, and as what.

use std::fs::{File, FileTimes, Metadata, Permissions};
use std::io::{self, Cursor, IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::naming::{Input, Job, Output};
use crate::host::output;
use crate::host::system;
use crate::photo::{Format, Photo};

/// Where a result goes, and as what.
pub struct Target {
    /// Where.
    pub place: Place,
    /// As what.
    pub format: Format,
    /// The input's permissions, which the result takes over.
    pub(super) like: Option<Permissions>,
}

/// Where a result goes.
pub enum Place {
    /// To standard output.
    Stdout,
    /// Into a file.
    File(PathBuf),
    /// A pipe or a device, which stays what it is.
    Special(PathBuf),
}

/// What encoders write to.
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek> WriteSeek for T {}

/// Checks, before a photo is read, that its result could be written.
///
/// # Errors
/// What stands in the way.
pub fn check(output: &Output, force: bool) -> Result<()> {
    match output {
        Output::File { path, .. } => output::check(path, force)?,
        Output::Stdout => ensure!(!io::stdout().is_terminal(), ON_TERMINAL),
        Output::Special(path) => ensure!(!is_terminal(path), ON_TERMINAL),
        Output::Unfinished(_) => {}
    }
    Ok(())
}

impl Target {
    /// What a job's output means for this photo.
    pub fn of(job: &Job, photo: &Photo) -> Self {
        let written = job.format.unwrap_or(photo.format.written());
        let (place, named) = match &job.output {
            Output::Stdout => (Place::Stdout, None),
            Output::Special(path) => (Place::Special(path.clone()), Format::of_output(path)),
            Output::File { path, convert } => (
                Place::File(path.clone()),
                Format::of_output(path).filter(|_| *convert),
            ),
            Output::Unfinished(path) => {
                let mut path = path.clone().into_os_string();
                path.push(".");
                path.push(written.extension());
                (Place::File(path.into()), None)
            }
        };
        let like = match &job.input {
            Input::File(path) => path.metadata().ok().filter(Metadata::is_file),
            Input::Stdin => None,
        };
        Target {
            place,
            format: job.format.or(named).unwrap_or(written),
            like: like.map(|meta| meta.permissions()),
        }
    }

    /// The file that it is, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Stdout | Place::Special(_) => None,
        }
    }

    /// A file of the same permissions elsewhere.
    pub fn like_in(&self, path: PathBuf, format: Format) -> Target {
        Target {
            place: Place::File(path),
            format,
            like: self.like.clone(),
        }
    }

    /// Gives a result the times of its photo.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn date(&self, input: &Input) -> Result<()> {
        let (Some(result), Input::File(photo)) = (self.file(), input) else {
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

    /// Writes what `write` makes; all of it or nothing.
    ///
    /// # Errors
    /// Those of `write` and of the place.
    pub fn write(
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
    path.metadata()
        .is_ok_and(|meta| system::is_character_device(&meta))
        && File::open(path).is_ok_and(|file| file.is_terminal())
}
