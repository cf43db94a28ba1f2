//! Fills a module with the tensors of a file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::TensorData;
use dino_ir::weights::named::{apply, shapes};

use super::tensor_file::TensorFile;

/// Names listed in a complaint before the rest is only counted.
const LISTED: usize = 8;

/// The module with the values of a safetensors file that has our own names.
///
/// # Errors
/// As [`fill`].
pub fn load_named<M: Module>(module: M, bytes: &[u8]) -> Result<M> {
    fill(module, &TensorFile::from_bytes(bytes)?, str::to_owned)
}

/// The module with the file's values, if both have exactly the same tensors; `names` turns our names into the
/// file's.
///
/// # Errors
/// Names the missing, unknown and misshapen tensors.
pub fn fill<M: Module>(
    module: M,
    file: &TensorFile<'_>,
    names: impl Fn(&str) -> String,
) -> Result<M> {
    let expected: Vec<_> = shapes(&module)
        .into_iter()
        .map(|(ours, shape)| (names(&ours), ours, shape))
        .collect();
    let known: BTreeSet<&str> = expected.iter().map(|(name, ..)| name.as_str()).collect();
    let stored = &file.tensors;
    let missing = known.iter().filter(|name| !stored.contains_key(**name));
    let unknown = stored.keys().filter(|name| !known.contains(name.as_str()));
    let differences: Vec<String> = [
        listed("missing", missing.copied()),
        listed("unknown", unknown.map(String::as_str)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !differences.is_empty() {
        bail!("another network: {}", differences.join("; "));
    }
    // Shapes first: nothing is read from a file that does not fit.
    for (theirs, _, shape) in &expected {
        let found = &stored[theirs].shape;
        if found != shape {
            bail!("tensor {theirs:?} has shape {found:?}, the network needs {shape:?}");
        }
    }
    let mut values = BTreeMap::new();
    for (theirs, ours, shape) in expected {
        let data = stored[&theirs].values();
        let data = data.with_context(|| format!("tensor {theirs:?}"))?;
        values.insert(ours, TensorData::new(data, shape));
    }
    Ok(apply(module, &mut values))
}

/// `missing 12 tensors: a, b, ... and 4 more`; `None` for none.
pub fn listed<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(LISTED);
    let tail = match more {
        0 => String::new(),
        _ => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| {
        let shown = &names[..names.len() - more];
        format!("{what} {}: {}{tail}", names.len(), shown.join(", "))
    })
}
