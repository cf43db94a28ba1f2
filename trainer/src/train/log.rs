//! The run's log: one JSON object a line, in `log.jsonl`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::host::atomic::write_atomically;

/// The log's file name in the run's folder.
pub const LOG: &str = "log.jsonl";

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// Means over the steps since the line before.
    Train {
        /// Steps done.
        step: u64,
        /// Loss.
        loss: f64,
        /// PSNR of the restored samples in dB.
        psnr: f64,
        /// Learning rate of the last step.
        lr: f64,
        /// Samples per second.
        samples_per_s: f64,
        /// Global gradient norm before clipping.
        grad_norm: f64,
        /// Seconds of training so far, over all sessions.
        seconds: f64,
        /// Of a run by the clock: nothing else says with what its steps were made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_clock: Option<ByClock>,
    },
    /// A validation of the averaged weights.
    Validation {
        /// Steps done.
        step: u64,
        /// Mean over the tasks' means in dB.
        psnr: f64,
        /// Mean PSNR by task in dB.
        tasks: BTreeMap<String, f64>,
        /// Mean PSNR of the untouched input by task in dB.
        input: BTreeMap<String, f64>,
        /// Seconds of training so far, over all sessions.
        seconds: f64,
    },
}

/// What the steps since the line before were made with, in a run by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByClock {
    /// Share of the time that was gone at the last step.
    pub share: f64,
    /// Stage of the last step, counted from 0.
    pub stage: usize,
    /// Mean learning rate.
    pub mean_lr: f64,
}

impl Entry {
    /// Steps done when it was written.
    pub fn step(&self) -> u64 {
        match self {
            Entry::Train { step, .. } | Entry::Validation { step, .. } => *step,
        }
    }
}

/// The open log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens `folder`'s log with the lines of `source` (this folder or the one resumed from) up to
    /// `step`; later ones belong to steps that will be done again.
    ///
    /// # Errors
    /// Names the file.
    pub fn open(folder: &Path, source: Option<&Path>, step: u64) -> Result<Self> {
        let path = folder.join(LOG);
        let mut kept = String::new();
        if let Some(source) = source {
            for entry in read(&source.join(LOG))? {
                if entry.step() <= step {
                    kept.push_str(&serde_json::to_string(&entry)?);
                    kept.push('\n');
                }
            }
        }
        let failed = || format!("{}: cannot write the log", path.display());
        write_atomically(&path, kept.as_bytes()).with_context(failed)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(failed)?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Names the file.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .with_context(|| format!("{}: cannot write the log", self.path.display()))
    }

    /// All lines so far.
    ///
    /// # Errors
    /// Names the file.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        read(&self.path)
    }
}

/// Reads a log. A missing file is an empty log; a last line that a crash cut short is left out.
///
/// # Errors
/// Names the file if it is there and cannot be read.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes =
        fs::read(path).with_context(|| format!("{}: cannot read the log", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok())
        .collect())
}
