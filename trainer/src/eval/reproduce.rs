//! `reproduce`: trains the variants of an ablation under equal conditions and puts them beside the paper's rows.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use dino_ir::device::DeviceChoice;
use dino_ir::image::Image;
use dino_ir::restore::{ImageSink, Options, Restorer};
use dino_ir::weights::{Dtype, Loaded, to_bytes};
use serde::Serialize;

use crate::data::rgb::Rgb;
use crate::eval::metrics::Protocol;
use crate::eval::table::{TABLE3, TABLE5, TABLE6, Table};
use crate::eval::{TableOptions, TableReport, evaluate_table};
use crate::host::atomic::write_atomically;
use crate::host::devices;
use crate::host::output;
use crate::train::checkpoint::holds_run;
use crate::train::config::TrainConfig;
use crate::train::export::run_provenance;
use crate::train::trainee::{DinoIrTrainee, Photos};
use crate::train::{RunOptions, train};

/// The reproduced table, in the folder of the runs.
pub const TABLE: &str = "table.json";

/// How much is spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scale {
    /// Seconds: a few steps of a tiny net, to see that everything runs
    Smoke,
    /// Hours on a CPU: a small net, of which differences can be seen
    Cpu,
    /// The paper's net and schedule, for GPUs
    Paper,
}

impl Scale {
    fn config(self) -> &'static str {
        match self {
            Self::Smoke => include_str!("../../configs/reproduce-smoke.toml"),
            Self::Cpu => include_str!("../../configs/reproduce-cpu.toml"),
            Self::Paper => include_str!("../../configs/paper-multitask.toml"),
        }
    }
}

/// A table that is reproduced by training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ablation {
    /// Fusion and contrastive loss
    Table3,
    /// Depth of the features that guide
    Table5,
    /// Deblurring as tasks are added
    Table6,
}

/// A variant: settings laid over the scale's.
type Overlay = Vec<String>;

impl Ablation {
    /// The paper's table; its rows are the variants, in order.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Table3 => &TABLE3,
            Self::Table5 => &TABLE5,
            Self::Table6 => &TABLE6,
        }
    }

    /// Settings of each variant. `depths` are the shallow, medium and deep block of the scale's net.
    fn overlays(self, depths: [usize; 3]) -> Vec<Overlay> {
        let set = |settings: &[&str]| {
            settings
                .iter()
                .map(|s| (*s).to_owned())
                .collect::<Overlay>()
        };
        // No stage is guided: the net alone. The backbone may still judge.
        let (unguided, no_loss) = ("model.guidance.stages=[]", "loss.lambda=0.0");
        match self {
            Self::Table3 => vec![set(&[unguided, no_loss]), set(&[no_loss]), set(&[unguided]), set(&[])],
            Self::Table5 => {
                let only = "data.tasks={ noise=0.0, blur=0.0, rain=1.0, haze=0.0, clean=0.0 }";
                let mut variants = vec![set(&[unguided, no_loss, only])];
                for depth in depths {
                    let guide = format!("model.guidance.depths=[{depth}, {depth}, {depth}]");
                    variants.push(set(&[no_loss, only, &guide]));
                }
                variants
            }
            Self::Table6 => [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
                .into_iter()
                .flat_map(|(noise, rain, haze)| {
                    let tasks = format!(
                        "data.tasks={{ noise={noise}.0, blur=1.0, rain={rain}.0, haze={haze}.0, clean=0.0 }}"
                    );
                    [set(&[unguided, no_loss, &tasks]), set(&[&tasks])]
                })
                .collect(),
        }
    }
}

/// What to reproduce, where.
#[derive(Clone, Debug)]
pub struct ReproduceOptions {
    /// The table.
    pub ablation: Ablation,
    /// How much is spent.
    pub scale: Scale,
    /// Further settings for all variants, such as where the training photos are.
    pub set: Vec<String>,
    /// Folder of the test sets.
    pub data: PathBuf,
    /// Only the first photos of each test set.
    pub limit: Option<usize>,
    /// Folder for the runs.
    pub out: PathBuf,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No progress bar.
    pub quiet: bool,
}

/// A reproduced table.
#[derive(Clone, Debug, Serialize)]
pub struct Reproduced {
    /// The table's name.
    pub table: &'static str,
    /// How much was spent.
    pub scale: String,
    /// The variants, in the paper's order.
    pub variants: Vec<Variant>,
    #[serde(skip)]
    caption: &'static str,
}

/// One variant, trained and measured.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// The paper's name of it.
    pub name: &'static str,
    /// Settings laid over the scale's.
    pub settings: Vec<String>,
    /// Steps trained.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Its figures, with the paper's for this variant among the rows of the paper.
    pub report: TableReport,
}

/// Trains and measures all variants; a variant that was finished before is only measured, one that was begun is
/// continued. `Ok(None)` when `stop` was set.
///
/// # Errors
/// As [`train`] and [`evaluate_table`]; settings that cannot be.
pub fn reproduce(options: &ReproduceOptions, stop: &AtomicBool) -> Result<Option<Reproduced>> {
    let table = options.ablation.table();
    let base = TrainConfig::parse(options.scale.config(), &options.set)?;
    let depths = base.model.get("guidance").and_then(|guidance| {
        let depths = guidance.get("depths")?.as_array()?;
        let depths: Vec<usize> = depths
            .iter()
            .filter_map(|depth| usize::try_from(depth.as_integer()?).ok())
            .collect();
        <[usize; 3]>::try_from(depths).ok()
    });
    let depths = depths.context("the scale's settings name no model.guidance.depths")?;
    let overlays = options.ablation.overlays(depths);
    ensure!(overlays.len() == table.rows.len(), "a variant for each row");
    check(options)?;
    let (choice, device) = devices::open(options.device, |device| Ok(device.clone()))?;
    if !options.quiet {
        crate::host::terminal::note(&format!("device: {choice}"));
    }
    let mut variants = Vec::new();
    for (&(name, _), overlay) in table.rows.iter().zip(overlays) {
        let settings: Vec<String> = options.set.iter().cloned().chain(overlay.clone()).collect();
        let config = TrainConfig::parse(options.scale.config(), &settings)
            .with_context(|| format!("variant {name}"))?;
        let folder = options
            .out
            .join(name.replace([' ', '+'], "-").to_lowercase());
        let Some(run) = finished(&config, &folder, &device, stop, options.quiet)
            .with_context(|| format!("variant {name}"))?
        else {
            return Ok(None);
        };
        let report = measured(&run, options, name, &device)?;
        variants.push(Variant {
            name,
            settings: overlay,
            steps: run.steps,
            seconds: run.seconds,
            report,
        });
    }
    Ok(Some(Reproduced {
        table: table.name,
        scale: format!("{:?}", options.scale).to_lowercase(),
        variants,
        caption: table.caption,
    }))
}

/// Checks, before hours of training, that there are test sets, of which the first photos can be measured, and that the
/// table can be written.
fn check(options: &ReproduceOptions) -> Result<()> {
    output::check(&options.out.join(TABLE), true)?;
    let untouched = |photo: &Rgb| -> Result<Rgb> { Ok(photo.clone()) };
    evaluated(&untouched, options, Some(1), "input")?;
    Ok(())
}

/// A trained variant.
struct Run {
    net: Loaded,
    steps: u64,
    seconds: f64,
}

/// Trains a variant to its end, from where it was left.
fn finished(
    config: &TrainConfig,
    folder: &Path,
    device: &Device,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Option<Run>> {
    let (trainee, sizes) = DinoIrTrainee::new(config, &config.autodiff(device))?;
    let run = RunOptions {
        out: folder.to_owned(),
        resume: holds_run(folder).then(|| folder.to_owned()),
        stop,
        others: Vec::new(),
        time: None,
        ranks: None,
        quiet,
    };
    let outcome = train(trainee, &Photos::load(config)?, config, &run)?;
    if outcome.stopped {
        return Ok(None);
    }
    let (steps, seconds) = (outcome.step, outcome.seconds);
    let provenance = run_provenance(steps, seconds, outcome.validation_psnr);
    let net = outcome.averaged.net;
    let bytes = to_bytes(&net, &sizes, Dtype::F32, provenance)?;
    write_atomically(&folder.join("weights.safetensors"), &bytes)?;
    let net = dino_ir::weights::load(&bytes, device)?;
    Ok(Some(Run {
        net,
        steps,
        seconds,
    }))
}

fn measured(
    run: &Run,
    options: &ReproduceOptions,
    name: &str,
    device: &Device,
) -> Result<TableReport> {
    let restorer = Restorer::new(&run.net, device);
    let network = |photo: &Rgb| -> Result<Rgb> {
        let source = Image::new(photo.width, photo.height, photo.pixels.clone())?;
        let mut sink = ImageSink::new(photo.width, photo.height)?;
        let go_on = &mut |_| ControlFlow::Continue(());
        restorer.restore(&source, &mut sink, &Options::default(), go_on)?;
        Rgb::new(photo.width, photo.height, sink.finish()?.into_pixels())
    };
    evaluated(&network, options, options.limit, name).with_context(|| format!("variant {name}"))
}

/// Figures of `network` on the test sets, or on the first `limit` photos of each.
fn evaluated(
    network: &dyn Fn(&Rgb) -> Result<Rgb>,
    options: &ReproduceOptions,
    limit: Option<usize>,
    name: &str,
) -> Result<TableReport> {
    let table_options = TableOptions {
        table: options.ablation.table(),
        root: options.data.clone(),
        protocol: Protocol::Airnet,
        limit,
        save: None,
        weights: name.to_owned(),
    };
    let report = evaluate_table(&table_options, network, &mut |_| ControlFlow::Continue(()))?;
    let report = report.context("stopped")?;
    if let Some(failure) = report.failures.first() {
        bail!("{failure}");
    }
    Ok(report)
}

impl fmt::Display for Reproduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} | scale {}", self.table, self.caption, self.scale)?;
        let Some(first) = self.variants.first() else {
            return Ok(());
        };
        write!(f, "{:<26}", "")?;
        for set in &first.report.sets {
            write!(f, " {:>13}", set.column)?;
        }
        writeln!(f)?;
        let figure = |psnr: f64, ssim: f64| match ssim.is_nan() {
            true => format!(" {psnr:>6.2}        "),
            false => format!(" {psnr:>6.2} / {ssim:.3}"),
        };
        for variant in &self.variants {
            let report = &variant.report;
            // Between the input and the average.
            let ours = &report.rows[1..=report.sets.len()];
            let cells: String = ours.iter().map(|row| figure(row.psnr, row.ssim)).collect();
            writeln!(f, "{:<26}{cells}", variant.name)?;
            if let Some(paper) = report.paper.iter().find(|row| row.name == variant.name) {
                let cells = paper.psnr.iter().zip(&paper.ssim);
                let cells: String = cells
                    .filter_map(|(psnr, ssim)| Some(figure((*psnr)?, (*ssim)?)))
                    .collect();
                writeln!(f, "{:<26}{cells}", "  paper")?;
            }
        }
        for set in &first.report.missing {
            writeln!(
                f,
                "left out: {} (no folder named like {})",
                set.column,
                set.looked_for.join(", ")
            )?;
        }
        writeln!(f, "{}", first.report.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::trainee::sizes_of_run;

    /// Every variant of every scale is a net that can be made, and differs from the others.
    #[test]
    fn variants_are_valid_and_different() {
        for scale in [Scale::Smoke, Scale::Cpu, Scale::Paper] {
            for ablation in [Ablation::Table3, Ablation::Table5, Ablation::Table6] {
                let overlays = ablation.overlays([1, 2, 3]);
                assert_eq!(overlays.len(), ablation.table().rows.len());
                let mut texts = Vec::new();
                for overlay in overlays {
                    let config = TrainConfig::parse(scale.config(), &overlay).expect("valid");
                    let model = sizes_of_run(&config).expect("a model");
                    model.validate().expect("a net");
                    let guidance = model.guidance.expect("guidance");
                    let unguided = overlay.iter().any(|set| set.contains("stages=[]"));
                    assert_eq!(guidance.stages.is_empty(), unguided);
                    texts.push(config.text);
                }
                texts.sort();
                texts.dedup();
                assert_eq!(texts.len(), ablation.table().rows.len());
            }
        }
    }

    #[test]
    fn test_sets_are_looked_for_before_training() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let photos = folder.path().join("photos");
        std::fs::create_dir(&photos).expect("made");
        let photo = Rgb::from_fn(40, 40, |x, y| [x as f32 / 40.0, y as f32 / 40.0, 0.5]);
        photo.save_png(&photos.join("a.png")).expect("written");
        let options = |data: &Path| ReproduceOptions {
            ablation: Ablation::Table6,
            scale: Scale::Smoke,
            set: Vec::new(),
            data: data.to_owned(),
            limit: None,
            out: folder.path().join("out"),
            device: DeviceChoice::Cpu,
            quiet: true,
        };
        let stop = AtomicBool::new(false);
        let error = reproduce(&options(&photos), &stop).expect_err("no set");
        assert!(format!("{error:#}").contains("cbsd68"), "{error:#}");
        assert!(!folder.path().join("out").exists());

        let set = folder.path().join("BSD68");
        std::fs::rename(&photos, &set).expect("renamed");
        check(&options(&set)).expect("a set");
    }
}
