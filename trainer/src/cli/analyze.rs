//! `trainer analyze`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use dino_ir::device::DeviceChoice;
use dino_ir::restore::Restorer;
use dino_ir::weights::Loaded;
use serde_json::{Value, json};

use super::{parse_count, parse_with};
use crate::eval::analyze::{
    diagnosis, gate, layers, pca, photos, robustness, steering, uncertainty,
};
use crate::eval::features::open_backbone;
use crate::host::atomic::write_atomically;
use crate::host::{devices, interrupt, terminal};
use crate::model::weights;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// How much noise moves image, patch embedding and features (figure 3 b)
    Robustness,
    /// Features of clean and degraded photos as colours (figures 3 a and 5)
    Pca,
    /// The gate's scores by task (beside table 5)
    Gate,
    /// What each block keeps of a degraded photo
    Layers,
    /// How well the diagnosis recognises faults; --data is a folder that has cbsd68, rain100l and sots_outdoor
    Diagnosis,
    /// How well one fault is removed and another kept; --data is a folder that has sots_outdoor
    Steering,
    /// Whether expected errors are those that come; --data is a folder that has cbsd68 and rain100l
    Uncertainty,
}

/// Arguments of `analyze`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer analyze robustness|pca|gate|layers|diagnosis|steering|uncertainty --data DIR|PHOTO [--weights FILE] -o DIR",
    after_help = "Writes PNG plots and a JSON file into the folder.\n\nExamples:\n  \
        trainer analyze robustness --data photos/cbsd68 --weights vits14.safetensors -o figures\n  \
        trainer analyze pca --data photo.png --weights vits14.safetensors -o figures\n  \
        trainer analyze diagnosis --data test --limit 68 -o figures"
)]
pub struct AnalyzeArgs {
    /// What to look at
    #[arg(value_enum)]
    pub subject: Subject,
    /// Folder of clean photos, or one
    #[arg(long, value_name = "DIR|PHOTO")]
    pub data: PathBuf,
    /// Weights with a backbone; gate needs a guided net [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Folder for plots and JSON
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// At most so many photos
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = parse_count)]
    pub limit: usize,
    /// Noise levels of robustness, of 255
    #[arg(long, value_name = "S,S,...", value_delimiter = ',')]
    pub sigma: Option<Vec<f32>>,
    /// Shallow and deep block of pca, counted from 1 [default: the last of the first third, the last]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub blocks: Option<Vec<usize>>,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// JSON on standard output in place of the table
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Measures, writes plots and JSON, prints the table.
///
/// # Errors
/// Photos or weights that cannot be used, a folder that cannot be written.
pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("{}: cannot make the folder", args.output.display()))?;
    let limit = if args.subject == Subject::Pca {
        1
    } else {
        args.limit
    };
    let photos = match args.subject {
        // Whole, and with faults of their own.
        Subject::Diagnosis | Subject::Steering | Subject::Uncertainty => Vec::new(),
        _ => photos(&args.data, limit)?,
    };
    let spinner = terminal::spinner(args.quiet, "analyzing");
    let path = |name: &str| args.output.join(name);
    let (name, text, found) = match args.subject {
        Subject::Robustness => {
            let (backbone, device) = open_backbone(args.weights.as_deref(), args.device)?;
            let sigmas = args.sigma.as_deref().unwrap_or(&robustness::SIGMAS);
            let found = robustness::measure(&backbone, &photos, sigmas, &device)?;
            found.plot(&path("robustness.png"))?;
            ("robustness", found.text(), serde_json::to_value(found)?)
        }
        Subject::Layers => {
            let (backbone, device) = open_backbone(args.weights.as_deref(), args.device)?;
            let found = layers::measure(&backbone, &photos, &device)?;
            found.plot(&path("layers.png"))?;
            ("layers", found.text(), serde_json::to_value(found)?)
        }
        Subject::Gate => {
            let bytes = args.weights.as_deref().map(weights::read).transpose()?;
            let bytes = bytes.as_deref().unwrap_or(dino_ir::embedded::nano());
            let (_, (net, device)) = devices::open(args.device, |device| {
                Ok((dino_ir::weights::load(bytes, device)?.model, device.clone()))
            })?;
            let found = gate::measure(&net, &photos, &device)?;
            found.plot(&path("gate.png"))?;
            ("gate", found.text(), serde_json::to_value(found)?)
        }
        Subject::Diagnosis => {
            let restorer = open(args)?;
            let found = diagnosis::measure(&restorer, &args.data, args.limit)?;
            found.plot(&path("diagnosis.png"))?;
            ("diagnosis", found.text(), serde_json::to_value(found)?)
        }
        Subject::Steering => {
            let restorer = open(args)?;
            let found = steering::measure(&restorer, &args.data, args.limit)?;
            found.show(&path("steering.png"))?;
            ("steering", found.text(), serde_json::to_value(found)?)
        }
        Subject::Uncertainty => {
            let restorer = open(args)?;
            let found = uncertainty::measure(&restorer, &args.data, args.limit)?;
            found.plot(&path("uncertainty.png"))?;
            ("uncertainty", found.text(), serde_json::to_value(found)?)
        }
        Subject::Pca => {
            let (backbone, device) = open_backbone(args.weights.as_deref(), args.device)?;
            let depth = backbone.blocks.len();
            let blocks = args
                .blocks
                .clone()
                .unwrap_or(vec![(depth / 3).max(1), depth]);
            ensure!(blocks.len() == 2, "--blocks: give two, shallow and deep");
            let photo = &photos[0].1;
            let figures = [
                ("deep", pca::degraded(photo), blocks[1]),
                ("rain", pca::rains(photo), blocks[0]),
            ];
            let (mut text, mut found) = (Vec::new(), serde_json::Map::new());
            for (name, pictures, block) in figures {
                let (components, figure) = pca::measure(&backbone, &pictures, block, &device)?;
                pca::write(&figure, &path(&format!("pca-{name}.png")))?;
                text.push(components.text());
                found.insert(name.into(), serde_json::to_value(components)?);
            }
            ("pca", text.join("\n"), Value::Object(found))
        }
    };
    let names: Vec<&String> = photos.iter().map(|(name, _)| name).collect();
    let weights = args
        .weights
        .as_deref()
        .map_or("nano (embedded)".into(), shown);
    let document = json!({"analysis": name, "weights": weights, "images": names, "result": found});
    let document = serde_json::to_string_pretty(&document)?;
    let file = path(&format!("{name}.json"));
    write_atomically(&file, (document.clone() + "\n").as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    spinner.finish_and_clear();
    terminal::out(if args.json { &document } else { &text })?;
    Ok(ExitCode::SUCCESS)
}

/// The whole network.
fn open(args: &AnalyzeArgs) -> Result<Restorer<Loaded>> {
    let bytes = args.weights.as_deref().map(weights::read).transpose()?;
    let bytes = bytes.as_deref().unwrap_or(dino_ir::embedded::nano());
    let (_, restorer) = devices::open(args.device, |device| {
        Ok(Restorer::new(
            dino_ir::weights::load(bytes, device)?,
            device,
        ))
    })?;
    Ok(restorer)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
