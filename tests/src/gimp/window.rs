//! A GIMP with its window, used by keyboard and mouse, and looked into through Script-Fu's server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::desktop::Desktop;
use super::{Gimp, Version};

/// How long anything may take before the test gives up; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running GIMP with one image.
#[derive(Debug)]
pub struct Window {
    /// Its profile and folder.
    pub gimp: Gimp,
    /// The screen that it is on.
    pub desktop: Desktop,
    process: Child,
    port: u16,
}

impl Window {
    /// Starts GIMP with an image, and waits for both.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn open(version: Version, image: &Path) -> Self {
        Self::of(Gimp::new(version), image)
    }

    /// As [`open`](Self::open), with a profile that is there already.
    ///
    /// # Panics
    /// As there.
    pub fn of(gimp: Gimp, image: &Path) -> Self {
        let version = gimp.version;
        let desktop = Desktop::new();
        fs::write(gimp.profile().join("gimprc"), "(check-updates no)\n").expect("its settings");
        gimp.copy_script(version.prelude());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let log = gimp.folder().join("server.log");
        let server = format!(
            "(plug-in-script-fu-server RUN-NONINTERACTIVE \"127.0.0.1\" {port} \"{}\")",
            log.display()
        );
        let mut command = gimp.command(&format!("gimp-{}", version.number()));
        command
            .arg("--new-instance")
            .arg(image)
            .arg("--batch-interpreter=plug-in-script-fu-eval")
            .args(["-b", &server])
            .env("DISPLAY", desktop.display())
            .env("DINO_IR_TRACE", "1")
            .stdout(Stdio::null())
            .stderr(fs::File::create(gimp.folder().join("trace.log")).expect("a file"))
            // The whole group ends with the test.
            .process_group(0);
        let process = command.spawn().expect("GIMP starts");
        let window = Self {
            gimp,
            desktop,
            process,
            port,
        };
        let prelude = window.gimp.folder().join(version.prelude());
        wait("the image", || {
            window
                .script(&format!("(load \"{}\")", prelude.display()))
                .is_some()
                && window.script("(top (first-image))").is_some()
        });
        window.arrange();
        window
    }

    /// Makes the image's window fill the screen, and the only one.
    fn arrange(&self) {
        let id = wait_for("the window", || self.find("(-|–) GIMP$"));
        if self.gimp.version != Version::Two10 {
            // A new profile is welcomed, whatever the settings say.
            let title = "^Welcome to GIMP";
            let welcome = wait_for("the welcome", || self.find(title));
            self.desktop.xdotool(&["windowactivate", &welcome]);
            wait("the end of the welcome", || {
                self.keys(&["Escape"]);
                self.find(title).is_none()
            });
        }
        let [width, height] = [Desktop::WIDTH - 10, Desktop::HEIGHT - 40].map(|n| n.to_string());
        // Without --sync: it would wait for ever for what the window manager corrects by a pixel.
        self.desktop.xdotool(&["windowmove", &id, "0", "0"]);
        self.desktop.xdotool(&["windowsize", &id, &width, &height]);
        self.desktop.xdotool(&["windowactivate", &id]);
    }

    /// The visible window whose title matches.
    pub fn find(&self, title: &str) -> Option<String> {
        let ids = self
            .desktop
            .xdotool(&["search", "--onlyvisible", "--name", title]);
        ids.lines().last().map(str::to_owned)
    }

    /// Waits for a window with that title.
    ///
    /// # Panics
    /// If it does not come.
    pub fn wait_for_window(&self, title: &str) {
        wait(title, || self.find(title).is_some());
    }

    /// Clicks on a place of the screen.
    pub fn click(&self, x: u32, y: u32) {
        let (x, y) = (x.to_string(), y.to_string());
        self.desktop.xdotool(&["mousemove", &x, &y, "click", "1"]);
        // As for keys.
        thread::sleep(Duration::from_millis(1500));
    }

    /// Presses keys, one after the other.
    pub fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.desktop.xdotool(&["key", key]);
            // Menus open and close with animations of their own.
            thread::sleep(Duration::from_millis(700));
        }
    }

    /// What Script-Fu makes of an expression; `None` if it fails or nobody listens yet.
    pub fn script(&self, expression: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let length = u16::try_from(expression.len()).ok()?.to_be_bytes();
        stream.write_all(b"G").ok()?;
        stream.write_all(&length).ok()?;
        stream.write_all(expression.as_bytes()).ok()?;
        let mut header = [0; 4];
        stream.read_exact(&mut header).ok()?;
        let mut text = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
        stream.read_exact(&mut text).ok()?;
        (header[1] == 0).then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// Whether the image differs from its file.
    pub fn is_dirty(&self) -> bool {
        let answer = self.script("(car (gimp-image-is-dirty (first-image)))");
        ["1", "#t", "TRUE"].contains(&answer.unwrap_or_default().as_str())
    }

    /// The pixels of the topmost layer.
    ///
    /// # Panics
    /// If they cannot be had.
    pub fn pixels(&self) -> image::RgbImage {
        let path = self.gimp.folder().join("pixels.png");
        let path_text = path.display();
        self.script(&format!("(save (first-image) \"{path_text}\")"))
            .expect("saved");
        image::open(&path).expect("a PNG").to_rgb8()
    }

    /// What the plug-in has told of its work.
    pub fn trace(&self) -> Vec<String> {
        let log = fs::read(self.gimp.folder().join("trace.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines = log
            .lines()
            .filter_map(|line| line.strip_prefix("dino-ir-restore: "));
        lines.map(str::to_owned).collect()
    }

    /// The processes of the plug-in that GIMP runs now.
    pub fn plug_ins(&self) -> Vec<u32> {
        let name = self
            .gimp
            .profile()
            .join("plug-ins/dino-ir-restore/dino-ir-restore");
        let name = name.display().to_string();
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers
            .filter(|number: &u32| {
                let command = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
                command.split(|byte| *byte == 0).next() == Some(name.as_bytes())
            })
            .collect()
    }
}

/// Seconds that a process has computed; 0 when it is gone.
pub fn computed(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name in brackets; the twelfth and thirteenth are hundredths of seconds.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

impl Drop for Window {
    fn drop(&mut self) {
        // GIMP and what it started are a group. SIGKILL: nothing in the profile is worth a farewell.
        let kill = ["kill", "-KILL", "--", &format!("-{}", self.process.id())];
        let ended = Command::new(kill[0]).args(&kill[1..]).status();
        if !ended.is_ok_and(|status| status.success()) {
            // A GIMP in a tree is root's.
            let _ = Command::new("sudo").arg("-n").args(kill).status();
        }
        let _ = self.process.wait();
    }
}

/// Waits until something holds.
///
/// # Panics
/// If that takes too long.
pub fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

fn wait_for<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = get() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(200));
    }
}
