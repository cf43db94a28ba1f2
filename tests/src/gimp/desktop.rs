//! A screen that nobody sees, with a window manager, keys and a mouse.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An X server of our own.
#[derive(Debug)]
pub struct Desktop {
    display: String,
    server: Child,
    manager: Child,
}

impl Desktop {
    /// Columns of the screen.
    pub const WIDTH: usize = 1280;
    /// Rows of the screen.
    pub const HEIGHT: usize = 900;

    /// Starts one on a free display.
    ///
    /// # Panics
    /// If Xvfb or openbox are missing.
    pub fn new() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0"])
            .arg(format!("{}x{}x24", Self::WIDTH, Self::HEIGHT))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts: run tests/gimp/prepare");
        // The number comes once the server is ready.
        let mut number = String::new();
        let mut output = server.stdout.take().expect("its output");
        let mut byte = [0];
        while output.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
            number.push(char::from(byte[0]));
        }
        let display = format!(":{number}");
        let manager = Command::new("openbox")
            .env("DISPLAY", &display)
            .stderr(Stdio::null())
            .spawn()
            .expect("openbox starts: run tests/gimp/prepare");
        Self {
            display,
            server,
            manager,
        }
    }

    /// What programs on it have to know.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Runs xdotool; gives what it prints, empty where it finds nothing.
    ///
    /// # Panics
    /// If it is missing.
    pub fn xdotool(&self, arguments: &[&str]) -> String {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.display)
            .output()
            .expect("xdotool starts: run tests/gimp/prepare");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Takes a picture of the screen.
    ///
    /// # Panics
    /// If ImageMagick is missing.
    pub fn screenshot(&self, path: &Path) {
        let status = Command::new("import")
            .args(["-window", "root"])
            .arg(path)
            .env("DISPLAY", &self.display)
            .status()
            .expect("import starts: run tests/gimp/prepare");
        assert!(status.success(), "no screenshot");
    }
}

impl Default for Desktop {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.server] {
            // Both may have ended by themselves.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
