//! What is wrong with photos, and those with which nothing is.

use dino_ir::restore::{ProgressCallback, Sink, Source, TilePlan};
use dino_ir::{Diagnosis, Faults};

use super::*;

/// Finds noise in all photos but those of 20 columns.
struct Judge(Restorer<Identity>);

impl Engine for Judge {
    fn plan(&self, width: usize, height: usize, options: &Options) -> dino_ir::Result<TilePlan> {
        self.0.plan(width, height, options)
    }

    fn restore(
        &self,
        source: &dyn Source,
        sink: &mut dyn Sink,
        options: &Options,
        progress: ProgressCallback<'_>,
    ) -> dino_ir::Result<()> {
        self.0.restore(source, sink, options, progress)
    }

    fn diagnose(&self, source: &dyn Source) -> dino_ir::Result<Diagnosis> {
        let noise = if source.width() == 20 { 0.0 } else { 22.0 };
        Ok(Diagnosis {
            faults: Faults {
                noise,
                ..Faults::NONE
            },
            variances: [1.0; 5],
        })
    }
}

/// A photo with noise and one without, and what became of both: whether there is a result, and the report.
fn judged(skip_fine: bool) -> Vec<(bool, Report)> {
    let folder = tempfile::tempdir().expect("a folder");
    let noisy = photo(Format::Png, 3, Depth::Eight);
    let fine = Photo {
        width: 20,
        height: 10,
        samples: vec![90; 600],
        ..noisy.clone()
    };
    let engine = Judge(engine());
    let settings = Settings {
        explain: true,
        skip_fine,
        json: true,
        ..settings()
    };
    [("noisy.png", noisy), ("fine.png", fine)]
        .into_iter()
        .map(|(name, photo)| {
            let path = folder.path().join(name);
            fs::write(&path, encoded(&photo)).expect("a file");
            let jobs = naming::jobs(&[path], &Names::default()).expect("a job");
            let job = &jobs.jobs[0];
            let mut report = Report::new(job, Ending::Skipped);
            report.outcome =
                restore(job, &engine, &settings, (1, 1), &mut report).expect("restored");
            (job.output.exists(), report)
        })
        .collect()
}

#[test]
fn photos_that_seem_fine_are_left_alone_if_that_is_wished() {
    let found: Vec<_> = judged(true)
        .into_iter()
        .map(|(exists, report)| (exists, report.outcome))
        .collect();
    assert_eq!(found, [(true, Ending::Restored), (false, Ending::Fine)]);
    let all = judged(false);
    assert!(
        all.iter()
            .all(|(exists, report)| *exists && report.outcome == Ending::Restored)
    );
}

#[test]
fn the_report_says_what_is_wrong() {
    let (_, report) = judged(false).swap_remove(0);
    let report = serde_json::to_value(&report).expect("JSON");
    assert_eq!(
        (&report["width"], &report["height"]),
        (&53.into(), &41.into())
    );
    assert_eq!(report["faults"]["noise"], 22.0);
    assert_eq!(report["faults"]["jpeg"], 100.0);
    assert_eq!(report["fine"], false);
    let sure = report["confidence"]["noise"].as_f64().expect("a number");
    assert!((0.99..=1.0).contains(&sure), "{sure}");
}
