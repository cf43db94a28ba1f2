//! The map of the expected errors.

use dino_ir::restore::Removal;

use super::*;
use crate::photo::Orientation;

/// Changes nothing, and expects an error of an eighth of a pixel's red.
struct Eighth;

impl Network for Eighth {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, _: usize, _: usize) -> u64 {
        0
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    fn has_uncertainty(&self) -> bool {
        true
    }

    fn forward_with_uncertainty(
        &self,
        x: Tensor<4>,
        _: Option<Tensor<2>>,
        _: &Removal,
    ) -> [Tensor<4>; 2] {
        let errors = x.clone().narrow(1, 0, 1) / 8.0;
        [x, errors]
    }
}

/// Restores `x.png` with a map beside it.
fn mapped(source: &Photo, change: impl FnOnce(&mut Settings)) -> (tempfile::TempDir, Outcome) {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("x.png");
    fs::write(&input, encoded(source)).expect("a file");
    let mut settings = settings();
    settings.options.uncertainty = true;
    settings.uncertainty = Some(folder.path().join("map.png"));
    change(&mut settings);
    let jobs = naming::jobs(&[input], &Names::default()).expect("jobs");
    let engine = Restorer::new(Eighth, &Device::flex());
    let outcome = run(&jobs, &engine, &settings);
    (folder, outcome)
}

fn map_in(folder: &tempfile::TempDir) -> Photo {
    decoded(&fs::read(folder.path().join("map.png")).expect("a map"))
}

#[test]
fn a_map_is_grey_upright_and_black_where_nothing_is_seen() {
    let mut source = photo(Format::Png, 4, Depth::Eight);
    for pixel in source.samples.chunks_exact_mut(4).step_by(7) {
        pixel[3] = 0;
    }
    source.metadata.exif = Some(sample().to_bytes());
    for strip in [false, true] {
        let (folder, outcome) = mapped(&source, |settings| settings.strip = strip);
        assert_eq!(outcome, Outcome::Done);
        let map = map_in(&folder);
        assert_eq!((map.width, map.height, map.channels), (41, 53, 1));
        assert_eq!(map.depth, Depth::Sixteen);
        let mut upright = source.clone();
        upright.turn(Orientation::of(&source));
        let greys = map.samples.chunks_exact(2).map(|grey| map.depth.get(grey));
        let mut hidden = 0;
        for (grey, pixel) in greys.zip(upright.samples.chunks_exact(4)) {
            // An error of 32 levels is white.
            let expected = match pixel[3] {
                0 => 0.0,
                _ => f32::from(pixel[0]) / 8.0 / 32.0 * 65535.0,
            };
            hidden += usize::from(pixel[3] == 0);
            assert!((grey - expected.round()).abs() <= 1.0, "{grey} {expected}");
        }
        assert!(hidden > 200);
        let result = fs::read(folder.path().join("x.restored.png")).expect("a result");
        let restored = decoded(&result);
        assert_eq!(
            restored.samples,
            if strip {
                upright.samples
            } else {
                source.samples.clone()
            }
        );
    }
}

#[test]
fn a_map_that_is_there_stays() {
    let source = photo(Format::Png, 3, Depth::Eight);
    let there = |settings: &mut Settings| {
        let path = settings.uncertainty.as_ref().expect("a map");
        fs::write(path, b"mine").expect("a file");
    };
    let (folder, outcome) = mapped(&source, there);
    assert_eq!(outcome, Outcome::Failed);
    let map = folder.path().join("map.png");
    assert_eq!(fs::read(&map).expect("a file"), b"mine");
    assert!(!folder.path().join("x.restored.png").exists());
    let (folder, outcome) = mapped(&source, |settings| {
        there(settings);
        settings.force = true;
    });
    assert_eq!(outcome, Outcome::Done);
    assert_eq!((map_in(&folder).width, map_in(&folder).height), (53, 41));
}

#[test]
fn engines_that_cannot_tell_write_nothing() {
    let mut settings = settings();
    settings.options.uncertainty = true;
    assert!(engine::check(&super::engine(), &settings.options).is_err());
    let files = [("x.png", encoded(&photo(Format::Png, 3, Depth::Eight)))];
    let (folder, outcome) = restored(&files, &settings);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 1);
}
