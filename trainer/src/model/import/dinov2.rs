//! The sizes of a DINOv2, from the shapes in its checkpoint.

use anyhow::{Result, ensure};
use dino_ir::model::dinov2::Dinov2Config;

use super::{count, shape_of};
use crate::model::tensor_file::TensorFile;

/// Channels of a head in every published size.
const HEAD: usize = 64;

/// The sizes; the number of heads leaves no trace in a file and follows from the width unless given.
///
/// # Errors
/// If it is another network.
pub fn config(checkpoint: &TensorFile<'_>, heads: Option<usize>) -> Result<Dinov2Config> {
    let [_, tokens, width] = shape_of(checkpoint, "pos_embed")?;
    let grid = tokens.saturating_sub(1).isqrt();
    ensure!(
        tokens > 1 && 1 + grid * grid == tokens,
        "another network: {tokens} positions are not a class token and a square grid"
    );
    let registers = match checkpoint.tensors.contains_key("register_tokens") {
        true => shape_of::<3>(checkpoint, "register_tokens")?[1],
        false => 0,
    };
    ensure!(
        heads.is_some() || width % HEAD == 0,
        "width {width} is of no published size: say how many heads it has with --heads"
    );
    Ok(Dinov2Config {
        width,
        depth: count(checkpoint, "blocks"),
        heads: heads.unwrap_or(width / HEAD),
        registers,
        swiglu: checkpoint.tensors.contains_key("blocks.0.mlp.w12.weight"),
        grid,
    })
}

/// Its name in a line, for people.
pub fn describe(config: &Dinov2Config) -> String {
    let published = [
        ("ViT-S/14", Dinov2Config::small()),
        ("ViT-B/14", Dinov2Config::base()),
        ("ViT-L/14", Dinov2Config::large()),
        ("ViT-g/14", Dinov2Config::giant()),
    ];
    let plain = Dinov2Config {
        registers: 0,
        ..config.clone()
    };
    let size = published.into_iter().find(|(_, sizes)| *sizes == plain);
    let size = match size {
        Some((name, _)) => name.to_owned(),
        None => format!("ViT of width {} and depth {}", config.width, config.depth),
    };
    match config.registers {
        0 => format!("DINOv2 {size}"),
        registers => format!("DINOv2 {size} with {registers} registers"),
    }
}
