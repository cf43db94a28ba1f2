//! Files that a program of ours reads again: replaced in one go, and synced, so that they survive a crash.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::interrupt;

/// Replaces `path` by `bytes` in one go, unbroken by Ctrl-C; makes its folder if there is none.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    interrupt::unbroken(|| {
        let temporary = write_temporary(path, bytes)?;
        fs::rename(&temporary, path)
    })?;
    if let Some(folder) = path.parent() {
        sync_folder(folder);
    }
    Ok(())
}

/// Writes `bytes` next to `path`, synced. The name is fixed, so a killed run's leftover is reused.
pub(crate) fn write_temporary(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(temporary)
}

/// Makes a rename durable where the system can; elsewhere the rename is atomic all the same.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
