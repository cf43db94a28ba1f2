//! `import`: weights of the published networks, from the files that their authors give out.

mod archive;
mod baseline;
mod checkpoint;
mod dinov2;
mod pickle;
mod restormer;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use dino_ir::weights::named::{apply, shapes};
use dino_ir::weights::published::{DINOV2, DINOV2_UNUSED, RESTORMER};
use dino_ir::weights::{Dtype, backbone_to_bytes, to_bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::baselines::{self, BaselineConfig, dncnn, nafnet};
use crate::restore::output;
use crate::weights;
use checkpoint::Checkpoint;

/// Names listed in a complaint before the rest is only counted.
const LISTED: usize = 8;

/// A network that others have published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Published {
    /// Meta's DINOv2: ViT-S, B, L and g, with and without registers
    Dinov2,
    /// The authors' Restormer for colour photos
    Restormer,
    /// DnCNN for colour photos, its batch norm merged
    Dncnn,
    /// NAFNet
    Nafnet,
}

impl Published {
    /// Where the official files are, and under which licence.
    pub fn origin(self) -> &'static str {
        match self {
            Self::Dinov2 => {
                "DINOv2 is published by Meta at https://github.com/facebookresearch/dinov2 under the \
                 Apache License 2.0. Files: https://dl.fbaipublicfiles.com/dinov2/NAME/NAME_pretrain.pth \
                 and NAME/NAME_reg4_pretrain.pth, NAME one of dinov2_vits14, dinov2_vitb14, dinov2_vitl14, \
                 dinov2_vitg14"
            }
            Self::Restormer => {
                "Restormer is published by its authors at https://github.com/swz30/Restormer (releases: \
                 deraining.pth, motion_deblurring.pth, gaussian_color_denoising_*.pth, real_denoising.pth) \
                 for academic use only: not for commercial use, not to be passed on with this program"
            }
            Self::Dncnn => {
                "DnCNN is published at https://github.com/cszn/KAIR (releases: dncnn_color_blind.pth) under \
                 the MIT License"
            }
            Self::Nafnet => {
                "NAFNet is published by its authors at https://github.com/megvii-research/NAFNet under the \
                 MIT License"
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dinov2 => "dinov2",
            Self::Restormer => "restormer",
            Self::Dncnn => "dncnn",
            Self::Nafnet => "nafnet",
        }
    }
}

/// What `import` needs to know.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Whose network it is.
    pub from: Published,
    /// Attention heads of a DINOv2 that is none of the published sizes; those have one for each 64
    /// channels.
    pub heads: Option<usize>,
    /// Numbers of the file written.
    pub dtype: Dtype,
    /// Overwrite a file that exists.
    pub force: bool,
}

/// Converts a published checkpoint, and says in a line what it was.
///
/// # Errors
/// One line that names the file: not a checkpoint, cut short, asking for code to be run, another
/// network (missing, unknown and misshapen tensors are named), not writable.
pub fn import(input: &Path, output: &Path, options: &ImportOptions) -> Result<String> {
    output::check(output, options.force)?;
    let bytes = weights::read(input)?;
    let imported = convert(&bytes, options)
        .with_context(|| format!("{}: cannot be imported", input.display()))?;
    output::write(output, options.force, |out| {
        Ok(out.write_all(&imported.bytes)?)
    })?;
    Ok(imported.what)
}

/// A converted file.
#[derive(Debug)]
pub struct Imported {
    /// A weights file.
    pub bytes: Vec<u8>,
    /// What it is, in a line, for people.
    pub what: String,
}

/// As [`import`], in memory.
///
/// # Errors
/// As [`import`], without the file's name.
pub fn convert(bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
    let mut checkpoint = Checkpoint::from_bytes(bytes)?;
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let provenance = json!({
        "made_by": concat!("trainer ", env!("CARGO_PKG_VERSION"), " import"),
        "from": options.from.name(),
        "origin": options.from.origin(),
        "sha256": digest,
    });
    if options.from != Published::Dinov2 && options.heads.is_some() {
        bail!("--heads is for dinov2: other files say it themselves");
    }
    let cpu = Device::flex();
    let (model_bytes, parameters, kind) = match options.from {
        Published::Dinov2 => {
            for name in DINOV2_UNUSED {
                checkpoint.tensors.remove(*name);
            }
            let config = dinov2::config(&checkpoint, options.heads)?;
            config.validate()?;
            let model = fill(config.init(&cpu), &checkpoint, |ours| DINOV2.theirs(ours))?;
            let bytes = backbone_to_bytes(&model, &config, options.dtype, provenance)?;
            (bytes, model.num_params(), dinov2::describe(&config))
        }
        Published::Restormer => {
            let config = restormer::config(&checkpoint)?;
            config.validate()?;
            let model = fill(config.init(&cpu), &checkpoint, |ours| {
                RESTORMER.theirs(ours)
            })?;
            let bytes = to_bytes(&model, &config, options.dtype, provenance)?;
            (bytes, model.num_params(), restormer::describe(&config))
        }
        Published::Dncnn => {
            let config = baseline::dncnn(&checkpoint)?;
            imported_baseline(&checkpoint, &config, dncnn::published_name, provenance)?
        }
        Published::Nafnet => {
            let config = baseline::nafnet(&checkpoint)?;
            imported_baseline(&checkpoint, &config, nafnet::published_name, provenance)?
        }
    };
    let nest = checkpoint
        .nest
        .map(|nest| format!(", found under {nest:?}"));
    Ok(Imported {
        bytes: model_bytes,
        what: format!(
            "{kind}: {:.2} M parameters{}",
            parameters as f64 / 1e6,
            nest.unwrap_or_default()
        ),
    })
}

/// Bytes, parameters and name of a baseline.
fn imported_baseline(
    checkpoint: &Checkpoint<'_>,
    config: &BaselineConfig,
    names: fn(&str) -> String,
    provenance: Value,
) -> Result<(Vec<u8>, usize, String)> {
    config.validate()?;
    let net = fill(config.init(&Device::flex()), checkpoint, names)?;
    let bytes = baselines::to_bytes(&net, config, provenance)?;
    Ok((bytes, net.num_params(), config.name().to_owned()))
}

/// The module with the values of a safetensors file that has our own names.
///
/// # Errors
/// As [`import`].
pub fn load_named<M: Module>(module: M, bytes: &[u8]) -> Result<M> {
    fill(module, &Checkpoint::from_bytes(bytes)?, str::to_owned)
}

/// The module with the checkpoint's values, if both have exactly the same tensors; `names` leads from our names to
/// the checkpoint's.
fn fill<M: Module>(
    module: M,
    checkpoint: &Checkpoint<'_>,
    names: impl Fn(&str) -> String,
) -> Result<M> {
    let expected: Vec<_> = shapes(&module)
        .into_iter()
        .map(|(ours, shape)| (names(&ours), ours, shape))
        .collect();
    let known: BTreeSet<&str> = expected.iter().map(|(name, ..)| name.as_str()).collect();
    let stored = &checkpoint.tensors;
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
fn listed<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
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

/// The shape of a tensor of a checkpoint that must be there, of so many extents.
fn shape_of<const D: usize>(checkpoint: &Checkpoint<'_>, name: &str) -> Result<[usize; D]> {
    let tensor = checkpoint.tensors.get(name).with_context(|| {
        let names = checkpoint.tensors.keys().map(String::as_str);
        let there = listed("there are", names).unwrap_or_default();
        format!("another network: tensor {name:?} is missing; {there}")
    })?;
    let shape = <[usize; D]>::try_from(tensor.shape.as_slice());
    shape.ok().with_context(|| {
        format!(
            "another network: tensor {name:?} has shape {:?}",
            tensor.shape
        )
    })
}

/// How many numbers follow `prefix` in the names: `prefix.0.x`, `prefix.1.x`.
fn count(checkpoint: &Checkpoint<'_>, prefix: &str) -> usize {
    let numbers = checkpoint.tensors.keys().filter_map(|name| {
        let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
        rest.split('.').next()?.parse::<usize>().ok()
    });
    // Distinct numbers, so that a wild one cannot ask for a wild net.
    numbers.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
