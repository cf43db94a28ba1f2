//! Runs the reference implementations in Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the scripts.
fn scripts() -> PathBuf {
    crate::package().join("reference")
}

/// Runs `tests/reference/SCRIPT` with these arguments; returns its standard output. The first time, its packages are
/// installed into the cache.
///
/// # Panics
/// If there is no Python 3 with `venv`, no package registry, or if the script fails.
pub fn python(script: &str, arguments: &[&Path]) -> String {
    let python = run(&mut Command::new(scripts().join("venv")));
    run(Command::new(python.trim())
        .arg(scripts().join(script))
        .args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .expect("the script starts");
    assert!(
        output.status.success(),
        "{command:?} failed; it needs python3 and python3-venv, which tests/run installs"
    );
    String::from_utf8(output.stdout).expect("text")
}
