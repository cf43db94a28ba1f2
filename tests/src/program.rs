//! Runs the programs `trainer` and `dino-ir`, as a user would.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it in a folder.
///
/// # Panics
/// If it cannot be started.
pub fn trainer(arguments: &[&str], folder: &Path) -> Output {
    run("trainer", arguments, folder)
}

/// Runs the other one in a folder.
///
/// # Panics
/// If it cannot be started.
pub fn dino_ir(arguments: &[&str], folder: &Path) -> Output {
    run("dino-ir", arguments, folder)
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    Command::new(crate::program(program))
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
