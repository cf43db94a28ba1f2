//! Lines for people, on standard error; a reader that has gone away is no error.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::ProgressBar;

/// The name of the program that runs, if it is not `trainer`.
static PROGRAM: OnceLock<&str> = OnceLock::new();

/// Says which program runs; once, before anything else.
pub fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

/// Writes `trainer: MESSAGE`, or the name of the program that runs in its place, as one line.
pub fn error(message: &str) {
    note(&format!(
        "{}: {message}",
        PROGRAM.get().unwrap_or(&"trainer")
    ));
}

/// Writes one line.
pub fn note(message: &str) {
    let line = clean(message).replace('\n', " ");
    let _ = writeln!(io::stderr(), "{line}");
}

/// A text without the characters that a terminal obeys: the name of a file must not colour, move or hide what it shows.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push('\n'),
            '\r' | '\t' => out.push(' '),
            // Those that turn the direction of writing are no controls for Unicode.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                out.extend(letter.escape_unicode())
            }
            _ if letter.is_control() => out.extend(letter.escape_default()),
            _ => out.push(letter),
        }
    }
    out
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
    if out.is_terminal() {
        writeln!(out, "{}", clean(message))?;
    } else {
        writeln!(out, "{message}")?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelt_out() {
        let name = "a\u{1b}[31m\u{9b}2J\u{202e}gnp.\tb\rc\u{7}.png";
        let cleaned = clean(name);
        assert_eq!(cleaned, "a\\u{1b}[31m\\u{9b}2J\\u{202e}gnp. b c\\u{7}.png");
        assert_eq!(clean("größe 写.png"), "größe 写.png");
    }
}
