//! The result of an evaluation, as a table, JSON and CSV.

use super::{EvalOptions, Suite};
use crate::eval::metrics::{Protocol, Score};
use crate::host::atomic::write_atomically;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::path::Path;

/// Means over a set, and the scores behind them. Serialises to the documented JSON, rows only.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The kind of set.
    pub suite: Suite,
    /// How outputs were compared.
    pub protocol: Protocol,
    /// Name of the weights.
    pub weights: String,
    /// Photos that were measured, at one setting at least.
    pub images: usize,
    /// SHA-256 over the names and bytes of the files that were measured.
    pub checksum: String,
    /// The untouched input first, then each setting, then their mean where there are several.
    pub rows: Vec<Row>,
    /// Every photo at every setting.
    #[serde(skip)]
    pub images_scores: Vec<ImageScore>,
    /// What went wrong, each naming its photo. Those photos are in no mean.
    #[serde(skip)]
    pub failures: Vec<String>,
}

/// A line of the table: means over photos.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `input`, the setting (`noise 25`, `blur 3.1`, `pairs`) or `mean`.
    pub name: String,
    /// Of the output, dB.
    pub psnr: f64,
    /// Of the output.
    pub ssim: f64,
    /// Of the untouched input, dB.
    pub input_psnr: f64,
    /// Of the untouched input.
    pub input_ssim: f64,
    /// How the photos spread about the means, where the row is of photos.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// What a mean hides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median of the outputs, dB.
    pub median_psnr: f64,
    /// Photos whose output has a lower PSNR than its input.
    pub worse_than_input: usize,
    /// The photo that gained least, or lost most.
    pub worst: Worst,
}

/// The photo that gained least.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// Its path inside the folder.
    pub image: String,
    /// Of its output, dB.
    pub psnr: f64,
    /// Of its input, dB.
    pub input_psnr: f64,
}

impl Spread {
    fn of(scores: &[&ImageScore]) -> Option<Self> {
        let mut outputs: Vec<f64> = scores.iter().map(|s| s.restored.psnr).collect();
        outputs.sort_by(f64::total_cmp);
        let middle = outputs.len() / 2;
        let gain = |s: &ImageScore| s.restored.psnr - s.input.psnr;
        let worst = scores.iter().min_by(|a, b| gain(a).total_cmp(&gain(b)))?;
        Some(Self {
            median_psnr: (outputs[middle] + outputs[(outputs.len() - 1) / 2]) / 2.0,
            worse_than_input: scores.iter().filter(|s| gain(s) < 0.0).count(),
            worst: Worst {
                image: worst.image.clone(),
                psnr: worst.restored.psnr,
                input_psnr: worst.input.psnr,
            },
        })
    }
}

/// One photo at one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScore {
    /// The setting's name, as in [`Row`].
    pub setting: String,
    /// The photo's path inside its folder.
    pub image: String,
    /// Of the output.
    pub restored: Score,
    /// Of the untouched input.
    pub input: Score,
}

impl Report {
    pub(super) fn new(options: &EvalOptions) -> Self {
        Self {
            suite: options.suite,
            protocol: options.protocol,
            weights: options.weights.clone(),
            images: 0,
            checksum: String::new(),
            rows: Vec::new(),
            images_scores: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Fills rows and count from the photos' scores. A setting at which every photo failed has no row.
    pub(super) fn summarise(&mut self, settings: Vec<String>) {
        let rows: Vec<Row> = settings
            .into_iter()
            .filter_map(|name| {
                let scores = self.images_scores.iter().filter(|s| s.setting == name);
                let scores: Vec<&ImageScore> = scores.collect();
                let values = scores
                    .iter()
                    .map(|s| [s.restored.psnr, s.restored.ssim, s.input.psnr, s.input.ssim])
                    .collect();
                let row = Row::mean(&name, values)?;
                let spread = Spread::of(&scores);
                Some(Row { spread, ..row })
            })
            .collect();
        let values = || {
            rows.iter()
                .map(|row| [row.psnr, row.ssim, row.input_psnr, row.input_ssim])
        };
        let input = values()
            .map(|[_, _, psnr, ssim]| [psnr, ssim, psnr, ssim])
            .collect();
        let mean = if rows.len() > 1 {
            Row::mean("mean", values().collect())
        } else {
            None
        };
        let images: BTreeSet<&String> = self.images_scores.iter().map(|s| &s.image).collect();
        self.images = images.len();
        self.rows = Row::mean("input", input).into_iter().collect();
        self.rows.extend(rows);
        self.rows.extend(mean);
    }

    /// The documented JSON object.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Writes the JSON object to a file, whole or not at all.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        write_atomically(path, (self.to_json()? + "\n").as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// One line for each photo and setting.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("setting,image,psnr,ssim,input_psnr,input_ssim\n");
        for score in &self.images_scores {
            let _ = writeln!(
                csv,
                "{},{},{:.4},{:.6},{:.4},{:.6}",
                score.setting,
                quoted(&score.image),
                score.restored.psnr,
                score.restored.ssim,
                score.input.psnr,
                score.input.ssim
            );
        }
        csv
    }

    /// Writes the CSV to a file, whole or not at all.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_csv().as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A table for people, with everything needed to tell it from another set's.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checksum = self.checksum.get(..12).unwrap_or(&self.checksum);
        writeln!(
            f,
            "{} | protocol {} | {} | {} images | sha256 {checksum}",
            self.suite, self.protocol, self.weights, self.images
        )?;
        let wide = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0)
            .max(12);
        let (output, input) = ("output", "input");
        writeln!(
            f,
            "{:wide$} {output:>15} {input:>15}  median  worse  least gained (output, input)",
            ""
        )?;
        for row in &self.rows {
            write!(
                f,
                "{:wide$} {:>7.2} / {:.3} {:>7.2} / {:.3}",
                row.name, row.psnr, row.ssim, row.input_psnr, row.input_ssim
            )?;
            if let Some(spread) = &row.spread {
                let Worst {
                    image,
                    psnr,
                    input_psnr,
                } = &spread.worst;
                write!(
                    f,
                    "  {:>6.2}  {:>5}  {image} ({psnr:.2}, {input_psnr:.2})",
                    spread.median_psnr, spread.worse_than_input
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Row {
    pub(super) fn mean(name: &str, values: Vec<[f64; 4]>) -> Option<Self> {
        let count = values.len() as f64;
        let mean = |at: usize| values.iter().map(|v| v[at]).sum::<f64>() / count;
        (!values.is_empty()).then(|| Self {
            name: name.to_owned(),
            psnr: mean(0),
            ssim: mean(1),
            input_psnr: mean(2),
            input_ssim: mean(3),
            spread: None,
        })
    }
}

impl ImageScore {
    pub(super) fn new(setting: String, image: String, restored: Score, input: Score) -> Self {
        Self {
            setting,
            image,
            restored,
            input,
        }
    }
}

/// A CSV field; commas, quotes and line breaks may occur in file names.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
