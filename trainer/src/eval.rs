//! Measures a network on a folder of photos: noise and blur made from clean ones, or pairs.

pub mod analyze;
pub mod bench;
pub mod chart;
pub mod features;
pub mod metrics;
pub mod numpy_random;
mod report;
pub mod reproduce;
mod setting;
mod suite_report;
pub mod table;

pub use report::{ImageScore, Report, Row, Spread};
pub use suite_report::{TableOptions, TableReport, evaluate_table};

use crate::data::dataset::{PairFiles, find_images, find_pairs, reserved};
use crate::data::rgb::Rgb;
use crate::eval::metrics::{Protocol, Score};
use crate::host::atomic::write_atomically;
use anyhow::{Context, Result, bail};
use numpy_random::NumpyRandom;
use serde::{Deserialize, Serialize};
use setting::{Example, SEED, Setting};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A kind of test set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Clean photos; Gaussian noise is added as the protocol says.
    Denoise,
    /// Clean photos; blurred with a Gaussian kernel of 15 x 15 and rounded to 8 bit.
    Blur,
    /// Degraded photos with their truths, in a layout of [`find_pairs`].
    Pairs,
    /// Clean photos with made faults of real ones: camera noise, noise without colour or compressed, JPEG.
    Faults,
    /// Good photos, as they are and as JPEG 90: they must come back unchanged.
    Untouched,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 5] = [
        Self::Denoise,
        Self::Blur,
        Self::Pairs,
        Self::Faults,
        Self::Untouched,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denoise => "denoise",
            Self::Blur => "blur",
            Self::Pairs => "pairs",
            Self::Faults => "faults",
            Self::Untouched => "untouched",
        }
    }

    /// The strengths measured when none are asked for: 8-bit levels of noise, pixels of blur.
    pub fn default_sigmas(self) -> &'static [f64] {
        match self {
            Self::Denoise => &[15.0, 25.0, 50.0],
            Self::Blur => &[2.0, 2.55, 3.1],
            Self::Pairs | Self::Faults | Self::Untouched => &[],
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == name)
            .with_context(|| format!("unknown suite {name:?}: expected one of {known}"))
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// The kind of set.
    pub suite: Suite,
    /// Its folder.
    pub data: PathBuf,
    /// How outputs are compared with the truth.
    pub protocol: Protocol,
    /// Strengths in place of [`Suite::default_sigmas`]; pairs have none.
    pub sigmas: Option<Vec<f64>>,
    /// Only the first photos, in sorted order.
    pub limit: Option<usize>,
    /// Only photos that training keeps for measuring ([`reserved`]).
    pub reserved: bool,
    /// Folder for a PNG of each photo: input, output, truth and five times their difference.
    pub save: Option<PathBuf>,
    /// The name of the weights, for the report.
    pub weights: String,
}

/// Photos done and in all, over every setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalProgress {
    /// Photos done.
    pub done: usize,
    /// Photos in all.
    pub total: usize,
}

/// Runs a suite. The network takes and returns RGB in 0..1 of any size.
///
/// A photo that cannot be read, restored or compared is named in [`Report::failures`] and left out;
/// the error case is a set that cannot be measured at all. After a `Break` from `progress` the report
/// covers nothing: `Ok(None)`.
pub fn evaluate(
    options: &EvalOptions,
    network: &dyn Fn(&Rgb) -> Result<Rgb>,
    progress: &mut dyn FnMut(EvalProgress) -> ControlFlow<()>,
) -> Result<Option<Report>> {
    let files = list(options)?;
    let settings = Setting::of(options)?;
    let mut report = Report::new(options);
    let total = files.len() * settings.len();
    let mut done = 0;
    for setting in &settings {
        // One seed for the set, begun anew with each strength, so that a strength measured alone
        // gives the same figures.
        let mut random = NumpyRandom::new(SEED);
        for file in &files {
            let measured = measure(options, setting, file, &mut random, network)
                .with_context(|| format!("{} ({})", file.name, setting.name()));
            match measured {
                Ok(score) => report.images_scores.push(score),
                Err(error) => report.failures.push(format!("{error:#}")),
            }
            done += 1;
            if progress(EvalProgress { done, total }).is_break() {
                return Ok(None);
            }
        }
    }
    report.summarise(settings.iter().map(|setting| setting.name()).collect());
    let measured: BTreeSet<&String> = report.images_scores.iter().map(|s| &s.image).collect();
    report.checksum = checksum(files.iter().filter(|file| measured.contains(&file.name)))?;
    Ok(Some(report))
}

fn list(options: &EvalOptions) -> Result<Vec<PairFiles>> {
    let mut files = match options.suite {
        Suite::Pairs => find_pairs(&options.data)?,
        _ => find_images(&options.data)?
            .into_iter()
            .map(|path| PairFiles::clean(path, &options.data))
            .collect(),
    };
    if options.reserved {
        files.retain(|file| reserved(&file.clean));
    }
    files.truncate(options.limit.unwrap_or(usize::MAX));
    if files.is_empty() {
        bail!(
            "{}: nothing to measure{}",
            options.data.display(),
            if options.reserved {
                ": no photo of it is kept for measuring"
            } else {
                ": the limit is 0"
            }
        );
    }
    Ok(files)
}

/// SHA-256 over the names and bytes of the measured files, in order, in hexadecimal.
fn checksum<'a>(files: impl Iterator<Item = &'a PairFiles>) -> Result<String> {
    let mut digest = Sha256::new();
    let mut add = |name: &str, path: &Path| -> Result<()> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", path.display()))?;
        // Lengths keep the end of one file apart from the beginning of the next.
        for part in [name.replace('\\', "/").as_bytes(), &bytes] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ok(())
    };
    for file in files {
        add(&file.name, &file.degraded)?;
        if file.clean != file.degraded {
            let name = file.clean.file_name().unwrap_or_default();
            add(&name.to_string_lossy(), &file.clean)?;
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn measure(
    options: &EvalOptions,
    setting: &Setting,
    file: &PairFiles,
    random: &mut NumpyRandom,
    network: &dyn Fn(&Rgb) -> Result<Rgb>,
) -> Result<ImageScore> {
    let Example { input, truth } = setting.apply(options.protocol, file, random)?;
    let untouched = options.protocol.score(&input, &truth)?;
    let output = network(&input)?;
    let restored = options.protocol.score(&output, &truth)?;
    if let Some(folder) = &options.save {
        save_strip(
            folder,
            &setting.name(),
            &file.name,
            [&input, &output, &truth],
        )?;
    }
    Ok(ImageScore::new(
        setting.name(),
        file.name.clone(),
        capped(restored),
        capped(untouched),
    ))
}

/// Equal pictures count as 100 dB: an infinite one would make every mean infinite.
fn capped(score: Score) -> Score {
    Score {
        psnr: score.psnr.min(100.0),
        ..score
    }
}

/// Writes `folder/setting/name.png`: input, output, truth and five times |output - truth|, side by side.
fn save_strip(folder: &Path, setting: &str, name: &str, images: [&Rgb; 3]) -> Result<()> {
    let [_, output, truth] = images;
    let difference = Rgb {
        width: truth.width,
        height: truth.height,
        pixels: output
            .pixels
            .iter()
            .zip(&truth.pixels)
            .map(|(a, b)| 5.0 * (a.clamp(0.0, 1.0) - b).abs())
            .collect(),
    };
    let parts = [images[0], output, truth, &difference];
    let width = truth.width;
    let strip = Rgb::from_fn(width * parts.len(), truth.height, |x, y| {
        parts[x / width].pixel(x % width, y)
    });
    let folder = folder.join(setting.replace(' ', "-"));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create folder {}", folder.display()))?;
    let path = folder.join(format!("{}.png", name.replace(['/', '\\'], "_")));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut bytes,
        &strip.to_u8(),
        u32::try_from(strip.width)?,
        u32::try_from(strip.height)?,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .with_context(|| format!("cannot encode {}", path.display()))?;
    write_atomically(&path, bytes.get_ref())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
