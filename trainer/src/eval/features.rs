//! `features`: what a backbone says about a photo, written to a file.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::device::DeviceChoice;
use dino_ir::model::dinov2::{Dinov2, fit, normalize};
use dino_ir::weights::{Kind, Weights};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::data::rgb::Rgb;
use crate::host::devices;
use crate::host::output;
use crate::model::weights;

/// What to write.
#[derive(Clone, Debug)]
pub struct FeatureOptions {
    /// The photo.
    pub image: PathBuf,
    /// Weights of a backbone, or of a net that has one.
    pub weights: PathBuf,
    /// Blocks, counted from 1; empty for the last.
    pub layers: Vec<usize>,
    /// Apply the norm after the last block.
    pub norm: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Overwrite a file that exists.
    pub force: bool,
}

/// Opens the backbone of a weights file of any kind that has one, and the device that works.
///
/// # Errors
/// Weights without a backbone or unusable ones, a device that cannot be opened.
pub fn open_backbone(path: Option<&Path>, choice: DeviceChoice) -> Result<(Dinov2, Device)> {
    let file = path.map(weights::read).transpose()?;
    let bytes = match &file {
        Some(file) => file,
        None => dino_ir::embedded::nano(),
    };
    let opened = devices::open(choice, |device| {
        let weights = Weights::from_bytes(bytes)?;
        if weights.header.kind == Kind::Dinov2 {
            let backbone = dino_ir::weights::load_backbone(bytes, device)?;
            return Ok((backbone, device.clone()));
        }
        let guidance = dino_ir::weights::load(bytes, device)?.model.guidance;
        let guidance = guidance.ok_or_else(|| {
            dino_ir::Error::Weights("a net without a backbone (kind restormer)".into())
        })?;
        Ok((guidance.backbone, device.clone()))
    });
    let (_, opened) = opened.map_err(|error| match path {
        Some(path) => anyhow!("{}: {error}", path.display()),
        None => error.into(),
    })?;
    Ok(opened)
}

/// A photo as a tensor.
///
/// # Shapes
/// - output: `[1, 3, height, width]`, RGB in 0..1
pub fn tensor_of(photo: &Rgb, device: &Device) -> Tensor<4> {
    let shape = [1, 3, photo.height, photo.width];
    Tensor::from_data(TensorData::new(photo.to_planar(), shape), device)
}

/// Writes `layer.N` for each block asked for, f32 `[1 + registers + patches, width]`: class token,
/// registers, patches in row order. A photo whose sides are not multiples of 14 is resized to the
/// nearest ones.
///
/// # Errors
/// A file that cannot be read or written, a block that the backbone does not have.
pub fn write(options: &FeatureOptions, to: &Path) -> Result<()> {
    output::check(to, options.force)?;
    let photo = Rgb::load(&options.image)?;
    let (backbone, device) = open_backbone(Some(&options.weights), options.device)?;
    let depth = backbone.blocks.len();
    let mut layers = options.layers.clone();
    if layers.is_empty() {
        layers.push(depth);
    }
    layers.sort_unstable();
    layers.dedup();
    ensure!(
        layers.iter().all(|layer| (1..=depth).contains(layer)),
        "layers {layers:?}: this backbone has blocks 1 to {depth}"
    );
    let tokens = backbone.tokens(normalize(fit(tensor_of(&photo, &device))), &layers);
    let mut found = Vec::new();
    for (layer, tokens) in layers.iter().zip(tokens) {
        let tokens = match options.norm {
            true => backbone.norm.forward(tokens),
            false => tokens,
        };
        let [_, count, width] = tokens.dims();
        let values = tokens.into_data().convert::<f32>();
        let values = values.try_into_vec::<f32>().context("not f32")?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        found.push((format!("layer.{layer}"), [count, width], bytes));
    }
    let views = found
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([
        ("image".to_owned(), options.image.display().to_string()),
        ("norm".to_owned(), options.norm.to_string()),
    ]);
    let file = safetensors::serialize(views, Some(metadata))?;
    output::write(to, options.force, |out| Ok(out.write_all(&file)?))
}
