//! What became of each photo, for programs: `--json`.

use std::collections::BTreeMap;
use std::io;

use dino_ir::model::diagnosis::{Diagnosis, Fault, Faults};
use serde::Serialize;

use super::naming::{Failure, Job};
use crate::host::terminal;
use crate::photo::Photo;

/// One line of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The photo.
    pub input: String,
    /// Its result.
    pub output: Option<String>,
    /// The picture of both, with `--compare`.
    pub compare: Option<String>,
    /// The map of the expected errors, with `--uncertainty`.
    pub uncertainty: Option<String>,
    /// What became of it.
    pub outcome: Ending,
    /// How long that took; after a dry run, about how long it would take.
    pub seconds: Option<f64>,
    /// The photo's size, once it is known.
    pub megapixels: Option<f64>,
    /// What computed.
    pub device: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// What is wrong with the photo, with `--explain`.
    #[serde(flatten)]
    pub explained: Option<Explained>,
}

/// What is wrong with a photo.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The photo.
    pub file: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How much there is of each fault.
    pub faults: Faults,
    /// How sure that is, 0..=1.
    pub confidence: BTreeMap<&'static str, f32>,
    /// Whether it is too little of everything to be called a fault.
    pub fine: bool,
}

impl Explained {
    /// What a diagnosis says of a photo.
    pub fn new(file: String, photo: &Photo, diagnosis: &Diagnosis) -> Self {
        let sure = |fault: Fault| (fault.name(), diagnosis.confidence(fault));
        Self {
            file,
            width: photo.width,
            height: photo.height,
            faults: diagnosis.faults,
            confidence: Fault::ALL.map(sure).into(),
            fine: diagnosis.is_fine(),
        }
    }
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
    /// It is left as it is: nothing is wrong with it.
    Fine,
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
            uncertainty: None,
            outcome,
            seconds: None,
            megapixels: None,
            device: None,
            error: None,
            explained: None,
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
            uncertainty: None,
            outcome: Ending::Failed,
            seconds: None,
            megapixels: None,
            device: None,
            error: Some(failure.why.clone()),
            explained: None,
        }
    }
}
