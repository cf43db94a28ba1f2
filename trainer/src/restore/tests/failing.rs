//! A photo whose pixels cannot be read to the end.

use std::cell::Cell;

use dino_ir::Error;
use dino_ir::restore::{Area, ProgressCallback, Sink, Source, TilePlan};

use super::*;

const SENTENCE: &str = "the disk was pulled out; put it back";

/// Restores from a source of which only some reads succeed.
struct FailsAfter(usize, Restorer<Identity>);

struct Failing<'a> {
    source: &'a dyn Source,
    left: Cell<usize>,
}

impl Source for Failing<'_> {
    fn width(&self) -> usize {
        self.source.width()
    }

    fn height(&self) -> usize {
        self.source.height()
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| Error::Caller(SENTENCE.into()))?);
        self.source.read(area, rgb)
    }
}

impl Engine for FailsAfter {
    fn plan(&self, width: usize, height: usize, options: &Options) -> dino_ir::Result<TilePlan> {
        self.1.plan(width, height, options)
    }

    fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> dino_ir::Result<()> {
        let source = Failing {
            source,
            left: Cell::new(self.0),
        };
        self.1.restore(&source, sink, options, progress)
    }
}

#[test]
fn a_photo_that_cannot_be_read_to_the_end_leaves_nothing() {
    // Three reads look for a frame, two for toning, four are tiles.
    for (reads, works) in [(0, false), (2, false), (4, false), (8, false), (9, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        fs::write(&path, encoded(&photo(Format::Png, 3, Depth::Eight))).expect("a file");
        let jobs = naming::jobs(&[path], &Names::default()).expect("a job");
        let engine = FailsAfter(reads, engine());
        let mut report = Report::new(&jobs.jobs[0], Ending::Skipped);
        let result = restore(&jobs.jobs[0], &engine, &settings(), (1, 1), &mut report);
        match result {
            Ok(_) => assert!(works, "{reads} reads"),
            Err(error) => {
                assert!(!works, "{reads} reads: {error:#}");
                assert_eq!(format!("{error:#}"), SENTENCE);
            }
        }
        let files = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 1 + usize::from(works), "{reads} reads");
    }
}
