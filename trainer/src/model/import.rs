//! `import`: weights of the published networks, from the files that their authors give out.

mod baseline;
mod dinov2;
mod restormer;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use dino_ir::weights::published::{DINOV2, DINOV2_UNUSED, RESTORMER};
use dino_ir::weights::{Dtype, backbone_to_bytes, to_bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::host::output;
use crate::model::baselines::{self, BaselineConfig, dncnn, nafnet};
use crate::model::fill::{fill, listed};
use crate::model::tensor_file::TensorFile;
use crate::model::weights;

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
    let mut checkpoint = TensorFile::from_bytes(bytes)?;
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
    checkpoint: &TensorFile<'_>,
    config: &BaselineConfig,
    names: fn(&str) -> String,
    provenance: Value,
) -> Result<(Vec<u8>, usize, String)> {
    config.validate()?;
    let net = fill(config.init(&Device::flex()), checkpoint, names)?;
    let bytes = baselines::to_bytes(&net, config, provenance)?;
    Ok((bytes, net.num_params(), config.name().to_owned()))
}

/// The shape of a tensor of a checkpoint that must be there, of so many extents.
fn shape_of<const D: usize>(checkpoint: &TensorFile<'_>, name: &str) -> Result<[usize; D]> {
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
fn count(checkpoint: &TensorFile<'_>, prefix: &str) -> usize {
    let numbers = checkpoint.tensors.keys().filter_map(|name| {
        let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
        rest.split('.').next()?.parse::<usize>().ok()
    });
    // Distinct numbers, so that a wild one cannot ask for a wild net.
    numbers.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
