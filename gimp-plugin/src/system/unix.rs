//! Unix: any bytes but zero.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The path that C's bytes mean.
pub fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}
