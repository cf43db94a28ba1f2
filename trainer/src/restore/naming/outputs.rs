//! Where results go.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::names::{COMPARISON, SUFFIX, beside};
use super::{Names, Output};
use crate::photo::Format;

/// Where results go.
pub(super) struct Target<'a> {
    place: Place<'a>,
    /// What the user wants between name and extension.
    suffix: Option<&'a str>,
}

enum Place<'a> {
    Beside,
    Stdout,
    Special(&'a Path),
    File(&'a Path),
    Folder(&'a Path),
}

impl<'a> Target<'a> {
    pub(super) fn new(inputs: &[PathBuf], names: &Names<'a>) -> Result<Self, String> {
        let place = Place::new(inputs, names)?;
        if names.suffix.is_some() && !matches!(place, Place::Beside | Place::Folder(_)) {
            return Err(
                "--suffix names results beside photos or in a folder; leave it out, or give -o FOLDER/"
                    .into(),
            );
        }
        Ok(Target {
            place,
            suffix: names.suffix,
        })
    }

    pub(super) fn of_stdin(&self) -> Output {
        match self.place {
            Place::File(path) => Output::File {
                path: path.to_path_buf(),
                convert: true,
            },
            Place::Folder(path) => {
                let suffix = self.suffix.unwrap_or_default();
                Output::Unfinished(path.join(format!("stdin{suffix}")))
            }
            Place::Special(path) => Output::Special(path.to_path_buf()),
            Place::Stdout | Place::Beside => Output::Stdout,
        }
    }

    pub(super) fn of_file(&self, file: &Path, inside: &Path) -> Output {
        match self.place {
            Place::Stdout => Output::Stdout,
            Place::Special(path) => Output::Special(path.to_path_buf()),
            Place::File(path) => Output::File {
                path: path.to_path_buf(),
                convert: true,
            },
            Place::Beside => Output::File {
                path: beside(file, self.suffix.unwrap_or(SUFFIX)),
                convert: false,
            },
            // An input given as `../photo.png` still lands inside the folder.
            Place::Folder(folder) => {
                let inside: PathBuf = inside
                    .components()
                    .filter(|part| matches!(part, Component::Normal(_)))
                    .collect();
                Output::File {
                    path: beside(&folder.join(inside), self.suffix.unwrap_or_default()),
                    convert: false,
                }
            }
        }
    }

    /// Whether a folder is the one that results go to.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        matches!(self.place, Place::Folder(folder) if same(folder, path))
    }

    /// Whether a file is called as results and comparisons are.
    pub(super) fn is_result(&self, path: &Path) -> bool {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        [Some(SUFFIX), Some(COMPARISON), self.suffix]
            .into_iter()
            .flatten()
            .any(|suffix| stem.ends_with(suffix))
    }
}

impl<'a> Place<'a> {
    fn new(inputs: &[PathBuf], names: &Names<'a>) -> Result<Self, String> {
        let stdin = inputs
            .iter()
            .filter(|input| input.as_os_str() == "-")
            .count();
        if stdin > 1 {
            return Err("standard input can be read once: give - once".into());
        }
        let single = inputs.len() == 1 && (stdin == 1 || !inputs[0].is_dir());
        let Some(path) = names.output else {
            return match (stdin, inputs.len()) {
                (0, _) => Ok(Place::Beside),
                (_, 1) => Ok(Place::Stdout),
                _ => Err("- beside other inputs needs -o FOLDER".into()),
            };
        };
        if names.folder {
            return match path.exists() && !path.is_dir() {
                true => Err(format!(
                    "{}: a file, not a folder; give --output-dir another one",
                    path.display()
                )),
                false => Ok(Place::Folder(path)),
            };
        }
        if is_stdout(path) {
            return if single {
                Ok(Place::Stdout)
            } else {
                Err("-o - takes the result of one file: give one, or -o FOLDER".into())
            };
        }
        if is_special(path) {
            return if single || path == Path::new("/dev/null") {
                Ok(Place::Special(path))
            } else {
                Err(format!(
                    "{}: several results do not fit into one pipe or device; give -o FOLDER/",
                    path.display()
                ))
            };
        }
        let slash = path
            .as_os_str()
            .to_string_lossy()
            .ends_with(std::path::is_separator);
        if path.is_dir() || slash || path.extension().is_none() {
            return Ok(Place::Folder(path));
        }
        if Format::of_output(path).is_none() && single {
            return Err(format!(
                "{}: results can be .png, .jpg, .webp, .tif or .bmp; end -o with one of these, or with / for a folder",
                path.display()
            ));
        }
        match (single, Format::of_output(path)) {
            (true, _) => Ok(Place::File(path)),
            (false, None) => Ok(Place::Folder(path)),
            (false, Some(_)) => Err(format!(
                "{}: several results do not fit into one file; give -o FOLDER/",
                path.display()
            )),
        }
    }
}

/// Whether a path means standard output, whatever that leads to.
fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Whether a path is there and is neither a file nor a folder: a pipe, a socket, a device.
pub(super) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Whether two paths lead to the same place; it must be there.
pub fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
