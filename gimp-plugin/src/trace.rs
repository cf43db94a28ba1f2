//! What the plug-in is doing, for whoever starts GIMP from a terminal with `DINO_IR_TRACE=1`: for bug reports, and for
//! tests that look over its shoulder.

use std::sync::LazyLock;

static WANTED: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("DINO_IR_TRACE").is_some_and(|value| !value.is_empty()));

/// Prints a line, if anybody wants it.
pub fn trace(line: impl FnOnce() -> String) {
    if *WANTED {
        eprintln!("dino-ir-restore: {}", line());
    }
}
