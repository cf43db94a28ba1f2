//! Makes the small files that fuzzing starts from (`tests/fuzz/corpus`):
//!
//!     cargo run --release --example fuzz_seeds -- tests/fuzz/corpus
//!
//! The checkpoints come as safetensors; `tests/fuzz/archives.py` writes them again as PyTorch does.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use dino_ir::model::dinov2::Dinov2Config;
use dino_ir::model::restormer::RestormerConfig;
use dino_ir::model::{DinoIrConfig, GuidanceConfig};
use dino_ir::weights::published::DINOV2;
use dino_ir::weights::{Dtype, backbone_to_bytes, named, to_bytes};
use dino_ir_trainer::model::baselines::dncnn::{DnCnnConfig, published_name};
use dino_ir_trainer::model::baselines::{self, Baseline, BaselineConfig};
use dino_ir_trainer::photo::metadata::{Resolution, Unit};
use dino_ir_trainer::photo::{Depth, Format, Metadata, Photo};
use safetensors::tensor::TensorView;
use serde_json::Value;

/// The first byte of a seed for `checkpoint`: what it is imported from.
const DNCNN: u8 = 0;
const DINOV2_ONE_HEAD: u8 = 4;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("name a folder")?;
    let folder = PathBuf::from(folder);
    for target in ["checkpoint", "weights", "photo"] {
        fs::create_dir_all(folder.join(target))?;
    }
    nets(&folder)?;
    photos(&folder.join("photo"))
}

/// Nets of two channels, and what has their published names.
fn nets(folder: &Path) -> Result<()> {
    let cpu = Device::flex();
    let weights = folder.join("weights");
    let backbone = Dinov2Config {
        width: 2,
        depth: 1,
        heads: 1,
        registers: 0,
        swiglu: false,
        grid: 1,
    };
    let guided = DinoIrConfig {
        restormer: RestormerConfig {
            dim: 2,
            blocks: [0; 4],
            heads: [1; 4],
            refinement: 0,
            ..RestormerConfig::default()
        },
        guidance: Some(GuidanceConfig::new(backbone.clone(), 2, 2)),
    };
    let bytes = to_bytes(&guided.init(&cpu), &guided, Dtype::F16, Value::Null)?;
    fs::write(weights.join("dino-ir"), bytes)?;
    let vit = backbone.init(&cpu);
    let bytes = backbone_to_bytes(&vit, &backbone, Dtype::Bf16, Value::Null)?;
    fs::write(weights.join("dinov2"), bytes)?;
    let sizes = DnCnnConfig { width: 1, depth: 2 };
    let dncnn = sizes.init(&cpu);
    let config = BaselineConfig::DnCnn(sizes);
    let bytes = baselines::to_bytes(&Baseline::DnCnn(dncnn.clone()), &config, Value::Null)?;
    fs::write(weights.join("dncnn"), bytes)?;

    let checkpoint = |name: &str, from: u8, bytes: Vec<u8>| {
        let path = folder.join("checkpoint").join(name);
        fs::write(path, [vec![from], bytes].concat())
    };
    checkpoint("dncnn", DNCNN, renamed(&dncnn, published_name)?)?;
    checkpoint(
        "dinov2",
        DINOV2_ONE_HEAD,
        renamed(&vit, |ours| DINOV2.theirs(ours))?,
    )?;
    Ok(())
}

/// A safetensors file in bf16 under other names.
fn renamed(module: &impl Module, names: impl Fn(&str) -> String) -> Result<Vec<u8>> {
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = named::collect(module)
        .into_iter()
        .map(|tensor| {
            let halves = tensor.values.iter().flat_map(|v| {
                let [_, _, low, high] = v.to_le_bytes();
                [low, high]
            });
            (names(&tensor.name), tensor.shape, halves.collect())
        })
        .collect();
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(safetensors::Dtype::BF16, shape.clone(), bytes)?;
            Ok((name, view))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize(views, None)?)
}

/// Photos of 5 x 4 pixels in every format, with metadata.
fn photos(folder: &Path) -> Result<()> {
    // One EXIF directory: orientation 6.
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let metadata = Metadata {
        exif: Some(exif.to_vec()),
        xmp: Some(b"<x:xmpmeta/>".to_vec()),
        resolution: Some(Resolution {
            x: (300, 1),
            y: (300, 1),
            unit: Unit::Inch,
        }),
        ..Metadata::default()
    };
    let kinds = [
        ("rgb8.png", Format::Png, 3, Depth::Eight),
        ("rgba16.png", Format::Png, 4, Depth::Sixteen),
        ("grey8.jpg", Format::Jpeg, 1, Depth::Eight),
        ("rgb8.jpg", Format::Jpeg, 3, Depth::Eight),
        ("rgba8.webp", Format::WebP, 4, Depth::Eight),
        ("rgb16.tif", Format::Tiff, 3, Depth::Sixteen),
        ("grey_alpha8.tif", Format::Tiff, 2, Depth::Eight),
    ];
    for (name, format, channels, depth) in kinds {
        let samples = 5 * 4 * channels * depth.bytes();
        let photo = Photo {
            width: 5,
            height: 4,
            channels,
            depth,
            samples: (0..samples).map(|i| (i * 37 % 251) as u8).collect(),
            format,
            metadata: metadata.clone(),
            notes: Vec::new(),
        };
        let mut file = Cursor::new(Vec::new());
        photo.encode(format, &mut file)?;
        fs::write(folder.join(name), file.into_inner())?;
    }
    Ok(())
}
