//! Folders of runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::host::atomic::write_atomically;
use crate::train::checkpoint::BEST;

/// The folder of a run, which is named itself or by a checkpoint in it.
pub(super) fn folder_of(run: &Path) -> PathBuf {
    match run.parent() {
        _ if run.is_dir() => run.to_owned(),
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether both paths lead to one folder, which is there.
pub(super) fn is_same_folder(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Copies the best checkpoint of a run that goes on in another folder: it may stay the best.
pub(super) fn carry_best(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join(BEST), to.join(BEST));
    if !from.exists() {
        return Ok(());
    }
    let bytes = fs::read(&from).with_context(|| format!("{}: cannot be read", from.display()))?;
    write_atomically(&to, &bytes)
        .with_context(|| format!("{}: cannot write the checkpoint", to.display()))
}
