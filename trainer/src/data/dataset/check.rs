//! `data check`: what a folder of photos holds, and what is wrong with it, before a day is spent training on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Photo;
use super::layout::{Half, Layout, PairFiles, contents, find_sets};
use super::overlap::{Scene, Scenes};
use super::side_by_side::{Votes, vote};

/// Files named in the text before the rest is only counted.
const NAMED: usize = 10;

/// What was found in one set.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SetReport {
    /// Its folder.
    pub folder: String,
    /// How it lies there, in words; empty where that cannot be told.
    pub layout: String,
    /// Why it cannot be used at all.
    pub error: Option<String>,
    /// Pairs, or clean photos.
    pub files: usize,
    /// Truths, each counted once.
    pub truths: usize,
    /// Degraded photos without a truth.
    pub alone: Vec<String>,
    /// Truths without a degraded photo.
    pub unused: usize,
    /// Files that cannot be decoded, with the reason.
    pub unreadable: Vec<String>,
    /// Pairs of unequal size.
    pub unequal: Vec<String>,
    /// Which half is degraded, where pairs lie side by side.
    pub orientation: Option<Votes>,
    /// Files with the same bytes as another one before them.
    pub duplicates: Vec<String>,
    /// Truths that show a scene of the test sets.
    pub leaked: Vec<String>,
    /// Truths that have the number of one in the test sets (`0025` of `0025_0.8_0.04.jpg`), whatever they show.
    pub shared_numbers: usize,
}

impl SetReport {
    /// Whether a training run would stop at it, or be spoilt by it.
    pub fn is_broken(&self) -> bool {
        self.error.is_some()
            || !(self.alone.is_empty()
                && self.unreadable.is_empty()
                && self.unequal.is_empty()
                && self.leaked.is_empty())
            || self.orientation.is_some_and(|votes| votes.half().is_err())
    }
}

/// Test sets whose scenes must not be trained on.
struct Tested {
    scenes: Scenes,
    stems: BTreeSet<String>,
}

/// Checks all sets under `root`; no photo of the test sets `tested` may be in them. If a set cannot be used, its
/// report says so, and the other sets are checked.
///
/// # Errors
/// A root that cannot be read, or without a photo; a test set that cannot be used.
pub fn check(root: &Path, tested: &[PathBuf]) -> Result<Vec<SetReport>> {
    let sets = find_sets(root)?;
    if sets.is_empty() {
        bail!("no images in {}", root.display());
    }
    let tested = match tested {
        [] => None,
        folders => Some(Tested::of(folders)?),
    };
    let reports = sets.iter().map(|folder| check_set(folder, tested.as_ref()));
    Ok(reports.collect())
}

impl Tested {
    fn of(folders: &[PathBuf]) -> Result<Self> {
        let mut sets = Vec::new();
        for folder in folders {
            sets.extend(find_sets(folder)?);
        }
        let mut stems = BTreeSet::new();
        for folder in &sets {
            let truths = super::layout::truths(folder)?;
            stems.extend(truths.iter().map(|pair| number(&pair.clean)));
        }
        Ok(Self {
            scenes: Scenes::of_folders(&sets)?,
            stems,
        })
    }
}

/// The part of a file's name that says which scene it is.
fn number(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.split('_').next().unwrap_or_default().to_owned()
}

/// What decoding a file told.
struct Seen {
    size: (usize, usize),
    digest: [u8; 32],
    scene: Scene,
}

fn check_set(folder: &Path, tested: Option<&Tested>) -> SetReport {
    let contents = match contents(folder) {
        Ok(contents) => contents,
        Err(error) => {
            return SetReport {
                folder: folder.display().to_string(),
                error: Some(format!("{error:#}")),
                ..SetReport::default()
            };
        }
    };
    // Each file once; a truth with its pair, which says what of it counts.
    let mut paths: BTreeMap<&PathBuf, Option<&PairFiles>> = BTreeMap::new();
    for pair in &contents.files {
        paths.entry(&pair.degraded).or_insert(None);
        paths.insert(&pair.clean, Some(pair));
    }
    let looked: Vec<(&PathBuf, Result<Seen>)> = paths
        .into_par_iter()
        .map(|(path, pair)| (path, look(path, pair)))
        .collect();
    let mut seen = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (path, result) in looked {
        match result {
            Ok(found) => drop(seen.insert(path, found)),
            Err(error) => unreadable.push(format!("{error:#}")),
        }
    }
    let truths: BTreeSet<&PathBuf> = contents.files.iter().map(|pair| &pair.clean).collect();
    let shown = |path: &Path| path.display().to_string();
    let leaks = |path: &&&PathBuf| {
        let scene = seen.get(**path).map(|seen| &seen.scene);
        tested
            .zip(scene)
            .is_some_and(|(tested, scene)| tested.scenes.contain_scene(scene))
    };
    let orientation = (contents.layout == Layout::SideBySide).then(|| {
        let files: Vec<PathBuf> = contents.files.iter().map(|p| p.degraded.clone()).collect();
        vote(&files, true)
    });
    SetReport {
        folder: shown(folder),
        layout: contents.layout.to_string(),
        error: None,
        files: contents.files.len(),
        truths: truths.len(),
        alone: contents.alone.iter().map(|path| shown(path)).collect(),
        unused: contents.unused.len(),
        unequal: unequal(&contents.files, &seen),
        orientation,
        duplicates: duplicates(&seen),
        leaked: truths
            .iter()
            .filter(leaks)
            .map(|path| shown(path))
            .collect(),
        shared_numbers: match tested {
            Some(tested) => {
                let shared = truths
                    .iter()
                    .filter(|path| tested.stems.contains(&number(path)));
                shared.count()
            }
            None => 0,
        },
        unreadable,
    }
}

fn look(path: &Path, truth_of: Option<&PairFiles>) -> Result<Seen> {
    let photo = Photo::load(path, String::new())?;
    let digest = Sha256::digest(&photo.samples).into();
    let photo = match truth_of {
        Some(pair) => photo.truth(pair),
        None => photo,
    };
    Ok(Seen {
        size: (photo.width, photo.height),
        digest,
        scene: Scene::of(&photo),
    })
}

fn unequal(files: &[PairFiles], seen: &BTreeMap<&PathBuf, Seen>) -> Vec<String> {
    let differ = files.iter().filter_map(|pair| {
        let (degraded, clean) = (seen.get(&pair.degraded)?.size, seen.get(&pair.clean)?.size);
        (degraded != clean).then(|| {
            format!(
                "{} is {} x {}, its truth {} x {}",
                pair.degraded.display(),
                degraded.0,
                degraded.1,
                clean.0,
                clean.1
            )
        })
    });
    differ.collect()
}

/// Photos whose pixels are those of an earlier one.
fn duplicates(seen: &BTreeMap<&PathBuf, Seen>) -> Vec<String> {
    let mut first: BTreeMap<[u8; 32], &PathBuf> = BTreeMap::new();
    let repeated = seen.iter().filter_map(|(path, seen)| {
        let before = *first.entry(seen.digest).or_insert(path);
        (before != *path).then(|| format!("{} is {}", path.display(), before.display()))
    });
    repeated.collect()
}

impl fmt::Display for SetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return writeln!(f, "{}: UNUSABLE\n  {error}", self.folder);
        }
        writeln!(f, "{}: {}", self.folder, self.layout)?;
        let kind = match self.layout.starts_with("clean") {
            true => "photos",
            false => "pairs",
        };
        writeln!(f, "  {kind:<12}{} ({} truths)", self.files, self.truths)?;
        if let Some(votes) = self.orientation {
            let half = match votes.half() {
                Ok(Half::Left) => "left half degraded",
                Ok(Half::Right) => "right half degraded",
                Err(_) => "NOT CLEAR which half is degraded",
            };
            let Votes { left, right } = votes;
            writeln!(
                f,
                "  {:<12}{half} (left {left}, right {right})",
                "orientation"
            )?;
        }
        if self.unused > 0 {
            writeln!(
                f,
                "  {:<12}{} truths without a degraded photo",
                "unused", self.unused
            )?;
        }
        if self.shared_numbers > 0 {
            writeln!(
                f,
                "  {:<12}{} truths have the number of one in the test sets",
                "numbers", self.shared_numbers
            )?;
        }
        list(f, "NO TRUTH", &self.alone)?;
        list(f, "UNREADABLE", &self.unreadable)?;
        list(f, "UNEQUAL", &self.unequal)?;
        list(f, "duplicates", &self.duplicates)?;
        list(f, "LEAKED", &self.leaked)
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {what:<12}{}", names.len())?;
    for name in names.iter().take(NAMED) {
        writeln!(f, "    {name}")?;
    }
    match names.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => writeln!(f, "    and {more} more"),
    }
}
