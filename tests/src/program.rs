//! Runs the `trainer` program, as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program beside this test's own file.
///
/// # Panics
/// If it was not built.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program = folder.join("trainer");
    assert!(
        program.exists(),
        "{} is missing: run cargo build --release --workspace, or tests/run",
        program.display()
    );
    program
}

/// Runs it in a folder.
///
/// # Panics
/// If it cannot be started.
pub fn trainer(arguments: &[&str], folder: &Path) -> Output {
    Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

/// Runs it in a folder; returns its standard output.
///
/// # Panics
/// If it fails.
pub fn succeed(arguments: &[&str], folder: &Path) -> String {
    let output = trainer(arguments, folder);
    assert!(
        output.status.success(),
        "trainer {arguments:?}: {}",
        stderr(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it complained about.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
