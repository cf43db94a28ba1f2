//! `trainer restore`, which is also all that the program `dino-ir` does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dino_ir::device::DeviceChoice;
use dino_ir::restore::Options;
use dino_ir::{Fault, Removal};

use super::{FAILED, UsageError, parse_with, usage, use_threads};
use crate::host::size::{parse_size, show_size};
use crate::host::{interrupt, memory, terminal};
use crate::photo::Format;
use crate::restore::naming::{self, Input, Jobs, Names, Output, Shard};
use crate::restore::watch::watch;
use crate::restore::{self, Outcome, Settings, Work, engine, uncertainty};

/// Examples of use.
pub(super) const EXAMPLES: &str = "Examples:\n  \
        trainer restore photo.jpg                      writes photo.restored.jpg\n  \
        trainer restore holiday/ -o better/            every photo below holiday/\n  \
        trainer restore scans/ -o better/ --format png every result a PNG\n  \
        trainer restore scans/ -o better/ --skip-existing   what is left of a stopped run\n  \
        trainer restore photo.jpg --only haze          the haze goes, noise and all else stay\n  \
        trainer restore holiday/ --compare             and a picture of each before and after\n  \
        trainer restore photo.jpg --uncertainty map.png   and how far off each pixel may be\n  \
        trainer restore --watch inbox/ -o better/      photos as they come, until Ctrl-C\n  \
        trainer restore scan.tif -o scan.png --memory 1G --strength 0.8\n  \
        trainer restore - < in.png > out.png";

/// Arguments of `restore`.
#[derive(Args, Debug)]
#[command(
    override_usage = "trainer restore INPUT... [-o PATH] [OPTIONS]",
    after_help = EXAMPLES
)]
pub struct RestoreArgs {
    /// Photos (PNG, JPEG, WebP, TIFF, JPEG XL, GIF, BMP), folders (with all below), or - for standard input
    #[arg(value_name = "INPUT", required_unless_present = "watch")]
    pub inputs: Vec<PathBuf>,
    /// Where to write: a file, a folder, or - for standard output [default: NAME.restored.EXT beside each]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Folder to write into, whatever its name looks like; it is made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub output_dir: Option<PathBuf>,
    /// What stands between name and extension of results [default: .restored beside a photo, nothing in another folder]
    #[arg(long, value_name = "TEXT", value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: Option<String>,
    /// Kind of file to write: png, jpeg, webp, tiff or bmp [default: as -o ends, else as the photo is]
    #[arg(long, value_name = "KIND", value_parser = parse_format)]
    pub format: Option<Format>,
    /// Quality of JPEG files, from 1 to 100; all other kinds are written without loss [default: 95]
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Option<u8>,
    /// Weights file [default: the embedded nano]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_with::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// From 0, the photo as it is, to 1, fully restored
    #[arg(long, default_value_t = 1.0, value_name = "0..1", value_parser = parse_strength)]
    pub strength: f32,
    /// Remove these faults and keep all others: noise, blur, rain, haze, jpeg, with commas between
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', value_parser = fault_names())]
    pub only: Vec<Fault>,
    /// How much of the noise to remove, from 0, it stays, to 1
    #[arg(long, value_name = "0..1", value_parser = parse_strength)]
    pub noise: Option<f32>,
    /// How much of the blur
    #[arg(long, value_name = "0..1", value_parser = parse_strength)]
    pub blur: Option<f32>,
    /// How much of the rain
    #[arg(long, value_name = "0..1", value_parser = parse_strength)]
    pub rain: Option<f32>,
    /// How much of the haze
    #[arg(long, value_name = "0..1", value_parser = parse_strength)]
    pub haze: Option<f32>,
    /// How much of the traces of JPEG compression
    #[arg(long, value_name = "0..1", value_parser = parse_strength)]
    pub jpeg: Option<f32>,
    /// Side of a tile in pixels, or auto; below 256 it is taken as 256 unless --overlap is given
    #[arg(long, default_value = "auto", value_name = "auto|N", value_parser = parse_tile)]
    pub tile: TileSide,
    /// Least overlap of neighbouring tiles in pixels [default: an eighth of the tile]
    #[arg(long, value_name = "N")]
    pub overlap: Option<usize>,
    /// Bound of the memory in use, such as 1G or 512M [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Average over the 8 flips and rotations: a little better, 8 times slower
    #[arg(long)]
    pub tta: bool,
    /// Threads of the CPU [default: one for each core, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Overwrite results that exist
    #[arg(long)]
    pub force: bool,
    /// Leave results that exist as they are: a folder goes on where it was stopped
    #[arg(long, conflicts_with = "force")]
    pub skip_existing: bool,
    /// Say what would be read and written, and about how long it would take; do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Results are as old as their photos
    #[arg(long)]
    pub keep_dates: bool,
    /// Leave out all metadata but the colour profile; the photo is turned upright
    #[arg(long)]
    pub strip: bool,
    /// Also write NAME.compare.EXT beside each result: the photo before, a thin line, the photo after
    #[arg(long)]
    pub compare: bool,
    /// Also write a map of the photo: a 16-bit grey PNG, the brighter the further off a restored pixel may be; white is 32 levels of 255
    #[arg(long, value_name = "FILE.png", value_parser = uncertainty::parse, conflicts_with = "watch")]
    pub uncertainty: Option<PathBuf>,
    /// Restore photos of this folder as they come, and those that have no result yet; Ctrl-C ends it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["inputs", "shard", "dry_run", "skip_existing"])]
    pub watch: Option<PathBuf>,
    /// Say of each photo what is wrong with it: noise, blur, rain, haze, compression; with --dry-run no more than that
    #[arg(long)]
    pub explain: bool,
    /// Leave photos alone in which no fault is found: no result is written for them
    #[arg(long, conflicts_with = "watch")]
    pub skip_fine: bool,
    /// A line of JSON on standard output for each photo: input, output, outcome, seconds, megapixels, device, error
    #[arg(long)]
    pub json: bool,
    /// Only the I-th of N parts of the photos, for N machines that divide them
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Say of each photo what it became and how long that took
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// No progress.
    #[arg(from_global)]
    pub quiet: bool,
}

/// Side of a tile; `None` is automatic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileSide(pub Option<usize>);

/// Restores what the arguments mean.
pub fn run(args: &RestoreArgs) -> Result<ExitCode> {
    interrupt::listen()?;
    let options = Options {
        strength: args.strength,
        tile: args.tile.0,
        overlap: args.overlap,
        memory: None,
        self_ensemble: args.tta,
        removal: removal(args).map_err(UsageError)?,
        uncertainty: args.uncertainty.is_some(),
    };
    options.validate().map_err(usage)?;
    use_threads(args.threads)?;
    if let Some(folder) = &args.watch {
        check_watched(args, folder)?;
    }
    let settings = Settings {
        options,
        memory: args.memory,
        force: args.force,
        skip_existing: args.skip_existing || args.watch.is_some() && !args.force,
        keep_dates: args.keep_dates,
        strip: args.strip,
        quality: args.quality,
        compare: args.compare,
        uncertainty: args.uncertainty.clone(),
        explain: args.explain,
        skip_fine: args.skip_fine,
        quiet: args.quiet,
        verbose: args.verbose,
        json: args.json,
        device: args.device.to_string(),
    };
    let jobs = jobs(args)?;
    let explains = args.explain || args.skip_fine;
    let opened = engine::open_restorer(args.weights.as_deref(), args.device)?;
    if explains && !opened.engine.diagnoses() {
        let why = "--explain and --skip-fine: these weights have no diagnosis; leave --weights out, or make one with \
            trainer diagnosis";
        return Err(UsageError(why.into()).into());
    }
    if args.dry_run {
        let engine = Some(opened.engine.as_ref());
        return Ok(exit_code(restore::dry_run(&jobs, engine, &settings)?));
    }
    engine::check(opened.engine.as_ref(), &settings.options).map_err(usage)?;
    let settings = Settings {
        device: opened.device.to_string(),
        ..settings
    };
    if !args.quiet {
        terminal::note(&format!("device: {}", opened.device));
    }
    if args.verbose {
        let budget = args.memory.unwrap_or_else(memory::default_budget);
        terminal::note(&format!("memory: up to {}", show_size(budget)));
    }
    let engine = opened.engine.as_ref();
    if let Some(folder) = &args.watch {
        if !args.quiet {
            terminal::note(&format!("watching {}; Ctrl-C ends it", folder.display()));
        }
        let work = Work {
            engine,
            settings: &settings,
        };
        return Ok(exit_code(watch(folder, || self::jobs(args), &work)?));
    }
    Ok(exit_code(restore::run(&jobs, engine, &settings)))
}

/// What `--only` and the shares of single faults come to.
fn removal(args: &RestoreArgs) -> Result<Removal, String> {
    let shares = [args.noise, args.blur, args.rain, args.haze, args.jpeg];
    let mut removal = match args.only[..] {
        [] => Removal::ALL,
        _ => Removal::only(&args.only),
    };
    for (fault, share) in Fault::ALL.into_iter().zip(shares) {
        let Some(share) = share else { continue };
        if removal.of(fault) == 0.0 {
            let name = fault.name();
            return Err(format!(
                "--{name} {share}: --only keeps {name}; add it there, or leave one of them out"
            ));
        }
        removal = removal.with(fault, share);
    }
    Ok(removal)
}

/// The photos that the arguments mean now, and how their results are called.
fn jobs(args: &RestoreArgs) -> Result<Jobs> {
    let names = Names {
        output: args.output.as_deref().or(args.output_dir.as_deref()),
        folder: args.output_dir.is_some(),
        suffix: args.suffix.as_deref(),
    };
    let inputs = args
        .watch
        .as_ref()
        .map_or(&args.inputs[..], std::slice::from_ref);
    let mut jobs = naming::jobs(inputs, &names).map_err(UsageError)?;
    if let Some(format) = args.format {
        jobs = jobs.in_format(format).map_err(UsageError)?;
    }
    check_together(args, &jobs).map_err(UsageError)?;
    check_map(args, &jobs).map_err(UsageError)?;
    if args.compare {
        jobs = jobs.with_comparisons();
    }
    if let Some(shard) = args.shard {
        jobs = jobs.of_shard(shard);
    }
    Ok(jobs)
}

/// Refuses options that contradict each other or where results go.
fn check_together(args: &RestoreArgs, jobs: &Jobs) -> Result<(), String> {
    for job in &jobs.jobs {
        let format = match &job.output {
            Output::File { path, convert } if *convert => Format::of_output(path),
            _ => job.format,
        };
        if let Some(format) = format.filter(|format| *format != Format::Jpeg)
            && args.quality.is_some()
        {
            return Err(format!(
                "--quality is of JPEG files, and {} is written without loss; leave one of them out",
                format.name()
            ));
        }
        if args.json && job.output == Output::Stdout {
            return Err(
                "--json writes to standard output, as the photo would; give -o FILE".into(),
            );
        }
        if args.compare && matches!(job.output, Output::Stdout | Output::Special(_)) {
            return Err(
                "--compare writes a file beside the result, which must be one; give -o FILE".into(),
            );
        }
    }
    Ok(())
}

/// A map is of one photo, and no other file.
fn check_map(args: &RestoreArgs, jobs: &Jobs) -> Result<(), String> {
    let Some(map) = &args.uncertainty else {
        return Ok(());
    };
    if jobs.jobs.len() > 1 {
        let count = jobs.jobs.len();
        return Err(format!(
            "--uncertainty writes the map of one photo, and these are {count}; give one"
        ));
    }
    for job in &jobs.jobs {
        let input = match &job.input {
            Input::File(path) => Some(path.clone()),
            Input::Stdin => None,
        };
        let output = match &job.output {
            Output::File { path, .. } => Some(path.clone()),
            Output::Stdout | Output::Special(_) | Output::Unfinished(_) => None,
        };
        let comparison = output.as_deref().filter(|_| args.compare);
        let comparison = comparison.map(naming::comparison);
        for other in [input, output, comparison].into_iter().flatten() {
            if one_file(&other, map) {
                let map = map.display();
                return Err(format!(
                    "--uncertainty {map}: this is the photo or its result; give the map a name of its own"
                ));
            }
        }
    }
    Ok(())
}

/// Whether two paths lead to one file, also if it is not there yet.
fn one_file(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let together = naming::same(&folder(one), &folder(other));
    one == other || naming::same(one, other) || together && one.file_name() == other.file_name()
}

/// A folder that is watched must be there, and not get its own results as new photos.
fn check_watched(args: &RestoreArgs, folder: &Path) -> Result<()> {
    ensure!(
        folder.is_dir(),
        "{}: no folder; make it first, or watch another one",
        folder.display()
    );
    let output = args.output.as_deref().or(args.output_dir.as_deref());
    if let Some(output) = output.filter(|_| args.suffix.is_none())
        && naming::same(output, folder)
    {
        let why = format!(
            "{}: results in the watched folder itself would be restored again; leave -o out, or give --suffix .restored",
            output.display()
        );
        return Err(UsageError(why).into());
    }
    Ok(())
}

fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::from(FAILED),
        Outcome::Interrupted => ExitCode::from(interrupt::EXIT_CODE),
    }
}

fn parse_format(text: &str) -> Result<Format, String> {
    Format::of_extension(text)
        .filter(|format| format.written() == *format)
        .ok_or_else(|| "use png, jpeg, webp, tiff or bmp".into())
}

fn parse_suffix(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '\\', '\0']) {
        return Err("use a part of a name, such as .restored or -new, without a slash".into());
    }
    Ok(text.into())
}

/// Reads a fault; a wrong name is answered with a near one.
fn fault_names() -> impl TypedValueParser<Value = Fault> {
    PossibleValuesParser::new(Fault::ALL.map(Fault::name)).map(|name| {
        let named = |fault: &Fault| fault.name() == name;
        Fault::ALL
            .into_iter()
            .find(named)
            .expect("one of the possible values")
    })
}

fn parse_strength(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(strength) if (0.0..=1.0).contains(&strength) => Ok(strength),
        _ => Err("use a number from 0 to 1".into()),
    }
}

fn parse_tile(text: &str) -> Result<TileSide, String> {
    match (text, text.parse::<usize>()) {
        ("auto", _) => Ok(TileSide(None)),
        (_, Ok(side)) if side > 0 => Ok(TileSide(Some(side))),
        _ => Err("use auto or a number of pixels".into()),
    }
}

/// `I/N`, with `I` from 1 to `N`.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
        _ => Err("use I/N, such as 2/8, with I from 1 to N".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(line: &str) -> Result<Removal, String> {
        let words = ["trainer", "restore"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Restore(args) => removal(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn faults_are_removed_as_asked() {
        let all = Removal::ALL;
        assert_eq!(asked("a.png"), Ok(all));
        let only = Removal::only(&[Fault::Noise, Fault::Haze]);
        assert_eq!(asked("a.png --only noise,haze"), Ok(only));
        let gentle = all.with(Fault::Noise, 0.8).with(Fault::Jpeg, 0.0);
        assert_eq!(asked("a.png --noise 0.8 --jpeg 0"), Ok(gentle));
        let both = Removal::NONE.with(Fault::Haze, 0.3);
        assert_eq!(asked("a.png --only haze --haze 0.3"), Ok(both));
    }

    /// What is said of a map that is asked for with these words.
    fn map(words: &[&str]) -> Result<(), String> {
        let words = ["trainer", "restore"].iter().chain(words);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Restore(args) => jobs(&args).map(drop).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_map_is_of_one_photo_and_no_other_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        let (a, b, other) = (at("a.png"), at("b.png"), at("map.png"));
        for path in [&a, &b] {
            std::fs::write(path, b"a photo").expect("a file");
        }
        assert_eq!(map(&[&a, "--uncertainty", &other]), Ok(()));
        let several = map(&[&a, &b, "--uncertainty", &other]).expect_err("two");
        assert!(several.contains("give one"), "{several}");
        let whole = map(&[
            folder.path().to_str().expect("text"),
            "--uncertainty",
            &other,
        ]);
        assert!(whole.expect_err("two").contains("give one"));
        for same in [&a, &at("a.restored.png")] {
            let refused = map(&[&a, "--force", "--uncertainty", same]).expect_err("the same");
            assert!(refused.contains("a name of its own"), "{refused}");
        }
        let kind = map(&[&a, "--uncertainty", &at("map.jpg")]).expect_err("a JPEG");
        assert!(kind.contains("ends in .png"), "{kind}");
        assert!(map(&["--watch", &a, "--uncertainty", &other]).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let error = asked("a.png --only haz").expect_err("refused");
        assert!(error.contains("'haze'"), "a near name: {error}");
        let error = asked("a.png --only haze --noise 0.5").expect_err("refused");
        assert!(error.contains("--only keeps noise"), "{error}");
        assert!(asked("a.png --rain 1.2").is_err());
    }
}
