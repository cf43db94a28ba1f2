//! Windows: UTF-8, as GLib has it there.

use std::path::PathBuf;

/// The path that C's bytes mean.
pub fn path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}
