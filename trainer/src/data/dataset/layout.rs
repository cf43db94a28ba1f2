//! The layouts of datasets on disk. The names of folders tell which layout it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dino_ir::restore::Area;

use super::side_by_side;
use crate::data::rgb::{Rgb, dimensions};

/// A half of a picture that holds a pair side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// Columns before the middle.
    Left,
    /// Columns from the middle on.
    Right,
}

impl Half {
    /// Its first column in a picture of that width.
    pub fn start(self, width: usize) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => width - width / 2,
        }
    }

    /// Where it is in a picture of that width and height.
    pub fn area(self, (width, height): (usize, usize)) -> Area {
        Area {
            x: self.start(width),
            y: 0,
            width: width / 2,
            height,
        }
    }

    /// The other half.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// The files of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// Path of the degraded photo inside its folder, for reports.
    pub name: String,
    /// The degraded photo.
    pub degraded: PathBuf,
    /// Its truth.
    pub clean: PathBuf,
    /// The degraded half where one file holds both.
    pub half: Option<Half>,
}

impl PairFiles {
    /// A clean photo that will be degraded here.
    pub fn clean(path: PathBuf, folder: &Path) -> Self {
        Self {
            name: name_in(folder, &path),
            degraded: path.clone(),
            clean: path,
            half: None,
        }
    }

    /// Reads the degraded photo.
    ///
    /// # Errors
    /// Names the file.
    pub fn load_degraded(&self) -> Result<Rgb> {
        let picture = Rgb::load(&self.degraded)?;
        Ok(match self.half {
            Some(half) => crop(&picture, half.area((picture.width, picture.height))),
            None => picture,
        })
    }

    /// Reads the truth, without the border that its degraded photo lacks.
    ///
    /// # Errors
    /// Names the file.
    pub fn load_clean(&self) -> Result<Rgb> {
        let picture = Rgb::load(&self.clean)?;
        Ok(match self.truth((picture.width, picture.height)) {
            Some(truth) => crop(&picture, truth),
            None => picture,
        })
    }

    /// Where the truth is in its file, a picture of that width and height, if it is not all of it: one of two halves, or
    /// what a border surrounds. SOTS indoor's truths have one of 10 pixels that their hazy photos lack.
    pub fn truth(&self, size: (usize, usize)) -> Option<Area> {
        const BORDER: usize = 10;
        if let Some(degraded) = self.half {
            return Some(degraded.other().area(size));
        }
        if self.degraded == self.clean {
            return None;
        }
        // Whoever reads the degraded photo complains if it cannot be read.
        let (width, height) = dimensions(&self.degraded).ok()?;
        ((width + 2 * BORDER, height + 2 * BORDER) == size).then_some(Area {
            x: BORDER,
            y: BORDER,
            width,
            height,
        })
    }
}

fn crop(picture: &Rgb, area: Area) -> Rgb {
    picture.crop(area.x, area.y, area.width, area.height)
}

/// A way in which a set lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Degraded photos and truths in two folders of these names.
    Folders(&'static str, &'static str),
    /// Both in the halves of one picture.
    SideBySide,
    /// Clean photos.
    Flat,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folders(degraded, ".") => write!(f, "{degraded}/ with the truths beside it"),
            Self::Folders(degraded, truth) => write!(f, "{degraded}/ + {truth}/"),
            Self::SideBySide => f.write_str("pairs side by side in one picture"),
            Self::Flat => f.write_str("clean photos"),
        }
    }
}

/// What a folder holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// How its photos are arranged.
    pub layout: Layout,
    /// Pairs; in a flat folder each photo is its own truth.
    pub files: Vec<PairFiles>,
    /// Degraded photos without a truth.
    pub alone: Vec<PathBuf>,
    /// Truths without a degraded photo.
    pub unused: Vec<PathBuf>,
}

/// Image files under `folder`, recursive, sorted by path; a folder that several links lead to counts once. A text file
/// stands for the photos that it lists, a path in each line, from its own folder on. An empty or unreadable folder or
/// list is an error.
pub fn find_images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.extension().is_some_and(|kind| kind == "txt") {
        let list = std::fs::read_to_string(folder)
            .with_context(|| format!("cannot read the list {}", folder.display()))?;
        let base = folder.parent().unwrap_or(Path::new("."));
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        found.extend(lines.map(|line| base.join(line)));
    } else {
        walk(folder, &mut Entered::default(), &mut found)?;
    }
    if found.is_empty() {
        bail!("no images in {}", folder.display());
    }
    found.sort();
    Ok(found)
}

/// Pairs under `folder`, sorted by the degraded file. The layouts, told apart by their folders' names:
///
/// - `input/` and `target/`: equal names, or else the truth is named by the text before the first `_`;
/// - `hazy/` or `synthetic/` with `gt/`, `clear/` or `original/`: the truth is named by the text before the first `_`;
/// - `rainy/rain-001.png` with `norain-001.png` in `norain/`, in `rainy/` or beside it, or of an equal name there;
/// - pictures whose halves are a pair; which half is degraded is measured.
///
/// Extensions may differ. An input without a truth is an error; a truth without an input is left alone.
pub fn find_pairs(folder: &Path) -> Result<Vec<PairFiles>> {
    let contents = contents(folder)?;
    if contents.layout == Layout::Flat {
        bail!(
            "{} has no pairs: expected input/ + target/, hazy/ + gt/ or rainy/ + norain/ in it, or pairs side by side",
            folder.display()
        );
    }
    match contents.alone.first() {
        Some(alone) => bail!("{} has no truth in {}", alone.display(), folder.display()),
        None => Ok(contents.files),
    }
}

/// A pair for each truth of a set, or its clean photos; sorted by the truth.
///
/// # Errors
/// As [`contents`].
pub fn truths(folder: &Path) -> Result<Vec<PairFiles>> {
    let files = contents(folder)?.files;
    let found: BTreeMap<PathBuf, PairFiles> = files
        .into_iter()
        .map(|pair| (pair.clean.clone(), pair))
        .collect();
    Ok(found.into_values().collect())
}

/// What a folder holds, in any layout.
///
/// # Errors
/// An empty or unreadable folder; pairs side by side, if it is not clear which half is the truth.
pub fn contents(folder: &Path) -> Result<Contents> {
    if let Some((layout, key)) = named_layout(folder) {
        let Layout::Folders(degraded, truths) = layout else {
            bail!("a named layout has two folders");
        };
        let (files, alone, unused) = match_pairs(folder, degraded, truths, key)?;
        return Ok(Contents {
            layout,
            files,
            alone,
            unused,
        });
    }
    let images = find_images(folder)?;
    let (layout, half) = match side_by_side::are_pairs(&images) {
        true => {
            let half = side_by_side::vote(&images, false).half();
            let half = half.with_context(|| folder.display().to_string())?;
            (Layout::SideBySide, Some(half))
        }
        false => (Layout::Flat, None),
    };
    let files = images.into_iter().map(|path| PairFiles {
        half,
        ..PairFiles::clean(path, folder)
    });
    Ok(Contents {
        layout,
        files: files.collect(),
        alone: Vec::new(),
        unused: Vec::new(),
    })
}

/// Folders under `root` that are sets: those of a named layout, and those with images in them and no set of a named
/// layout below.
///
/// # Errors
/// A folder that cannot be read.
pub fn find_sets(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk_sets(root, &mut Entered::default(), &mut found)?;
    Ok(found)
}

fn walk_sets(folder: &Path, above: &mut Entered, found: &mut Vec<PathBuf>) -> Result<()> {
    if !above.enter(folder) {
        return Ok(());
    }
    if named_layout(folder).is_some() {
        found.push(folder.to_owned());
    } else {
        let entries = entries(folder)?;
        let before = found.len();
        let mut folders = entries.iter().filter(|path| path.is_dir());
        folders.try_for_each(|folder| walk_sets(folder, above, found))?;
        let has_images = entries.iter().any(|path| path.is_file() && is_image(path));
        // A stray picture does not make one set of the sets below it.
        let has_named = || {
            found[before..]
                .iter()
                .any(|set| named_layout(set).is_some())
        };
        if has_images && !has_named() {
            found.truncate(before);
            found.push(folder.to_owned());
        }
    }
    // A link may give a set the name that a table uses.
    above.leave(folder);
    Ok(())
}

/// The first layout whose folders are there.
fn named_layout(folder: &Path) -> Option<(Layout, Key)> {
    let layouts: [(&'static str, &[&'static str], Key); 4] = [
        ("input", &["target"], Key::Equal),
        ("hazy", &["gt", "clear", "original"], Key::BeforeUnderscore),
        (
            "synthetic",
            &["original", "clear", "gt"],
            Key::BeforeUnderscore,
        ),
        ("rainy", &["norain", "target", "gt", "."], Key::NoRain),
    ];
    layouts.into_iter().find_map(|(degraded, truths, key)| {
        if !folder.join(degraded).is_dir() {
            return None;
        }
        let truth = truths.iter().find(|name| folder.join(name).is_dir())?;
        Some((Layout::Folders(degraded, truth), key))
    })
}

/// How a degraded file's name leads to its truth.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    Equal,
    BeforeUnderscore,
    NoRain,
}

impl Key {
    /// Paths, without extension and inside the truth's folder, at which the truth may be; the best first.
    fn candidates(self, stem: &Path) -> Vec<PathBuf> {
        let name = stem
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match self {
            // AirNet and PromptIR keep SOTS as input/0001_0.8_0.2.png and target/0001.png.
            Self::Equal => {
                let key = name.split('_').next().unwrap_or(&name);
                vec![stem.to_path_buf(), stem.with_file_name(key)]
            }
            // OTS keeps its parts in subfolders and all truths in one.
            Self::BeforeUnderscore => {
                let key = name.split('_').next().unwrap_or(&name);
                vec![
                    stem.with_file_name(key),
                    PathBuf::from(key),
                    stem.to_path_buf(),
                ]
            }
            Self::NoRain => {
                let mut found = Vec::new();
                if let Some(number) = name.strip_prefix("rain") {
                    found.push(stem.with_file_name(format!("norain{number}")));
                    found.push(
                        Path::new("rainy")
                            .join(stem)
                            .with_file_name(format!("norain{number}")),
                    );
                }
                found.push(stem.to_path_buf());
                found
            }
        }
    }
}

type Matched = (Vec<PairFiles>, Vec<PathBuf>, Vec<PathBuf>);

/// Pairs, degraded photos without a truth, truths without a degraded photo.
fn match_pairs(folder: &Path, degraded: &str, truths: &str, key: Key) -> Result<Matched> {
    // The path `rainy/.` would not compare as a prefix.
    let (inputs, truths) = match truths {
        "." => (folder.join(degraded), folder.to_owned()),
        _ => (folder.join(degraded), folder.join(truths)),
    };
    let stem_of =
        |root: &Path, path: &Path| path.strip_prefix(root).unwrap_or(path).with_extension("");
    let by_stem: HashMap<PathBuf, PathBuf> = find_images(&truths)?
        .into_iter()
        .map(|path| (stem_of(&truths, &path), path))
        .collect();
    let together = inputs.starts_with(&truths);
    let (mut files, mut alone) = (Vec::new(), Vec::new());
    let mut unused: BTreeSet<PathBuf> = by_stem.values().cloned().collect();
    for path in find_images(&inputs)? {
        let is_truth = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("norain"));
        if key == Key::NoRain && is_truth && together {
            // Both kinds lie in one folder: this one is a truth.
            continue;
        }
        if together {
            unused.remove(&path);
        }
        let candidates = key.candidates(&stem_of(&inputs, &path));
        let found = candidates.iter().find_map(|at| by_stem.get(at));
        match found.filter(|truth| **truth != path) {
            None => alone.push(path),
            Some(truth) => {
                unused.remove(truth);
                files.push(PairFiles {
                    name: name_in(&inputs, &path),
                    clean: truth.clone(),
                    degraded: path,
                    half: None,
                });
            }
        }
    }
    Ok((files, alone, unused.into_iter().collect()))
}

fn name_in(folder: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    inside.to_string_lossy().into_owned()
}

/// Folders that were entered, by their true paths: a link may lead back up, or to a folder that is there anyway.
#[derive(Default)]
struct Entered(HashSet<PathBuf>);

impl Entered {
    /// Whether it is the first time.
    fn enter(&mut self, folder: &Path) -> bool {
        self.0.insert(true_path(folder))
    }

    fn leave(&mut self, folder: &Path) {
        self.0.remove(&true_path(folder));
    }
}

/// What cannot be resolved cannot be listed either, and is complained about there.
fn true_path(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// What is in a folder, hidden files left out, sorted; links last, so that a folder is found by its own path first.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read folder {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden {
            found.push(path);
        }
    }
    found.sort_by_cached_key(|path| (path.is_symlink(), path.clone()));
    Ok(found)
}

fn walk(folder: &Path, entered: &mut Entered, found: &mut Vec<PathBuf>) -> Result<()> {
    if !entered.enter(folder) {
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() {
            walk(&path, entered, found)?;
        } else if is_image(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    const KNOWN: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp"];
    path.extension()
        .is_some_and(|e| KNOWN.contains(&e.to_string_lossy().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests;
