//! Photos for training: folders of clean ones and folders of pairs, decoded once and kept in memory as 8 bit.

mod agree;
pub mod check;
mod config;
mod held_out;
pub mod layout;
mod overlap;
pub mod pack;
mod photo;
mod side_by_side;

pub use config::{DataConfig, TaskWeights};
pub use held_out::reserved;
pub(crate) use held_out::stem_hash;
pub use layout::{PairFiles, find_images, find_pairs};
pub use photo::Photo;

use anyhow::{Context, Result, bail, ensure};
use held_out::divide;
use layout::Half;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

#[cfg(test)]
impl<T> Split<T> {
    /// Nothing to draw from.
    pub fn none() -> Self {
        Self {
            train: Vec::new(),
            held_out: Vec::new(),
        }
    }
}

#[cfg(test)]
impl Dataset {
    /// Clean photos to train with, and nothing else.
    pub fn of_clean(photos: impl IntoIterator<Item = Arc<Photo>>) -> Self {
        Self {
            clean: Split {
                train: photos.into_iter().collect(),
                held_out: Vec::new(),
            },
            rain: Split::none(),
            haze: Split::none(),
            pairs: Split::none(),
        }
    }
}

impl Dataset {
    /// Reads and decodes everything in parallel. An unreadable photo, an input without a truth, a pair of unequal
    /// size or an empty folder is an error that names it.
    pub fn load(config: &DataConfig) -> Result<Self> {
        ensure!(
            (0.0..=255.0).contains(&config.agree),
            "agree must be between 0 and 255 levels, not {}",
            config.agree
        );
        let packed = config.pack.as_deref().map(pack::read).transpose()?;
        let pack::Unpacked {
            mut clean,
            mut rain,
            mut haze,
            mut pairs,
        } = packed.unwrap_or_default();
        clean.extend(load_clean(&config.clean, &config.reserve)?);
        rain.extend(load_pairs(&config.rain_pairs)?);
        haze.extend(load_pairs(&config.haze_pairs)?);
        pairs.extend(load_pairs(&config.pairs)?);
        if !config.exclude.is_empty() {
            let tested = overlap::Scenes::of_folders(&config.exclude)?;
            clean.retain(|photo| !tested.contain(photo));
            for list in [&mut rain, &mut haze, &mut pairs] {
                list.retain(|pair| !tested.contain(&pair.clean));
            }
        }
        if config.agree > 0.0 {
            let agreed = rain.into_par_iter().map(|pair| pair.agreed(config.agree));
            rain = agreed.collect();
        }
        if clean.is_empty() && rain.is_empty() && haze.is_empty() && pairs.is_empty() {
            bail!(
                "there are no photos to train on: the configuration names no folder and no pack, or all of it is excluded"
            );
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

/// Clean photos; of a folder of pairs, the truths. Without those that are kept for measuring.
fn load_clean(folders: &[PathBuf], reserve: &[PathBuf]) -> Result<Vec<Arc<Photo>>> {
    clean_files(folders, reserve)?
        .into_par_iter()
        .map(|(pair, name)| Ok(Arc::new(Photo::load(&pair.clean, name)?.truth(&pair))))
        .collect()
}

/// The files of clean photos, and how the photos are called.
fn clean_files(folders: &[PathBuf], reserve: &[PathBuf]) -> Result<Vec<(PairFiles, String)>> {
    let mut kept = Vec::new();
    for folder in reserve {
        // However a folder is written, it is the same: a photo to measure with must not be trained on.
        kept.push(folder.canonicalize().with_context(|| {
            format!(
                "{}: there is nothing to keep for measuring; correct reserve",
                folder.display()
            )
        })?);
    }
    let is_kept = |file: &Path| {
        let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
        folder.is_some_and(|folder| kept.iter().any(|kept| folder.starts_with(kept)))
    };
    let mut files = Vec::new();
    for folder in folders {
        for pair in layout::truths(folder)? {
            if reserved(&pair.clean) && is_kept(&pair.clean) {
                continue;
            }
            let name = pair.clean.strip_prefix(folder).unwrap_or(&pair.clean);
            let name = name.to_string_lossy().into_owned();
            files.push((pair, name));
        }
    }
    Ok(files)
}

fn pair_files(folders: &[PathBuf]) -> Result<Vec<PairFiles>> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(find_pairs(folder)?);
    }
    Ok(files)
}

fn load_pairs(folders: &[PathBuf]) -> Result<Vec<Pair>> {
    let files = pair_files(folders)?;
    // A truth that several pairs share is read once.
    let truths: BTreeMap<(&PathBuf, Option<Half>), &PairFiles> = files
        .iter()
        .map(|pair| ((&pair.clean, pair.half), pair))
        .collect();
    let truths: HashMap<_, Arc<Photo>> = truths
        .into_par_iter()
        .map(|(key, pair)| {
            let name = pair.clean.file_name().unwrap_or_default();
            let photo = Photo::load(&pair.clean, name.to_string_lossy().into_owned())?;
            Ok((key, Arc::new(photo.truth(pair))))
        })
        .collect::<Result<_>>()?;
    files
        .par_iter()
        .map(|pair| {
            let clean = Arc::clone(&truths[&(&pair.clean, pair.half)]);
            let degraded = Photo::load(&pair.degraded, pair.name.clone())?;
            let degraded = Arc::new(match pair.half {
                Some(half) => degraded.half(half),
                None => degraded,
            });
            ensure_same_size(pair, &degraded, &clean)?;
            Ok(Pair { degraded, clean })
        })
        .collect()
}

fn ensure_same_size(files: &PairFiles, degraded: &Photo, clean: &Photo) -> Result<()> {
    ensure!(
        (degraded.width, degraded.height) == (clean.width, clean.height),
        "{} is {} x {}, but its truth {} is {} x {}",
        files.degraded.display(),
        degraded.width,
        degraded.height,
        files.clean.display(),
        clean.width,
        clean.height
    );
    Ok(())
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
    fn what_is_kept_for_measuring_is_kept_however_its_folder_is_written() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let photos = folder.path().join("photos");
        for number in 0..40 {
            write(&photos.join(format!("{number}.png")), number);
        }
        let again = photos.join("../photos");
        let count = |reserve: &[PathBuf]| {
            let files = clean_files(std::slice::from_ref(&photos), reserve)?;
            assert!(reserve.is_empty() || !files.iter().any(|(pair, _)| reserved(&pair.clean)));
            anyhow::Ok(files.len())
        };
        assert_eq!(count(&[]).expect("all"), 40);
        let kept = 40 - count(std::slice::from_ref(&photos)).expect("most");
        assert!((1..20).contains(&kept), "{kept}");
        assert_eq!(count(&[again]).expect("most"), 40 - kept);
        let error = count(&[photos.join("nowhere")]).expect_err("a wrong name");
        assert!(format!("{error:#}").contains("nowhere: there is nothing to keep"));
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
}
