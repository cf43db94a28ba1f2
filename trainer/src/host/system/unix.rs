//! Unix: permissions, devices and signals.

use core::ffi::c_int;
use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

/// How much of [`super::MAX_NAME`] a file's name takes: bytes.
pub fn name_length(name: &OsStr) -> usize {
    name.len()
}

/// The permissions of a new file that is nothing private; the user's mask takes its part away.
pub fn readable() -> Option<Permissions> {
    Some(Permissions::from_mode(0o666))
}

/// Takes over who may read and write a file; not that it may be run, nor that nobody may write it.
///
/// # Errors
/// If the system refuses.
pub fn restrict(file: &File, like: Permissions) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(like.mode() & 0o666 | 0o200))
}

/// Whether a path is a device of characters, as terminals are.
pub fn is_character_device(meta: &Metadata) -> bool {
    meta.file_type().is_char_device()
}

/// The signals that were ignored at a time.
pub struct Ignored(Vec<c_int>);

impl Ignored {
    /// Those that are now.
    pub fn now() -> Self {
        let signals = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
        let is_ignored = |signal: &c_int| {
            // SAFETY: all zeros is a valid value of this plain structure.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: without a new action the call only writes the old one to where it may.
            let asked = unsafe { libc::sigaction(*signal, std::ptr::null(), &mut action) };
            asked == 0 && action.sa_sigaction == libc::SIG_IGN
        };
        Ignored(signals.into_iter().filter(is_ignored).collect())
    }

    /// Ignores them again.
    pub fn restore(&self) {
        for &signal in &self.0 {
            // SAFETY: to ignore a signal runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
    }
}
