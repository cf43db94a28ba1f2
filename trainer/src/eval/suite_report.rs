//! A table of the paper, measured: our row beside the paper's, in its columns.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::report::Row;
use super::table::{Column, Figure, Table};
use super::{EvalOptions, EvalProgress, Report, evaluate};
use crate::data::dataset::layout::find_sets;
use crate::data::rgb::Rgb;
use crate::eval::metrics::Protocol;
use crate::host::atomic::write_atomically;
use std::ops::ControlFlow;

/// What to measure of a table.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The table.
    pub table: &'static Table,
    /// Folder with the sets somewhere in it.
    pub root: PathBuf,
    /// How outputs are compared.
    pub protocol: Protocol,
    /// Only the first photos of each set.
    pub limit: Option<usize>,
    /// Folder for strips, by column.
    pub save: Option<PathBuf>,
    /// The name of the weights.
    pub weights: String,
}

/// A measured table. Serialises to the documented JSON.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// The table's name.
    pub suite: &'static str,
    /// How outputs were compared.
    pub protocol: Protocol,
    /// Name of the weights.
    pub weights: String,
    /// Photos measured in all sets, a set behind several columns counted once.
    pub images: usize,
    /// SHA-256 over the sets' checksums.
    pub checksum: String,
    /// The untouched input first, then a row for each column that was measured, then the average.
    pub rows: Vec<Row>,
    /// The sets behind the columns.
    pub sets: Vec<MeasuredSet>,
    /// Columns without a set.
    pub missing: Vec<MissingSet>,
    /// Columns of whose set no photo could be measured.
    pub failed: Vec<&'static str>,
    /// The paper's rows, for the same columns.
    pub paper: Vec<PaperRow>,
    /// How columns were measured.
    pub note: &'static str,
    /// What went wrong, each naming its photo.
    #[serde(skip)]
    pub failures: Vec<String>,
    /// Every photo in every column.
    #[serde(skip)]
    pub images_csv: String,
    #[serde(skip)]
    caption: &'static str,
}

/// The set of a column.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredSet {
    /// The column.
    pub column: &'static str,
    /// Where it is.
    pub folder: String,
    /// Photos measured of it.
    pub images: usize,
    /// SHA-256 over names and bytes.
    pub checksum: String,
}

/// A column that could not be measured.
#[derive(Clone, Debug, Serialize)]
pub struct MissingSet {
    /// The column.
    pub column: &'static str,
    /// Names of folders that were looked for.
    pub looked_for: Vec<&'static str>,
}

/// A row of the paper, cut to the columns measured.
#[derive(Clone, Debug, Serialize)]
pub struct PaperRow {
    /// The method.
    pub name: &'static str,
    /// PSNR for each column, dB.
    pub psnr: Vec<Option<f64>>,
    /// SSIM for each column.
    pub ssim: Vec<Option<f64>>,
    /// Mean PSNR over these columns, where all are there.
    pub average_psnr: Option<f64>,
    /// Mean SSIM over these columns.
    pub average_ssim: Option<f64>,
}

/// Measures the columns whose sets are there. After a `Break` from `progress`: `Ok(None)`.
///
/// # Errors
/// A root that cannot be read, or without any of the sets; a set that cannot be measured.
pub fn evaluate_table(
    options: &TableOptions,
    network: &dyn Fn(&Rgb) -> Result<Rgb>,
    progress: &mut dyn FnMut(EvalProgress) -> ControlFlow<()>,
) -> Result<Option<TableReport>> {
    let folders = find_sets(&options.root)?;
    let (mut measured, mut missing) = (Vec::new(), Vec::new());
    for (index, column) in options.table.columns.iter().enumerate() {
        let Some(folder) = set_of(column, &options.root, &folders) else {
            missing.push(MissingSet {
                column: column.name,
                looked_for: column.sets.to_vec(),
            });
            continue;
        };
        let eval = EvalOptions {
            suite: column.suite,
            data: folder.clone(),
            protocol: options.protocol,
            sigmas: (!column.sigmas.is_empty()).then(|| column.sigmas.to_vec()),
            limit: options.limit,
            reserved: false,
            save: options
                .save
                .as_ref()
                .map(|at| at.join(column.name.replace(' ', "-"))),
            weights: options.weights.clone(),
        };
        let report = evaluate(&eval, network, progress);
        let report = report.with_context(|| format!("column {}", column.name))?;
        let Some(report) = report else {
            return Ok(None);
        };
        measured.push((index, folder.display().to_string(), report));
    }
    if measured.is_empty() {
        let looked_for: Vec<_> = missing.iter().flat_map(|set| &set.looked_for).collect();
        anyhow::bail!(
            "{}: none of {}'s sets is there; looked for folders whose names end in {looked_for:?}",
            options.root.display(),
            options.table.name
        );
    }
    Ok(Some(TableReport::new(options, measured, missing)))
}

/// The first folder whose path ends in one of the column's names. The names are tried in turn, so the
/// most telling one wins.
fn set_of<'a>(column: &Column, root: &Path, folders: &'a [PathBuf]) -> Option<&'a PathBuf> {
    let plain = |folder: &Path| {
        let inside = folder.strip_prefix(root).unwrap_or(folder);
        // The root may itself be the set's folder.
        let path =
            root.file_name().unwrap_or_default().to_string_lossy() + inside.to_string_lossy();
        let letters = path.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    column
        .sets
        .iter()
        .find_map(|name| folders.iter().find(|folder| plain(folder).ends_with(name)))
}

impl TableReport {
    fn new(
        options: &TableOptions,
        measured: Vec<(usize, String, Report)>,
        missing: Vec<MissingSet>,
    ) -> Self {
        // These three have an entry for each column that has figures.
        let (mut rows, mut sets, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = Vec::new();
        let mut failures = Vec::new();
        let mut digest = Sha256::new();
        let mut images_csv = String::new();
        let mut images: BTreeMap<&String, usize> = BTreeMap::new();
        for (index, folder, report) in &measured {
            let name = options.table.columns[*index].name;
            for line in report
                .to_csv()
                .lines()
                .skip(usize::from(!images_csv.is_empty()))
            {
                let head = images_csv.is_empty();
                let column = if head { "column" } else { name };
                let _ = writeln!(images_csv, "{column},{line}");
            }
            let named = |failure: &String| format!("{name}: {failure}");
            failures.extend(report.failures.iter().map(named));
            // A column of several strengths has a mean; of one, the row after the input.
            let Some(row) = report.rows.last().filter(|_| report.rows.len() > 1) else {
                failed.push(name);
                continue;
            };
            rows.push(Row {
                name: name.to_owned(),
                ..row.clone()
            });
            columns.push(*index);
            digest.update(report.checksum.as_bytes());
            let most = images.entry(folder).or_default();
            *most = report.images.max(*most);
            sets.push(MeasuredSet {
                column: name,
                folder: folder.clone(),
                images: report.images,
                checksum: report.checksum.clone(),
            });
        }
        let figures = |row: &Row| [row.psnr, row.ssim, row.input_psnr, row.input_ssim];
        let average = Row::mean("average", rows.iter().map(figures).collect());
        let input = average.as_ref().map(|row| Row {
            name: "input".into(),
            psnr: row.input_psnr,
            ssim: row.input_ssim,
            ..row.clone()
        });
        let rows = input.into_iter().chain(rows).chain(average).collect();
        let paper = options.table.rows.iter().map(|(name, figures)| {
            let figures: Vec<Figure> = columns.iter().map(|&column| figures[column]).collect();
            PaperRow::new(name, &figures)
        });
        Self {
            suite: options.table.name,
            caption: options.table.caption,
            protocol: options.protocol,
            weights: options.weights.clone(),
            images: images.values().sum(),
            checksum: digest
                .finalize()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            rows,
            sets,
            missing,
            failed,
            paper: paper.collect(),
            note: options.table.note,
            failures,
            images_csv,
        }
    }

    /// The rows after the input's; none where every photo failed.
    fn columns(&self) -> &[Row] {
        self.rows.get(1..).unwrap_or_default()
    }

    /// The documented JSON object.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// One line for each method and column: ours, the input's, the paper's.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("method,column,psnr,ssim\n");
        let columns = self.columns();
        for row in columns {
            let _ = writeln!(
                csv,
                "input,{},{:.4},{:.6}",
                row.name, row.input_psnr, row.input_ssim
            );
        }
        for row in columns {
            let _ = writeln!(csv, "ours,{},{:.4},{:.6}", row.name, row.psnr, row.ssim);
        }
        for paper in &self.paper {
            for (set, figure) in self.sets.iter().zip(paper.psnr.iter().zip(&paper.ssim)) {
                if let (Some(psnr), Some(ssim)) = figure {
                    let _ = writeln!(csv, "{} (paper),{},{psnr},{ssim}", paper.name, set.column);
                }
            }
        }
        csv
    }

    /// Writes the table as CSV, and each photo's figures beside it as `NAME.images.csv`.
    ///
    /// # Errors
    /// Names the file.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let beside = path.with_extension("images.csv");
        for (path, text) in [(path, self.to_csv()), (&beside, self.images_csv.clone())] {
            write_atomically(path, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

impl PaperRow {
    fn new(name: &'static str, figures: &[Figure]) -> Self {
        let all: Option<Vec<(f64, f64)>> = figures.iter().copied().collect();
        let average = |value: fn(&(f64, f64)) -> f64| {
            let all = all.as_ref().filter(|all| !all.is_empty())?;
            Some(all.iter().map(value).sum::<f64>() / all.len() as f64)
        };
        Self {
            name,
            psnr: figures.iter().map(|figure| figure.map(|f| f.0)).collect(),
            ssim: figures.iter().map(|figure| figure.map(|f| f.1)).collect(),
            average_psnr: average(|figure| figure.0),
            average_ssim: average(|figure| figure.1),
        }
    }
}

impl fmt::Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} | protocol {} | {} | {} images | sha256 {}",
            self.suite,
            self.caption,
            self.protocol,
            self.weights,
            self.images,
            &self.checksum[..12]
        )?;
        let columns = self.columns();
        write!(f, "{:<18}", "")?;
        for row in columns {
            write!(f, " {:>13}", row.name)?;
        }
        writeln!(f)?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cells: &[Figure]| {
            write!(f, "{name:<18}")?;
            for cell in cells {
                match cell {
                    Some((psnr, ssim)) => write!(f, " {psnr:>6.2} / {ssim:.3}")?,
                    None => write!(f, " {:>14}", "-")?,
                }
            }
            writeln!(f)
        };
        let input: Vec<_> = columns
            .iter()
            .map(|r| Some((r.input_psnr, r.input_ssim)))
            .collect();
        let ours: Vec<_> = columns.iter().map(|r| Some((r.psnr, r.ssim))).collect();
        line(f, "input", &input)?;
        line(f, "ours", &ours)?;
        for row in &self.paper {
            let mut cells: Vec<Figure> = row
                .psnr
                .iter()
                .zip(&row.ssim)
                .map(|(psnr, ssim)| psnr.zip(*ssim))
                .collect();
            cells.push(row.average_psnr.zip(row.average_ssim));
            line(f, &format!("{} (paper)", row.name), &cells)?;
        }
        for set in &self.missing {
            writeln!(
                f,
                "left out: {} (no folder named like {})",
                set.column,
                set.looked_for.join(", ")
            )?;
        }
        for column in &self.failed {
            writeln!(
                f,
                "left out: {column} (no photo of its set could be measured)"
            )?;
        }
        writeln!(f, "{}", self.note)
    }
}
