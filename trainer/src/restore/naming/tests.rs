use std::fs;

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
