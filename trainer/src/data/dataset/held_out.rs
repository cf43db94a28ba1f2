//! Which scenes are held out of training.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::overlap::Scene;
use super::{Dataset, Pair, Photo, Split};
use crate::data::hash::name_hash;

/// Changing it changes every validation set, so that scores of older runs no longer compare.
const SPLIT_SEED: u64 = 0xd1f0_0001;

/// Holds scenes out. The truth of a pair may be a clean photo under another name (Rain100L's backgrounds are photos
/// of BSDS), so scenes are compared by content, and a scene that is held out of one list is held out of all lists.
pub(super) fn divide(clean: Vec<Arc<Photo>>, pairs: [Vec<Pair>; 3], validation: usize) -> Dataset {
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

/// A number for each scene.
fn scenes(photos: &[&Arc<Photo>]) -> HashMap<*const Photo, usize> {
    let unique: BTreeMap<*const Photo, usize> = photos
        .iter()
        .enumerate()
        .rev()
        .map(|(at, photo)| (Arc::as_ptr(photo), at))
        .collect();
    let mut order: Vec<usize> = unique.into_values().collect();
    order.sort_unstable();
    let prints: Vec<(usize, Scene)> = order
        .par_iter()
        .map(|&at| (at, Scene::of(photos[at])))
        .collect();
    let mut known: Vec<Scene> = Vec::new();
    let mut found = HashMap::new();
    for (at, print) in prints {
        let scene = known.iter().position(|scene| scene.is(&print));
        let scene = scene.unwrap_or_else(|| {
            known.push(print);
            known.len() - 1
        });
        found.insert(Arc::as_ptr(photos[at]), scene);
    }
    found
}

/// Whether a photo is among the quarter of its folder that is kept for measuring, told by its file's name.
pub fn reserved(file: &Path) -> bool {
    stem_hash(file).is_multiple_of(4)
}

/// A number for a file's name without its extension.
pub(crate) fn stem_hash(file: &Path) -> u64 {
    hash(&file.file_stem().unwrap_or_default().to_string_lossy())
}

fn hash(name: &str) -> u64 {
    name_hash(name, SPLIT_SEED)
}
