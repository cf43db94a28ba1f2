//! Photos for training: folders of clean ones and folders of pairs, decoded once and kept in memory as 8 bit.

use crate::rgb::{Rgb, decode};
use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the training photos are and how they are used: the `[data]` table of a training configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Folders of clean photos, searched recursively.
    pub clean: Vec<PathBuf>,
    /// Folders of rainy photos with their truth, in any layout of [`find_pairs`].
    pub rain_pairs: Vec<PathBuf>,
    /// Folders of hazy photos with their truth.
    pub haze_pairs: Vec<PathBuf>,
    /// Folders of pairs with any other degradation.
    pub pairs: Vec<PathBuf>,
    /// Photos held out of training, chosen by a hash of their name, the same in every run. Pairs are held out by
    /// scene, at most a tenth of each kind's scenes.
    pub validation: usize,
    /// How often each task is drawn.
    pub tasks: TaskWeights,
    /// Share of the rain and haze samples that come from real pairs, 0..=1, where there are both.
    pub real_share: f32,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            clean: Vec::new(),
            rain_pairs: Vec::new(),
            haze_pairs: Vec::new(),
            pairs: Vec::new(),
            validation: 24,
            tasks: TaskWeights::default(),
            real_share: 0.5,
        }
    }
}

/// Relative frequencies of the tasks. Zero leaves a task out; the sum is free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskWeights {
    /// Gaussian noise.
    pub noise: f32,
    /// Gaussian blur.
    pub blur: f32,
    /// Rain.
    pub rain: f32,
    /// Haze.
    pub haze: f32,
    /// Clean photos that must come back unchanged.
    pub clean: f32,
    /// Other pairs; without effect where none are configured.
    pub pairs: f32,
}

impl Default for TaskWeights {
    fn default() -> Self {
        Self {
            noise: 1.0,
            blur: 1.0,
            rain: 1.0,
            haze: 1.0,
            clean: 0.1,
            pairs: 1.0,
        }
    }
}

/// One decoded photo: interleaved 8-bit RGB, sRGB-encoded.
#[derive(Debug)]
pub struct Photo {
    /// Path inside its folder.
    pub name: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` samples.
    pub samples: Vec<u8>,
}

impl Photo {
    /// Reads a file; alpha is dropped, 16 bit becomes 8. Errors name the file.
    pub fn load(path: &Path, name: String) -> Result<Self> {
        let decoded = decode(path)?.into_rgb8();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        if width == 0 || height == 0 {
            bail!("{} has no pixels", path.display());
        }
        Ok(Self {
            name,
            width,
            height,
            samples: decoded.into_raw(),
        })
    }

    /// The rectangle with its corner at (`x`, `y`), which may reach outside: there the photo continues mirrored.
    pub fn patch(&self, x: isize, y: isize, width: usize, height: usize) -> Rgb {
        use crate::degrade::blur::mirror;
        let columns: Vec<usize> = (0..width)
            .map(|dx| mirror(x + dx as isize, self.width) * 3)
            .collect();
        let mut pixels = Vec::with_capacity(width * height * 3);
        for dy in 0..height {
            let row = mirror(y + dy as isize, self.height) * self.width * 3;
            for column in &columns {
                let at = row + column;
                pixels.extend(
                    self.samples[at..at + 3]
                        .iter()
                        .map(|&v| f32::from(v) / 255.0),
                );
            }
        }
        Rgb {
            width,
            height,
            pixels,
        }
    }
}

/// A degraded photo and its truth, of equal size.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What the network is given.
    pub degraded: Arc<Photo>,
    /// What it should return. Several pairs may share it.
    pub clean: Arc<Photo>,
}

/// A list divided for good: no scene is in both halves.
#[derive(Clone, Debug)]
pub struct Split<T> {
    /// For training.
    pub train: Vec<T>,
    /// For validation.
    pub held_out: Vec<T>,
}

/// All photos of a configuration.
#[derive(Debug)]
pub struct Dataset {
    /// Clean photos.
    pub clean: Split<Arc<Photo>>,
    /// Rain pairs.
    pub rain: Split<Pair>,
    /// Haze pairs.
    pub haze: Split<Pair>,
    /// Other pairs.
    pub pairs: Split<Pair>,
}

impl Dataset {
    /// Reads and decodes everything in parallel. An unreadable photo, an input without a truth, a pair of unequal
    /// size or an empty folder is an error that names it.
    pub fn load(config: &DataConfig) -> Result<Self> {
        let clean = load_clean(&config.clean)?;
        let rain = load_pairs(&config.rain_pairs)?;
        let haze = load_pairs(&config.haze_pairs)?;
        let pairs = load_pairs(&config.pairs)?;
        if clean.is_empty() && rain.is_empty() && haze.is_empty() && pairs.is_empty() {
            bail!("the configuration names no folder of photos");
        }
        Ok(divide(clean, [rain, haze, pairs], config.validation))
    }

    /// Bytes of decoded photos, shared truths counted once.
    pub fn bytes(&self) -> usize {
        let mut seen = HashSet::new();
        let clean = self.clean.train.iter().chain(&self.clean.held_out);
        let pairs = [&self.rain, &self.haze, &self.pairs]
            .into_iter()
            .flat_map(|split| split.train.iter().chain(&split.held_out))
            .flat_map(|pair| [&pair.degraded, &pair.clean]);
        clean
            .chain(pairs)
            .filter(|photo| seen.insert(Arc::as_ptr(photo)))
            .map(|photo| photo.samples.len())
            .sum()
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
}

/// Image files under `folder`, recursive, sorted by path. An empty or unreadable folder is an error.
pub fn find_images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(folder, &mut found)?;
    if found.is_empty() {
        bail!("no images in {}", folder.display());
    }
    found.sort();
    Ok(found)
}

/// Pairs under `folder`, sorted by the degraded file. The layouts, told apart by their folders' names:
///
/// - `input/` and `target/`: equal names;
/// - `hazy/` or `synthetic/` with `gt/`, `clear/` or `original/`: the truth is named by the text before the first `_`;
/// - `rainy/rain-001.png` with `norain-001.png` in `norain/`, in `rainy/` or beside it, or of an equal name there.
///
/// Extensions may differ. An input without a truth is an error; a truth without an input is left alone.
pub fn find_pairs(folder: &Path) -> Result<Vec<PairFiles>> {
    let layouts: [(&str, &[&str], Key); 4] = [
        ("input", &["target"], Key::Equal),
        ("hazy", &["gt", "clear", "original"], Key::BeforeUnderscore),
        (
            "synthetic",
            &["original", "clear", "gt"],
            Key::BeforeUnderscore,
        ),
        ("rainy", &["norain", "target", "gt", "."], Key::NoRain),
    ];
    for (degraded, truths, key) in layouts {
        let inputs = folder.join(degraded);
        if !inputs.is_dir() {
            continue;
        }
        if let Some(truth) = truths
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_dir())
        {
            return match_pairs(&inputs, &truth, key);
        }
    }
    bail!(
        "{} has no pairs: expected input/ + target/, hazy/ + gt/ or rainy/ + norain/ in it",
        folder.display()
    )
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
            Self::Equal => vec![stem.to_path_buf()],
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

fn match_pairs(inputs: &Path, truths: &Path, key: Key) -> Result<Vec<PairFiles>> {
    let stem_of =
        |root: &Path, path: &Path| path.strip_prefix(root).unwrap_or(path).with_extension("");
    let by_stem: HashMap<PathBuf, PathBuf> = find_images(truths)?
        .into_iter()
        .map(|path| (stem_of(truths, &path), path))
        .collect();
    let mut pairs = Vec::new();
    for degraded in find_images(inputs)? {
        let is_truth = degraded
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("norain"));
        if key == Key::NoRain
            && is_truth
            && !truths.starts_with(inputs)
            && inputs.starts_with(truths)
        {
            // Both kinds lie in one folder: this one is a truth.
            continue;
        }
        let stem = stem_of(inputs, &degraded);
        let clean = key
            .candidates(&stem)
            .iter()
            .find_map(|candidate| by_stem.get(candidate))
            .with_context(|| {
                format!(
                    "{} has no truth in {}",
                    degraded.display(),
                    truths.display()
                )
            })?;
        let name = degraded
            .strip_prefix(inputs)
            .unwrap_or(&degraded)
            .to_string_lossy()
            .into_owned();
        pairs.push(PairFiles {
            name,
            clean: clean.clone(),
            degraded,
        });
    }
    Ok(pairs)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read folder {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read folder {}", folder.display()))?
            .path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, found)?;
        } else if is_image(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    const KNOWN: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];
    path.extension()
        .is_some_and(|e| KNOWN.contains(&e.to_string_lossy().to_ascii_lowercase().as_str()))
}

fn load_clean(folders: &[PathBuf]) -> Result<Vec<Arc<Photo>>> {
    let mut files = Vec::new();
    for folder in folders {
        for path in find_images(folder)? {
            let name = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            files.push((path, name));
        }
    }
    files
        .into_par_iter()
        .map(|(path, name)| Ok(Arc::new(Photo::load(&path, name)?)))
        .collect()
}

fn load_pairs(folders: &[PathBuf]) -> Result<Vec<Pair>> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(find_pairs(folder)?);
    }
    let truths: BTreeSet<&PathBuf> = files.iter().map(|pair| &pair.clean).collect();
    let truths: HashMap<&PathBuf, Arc<Photo>> = truths
        .into_par_iter()
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok((path, Arc::new(Photo::load(path, name)?)))
        })
        .collect::<Result<_>>()?;
    files
        .par_iter()
        .map(|pair| {
            let clean = Arc::clone(&truths[&pair.clean]);
            let degraded = Arc::new(Photo::load(&pair.degraded, pair.name.clone())?);
            if (degraded.width, degraded.height) != (clean.width, clean.height) {
                bail!(
                    "{} is {} x {}, but its truth {} is {} x {}",
                    pair.degraded.display(),
                    degraded.width,
                    degraded.height,
                    pair.clean.display(),
                    clean.width,
                    clean.height
                );
            }
            Ok(Pair { degraded, clean })
        })
        .collect()
}

/// Changing it changes every validation set, so that scores of older runs no longer compare.
const SPLIT_SEED: u64 = 0xd1f0_0001;

/// Holds scenes out. The truth of a pair may be a clean photo under another name (Rain100L's backgrounds are photos
/// of BSDS), so scenes are told by content, and a scene held out of one list is held out of all.
fn divide(clean: Vec<Arc<Photo>>, pairs: [Vec<Pair>; 3], validation: usize) -> Dataset {
    let truths: Vec<&Arc<Photo>> = clean
        .iter()
        .chain(pairs.iter().flatten().map(|pair| &pair.clean))
        .collect();
    let scene_of = scenes(&truths);
    let scene = |photo: &Arc<Photo>| scene_of[&Arc::as_ptr(photo)];

    let mut held = HashSet::new();
    held.extend(choose(
        clean
            .iter()
            .map(|photo| (scene(photo), photo.name.as_str())),
        validation,
        2,
    ));
    for list in &pairs {
        held.extend(choose(
            list.iter()
                .map(|pair| (scene(&pair.clean), pair.clean.name.as_str())),
            validation,
            10,
        ));
    }

    let (mut held_out, train): (Vec<_>, Vec<_>) = clean
        .iter()
        .cloned()
        .partition(|photo| held.contains(&scene(photo)));
    // In the order of their hashes, so that the first few already come from every folder.
    held_out.sort_by_key(|photo| hash(&photo.name));
    let clean_split = Split { train, held_out };
    let [rain, haze, pairs] = pairs.map(|list| {
        let (mut held_out, train): (Vec<_>, Vec<_>) = list
            .into_iter()
            .partition(|pair| held.contains(&scene(&pair.clean)));
        held_out.sort_by_key(|pair| hash(&pair.degraded.name));
        Split { train, held_out }
    });
    Dataset {
        clean: clean_split,
        rain,
        haze,
        pairs,
    }
}

/// The `wanted` scenes of a list with the lowest hashes, but never more than one in `share` of them.
fn choose<'a>(
    list: impl Iterator<Item = (usize, &'a str)>,
    wanted: usize,
    share: usize,
) -> Vec<usize> {
    let mut order = BTreeMap::new();
    for (scene, name) in list {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        order.entry(scene).or_insert_with(|| hash(stem));
    }
    let limit = if order.len() < 2 {
        0
    } else {
        (order.len() / share).max(1)
    };
    let mut order: Vec<_> = order
        .into_iter()
        .map(|(scene, hash)| (hash, scene))
        .collect();
    order.sort_unstable();
    order
        .into_iter()
        .take(wanted.min(limit))
        .map(|(_, scene)| scene)
        .collect()
}

/// A number for each scene. Two photos are one scene when their 16 x 16 thumbnails agree.
fn scenes(photos: &[&Arc<Photo>]) -> HashMap<*const Photo, usize> {
    // Recompression moves the mean difference by less than a level; other photos differ by ten and more.
    const SAME: i32 = 2 * SIDE as i32 * SIDE as i32;
    let unique: BTreeMap<*const Photo, usize> = photos
        .iter()
        .enumerate()
        .rev()
        .map(|(at, photo)| (Arc::as_ptr(photo), at))
        .collect();
    let mut order: Vec<usize> = unique.into_values().collect();
    order.sort_unstable();
    let prints: Vec<(usize, Thumbnail)> = order
        .par_iter()
        .map(|&at| (at, thumbnail(photos[at])))
        .collect();
    let mut known: Vec<(f32, Thumbnail)> = Vec::new();
    let mut found = HashMap::new();
    for (at, print) in prints {
        let photo = photos[at];
        let aspect = photo.width as f32 / photo.height as f32;
        let same = |(a, p): &(f32, Thumbnail)| {
            (a / aspect - 1.0).abs() < 0.01 && distance(p, &print) < SAME
        };
        let scene = known.iter().position(same).unwrap_or_else(|| {
            known.push((aspect, print));
            known.len() - 1
        });
        found.insert(Arc::as_ptr(photo), scene);
    }
    found
}

const SIDE: usize = 16;

type Thumbnail = [[u8; SIDE]; SIDE];

fn thumbnail(photo: &Photo) -> Thumbnail {
    // At least one pixel a cell, however small the photo.
    let span = |cell: usize, size: usize| {
        let from = cell * size / SIDE;
        from..((cell + 1) * size / SIDE).max(from + 1)
    };
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let (columns, rows) = (span(column, photo.width), span(row, photo.height));
            let count = 3 * columns.len() * rows.len();
            let sum: usize = rows
                .flat_map(|y| {
                    let at = y * photo.width;
                    &photo.samples[(at + columns.start) * 3..(at + columns.end) * 3]
                })
                .map(|&v| usize::from(v))
                .sum();
            (sum / count) as u8
        })
    })
}

fn distance(a: &Thumbnail, b: &Thumbnail) -> i32 {
    a.as_flattened()
        .iter()
        .zip(b.as_flattened())
        .map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs())
        .sum()
}

/// FNV-1a with a final mix: short, and the same on every platform and in every release.
fn hash(name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ SPLIT_SEED;
    let folded = name.bytes().fold(start, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    crate::sample::mix(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, shade: u32) {
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("temporary folder");
        let image = image::RgbImage::from_fn(40, 30, |x, y| {
            let v = (x * 7 + y * 13 + shade * (x + 3) * (y + 5)) % 256;
            image::Rgb([v as u8, (v / 2) as u8, (255 - v) as u8])
        });
        image.save(path).expect("temporary file");
    }

    fn names(folder: &Path) -> Vec<(String, String)> {
        let file = |path: &Path| {
            path.file_name()
                .expect("file")
                .to_string_lossy()
                .into_owned()
        };
        find_pairs(folder)
            .expect("pairs")
            .iter()
            .map(|p| (p.name.clone(), file(&p.clean)))
            .collect()
    }

    #[test]
    fn knows_the_layouts() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        for name in [
            "a/input/x.jpg",
            "a/target/x.png",
            "b/hazy/0025_0.8_0.04.jpg",
            "b/hazy/0025_1.png",
        ] {
            write(&root.join(name), 1);
        }
        for name in [
            "b/gt/0025.png",
            "c/rainy/rain-001.png",
            "c/norain/norain-001.png",
        ] {
            write(&root.join(name), 1);
        }
        for name in [
            "d/synthetic/part1/7_0.9_0.1.jpg",
            "d/original/7.jpg",
            "e/rainy/rain-2.png",
            "e/norain-2.png",
        ] {
            write(&root.join(name), 1);
        }
        for name in ["f/rainy/rain-3.png", "f/rainy/norain-3.png"] {
            write(&root.join(name), 1);
        }
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(names(&root.join("a")), [pair("x.jpg", "x.png")]);
        assert_eq!(
            names(&root.join("b")),
            [
                pair("0025_0.8_0.04.jpg", "0025.png"),
                pair("0025_1.png", "0025.png")
            ]
        );
        assert_eq!(
            names(&root.join("c")),
            [pair("rain-001.png", "norain-001.png")]
        );
        assert_eq!(
            names(&root.join("d")),
            [pair("part1/7_0.9_0.1.jpg", "7.jpg")]
        );
        assert_eq!(names(&root.join("e")), [pair("rain-2.png", "norain-2.png")]);
        assert_eq!(names(&root.join("f")), [pair("rain-3.png", "norain-3.png")]);
    }

    #[test]
    fn broken_and_missing_files_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        write(&root.join("clean/good.png"), 1);
        std::fs::write(root.join("clean/bad.png"), b"not an image").expect("temporary file");
        let config = DataConfig {
            clean: vec![root.join("clean")],
            ..DataConfig::default()
        };
        assert!(format!("{:#}", Dataset::load(&config).expect_err("broken")).contains("bad.png"));

        write(&root.join("pairs/input/alone.png"), 1);
        write(&root.join("pairs/target/other.png"), 1);
        let error = find_pairs(&root.join("pairs")).expect_err("no truth");
        assert!(format!("{error:#}").contains("alone.png"));
        assert!(
            format!(
                "{:#}",
                find_images(&root.join("nowhere")).expect_err("missing")
            )
            .contains("nowhere")
        );
    }

    #[test]
    fn a_scene_is_held_out_of_every_list() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        for shade in 0..20 {
            write(&root.join(format!("clean/{shade}.png")), shade);
            write(
                &root.join(format!("rain/target/norain-{}.png", shade + 50)),
                shade,
            );
            write(
                &root.join(format!("rain/input/norain-{}.png", shade + 50)),
                shade,
            );
        }
        let config = DataConfig {
            clean: vec![root.join("clean")],
            rain_pairs: vec![root.join("rain")],
            validation: 4,
            ..DataConfig::default()
        };
        let data = Dataset::load(&config).expect("readable");
        assert!(data.clean.held_out.len() >= 4 && data.clean.held_out.len() <= 6);
        assert_eq!(data.clean.held_out.len(), data.rain.held_out.len());
        assert_eq!(data.clean.train.len() + data.clean.held_out.len(), 20);
        let held: HashSet<&[u8]> = data
            .clean
            .held_out
            .iter()
            .map(|photo| photo.samples.as_slice())
            .collect();
        assert!(
            data.rain
                .train
                .iter()
                .all(|pair| !held.contains(pair.clean.samples.as_slice()))
        );
        assert!(
            data.rain
                .held_out
                .iter()
                .all(|pair| held.contains(pair.clean.samples.as_slice()))
        );
    }

    #[test]
    fn a_patch_beyond_the_photo_is_mirrored() {
        let photo = Photo {
            name: String::new(),
            width: 3,
            height: 1,
            samples: vec![0, 0, 0, 10, 10, 10, 20, 20, 20],
        };
        let patch = photo.patch(-1, -2, 6, 4);
        let row: Vec<f32> = (0..6)
            .map(|x| (patch.pixel(x, 3)[0] * 255.0).round())
            .collect();
        assert_eq!(row, [10.0, 0.0, 10.0, 20.0, 10.0, 0.0]);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<DataConfig>("valdation = 3").is_err());
        let config: DataConfig =
            toml::from_str("clean = ['a']\n[tasks]\nhaze = 0.0").expect("valid");
        assert_eq!((config.tasks.haze, config.tasks.noise), (0.0, 1.0));
    }
}
