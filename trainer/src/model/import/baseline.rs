//! The sizes of DnCNN and NAFNet, from the shapes in their checkpoints.

use anyhow::{Result, ensure};

use super::{count, shape_of};
use crate::model::baselines::BaselineConfig;
use crate::model::baselines::dncnn::DnCnnConfig;
use crate::model::baselines::nafnet::NafNetConfig;
use crate::model::tensor_file::TensorFile;

/// # Errors
/// If it is another network, or one for grey photos.
pub fn dncnn(checkpoint: &TensorFile<'_>) -> Result<BaselineConfig> {
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
pub fn nafnet(checkpoint: &TensorFile<'_>) -> Result<BaselineConfig> {
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
