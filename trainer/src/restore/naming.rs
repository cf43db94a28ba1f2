//! Which files are restored, and what their results are called.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::{fmt, fs};

use crate::photo::Format;
use crate::photo::foreign::is_foreign;

/// Stands between name and extension of a result beside its input, where the user does not say otherwise.
pub const SUFFIX: &str = ".restored";
/// Stands between name and extension of a picture that shows a photo before and after.
const COMPARISON: &str = ".compare";
/// What is wrong with a folder that has no photos, which one that is watched may well have.
pub const NO_PHOTOS: &str = "no PNG, JPEG, WebP, TIFF, JPEG XL, GIF or BMP file in this folder";

/// What the user says about where results go and what they are called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `-o`: a file, a folder, a device, or `-` for standard output; `None`: beside each photo.
    pub output: Option<&'a Path>,
    /// Whether `output` is a folder, whatever its name looks like.
    pub folder: bool,
    /// What stands between name and extension; `None`: [`SUFFIX`] beside the photo, in another folder nothing.
    pub suffix: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Results go to a file, a folder or a device.
    pub fn to(output: &'a Path) -> Self {
        Names {
            output: Some(output),
            ..Names::default()
        }
    }
}

/// An input that is not restored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The photo or folder.
    pub input: PathBuf,
    /// The reason and the remedy, in one line.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input.display(), self.why)
    }
}

/// Where a photo comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Where its result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, of the format its extension stands for where `convert`, else of the input's.
    File {
        /// The file.
        path: PathBuf,
        /// Whether the user chose the extension.
        convert: bool,
    },
    /// A device or a pipe, which gets the input's format where its name has no extension, and stays what it is.
    Special(PathBuf),
    /// A file whose name gets its extension once the format is known: what standard input gets in a folder.
    Unfinished(PathBuf),
}

impl Output {
    /// Whether it is a file that is there.
    pub fn exists(&self) -> bool {
        matches!(self, Self::File { path, .. } if path.exists())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File { path, .. } | Self::Special(path) => path.display().fmt(f),
            Self::Unfinished(path) => write!(f, "{}.*", path.display()),
        }
    }
}

/// One photo to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// From where.
    pub input: Input,
    /// To where.
    pub output: Output,
    /// As what; `None`: as the output's name says where the user chose it, else as the input is.
    pub format: Option<Format>,
}

/// One of several parts into which the photos are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, counted from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

/// What a command line asks for.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Photos, in the order of the command line; folders sorted by name.
    pub jobs: Vec<Job>,
    /// Inputs that cannot be restored.
    pub failures: Vec<Failure>,
    /// What is left out on purpose, one line each.
    pub notes: Vec<String>,
}

/// Lists the photos that `inputs` mean, and names their results.
///
/// # Errors
/// A combination that makes no sense, as a message for the user.
pub fn jobs(inputs: &[PathBuf], names: &Names) -> Result<Jobs, String> {
    let target = Target::new(inputs, names)?;
    let mut found = Jobs::default();
    let mut taken = HashSet::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            found.jobs.push(Job {
                input: Input::Stdin,
                output: target.of_stdin(),
                format: None,
            });
        } else if input.is_dir() {
            let mut files = Vec::new();
            list(input, &target, &mut files, &mut found);
            if files.is_empty() {
                found.fail(input, NO_PHOTOS.into());
            }
            for file in files {
                let inside = file.strip_prefix(input).unwrap_or(&file).to_owned();
                found.push(&target, &mut taken, file, &inside);
            }
        } else {
            let name = input
                .file_name()
                .map_or_else(|| input.clone(), PathBuf::from);
            found.push(&target, &mut taken, input.clone(), &name);
        }
    }
    Ok(found)
}

impl Jobs {
    fn fail(&mut self, input: &Path, why: String) {
        let input = input.to_owned();
        self.failures.push(Failure { input, why });
    }

    fn push(
        &mut self,
        target: &Target,
        taken: &mut HashSet<PathBuf>,
        file: PathBuf,
        inside: &Path,
    ) {
        let output = target.of_file(&file, inside);
        let job = Job {
            input: Input::File(file),
            output,
            format: None,
        };
        self.add(job, taken);
    }

    /// Adds a job unless its result is that of an earlier one.
    fn add(&mut self, job: Job, taken: &mut HashSet<PathBuf>) {
        if let (Input::File(file), Output::File { path, .. }) = (&job.input, &job.output)
            && !taken.insert(path.clone())
        {
            let why = format!(
                "its result {} is also that of another input; restore it with another -o",
                path.display()
            );
            self.fail(file, why);
            return;
        }
        self.jobs.push(job);
    }

    /// Leaves out each photo whose comparison, see [`comparison`], would be another photo's file, or its result.
    pub fn with_comparisons(mut self) -> Self {
        let mut taken = HashSet::new();
        for job in &self.jobs {
            if let Input::File(path) = &job.input {
                taken.insert(path.clone());
            }
            if let Output::File { path, .. } = &job.output {
                taken.insert(path.clone());
            }
        }
        for job in std::mem::take(&mut self.jobs) {
            match (&job.input, &job.output) {
                (Input::File(file), Output::File { path, .. })
                    if !taken.insert(comparison(path)) =>
                {
                    let why = format!(
                        "its comparison {} is also another photo or result; restore it with another -o",
                        comparison(path).display()
                    );
                    self.fail(file, why);
                }
                _ => self.jobs.push(job),
            }
        }
        self
    }

    /// Every `of`-th job from the `number`-th on: the shards of the same command line are disjoint, and together all.
    pub fn of_shard(mut self, shard: Shard) -> Self {
        let mut index = 0;
        self.jobs.retain(|_| {
            index += 1;
            (index - 1) % shard.of == shard.number - 1
        });
        self
    }

    /// The same jobs with results of one format, and named so.
    ///
    /// # Errors
    /// A result that the user named otherwise, as a message for the user.
    pub fn in_format(mut self, format: Format) -> Result<Self, String> {
        let mut taken = HashSet::new();
        for mut job in std::mem::take(&mut self.jobs) {
            job.format = Some(format);
            if let Output::File { path, convert } = &mut job.output
                && Format::of_path(path) != Some(format)
            {
                if *convert {
                    return Err(format!(
                        "{}: --format {} asks for another kind of file; leave it out, or end -o with .{1}",
                        path.display(),
                        format.extension()
                    ));
                }
                path.set_extension(format.extension());
            }
            self.add(job, &mut taken);
        }
        Ok(self)
    }
}

/// Where results go.
struct Target<'a> {
    place: Place<'a>,
    /// What the user wants between name and extension.
    suffix: Option<&'a str>,
}

enum Place<'a> {
    Beside,
    Stdout,
    Special(&'a Path),
    File(&'a Path),
    Folder(&'a Path),
}

impl<'a> Target<'a> {
    fn new(inputs: &[PathBuf], names: &Names<'a>) -> Result<Self, String> {
        let place = Place::new(inputs, names)?;
        if names.suffix.is_some() && !matches!(place, Place::Beside | Place::Folder(_)) {
            return Err(
                "--suffix names results beside photos or in a folder; leave it out, or give -o FOLDER/"
                    .into(),
            );
        }
        Ok(Target {
            place,
            suffix: names.suffix,
        })
    }

    fn of_stdin(&self) -> Output {
        match self.place {
            Place::File(path) => Output::File {
                path: path.to_path_buf(),
                convert: true,
            },
            Place::Folder(path) => {
                let suffix = self.suffix.unwrap_or_default();
                Output::Unfinished(path.join(format!("stdin{suffix}")))
            }
            Place::Special(path) => Output::Special(path.to_path_buf()),
            Place::Stdout | Place::Beside => Output::Stdout,
        }
    }

    fn of_file(&self, file: &Path, inside: &Path) -> Output {
        match self.place {
            Place::Stdout => Output::Stdout,
            Place::Special(path) => Output::Special(path.to_path_buf()),
            Place::File(path) => Output::File {
                path: path.to_path_buf(),
                convert: true,
            },
            Place::Beside => Output::File {
                path: beside(file, self.suffix.unwrap_or(SUFFIX)),
                convert: false,
            },
            // An input given as `../photo.png` still lands inside the folder.
            Place::Folder(folder) => {
                let inside: PathBuf = inside
                    .components()
                    .filter(|part| matches!(part, Component::Normal(_)))
                    .collect();
                Output::File {
                    path: beside(&folder.join(inside), self.suffix.unwrap_or_default()),
                    convert: false,
                }
            }
        }
    }

    /// Whether a folder is the one that results go to.
    fn is_folder(&self, path: &Path) -> bool {
        matches!(self.place, Place::Folder(folder) if same(folder, path))
    }

    /// Whether a file is called as results and comparisons are.
    fn is_result(&self, path: &Path) -> bool {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        [Some(SUFFIX), Some(COMPARISON), self.suffix]
            .into_iter()
            .flatten()
            .any(|suffix| stem.ends_with(suffix))
    }
}

impl<'a> Place<'a> {
    fn new(inputs: &[PathBuf], names: &Names<'a>) -> Result<Self, String> {
        let stdin = inputs
            .iter()
            .filter(|input| input.as_os_str() == "-")
            .count();
        if stdin > 1 {
            return Err("standard input can be read once: give - once".into());
        }
        let single = inputs.len() == 1 && (stdin == 1 || !inputs[0].is_dir());
        let Some(path) = names.output else {
            return match (stdin, inputs.len()) {
                (0, _) => Ok(Place::Beside),
                (_, 1) => Ok(Place::Stdout),
                _ => Err("- beside other inputs needs -o FOLDER".into()),
            };
        };
        if names.folder {
            return match path.exists() && !path.is_dir() {
                true => Err(format!(
                    "{}: a file, not a folder; give --output-dir another one",
                    path.display()
                )),
                false => Ok(Place::Folder(path)),
            };
        }
        if is_stdout(path) {
            return if single {
                Ok(Place::Stdout)
            } else {
                Err("-o - takes the result of one file: give one, or -o FOLDER".into())
            };
        }
        if is_special(path) {
            return if single || path == Path::new("/dev/null") {
                Ok(Place::Special(path))
            } else {
                Err(format!(
                    "{}: several results do not fit into one pipe or device; give -o FOLDER/",
                    path.display()
                ))
            };
        }
        let slash = path
            .as_os_str()
            .to_string_lossy()
            .ends_with(std::path::is_separator);
        if path.is_dir() || slash || path.extension().is_none() {
            return Ok(Place::Folder(path));
        }
        if Format::of_output(path).is_none() && single {
            return Err(format!(
                "{}: results can be .png, .jpg, .webp, .tif or .bmp; end -o with one of these, or with / for a folder",
                path.display()
            ));
        }
        match (single, Format::of_output(path)) {
            (true, _) => Ok(Place::File(path)),
            (false, None) => Ok(Place::Folder(path)),
            (false, Some(_)) => Err(format!(
                "{}: several results do not fit into one file; give -o FOLDER/",
                path.display()
            )),
        }
    }
}

/// Whether a path means standard output, whatever that leads to.
fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Whether a path is there and is neither a file nor a folder: a pipe, a socket, a device.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// A path with the extension of what is written for an input of this name.
fn written(path: PathBuf) -> PathBuf {
    match Format::of_path(&path) {
        Some(format) if format.written() != format => {
            path.with_extension(format.written().extension())
        }
        _ => path,
    }
}

/// `NAME.restored.EXT` for `NAME.EXT` and that suffix, of the kind that is written for it.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let file = written(file.to_path_buf());
    named(&file, file.file_stem().unwrap_or_default(), suffix)
}

/// `NAME.compare.EXT` for a result `NAME.EXT` or `NAME.restored.EXT`.
pub fn comparison(result: &Path) -> PathBuf {
    let stem = result.file_stem().unwrap_or_default();
    let bare = stem.to_str().and_then(|stem| stem.strip_suffix(SUFFIX));
    named(result, bare.map_or(stem, OsStr::new), COMPARISON)
}

/// A file beside another one, with its extension.
fn named(file: &Path, stem: &OsStr, suffix: &str) -> PathBuf {
    let mut name = stem.to_owned();
    name.push(suffix);
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// The photos below a folder, sorted; not hidden ones, not earlier results, nothing where results go.
fn list(folder: &Path, target: &Target, files: &mut Vec<PathBuf>, found: &mut Jobs) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let why = format!("cannot be listed ({error}); check its permissions");
            found.fail(folder, why);
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let foreign = paths.iter().filter(|path| is_foreign(path)).count();
    if foreign > 0 {
        found.notes.push(format!(
            "{}: {foreign} file{} of kinds that are not read (camera raw, HEIC and the like) left \
             out; export them as PNG or TIFF first",
            folder.display(),
            if foreign == 1 { "" } else { "s" }
        ));
    }
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        } else if path.is_dir() {
            if target.is_folder(&path) {
                continue;
            }
            // A link to a folder may lead back up, and would be restored twice.
            if path.is_symlink() {
                found.notes.push(format!(
                    "{}: a link to a folder, left out; name it to restore what is in it",
                    path.display()
                ));
            } else {
                list(&path, target, files, found);
            }
        } else if Format::of_path(&path).is_some() && !target.is_result(&path) {
            // Who opens a pipe waits for its other end, maybe for ever.
            if is_special(&path) {
                found.notes.push(format!(
                    "{}: a pipe or a device, left out; name it to restore what comes from it",
                    path.display()
                ));
            } else {
                files.push(path);
            }
        }
    }
}

/// Whether two paths lead to the same place; it must be there.
pub fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(inputs: &[PathBuf], output: Option<&Path>) -> Result<Jobs, String> {
        let names = Names {
            output,
            ..Names::default()
        };
        super::jobs(inputs, &names)
    }

    fn beside(file: &Path) -> PathBuf {
        super::beside(file, SUFFIX)
    }

    fn outputs(inputs: &[&Path], output: Option<&Path>) -> Vec<PathBuf> {
        let inputs: Vec<PathBuf> = inputs.iter().map(|path| path.to_path_buf()).collect();
        let jobs = jobs(&inputs, output).expect("a sensible command line");
        assert_eq!(jobs.failures, []);
        jobs.jobs
            .into_iter()
            .map(|job| match job.output {
                Output::File { path, .. } => path,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in [
            "b.png",
            "a.JPG",
            "a.restored.JPG",
            "notes.txt",
            ".hidden.png",
            "sub/c.tiff",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, b"x").expect("a file");
        }
        folder
    }

    #[test]
    fn beside_the_input() {
        assert_eq!(
            beside(Path::new("x/photo.old.jpg")),
            Path::new("x/photo.old.restored.jpg")
        );
        assert_eq!(beside(Path::new("photo")), Path::new("photo.restored"));
        let tree = tree();
        let names = ["a.restored.JPG", "b.restored.png", "sub/c.restored.tiff"];
        assert_eq!(
            outputs(&[tree.path()], None),
            names.map(|name| tree.path().join(name))
        );
    }

    #[test]
    fn a_folder_keeps_the_structure() {
        let tree = tree();
        let out = tree.path().join("out");
        fs::create_dir(&out).expect("a folder");
        fs::write(out.join("old.png"), b"x").expect("a file");
        let names = ["a.JPG", "b.png", "sub/c.tiff"];
        assert_eq!(
            outputs(&[tree.path()], Some(&out)),
            names.map(|name| out.join(name))
        );
        assert_eq!(
            outputs(&[&tree.path().join("b.png")], Some(&out)),
            [out.join("b.png")]
        );
        assert_eq!(
            outputs(&[Path::new("no/such.png")], Some(Path::new("new/"))),
            [Path::new("new/such.png")]
        );
    }

    #[test]
    fn what_is_not_written_becomes_png() {
        assert_eq!(beside(Path::new("a/b.GIF")), Path::new("a/b.restored.png"));
        assert_eq!(beside(Path::new("b.bmp")), Path::new("b.restored.bmp"));
        assert_eq!(
            outputs(&[Path::new("no/such.jxl")], Some(Path::new("new/"))),
            [Path::new("new/such.png")]
        );
    }

    #[test]
    fn photos_of_other_kinds_in_a_folder_are_counted() {
        let tree = tree();
        for name in ["d.NEF", "e.heic"] {
            fs::write(tree.path().join(name), b"x").expect("a file");
        }
        let jobs = jobs(&[tree.path().to_owned()], None).expect("a sensible command line");
        assert_eq!(jobs.jobs.len(), 3);
        assert!(
            jobs.notes[0].contains("2 files of kinds"),
            "{:?}",
            jobs.notes
        );
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_left_out_with_a_word() {
        let tree = tree();
        std::os::unix::fs::symlink(".", tree.path().join("loop")).expect("a link");
        let jobs = jobs(&[tree.path().to_owned()], None).expect("a sensible command line");
        assert_eq!((jobs.jobs.len(), jobs.failures.len()), (3, 0));
        assert!(jobs.notes[0].contains("loop: a link"), "{:?}", jobs.notes);
    }

    #[cfg(unix)]
    #[test]
    fn sockets_and_pipes_in_folders_are_left_out_with_a_word() {
        let tree = tree();
        let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("s.png"));
        let jobs = jobs(&[tree.path().to_owned()], None).expect("a sensible command line");
        assert_eq!((jobs.jobs.len(), jobs.failures.len()), (3, 0));
        assert!(jobs.notes[0].contains("s.png: a pipe"), "{:?}", jobs.notes);
    }

    #[cfg(unix)]
    #[test]
    fn devices_take_results_as_they_are() {
        let output = |inputs: &[&str], path: &str| {
            let inputs: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
            jobs(&inputs, Some(Path::new(path))).map(|jobs| jobs.jobs[0].output.clone())
        };
        assert_eq!(output(&["a.png"], "/dev/stdout"), Ok(Output::Stdout));
        let null = Output::Special("/dev/null".into());
        assert_eq!(output(&["a.png"], "/dev/null"), Ok(null.clone()));
        assert_eq!(output(&["a.png", "b.png"], "/dev/null"), Ok(null));
        assert!(output(&["a.png", "b.png"], "/dev/stdout").is_err());
        assert!(output(&["a.png", "b.png"], "/dev/zero").is_err());
    }

    #[test]
    fn the_same_result_twice_is_a_failure() {
        let inputs = [PathBuf::from("one/a.png"), PathBuf::from("two/a.png")];
        let jobs = jobs(&inputs, Some(Path::new("out"))).expect("a sensible command line");
        assert_eq!((jobs.jobs.len(), jobs.failures.len()), (1, 1));
    }

    #[test]
    fn a_format_names_the_results() {
        let tree = tree();
        fs::write(tree.path().join("a.webp"), b"x").expect("a file");
        let inputs = [tree.path().to_owned()];
        let jobs = jobs(&inputs, Some(Path::new("out")))
            .expect("a sensible command line")
            .in_format(Format::Png)
            .expect("names that the user did not choose");
        let results: Vec<_> = jobs.jobs.iter().map(|job| &job.output).collect();
        let file = |name: &str| Output::File {
            path: Path::new("out").join(name),
            convert: false,
        };
        assert_eq!(
            results,
            [&file("a.png"), &file("b.png"), &file("sub/c.png")]
        );
        assert!(jobs.jobs.iter().all(|job| job.format == Some(Format::Png)));
        assert!(
            jobs.failures[0]
                .to_string()
                .contains("a.webp: its result out/a.png"),
            "{:?}",
            jobs.failures
        );
    }

    #[test]
    fn a_format_and_a_name_of_another_are_refused() {
        let inputs = [PathBuf::from("a.png")];
        let named = || jobs(&inputs, Some(Path::new("b.jpg"))).expect("a sensible command line");
        assert!(named().in_format(Format::Jpeg).is_ok());
        let error = named()
            .in_format(Format::Png)
            .expect_err("two kinds of file");
        assert!(error.starts_with("b.jpg: --format png"), "{error}");
    }

    #[test]
    fn a_suffix_names_the_results_and_tells_them_from_photos() {
        let tree = tree();
        fs::write(tree.path().join("a.new.JPG"), b"x").expect("a file");
        let names = |output: Option<&'static str>| Names {
            output: output.map(Path::new),
            folder: true,
            suffix: Some(".new"),
        };
        for (output, first) in [
            (None, tree.path().join("a.new.JPG")),
            (Some("out.d"), PathBuf::from("out.d/a.new.JPG")),
        ] {
            let jobs = super::jobs(&[tree.path().to_owned()], &names(output)).expect("jobs");
            assert_eq!(jobs.jobs.len(), 3);
            let right = Output::File {
                path: first,
                convert: false,
            };
            assert_eq!(jobs.jobs[0].output, right);
        }
        let stdin = super::jobs(&["-".into()], &names(Some("out.d"))).expect("a job");
        let right = Output::Unfinished("out.d/stdin.new".into());
        assert_eq!(stdin.jobs[0].output, right);
        let one = Names {
            suffix: Some(".new"),
            ..Names::to(Path::new("b.png"))
        };
        assert!(super::jobs(&["a.png".into()], &one).is_err());
    }

    #[test]
    fn comparisons_take_no_other_name() {
        for (result, name) in [
            ("x/a.restored.jpg", "x/a.compare.jpg"),
            ("out/a.png", "out/a.compare.png"),
            ("a.b.new.tif", "a.b.new.compare.tif"),
        ] {
            assert_eq!(comparison(Path::new(result)), Path::new(name));
        }
        let inputs = ["a.png", "a.compare.png", "b.png"].map(PathBuf::from);
        let found = jobs(&inputs, None).expect("jobs").with_comparisons();
        assert_eq!((found.jobs.len(), found.failures.len()), (2, 1));
        assert!(found.failures[0].why.contains("comparison a.compare.png"));
        // In a folder they are results.
        let tree = tree();
        fs::write(tree.path().join("b.compare.png"), b"x").expect("a file");
        let found = jobs(&[tree.path().to_owned()], None).expect("jobs");
        assert_eq!(found.with_comparisons().jobs.len(), 3);
    }

    #[test]
    fn shards_are_disjoint_and_together_all() {
        let tree = tree();
        let all = || jobs(&[tree.path().to_owned()], None).expect("a sensible command line");
        let mut found: Vec<Job> = Vec::new();
        for number in 1..=2 {
            found.extend(all().of_shard(Shard { number, of: 2 }).jobs);
        }
        assert_eq!(found.len(), all().jobs.len());
        assert!(all().jobs.iter().all(|job| found.contains(job)));
        assert!(all().of_shard(Shard { number: 9, of: 9 }).jobs.is_empty());
    }

    #[test]
    fn standard_input_and_output() {
        let stdin = [PathBuf::from("-")];
        let job = |output: Option<&str>| {
            jobs(&stdin, output.map(Path::new))
                .expect("a sensible command line")
                .jobs[0]
                .output
                .clone()
        };
        assert_eq!(job(None), Output::Stdout);
        assert_eq!(job(Some("-")), Output::Stdout);
        assert_eq!(
            job(Some("x.png")),
            Output::File {
                path: "x.png".into(),
                convert: true
            }
        );
        assert_eq!(
            job(Some("folder/")),
            Output::Unfinished("folder/stdin".into())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (inputs, output) in [
            (paths(&["-", "-"]), Some("out")),
            (paths(&["-", "a.png"]), None),
            (paths(&["a.png", "b.png"]), Some("-")),
            (paths(&["a.png", "b.png"]), Some("c.png")),
            (paths(&["a.png"]), Some("b.gif")),
        ] {
            assert!(
                jobs(&inputs, output.map(Path::new)).is_err(),
                "{inputs:?} {output:?}"
            );
        }
    }
}
