//! Lines for people, on standard error; a reader that has gone away is no error.

use std::io::{self, Write};

/// Writes `trainer: MESSAGE` as one line.
pub fn error(message: &str) {
    note(&format!("trainer: {message}"));
}

/// Writes one line.
pub fn note(message: &str) {
    let line = message.replace(['\n', '\r'], " ");
    let _ = writeln!(io::stderr(), "{line}");
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
