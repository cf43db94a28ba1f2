//! Ctrl-C: work stops at the next tile, photo or training step, or after a grace period in any case. No
//! temporary file stays behind, and what is unbroken is done to its end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::host::system::Ignored;

/// The exit code of a program that Ctrl-C ended, as shells know it.
pub const EXIT_CODE: u8 = 130;

/// A tile of the full network, or a training step, can take longer than this; then the program ends without it.
const GRACE: Duration = Duration::from_millis(1500);

static ASKED: AtomicBool = AtomicBool::new(false);
static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Listens for Ctrl-C, SIGTERM and SIGHUP from now on; returns the flag that they set. A signal that the program was started
/// to ignore, as `nohup` does, stays ignored.
///
/// # Errors
/// When the system refuses a handler.
pub fn listen() -> anyhow::Result<&'static AtomicBool> {
    let ignored = Ignored::now();
    ctrlc::set_handler(|| {
        ASKED.store(true, Ordering::SeqCst);
        std::thread::sleep(GRACE);
        // The lock is held to the end, so that no new file can appear after this one is gone.
        let temporary = lock();
        if let Some(path) = temporary.as_deref() {
            let _ = std::fs::remove_file(path);
        }
        std::process::exit(EXIT_CODE.into());
    })?;
    ignored.restore();
    Ok(&ASKED)
}

/// Whether the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Does what the end of the program waits for, so that it is done whole or not at all: writing a file.
pub fn unbroken<T>(work: impl FnOnce() -> T) -> T {
    let _held = lock();
    work()
}

/// Names the temporary file that is being written; forgets it when dropped.
pub struct Temporary(());

impl Temporary {
    /// Runs `create`, and has its file removed should the program be stopped before the drop.
    ///
    /// # Errors
    /// Those of `create`.
    pub fn register<T>(
        create: impl FnOnce() -> std::io::Result<T>,
        path: impl FnOnce(&T) -> &Path,
    ) -> std::io::Result<(T, Temporary)> {
        let mut registered = lock();
        let created = create()?;
        *registered = Some(path(&created).to_owned());
        Ok((created, Temporary(())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        *lock() = None;
    }
}

fn lock() -> MutexGuard<'static, Option<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}
