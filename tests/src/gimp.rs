//! The GIMPs that `tests/gimp/prepare` brought, each with a profile of its own that holds the plug-in.

pub mod desktop;
pub mod window;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::RgbImage;

use crate::program;

/// One of the GIMPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// GIMP 2.10.
    Two10,
    /// GIMP 3.0.
    Three0,
    /// GIMP 3.2.
    Three2,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Two10, Self::Three0, Self::Three2];

    /// Its number.
    pub fn number(self) -> &'static str {
        match self {
            Self::Two10 => "2.10",
            Self::Three0 => "3.0",
            Self::Three2 => "3.2",
        }
    }

    /// Its scripts' prelude in `tests/gimp`.
    fn prelude(self) -> &'static str {
        match self {
            Self::Two10 => "gimp-2.scm",
            Self::Three0 | Self::Three2 => "gimp-3.scm",
        }
    }

    fn profile_variable(self) -> &'static str {
        match self {
            Self::Two10 => "GIMP2_DIRECTORY",
            Self::Three0 | Self::Three2 => "GIMP3_DIRECTORY",
        }
    }
}

/// A folder of the repository.
fn scripts() -> PathBuf {
    crate::package().join("gimp")
}

/// A GIMP with the plug-in, and a folder that it and the test share.
#[derive(Debug)]
pub struct Gimp {
    /// Which one.
    pub version: Version,
    folder: tempfile::TempDir,
    /// What it is told of its surroundings, as `NAME=VALUE`.
    variables: Vec<String>,
}

impl Gimp {
    /// Makes a profile with the plug-in in it.
    ///
    /// # Panics
    /// If files cannot be written, or the plug-in is not built.
    pub fn new(version: Version) -> Self {
        // Every GIMP sees /tmp under the same name.
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let gimp = Self {
            version,
            folder,
            variables: Vec::new(),
        };
        let plug_in = gimp.profile().join("plug-ins/dino-ir-restore");
        fs::create_dir_all(&plug_in).expect("the plug-in's folder");
        fs::copy(program("dino-ir-restore"), plug_in.join("dino-ir-restore")).expect("the plug-in");
        let help = plug_in.join("help/en");
        fs::create_dir_all(&help).expect("the folder of its help");
        for name in ["gimp-help.xml", "index.html"] {
            let from = crate::package().join("../gimp-plugin/help/en").join(name);
            fs::copy(from, help.join(name)).expect("its help");
        }
        gimp
    }

    /// The same in surroundings where that holds, `NAME=VALUE`.
    pub fn with(mut self, variables: &[&str]) -> Self {
        self.variables
            .extend(variables.iter().map(|variable| (*variable).to_owned()));
        self
    }

    /// The shared folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn profile(&self) -> PathBuf {
        self.folder().join("profile")
    }

    fn copy_script(&self, script: &str) {
        let to = self.folder().join(script);
        fs::copy(scripts().join(script), to).expect("a script of tests/gimp");
    }

    /// A command beside this GIMP, with its profile.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(scripts().join("run"));
        command
            .arg(self.version.number())
            .arg("env")
            .arg(format!(
                "{}={}",
                self.version.profile_variable(),
                self.profile().display()
            ))
            // Where GEGL looks for operations of the user's.
            .arg(format!("XDG_DATA_HOME={}", self.folder().display()))
            .args(&self.variables)
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Runs a script of `tests/gimp` without a display; gives what GIMP printed.
    ///
    /// # Panics
    /// If GIMP is not there, or fails.
    pub fn batch(&self, script: &str) -> String {
        self.copy_script(self.version.prelude());
        self.copy_script(script);
        let folder = self.folder().display();
        let load = format!(
            "(begin (define folder \"{folder}\") (load \"{folder}/{}\") (load \"{folder}/{script}\"))",
            self.version.prelude()
        );
        self.interpret("plug-in-script-fu-eval", &load)
    }

    /// As [`batch`](Self::batch), a script in Python. GIMP 3 has that.
    ///
    /// # Panics
    /// As there.
    pub fn batch_python(&self, script: &str) -> String {
        self.copy_script(script);
        let folder = self.folder().display();
        let load = format!("folder = '{folder}'; exec(open('{folder}/{script}').read())");
        self.interpret("python-fu-eval", &load)
    }

    fn interpret(&self, interpreter: &str, expression: &str) -> String {
        let output = self
            .command(&format!("gimp-console-{}", self.version.number()))
            .args(["-i", "-d", "-f"])
            .arg(format!("--batch-interpreter={interpreter}"))
            .args(["-b", expression])
            .args(match self.version {
                Version::Two10 => ["-b", "(gimp-quit 1)"].as_slice(),
                Version::Three0 | Version::Three2 => &["--quit"],
            })
            .output()
            .expect("GIMP starts: run tests/gimp/prepare");
        let printed = [output.stdout, output.stderr].concat();
        format!(
            "GIMP {} ended with {}\n{}",
            self.version.number(),
            output.status,
            String::from_utf8_lossy(&printed)
        )
    }
}

impl Drop for Gimp {
    fn drop(&mut self) {
        // What a failed test leaves can be looked at.
        self.folder.disable_cleanup(std::thread::panicking());
    }
}

/// Where screenshots stay, to be looked at.
///
/// # Panics
/// If the folder cannot be made.
pub fn screenshots(version: Version) -> PathBuf {
    let target = program("trainer");
    let folder = target.ancestors().nth(2).expect("the target folder");
    let folder = folder.join("screenshots").join(version.number());
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The largest difference between samples of two pictures of one size.
///
/// # Panics
/// If their sizes differ.
pub fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}
