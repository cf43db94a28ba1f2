//! Lines for people, on standard error; a reader that has gone away is no error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::ProgressBar;

/// Writes `trainer: MESSAGE` as one line.
pub fn error(message: &str) {
    note(&format!("trainer: {message}"));
}

/// Writes one line.
pub fn note(message: &str) {
    let line = message.replace(['\n', '\r'], " ");
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says what is being done until it is dropped or finished, for work of which nobody knows how long it takes; with `quiet`, and where
/// nobody looks, nothing.
pub fn spinner(quiet: bool, what: &'static str) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Writes a line to standard output.
///
/// # Errors
/// Those of standard output.
pub fn out(message: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}

/// Whether an error is only that nobody reads standard output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
