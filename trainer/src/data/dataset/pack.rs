//! A training set in one file: a tar archive of photos, each as it was on disk, a list that says what they are for,
//! and checksums of all of it, which `sha256sum -c` understands too.
//!
//! The list keeps the names and the order in which folders are read, so that a pack gives the samples that its folders
//! give.

mod archive;
mod write;

pub use write::{Packed, pack};

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dino_ir::restore::Area;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::archive::Archive;
use super::{Pair, Photo};
use crate::host::interrupt;

/// The list's name in the archive.
const LIST: &str = "pack.json";
/// The version of the list that this program writes and reads.
const FORMAT: u32 = 1;

/// What the archive's photos are for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    format: u32,
    clean: Vec<Entry>,
    rain: Vec<PairEntry>,
    haze: Vec<PairEntry>,
    pairs: Vec<PairEntry>,
}

/// A photo: a file in the archive, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Entry {
    /// As the folder's photo would be called.
    name: String,
    /// In the archive.
    file: String,
    /// Left, top, width and height of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<[usize; 4]>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PairEntry {
    degraded: Entry,
    clean: Entry,
}

/// The photos of a pack.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub clean: Vec<Arc<Photo>>,
    pub rain: Vec<Pair>,
    pub haze: Vec<Pair>,
    pub pairs: Vec<Pair>,
}

/// Reads and decodes a pack in parallel.
///
/// # Errors
/// Names the file, and says what to do where it is cut, damaged, of another version or no pack.
pub(super) fn read(path: &Path) -> Result<Unpacked> {
    let bytes = fs::read(path).with_context(|| format!("{}: cannot read it", path.display()))?;
    let unpacked = unpack(&bytes);
    unpacked.with_context(|| {
        format!(
            "{}: no usable pack of photos; make it with `trainer data pack`",
            path.display()
        )
    })
}

fn unpack(bytes: &[u8]) -> Result<Unpacked> {
    let archive = Archive::open(bytes)?;
    let list = read_list(&archive)?;
    let lists = [&list.rain, &list.haze, &list.pairs];
    let pairs = lists.into_iter().flatten();
    let entries: BTreeSet<&Entry> = list
        .clean
        .iter()
        .chain(pairs.flat_map(|pair| [&pair.degraded, &pair.clean]))
        .collect();
    // What several lists share is read once.
    let photos: BTreeMap<&Entry, Arc<Photo>> = entries
        .into_par_iter()
        .map(|entry| {
            ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
            let photo = load(&archive, entry).with_context(|| entry.file.clone())?;
            Ok((entry, Arc::new(photo)))
        })
        .collect::<Result<_>>()?;
    let pairs = |entries: &[PairEntry]| -> Result<Vec<Pair>> {
        let pair = |entry: &PairEntry| {
            let [degraded, clean] =
                [&entry.degraded, &entry.clean].map(|entry| Arc::clone(&photos[entry]));
            ensure!(
                (degraded.width, degraded.height) == (clean.width, clean.height),
                "{} has another size than its truth",
                entry.degraded.file
            );
            Ok(Pair { degraded, clean })
        };
        entries.iter().map(pair).collect()
    };
    Ok(Unpacked {
        rain: pairs(&list.rain)?,
        haze: pairs(&list.haze)?,
        pairs: pairs(&list.pairs)?,
        clean: list
            .clean
            .iter()
            .map(|entry| Arc::clone(&photos[entry]))
            .collect(),
    })
}

fn read_list(archive: &Archive<'_>) -> Result<List> {
    /// Of another version the rest may look different.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let text = archive.file(LIST)?;
    let Version { format } = serde_json::from_slice(text).with_context(|| LIST.to_owned())?;
    ensure!(
        format == FORMAT,
        "it is of version {format}, and this program reads version {FORMAT}"
    );
    serde_json::from_slice(text).with_context(|| LIST.to_owned())
}

fn load(archive: &Archive<'_>, entry: &Entry) -> Result<Photo> {
    let photo = Photo::from_bytes(archive.file(&entry.file)?, entry.name.clone())?;
    let Some([x, y, width, height]) = entry.area else {
        return Ok(photo);
    };
    let within = |start: usize, length: usize, size: usize| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= size)
    };
    ensure!(
        within(x, width, photo.width) && within(y, height, photo.height),
        "its part is outside of it"
    );
    Ok(photo.crop(Area {
        x,
        y,
        width,
        height,
    }))
}

#[cfg(test)]
mod tests;
