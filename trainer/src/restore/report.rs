//! What became of each photo, for programs: `--json`.

use std::io;

use serde::Serialize;

use super::naming::{Failure, Job};
use crate::photo::Photo;
use crate::terminal;

/// One line of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The photo.
    pub input: String,
    /// Its result.
    pub output: Option<String>,
    /// The picture of both, with `--compare`.
    pub compare: Option<String>,
    /// What became of it.
    pub outcome: Ending,
    /// How long that took.
    pub seconds: Option<f64>,
    /// The photo's size, once it is known.
    pub megapixels: Option<f64>,
    /// What computed.
    pub device: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What became of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// There is a result.
    Restored,
    /// There was one.
    Skipped,
    /// There is none.
    Failed,
    /// The user stopped the work on it.
    Interrupted,
    /// Nothing was to be done: a dry run.
    Planned,
}

impl Report {
    /// Of a photo of which nothing is known yet.
    pub fn new(job: &Job, outcome: Ending) -> Self {
        Report {
            input: job.input.to_string(),
            output: Some(job.output.to_string()),
            compare: None,
            outcome,
            seconds: None,
            megapixels: None,
            device: None,
            error: None,
        }
    }

    /// Notes a photo's size.
    pub fn sized(&mut self, photo: &Photo) {
        self.megapixels = Some((photo.width * photo.height) as f64 / 1e6);
    }

    /// Writes it to standard output, as one line.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn write(&self) -> io::Result<()> {
        terminal::out(&serde_json::to_string(self)?)
    }
}

/// Of an input that was no job at all.
impl From<&Failure> for Report {
    fn from(failure: &Failure) -> Self {
        Report {
            input: failure.input.display().to_string(),
            output: None,
            compare: None,
            outcome: Ending::Failed,
            seconds: None,
            megapixels: None,
            device: None,
            error: Some(failure.why.clone()),
        }
    }
}
