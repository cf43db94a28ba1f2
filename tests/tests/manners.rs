//! How the `trainer` program behaves among others: signals, links, permissions, pipes, devices and terminals.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use dino_ir_tests::program;
use dino_ir_tests::program::{stderr, trainer};
use image::{Rgb, RgbImage};

fn photo(path: &Path) {
    let image = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, 90]));
    image.save(path).expect("written");
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    for (signal, survives) in [("HUP", true), ("INT", true), ("TERM", false)] {
        let ignore = format!(
            "trap '' HUP INT; exec '{}' restore - -o {signal}.png",
            program("trainer").display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &ignore])
            .current_dir(at)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the shell starts");
        // Its first line comes once it listens; then it waits for its input.
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("a line");
        assert!(line.starts_with("device:"), "{line}");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .status()
            .expect("the shell starts");
        assert!(sent.success());
        if survives {
            std::thread::sleep(std::time::Duration::from_secs(3));
            let mut input = child.stdin.take().expect("a pipe");
            let bytes = fs::read(at.join("a.png")).expect("the photo");
            input.write_all(&bytes).expect("it still reads");
        }
        let status = child.wait().expect("it ends");
        assert_eq!(status.success(), survives, "{signal}: {status}");
        assert_eq!(
            at.join(format!("{signal}.png")).exists(),
            survives,
            "{signal}"
        );
    }
}

#[test]
fn results_follow_links_and_take_the_permissions_of_their_inputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    fs::set_permissions(at.join("a.png"), fs::Permissions::from_mode(0o600)).expect("set");
    symlink("real.png", at.join("link.png")).expect("a link");
    for arguments in [
        &["restore", "a.png", "-o", "link.png"][..],
        &["restore", "a.png", "-o", "link.png", "--force"],
    ] {
        let output = trainer(arguments, at);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(at.join("link.png").is_symlink() && !at.join("real.png").is_symlink());
        let mode = fs::metadata(at.join("real.png")).expect("a result");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn pipes_in_folders_are_left_out_and_devices_take_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    photo(&at.join("a.png"));
    let made = Command::new("mkfifo").arg(at.join("pipe.png")).status();
    assert!(made.expect("it starts").success());
    let output = trainer(&["restore", ".", "-o", "/dev/null", "--strength", "0"], at);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("pipe.png: a pipe"),
        "{}",
        stderr(&output)
    );
    let output = trainer(&["restore", "a.png", "-o", "/dev/stdout"], at);
    assert!(output.status.success(), "{}", stderr(&output));
    image::load_from_memory(&output.stdout).expect("a PNG on standard output");
    assert_eq!(fs::read_dir(at).expect("a listing").count(), 2);
}

#[test]
fn names_do_not_command_the_terminal_and_photos_do_not_fill_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let name = "a\u{1b}[31m.png";
    fs::write(at.join(name), b"no photo").expect("written");
    let output = trainer(&["restore", name], at);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        !said.contains('\u{1b}') && said.contains("a\\u{1b}[31m.png"),
        "{said}"
    );

    // `script` gives the program a terminal.
    photo(&at.join("b.png"));
    let command = format!("'{}' restore b.png -o -", program("trainer").display());
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("terminal") && !shown.contains("IHDR"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_written_is_said_before_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let name = format!("{}.png", "写".repeat(82));
    photo(&at.join(&name));
    let output = trainer(&["restore", &name], at);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("too long") && !said.contains("tile"),
        "{said}"
    );
    symlink("no/where.png", at.join("far.png")).expect("a link");
    let output = trainer(&["restore", &name, "-o", "far.png"], at);
    let said = stderr(&output);
    assert!(
        said.contains("not there") && !said.contains("tile"),
        "{said}"
    );
}
