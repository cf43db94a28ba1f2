//! What results and comparisons are called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::photo::Format;

/// Stands between name and extension of a result beside its input, where the user does not say otherwise.
pub const SUFFIX: &str = ".restored";
/// Stands between name and extension of a picture that shows a photo before and after.
pub(super) const COMPARISON: &str = ".compare";

/// A path with the extension of what is written for an input of this name.
fn written(path: PathBuf) -> PathBuf {
    match Format::of_path(&path) {
        Some(format) if format.written() != format => {
            path.with_extension(format.written().extension())
        }
        _ => path,
    }
}

/// `NAME.restored.EXT` for `NAME.EXT` and that suffix, of the kind that is written for it.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let file = written(file.to_path_buf());
    named(&file, file.file_stem().unwrap_or_default(), suffix)
}

/// `NAME.compare.EXT` for a result `NAME.EXT` or `NAME.restored.EXT`.
pub fn comparison(result: &Path) -> PathBuf {
    let stem = result.file_stem().unwrap_or_default();
    let bare = stem.to_str().and_then(|stem| stem.strip_suffix(SUFFIX));
    named(result, bare.map_or(stem, OsStr::new), COMPARISON)
}

/// A file beside another one, with its extension.
fn named(file: &Path, stem: &OsStr, suffix: &str) -> PathBuf {
    let mut name = stem.to_owned();
    name.push(suffix);
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}
