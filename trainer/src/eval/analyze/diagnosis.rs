//! How well a network's diagnosis tells the faults of photos: made ones on the photos of CBSD68, Rain100L's and SOTS's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dino_ir::model::diagnosis::{Diagnosis, Fault, Faults};
use dino_ir::restore::Restorer;
use dino_ir::weights::Loaded;
use plotters::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::dataset::find_images;
use crate::data::degrade::{blur, jpeg, noise};
use crate::data::rgb::Rgb;
use crate::host::interrupt;
use crate::train::diagnosis::to_image;
use crate::train::plot::{Drawing, write_plot};

/// Noise levels, of 255.
const NOISE: [f32; 12] = [
    5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0,
];
/// Blur in pixels.
const BLUR: [f32; 5] = [1.0, 2.0, 2.55, 3.1, 4.0];
/// JPEG qualities.
const JPEG: [f32; 5] = [10.0, 30.0, 50.0, 70.0, 90.0];

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Mean errors of made faults and of clean photos, in each fault's units.
    pub mean_errors: BTreeMap<&'static str, f64>,
    /// The same at each level, and the mean of what was said.
    pub levels: BTreeMap<&'static str, Vec<Level>>,
    /// How well rain and haze are recognised: the chance that a rainy or hazy photo gets a higher score than one without (AUC).
    pub auc: BTreeMap<String, f64>,
    /// What was called what.
    pub confusion: Vec<Row>,
    /// What was said of the other photos.
    pub others: BTreeMap<String, DiagnosisReport>,
    #[serde(skip)]
    cases: Vec<Case>,
}

/// A level of a made fault.
#[derive(Clone, Debug, Serialize)]
pub struct Level {
    /// What was made.
    pub truth: f32,
    /// Mean of what was said.
    pub found: f64,
    /// Mean error.
    pub error: f64,
    /// Mean confidence.
    pub confidence: f64,
}

/// Photos of a kind, and what they were called; one photo may be called several things.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What they are.
    pub kind: Kind,
    /// How many.
    pub photos: usize,
    /// How many were called fine.
    pub fine: usize,
    /// How many were said to have a fault.
    pub called: BTreeMap<&'static str, usize>,
}

/// A diagnosis for people and for programs.
#[derive(Clone, Debug, Serialize)]
pub struct DiagnosisReport {
    /// In words.
    pub words: String,
    /// In numbers.
    pub faults: Faults,
}

/// What a photo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// CBSD68 as it is.
    Clean,
    /// With Gaussian noise.
    Noise,
    /// With Gaussian blur.
    Blur,
    /// Compressed.
    Jpeg,
    /// Rain100L.
    Rain,
    /// Rain100L's truths.
    WithoutRain,
    /// SOTS outdoor.
    Haze,
    /// Its truths.
    WithoutHaze,
    /// Anything else.
    Other,
}

/// A photo to be judged.
struct Job {
    kind: Kind,
    file: PathBuf,
    seed: u64,
    level: f32,
}

#[derive(Clone, Debug)]
struct Case {
    kind: Kind,
    level: f32,
    found: Diagnosis,
}

/// Judges the photos below a folder that has `cbsd68`, `rain100l` and `sots_outdoor`, at most `limit` of each kind, and
/// those of its other folders.
///
/// # Errors
/// A photo that cannot be read, weights without a diagnosis, a folder without any of these.
pub fn measure(restorer: &Restorer<Loaded>, folder: &Path, limit: usize) -> Result<Found> {
    let jobs = jobs(folder, limit)?;
    let judged = jobs
        .par_iter()
        .map(|job| judge(restorer, job))
        .collect::<Result<Vec<_>>>()?;
    let mut others = BTreeMap::new();
    let mut cases = Vec::new();
    for (job, found) in jobs.iter().zip(judged) {
        if job.kind == Kind::Other {
            let name = job.file.strip_prefix(folder).unwrap_or(&job.file);
            let said = DiagnosisReport {
                words: found.to_string(),
                faults: found.faults,
            };
            others.insert(name.display().to_string(), said);
        } else {
            cases.push(Case {
                kind: job.kind,
                level: job.level,
                found,
            });
        }
    }
    Ok(Found::new(cases, others))
}

fn jobs(folder: &Path, limit: usize) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    let mut add = |kind: Kind, place: &str, levels: &[f32]| -> Result<()> {
        let path = folder.join(place);
        if !path.is_dir() {
            return Ok(());
        }
        for (seed, file) in (0..).zip(find_images(&path)?.into_iter().take(limit)) {
            jobs.extend(levels.iter().map(|&level| Job {
                kind,
                file: file.clone(),
                seed,
                level,
            }));
        }
        Ok(())
    };
    for (kind, levels) in [
        (Kind::Clean, &[0.0][..]),
        (Kind::Noise, &NOISE),
        (Kind::Blur, &BLUR),
        (Kind::Jpeg, &JPEG),
    ] {
        add(kind, "cbsd68", levels)?;
    }
    for (kind, place) in [
        (Kind::Rain, "rain100l/input"),
        (Kind::WithoutRain, "rain100l/target"),
        (Kind::Haze, "sots_outdoor/hazy"),
        (Kind::WithoutHaze, "sots_outdoor/gt"),
    ] {
        add(kind, place, &[0.0])?;
    }
    let mut rest: Vec<String> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !["cbsd68", "rain100l", "sots_outdoor"].contains(&name.as_str()))
        .collect();
    rest.sort();
    for name in rest {
        add(Kind::Other, &name, &[0.0])?;
    }
    ensure!(
        !jobs.is_empty(),
        "{}: has none of the folders cbsd68, rain100l and sots_outdoor, nor any other with photos",
        folder.display()
    );
    Ok(jobs)
}

fn judge(restorer: &Restorer<Loaded>, job: &Job) -> Result<Diagnosis> {
    ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
    let photo = Rgb::load(&job.file)?;
    let photo = match job.kind {
        Kind::Noise => noise::add(&photo, job.level, &mut StdRng::seed_from_u64(job.seed)),
        Kind::Blur => blur::gaussian(&photo, job.level).quantised(),
        Kind::Jpeg => jpeg::compress(&photo, job.level as u8)?,
        _ => photo,
    };
    Ok(restorer.diagnose(&to_image(photo)?)?)
}

/// The fault of a kind that is made at several levels, and the level in that fault's units.
const LEVELLED: [(Kind, Fault); 3] = [
    (Kind::Noise, Fault::Noise),
    (Kind::Blur, Fault::Blur),
    (Kind::Jpeg, Fault::Jpeg),
];

impl Found {
    fn new(cases: Vec<Case>, others: BTreeMap<String, DiagnosisReport>) -> Self {
        let mut mean_errors = BTreeMap::new();
        let mut levels = BTreeMap::new();
        for (kind, fault) in LEVELLED {
            let points = points(&cases, kind, fault);
            if points.is_empty() {
                continue;
            }
            mean_errors.insert(fault.name(), mean(points.iter().map(Point::error)));
            levels.insert(fault.name(), by_level(&points));
        }
        let kinds: Vec<Kind> = {
            let mut kinds: Vec<Kind> = cases.iter().map(|case| case.kind).collect();
            kinds.sort();
            kinds.dedup();
            kinds
        };
        let mut auc = BTreeMap::new();
        for (fault, with, without) in [
            (Fault::Rain, Kind::Rain, [Kind::WithoutRain, Kind::Clean]),
            (Fault::Haze, Kind::Haze, [Kind::WithoutHaze, Kind::Clean]),
        ] {
            for (other, name) in without.into_iter().zip(["the same without", "CBSD68"]) {
                let [with, without] = [with, other].map(|kind| amounts(&cases, kind, fault));
                if !with.is_empty() && !without.is_empty() {
                    auc.insert(
                        format!("{} against {name}", fault.name()),
                        area(&with, &without),
                    );
                }
            }
        }
        Self {
            mean_errors,
            levels,
            auc,
            confusion: kinds.into_iter().map(|kind| row(&cases, kind)).collect(),
            others,
            cases,
        }
    }

    /// Tables for people.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for (name, levels) in &self.levels {
            let error = self.mean_errors[name];
            lines.push(format!("{name}: mean error {error:.2}"));
            for level in levels {
                lines.push(format!(
                    "  {:>6.2} said to be {:>6.2}, error {:>5.2}, confidence {:.2}",
                    level.truth, level.found, level.error, level.confidence
                ));
            }
        }
        for (name, area) in &self.auc {
            lines.push(format!("{name}: AUC {area:.3}"));
        }
        let names = Fault::ALL.map(Fault::name);
        let heading: String = names.iter().map(|name| format!("{name:>7}")).collect();
        lines.push(format!(
            "{:<14}{:>7}{:>7}{heading}",
            "called", "photos", "fine"
        ));
        for row in &self.confusion {
            let cells: String = names
                .iter()
                .map(|name| format!("{:>7}", row.called[name]))
                .collect();
            let kind = format!("{:?}", row.kind);
            lines.push(format!("{kind:<14}{:>7}{:>7}{cells}", row.photos, row.fine));
        }
        for (name, said) in &self.others {
            lines.push(format!("{name}: {}", said.words));
        }
        lines.join("\n")
    }

    /// Draws what was said over what was made, and rain and haze of photos with and without.
    ///
    /// # Errors
    /// Names the file.
    pub fn plot(&self, path: &Path) -> Result<()> {
        write_plot(path, (1500, 900), |root| {
            let panels = root.split_evenly((2, 3));
            for (panel, (kind, fault)) in panels.iter().zip(LEVELLED) {
                scatter(panel, fault, &points(&self.cases, kind, fault))?;
            }
            for (panel, fault, kinds) in [
                (&panels[3], Fault::Rain, [Kind::Rain, Kind::WithoutRain]),
                (&panels[4], Fault::Haze, [Kind::Haze, Kind::WithoutHaze]),
            ] {
                let [with, without] = kinds.map(|kind| amounts(&self.cases, kind, fault));
                let clean = amounts(&self.cases, Kind::Clean, fault);
                sorted(panel, fault, [with, without, clean])?;
            }
            Ok(())
        })
    }
}

/// A photo with a made fault, or none.
struct Point {
    truth: f32,
    found: f32,
    confidence: f32,
}

impl Point {
    fn error(&self) -> f64 {
        f64::from((self.found - self.truth).abs())
    }
}

fn points(cases: &[Case], kind: Kind, fault: Fault) -> Vec<Point> {
    let of_kind = |case: &&Case| case.kind == kind || case.kind == Kind::Clean;
    if !cases.iter().any(|case| case.kind == kind) {
        return Vec::new();
    }
    let point = |case: &Case| {
        let found = case.found.faults.badness(fault);
        let (truth, found) = match fault {
            Fault::Jpeg => (
                if case.kind == kind { case.level } else { 100.0 },
                100.0 - found,
            ),
            _ => (case.level, found),
        };
        Point {
            truth,
            found,
            confidence: case.found.confidence(fault),
        }
    };
    cases.iter().filter(of_kind).map(point).collect()
}

fn by_level(points: &[Point]) -> Vec<Level> {
    let mut truths: Vec<f32> = points.iter().map(|point| point.truth).collect();
    truths.sort_by(f32::total_cmp);
    truths.dedup();
    let level = |truth: f32| {
        let of_level = || points.iter().filter(move |point| point.truth == truth);
        Level {
            truth,
            found: mean(of_level().map(|point| f64::from(point.found))),
            error: mean(of_level().map(Point::error)),
            confidence: mean(of_level().map(|point| f64::from(point.confidence))),
        }
    };
    truths.into_iter().map(level).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / f64::max(count, 1.0)
}

fn amounts(cases: &[Case], kind: Kind, fault: Fault) -> Vec<f32> {
    let of_kind = cases.iter().filter(|case| case.kind == kind);
    of_kind
        .map(|case| case.found.faults.badness(fault))
        .collect()
}

/// The chance that one of `with` is more than one of `without`; half of it where they are equal.
fn area(with: &[f32], without: &[f32]) -> f64 {
    let compare = |a: f32, b: f32| match a.total_cmp(&b) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    mean(
        with.iter()
            .flat_map(|&a| without.iter().map(move |&b| compare(a, b))),
    )
}

fn row(cases: &[Case], kind: Kind) -> Row {
    let of_kind = || cases.iter().filter(move |case| case.kind == kind);
    let called = |fault: Fault| {
        let count = of_kind().filter(|case| case.found.finds(fault)).count();
        (fault.name(), count)
    };
    Row {
        kind,
        photos: of_kind().count(),
        fine: of_kind().filter(|case| case.found.is_fine()).count(),
        called: Fault::ALL.map(called).into(),
    }
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// What was said over what was made.
fn scatter(panel: &Drawing<'_>, fault: Fault, points: &[Point]) -> Drawn {
    let most = match fault {
        Fault::Noise => 80.0,
        Fault::Blur => 4.5,
        _ => 105.0,
    };
    let mut chart = ChartBuilder::on(panel)
        .caption(
            format!("{}: said over made", fault.name()),
            ("sans-serif", 20),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d(0f32..most, 0f32..most)?;
    chart.configure_mesh().draw()?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (most, most)], BLACK.mix(0.4)))?;
    let dots = points
        .iter()
        .map(|point| Circle::new((point.truth, point.found), 3, BLUE.mix(0.3).filled()));
    chart.draw_series(dots)?;
    Ok(())
}

/// Amounts in ascending order: photos with the fault, the same without, others without.
fn sorted(panel: &Drawing<'_>, fault: Fault, lists: [Vec<f32>; 3]) -> Drawn {
    let mut chart = ChartBuilder::on(panel)
        .caption(
            format!(
                "{}: with (red), the same without (blue), CBSD68 (grey)",
                fault.name()
            ),
            ("sans-serif", 16),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d(0f32..1.0, 0f32..1.0)?;
    chart.configure_mesh().draw()?;
    let threshold = fault.threshold();
    chart.draw_series(LineSeries::new(
        [(0.0, threshold), (1.0, threshold)],
        BLACK.mix(0.4),
    ))?;
    for (mut list, colour) in lists.into_iter().zip([RED, BLUE, BLACK]) {
        list.sort_by(f32::total_cmp);
        let count = list.len() as f32;
        let dots = list.into_iter().enumerate().map(|(at, amount)| {
            Circle::new(
                ((at as f32 + 0.5) / count, amount),
                3,
                colour.mix(0.4).filled(),
            )
        });
        chart.draw_series(dots)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
