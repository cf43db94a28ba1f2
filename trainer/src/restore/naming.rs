//! Which files are restored, and what their results are called.

mod inputs;
mod names;
mod outputs;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use self::inputs::list;
pub use self::names::{SUFFIX, beside, comparison};
use self::outputs::Target;
pub use self::outputs::same;
use crate::photo::Format;

/// What is wrong with a folder that has no photos, which one that is watched may well have.
pub const NO_PHOTOS: &str = "no PNG, JPEG, WebP, TIFF, JPEG XL, GIF or BMP file in this folder";

/// What the user says about where results go and what they are called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `-o`: a file, a folder, a device, or `-` for standard output; `None`: beside each photo.
    pub output: Option<&'a Path>,
    /// Whether `output` is a folder, whatever its name looks like.
    pub folder: bool,
    /// What stands between name and extension; `None`: [`SUFFIX`] beside the photo, in another folder nothing.
    pub suffix: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Results go to a file, a folder or a device.
    pub fn to(output: &'a Path) -> Self {
        Names {
            output: Some(output),
            ..Names::default()
        }
    }
}

/// An input that is not restored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The photo or folder.
    pub input: PathBuf,
    /// The reason and the remedy, in one line.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input.display(), self.why)
    }
}

/// Where a photo comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Where its result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, of the format its extension stands for where `convert`, else of the input's.
    File {
        /// The file.
        path: PathBuf,
        /// Whether the user chose the extension.
        convert: bool,
    },
    /// A device or a pipe, which gets the input's format where its name has no extension, and stays what it is.
    Special(PathBuf),
    /// A file whose name gets its extension once the format is known: what standard input gets in a folder.
    Unfinished(PathBuf),
}

impl Output {
    /// Whether it is a file that is there.
    pub fn exists(&self) -> bool {
        matches!(self, Self::File { path, .. } if path.exists())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File { path, .. } | Self::Special(path) => path.display().fmt(f),
            Self::Unfinished(path) => write!(f, "{}.*", path.display()),
        }
    }
}

/// One photo to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// From where.
    pub input: Input,
    /// To where.
    pub output: Output,
    /// As what; `None`: as the output's name says where the user chose it, else as the input is.
    pub format: Option<Format>,
}

/// One of several parts into which the photos are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, counted from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

/// What a command line asks for.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Photos, in the order of the command line; folders sorted by name.
    pub jobs: Vec<Job>,
    /// Inputs that cannot be restored.
    pub failures: Vec<Failure>,
    /// What is left out on purpose, one line each.
    pub notes: Vec<String>,
}

/// Lists the photos that `inputs` mean, and names their results.
///
/// # Errors
/// A combination that makes no sense, as a message for the user.
pub fn jobs(inputs: &[PathBuf], names: &Names) -> Result<Jobs, String> {
    let target = Target::new(inputs, names)?;
    let mut found = Jobs::default();
    let mut taken = HashSet::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            found.jobs.push(Job {
                input: Input::Stdin,
                output: target.of_stdin(),
                format: None,
            });
        } else if input.is_dir() {
            let mut files = Vec::new();
            list(input, &target, &mut files, &mut found);
            if files.is_empty() {
                found.fail(input, NO_PHOTOS.into());
            }
            for file in files {
                let inside = file.strip_prefix(input).unwrap_or(&file).to_owned();
                found.push(&target, &mut taken, file, &inside);
            }
        } else {
            let name = input
                .file_name()
                .map_or_else(|| input.clone(), PathBuf::from);
            found.push(&target, &mut taken, input.clone(), &name);
        }
    }
    Ok(found)
}

impl Jobs {
    fn fail(&mut self, input: &Path, why: String) {
        let input = input.to_owned();
        self.failures.push(Failure { input, why });
    }

    fn push(
        &mut self,
        target: &Target,
        taken: &mut HashSet<PathBuf>,
        file: PathBuf,
        inside: &Path,
    ) {
        let output = target.of_file(&file, inside);
        let job = Job {
            input: Input::File(file),
            output,
            format: None,
        };
        self.add(job, taken);
    }

    /// Adds a job unless its result is that of an earlier one.
    fn add(&mut self, job: Job, taken: &mut HashSet<PathBuf>) {
        if let (Input::File(file), Output::File { path, .. }) = (&job.input, &job.output)
            && !taken.insert(path.clone())
        {
            let why = format!(
                "its result {} is also that of another input; restore it with another -o",
                path.display()
            );
            self.fail(file, why);
            return;
        }
        self.jobs.push(job);
    }

    /// Leaves out each photo whose comparison, see [`comparison`], would be another photo's file, or its result.
    pub fn with_comparisons(mut self) -> Self {
        let mut taken = HashSet::new();
        for job in &self.jobs {
            if let Input::File(path) = &job.input {
                taken.insert(path.clone());
            }
            if let Output::File { path, .. } = &job.output {
                taken.insert(path.clone());
            }
        }
        for job in std::mem::take(&mut self.jobs) {
            match (&job.input, &job.output) {
                (Input::File(file), Output::File { path, .. })
                    if !taken.insert(comparison(path)) =>
                {
                    let why = format!(
                        "its comparison {} is also another photo or result; restore it with another -o",
                        comparison(path).display()
                    );
                    self.fail(file, why);
                }
                _ => self.jobs.push(job),
            }
        }
        self
    }

    /// Every `of`-th job from the `number`-th on: the shards of the same command line are disjoint, and together all.
    pub fn of_shard(mut self, shard: Shard) -> Self {
        let mut index = 0;
        self.jobs.retain(|_| {
            index += 1;
            (index - 1) % shard.of == shard.number - 1
        });
        self
    }

    /// The same jobs with results of one format, and named so.
    ///
    /// # Errors
    /// A result that the user named otherwise, as a message for the user.
    pub fn in_format(mut self, format: Format) -> Result<Self, String> {
        let mut taken = HashSet::new();
        for mut job in std::mem::take(&mut self.jobs) {
            job.format = Some(format);
            if let Output::File { path, convert } = &mut job.output
                && Format::of_path(path) != Some(format)
            {
                if *convert {
                    return Err(format!(
                        "{}: --format {} asks for another kind of file; leave it out, or end -o with .{1}",
                        path.display(),
                        format.extension()
                    ));
                }
                path.set_extension(format.extension());
            }
            self.add(job, &mut taken);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
