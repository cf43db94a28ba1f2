//! The sizes of DnCNN and NAFNet, from the shapes in their checkpoints.

use anyhow::{Result, ensure};

use super::checkpoint::Checkpoint;
use super::{count, shape_of};
use crate::baselines::BaselineConfig;
use crate::baselines::dncnn::DnCnnConfig;
use crate::baselines::nafnet::NafNetConfig;

/// # Errors
/// If it is another network, or one for grey photos.
pub fn dncnn(checkpoint: &Checkpoint<'_>) -> Result<BaselineConfig> {
    let [width, colours, ..] = shape_of::<4>(checkpoint, "model.0.weight")?;
    ensure!(
        colours == 3,
        "a DnCNN for {colours} channels; only those for colour photos can be used"
    );
    Ok(BaselineConfig::DnCnn(DnCnnConfig {
        width,
        depth: count(checkpoint, "model"),
    }))
}

/// # Errors
/// If it is another network.
pub fn nafnet(checkpoint: &Checkpoint<'_>) -> Result<BaselineConfig> {
    let [width, ..] = shape_of::<4>(checkpoint, "intro.weight")?;
    let levels = |list: &str| -> Vec<usize> {
        (0..count(checkpoint, list))
            .map(|level| count(checkpoint, &format!("{list}.{level}")))
            .collect()
    };
    Ok(BaselineConfig::NafNet(NafNetConfig {
        width,
        encoder: levels("encoders"),
        middle: count(checkpoint, "middle_blks"),
        decoder: levels("decoders"),
    }))
}
