//! The sizes of a Restormer, from the shapes in its checkpoint.

use anyhow::{Result, ensure};
use dino_ir::model::DinoIrConfig;
use dino_ir::model::restormer::{NormKind, RestormerConfig};

use super::{count, shape_of};
use crate::model::tensor_file::TensorFile;

/// The authors' names of levels 1 to 4.
const LEVELS: [&str; 4] = [
    "encoder_level1",
    "encoder_level2",
    "encoder_level3",
    "latent",
];

/// The sizes.
///
/// # Errors
/// If it is another network, or one for grey or paired photos.
pub fn config(checkpoint: &TensorFile<'_>) -> Result<DinoIrConfig> {
    let [dim, colours, ..] = shape_of::<4>(checkpoint, "patch_embed.proj.weight")?;
    ensure!(
        colours == 3,
        "a Restormer for {colours} channels; only those for colour photos can be used"
    );
    ensure!(
        !checkpoint.tensors.contains_key("skip_conv.weight"),
        "a Restormer for pairs of pixels (dual-pixel defocus) cannot be used"
    );
    let mut heads = [0; 4];
    for (heads, level) in heads.iter_mut().zip(LEVELS) {
        [*heads, _, _] = shape_of(checkpoint, &format!("{level}.0.attn.temperature"))?;
    }
    let [channels, hidden, ..] = shape_of::<4>(checkpoint, "latent.0.ffn.project_out.weight")?;
    ensure!(channels > 0, "another network: a level without channels");
    let published = RestormerConfig::default().expansion;
    let expansion = match (channels as f64 * published) as usize == hidden {
        true => published,
        // A little over the quotient, so that it is not rounded below.
        false => (hidden as f64 + 0.01) / channels as f64,
    };
    let biased = checkpoint
        .tensors
        .contains_key("encoder_level1.0.norm1.body.bias");
    let restormer = RestormerConfig {
        dim,
        widths: None,
        blocks: LEVELS.map(|level| count(checkpoint, level)),
        heads,
        refinement: count(checkpoint, "refinement"),
        expansion,
        norm: match biased {
            true => NormKind::WithBias,
            false => NormKind::BiasFree,
        },
        unshuffle: 1,
    };
    Ok(DinoIrConfig {
        restormer,
        guidance: None,
    })
}

/// In a line, for people.
pub fn describe(config: &DinoIrConfig) -> String {
    let norm = match config.restormer.norm {
        NormKind::WithBias => "norm with bias",
        NormKind::BiasFree => "bias-free norm",
    };
    format!("Restormer of {} channels, {norm}", config.restormer.dim)
}
