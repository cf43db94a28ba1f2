//! Makes a pack of folders.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dino_ir::restore::Area;
use rayon::prelude::*;

use super::super::layout::PairFiles;
use super::super::overlap::Scenes;
use super::super::{DataConfig, Photo, clean_files, ensure_same_size, pair_files};
use super::{Entry, FORMAT, LIST, List, PairEntry, archive};
use crate::host::atomic::write_atomically;

/// What is in a new pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Clean photos.
    pub clean: usize,
    /// Pairs: rain, haze, others.
    pub pairs: [usize; 3],
    /// Left out, because their scenes are excluded.
    pub excluded: usize,
    /// Bytes of the file.
    pub bytes: usize,
}

/// Packs what the configuration's folders hold, without the scenes that it excludes, into a new file. Every photo is
/// decoded once, so that a broken one is found here.
///
/// # Errors
/// As for training on the folders; if the file is there, or cannot be written.
pub fn pack(config: &DataConfig, out: &Path) -> Result<Packed> {
    ensure!(
        !out.exists(),
        "{}: is there already; remove it or choose another name",
        out.display()
    );
    let tested = Scenes::of_folders(&config.exclude)?;
    let clean = clean_files(&config.clean, &config.reserve)?;
    let clean: Vec<Option<Source>> = clean
        .into_par_iter()
        .map(|(pair, name)| Ok(truth(&pair, name, &tested)?.map(|(source, _)| source)))
        .collect::<Result<_>>()?;
    let mut files = Files::default();
    let mut list = List {
        format: FORMAT,
        ..List::default()
    };
    let mut excluded = 0;
    for source in clean {
        match source {
            Some(source) => list.clean.push(files.entry(source)),
            None => excluded += 1,
        }
    }
    for (folders, entries) in [
        (&config.rain_pairs, &mut list.rain),
        (&config.haze_pairs, &mut list.haze),
        (&config.pairs, &mut list.pairs),
    ] {
        let pairs = pair_files(folders)?;
        let pairs = pairs.par_iter().map(|pair| sources(pair, &tested));
        for pair in pairs.collect::<Result<Vec<_>>>()? {
            match pair {
                Some([degraded, clean]) => entries.push(PairEntry {
                    degraded: files.entry(degraded),
                    clean: files.entry(clean),
                }),
                None => excluded += 1,
            }
        }
    }
    ensure!(
        !files.names.is_empty(),
        "{}: there are no photos to pack",
        out.display()
    );
    let bytes = archive::write(&contents(&list, &files)?)?;
    write_atomically(out, &bytes)
        .with_context(|| format!("{}: cannot write the pack", out.display()))?;
    Ok(Packed {
        clean: list.clean.len(),
        pairs: [list.rain.len(), list.haze.len(), list.pairs.len()],
        excluded,
        bytes: bytes.len(),
    })
}

/// A photo on disk, or a part of one.
struct Source {
    name: String,
    path: PathBuf,
    area: Option<Area>,
}

/// The truth of a pair, or a clean photo; none if its scene is excluded.
fn truth(pair: &PairFiles, name: String, tested: &Scenes) -> Result<Option<(Source, Photo)>> {
    let photo = Photo::load(&pair.clean, name.clone())?;
    let source = Source {
        name,
        path: pair.clean.clone(),
        area: pair.truth((photo.width, photo.height)),
    };
    let photo = photo.truth(pair);
    Ok((!tested.contain(&photo)).then_some((source, photo)))
}

/// The degraded photo and the truth of a pair; none if its scene is excluded.
fn sources(pair: &PairFiles, tested: &Scenes) -> Result<Option<[Source; 2]>> {
    let name = pair.clean.file_name().unwrap_or_default();
    let Some((clean, photo)) = truth(pair, name.to_string_lossy().into_owned(), tested)? else {
        return Ok(None);
    };
    let degraded = Photo::load(&pair.degraded, pair.name.clone())?;
    let size = (degraded.width, degraded.height);
    let source = Source {
        name: pair.name.clone(),
        path: pair.degraded.clone(),
        area: pair.half.map(|half| half.area(size)),
    };
    let degraded = match pair.half {
        Some(half) => degraded.half(half),
        None => degraded,
    };
    ensure_same_size(pair, &degraded, &photo)?;
    Ok(Some([source, clean]))
}

/// Files by the names that they have in the archive.
#[derive(Default)]
struct Files {
    names: BTreeMap<PathBuf, String>,
    /// In the order of the list.
    order: Vec<PathBuf>,
}

impl Files {
    /// Adds a photo's file if it is new.
    fn entry(&mut self, source: Source) -> Entry {
        let file = match self.names.get(&source.path) {
            Some(name) => name.clone(),
            None => {
                // Numbered, because folders may hold files of equal names.
                let own = source.path.file_name().unwrap_or_default();
                let name = format!("photos/{:05}-{}", self.order.len(), printable(own));
                self.names.insert(source.path.clone(), name.clone());
                self.order.push(source.path);
                name
            }
        };
        Entry {
            name: source.name,
            file,
            area: source
                .area
                .map(|area| [area.x, area.y, area.width, area.height]),
        }
    }
}

/// A file's name without what would upset a list of names.
fn printable(name: &OsStr) -> String {
    let plain = |letter: char| match letter.is_control() || letter == '\\' {
        true => '_',
        false => letter,
    };
    name.to_string_lossy().chars().map(plain).collect()
}

/// The list and the files that it names, as they are.
fn contents(list: &List, files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    let list = (LIST.to_owned(), serde_json::to_vec(list)?);
    let photos = files.order.iter().map(|path| {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((files.names[path].clone(), bytes))
    });
    std::iter::once(Ok(list)).chain(photos).collect()
}
