//! Which files of a folder are photos to restore.

use std::fs;
use std::path::{Path, PathBuf};

use super::Jobs;
use super::outputs::{Target, is_special};
use crate::photo::Format;
use crate::photo::foreign::is_foreign;

/// The photos below a folder, sorted; not hidden ones, not earlier results, nothing where results go.
pub(super) fn list(folder: &Path, target: &Target, files: &mut Vec<PathBuf>, found: &mut Jobs) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let why = format!("cannot be listed ({error}); check its permissions");
            found.fail(folder, why);
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let foreign = paths.iter().filter(|path| is_foreign(path)).count();
    if foreign > 0 {
        found.notes.push(format!(
            "{}: {foreign} file{} of kinds that are not read (camera raw, HEIC and the like) left \
             out; export them as PNG or TIFF first",
            folder.display(),
            if foreign == 1 { "" } else { "s" }
        ));
    }
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        } else if path.is_dir() {
            if target.is_folder(&path) {
                continue;
            }
            // A link to a folder may lead back up, and would be restored twice.
            if path.is_symlink() {
                found.notes.push(format!(
                    "{}: a link to a folder, left out; name it to restore what is in it",
                    path.display()
                ));
            } else {
                list(&path, target, files, found);
            }
        } else if Format::of_path(&path).is_some() && !target.is_result(&path) {
            // Who opens a pipe waits for its other end, maybe for ever.
            if is_special(&path) {
                found.notes.push(format!(
                    "{}: a pipe or a device, left out; name it to restore what comes from it",
                    path.display()
                ));
            } else {
                files.push(path);
            }
        }
    }
}
