//! Runs that end by the clock, and checkpoints that are small.

use std::time::{Duration, Instant};

use super::*;
use crate::train::config::CheckpointKind;

fn timed_config() -> TrainConfig {
    TrainConfig {
        log_every: 1,
        ..config([3, 1])
    }
}

fn timed<'a>(
    out: &Path,
    resume: Option<&Path>,
    seconds: f64,
    stop: &'a AtomicBool,
) -> RunOptions<'a> {
    RunOptions {
        time: Some(TimeLimit {
            started: Instant::now(),
            length: Duration::from_secs_f64(seconds),
        }),
        ..options(out, resume, stop)
    }
}

/// Step, learning rate and share of the time, line by line.
fn rates(folder: &Path) -> Vec<(u64, f64, f64)> {
    let entries = read(&folder.join(LOG)).expect("a log");
    let rate = |entry: &Entry| match entry {
        Entry::Train {
            step, lr, by_clock, ..
        } => Some((*step, *lr, by_clock.expect("by the clock").share)),
        Entry::Validation { .. } => None,
    };
    entries.iter().filter_map(rate).collect()
}

#[test]
fn a_run_by_the_clock_ends_annealed_and_goes_on_for_more() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path();
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    let mut config = timed_config();
    config.validation.every = 0;
    let run = |resume| {
        let options = timed(out, resume, 4.0, &stop);
        train(Tiny::new(&device()), &source, &config, &options).expect("time for some steps")
    };
    let first = run(None);
    assert!(!first.stopped && first.step > 4, "step {}", first.step);
    assert!(first.validation_psnr.is_some(), "there was time for it");
    let before = rates(out);
    assert_eq!(before.len() as u64, first.step);
    // Two stages share the time 3 to 1: the first has 1e-2, and the second, all of which is annealing, 1e-3.
    let highest = before.iter().map(|&(_, lr, _)| lr).fold(0.0, f64::max);
    assert_eq!(highest, 1e-2);
    let (_, lr, share) = before[before.len() - 1];
    assert!(lr < 1e-3 && share > 0.75, "{lr} at {share}");
    assert!(before.is_sorted_by(|one, other| one.2 <= other.2));

    let more = run(Some(out));
    assert!(!more.stopped && more.step > first.step, "{}", more.step);
    let after = rates(out);
    assert_eq!(after[..before.len()], before, "the lines before stay");
    assert_eq!(after.len() as u64, more.step);
    let (step, lr, share) = after[before.len()];
    assert!(
        step == first.step + 1 && lr < 5e-3 && share < 0.1,
        "it warms up again"
    );
    let last = Checkpoint::load(out).expect("resumable");
    assert_eq!(last.state.step, more.step);
}

#[test]
fn a_time_that_loading_took_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let result = train(
        Tiny::new(&device()),
        &Synthetic::new(&stop),
        &timed_config(),
        &timed(folder.path(), None, 1e-9, &stop),
    );
    assert!(complaint(result).contains("Give --minutes more"));
}

#[test]
fn a_small_checkpoint_keeps_weights_and_goes_on() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [exact, small] = ["exact", "small"].map(|name| folder.path().join(name));
    let stop = AtomicBool::new(false);
    let run = |out: &Path, kind, stages, resume| {
        let config = TrainConfig {
            checkpoints: kind,
            ..config(stages)
        };
        let options = options(out, resume, &stop);
        train(
            Tiny::new(&device()),
            &Synthetic::new(&stop),
            &config,
            &options,
        )
        .expect("steps")
    };
    run(&exact, CheckpointKind::Exact, [4, 4], None);
    run(&small, CheckpointKind::Small, [4, 4], None);
    let [one, other] = [&exact, &small].map(|folder| Checkpoint::load(folder).expect("8 steps"));
    assert!(other.first.is_empty() && other.second.is_empty());
    for (name, weight) in &one.weights {
        let found = other.weights[name].try_to_vec::<f32>().expect("f32");
        let weight = weight.try_to_vec::<f32>().expect("f32");
        let rounding = match one.ema.contains_key(name) {
            true => 0.0,
            false => 2f32.powi(-11),
        };
        for (weight, found) in weight.iter().zip(&found) {
            assert!((weight - found).abs() <= rounding * weight.abs(), "{name}");
        }
        if let Some(average) = one.ema.get(name) {
            let average = average.try_to_vec::<f32>().expect("f32");
            let found = other.ema[name].try_to_vec::<f32>().expect("f32");
            for (average, found) in average.iter().zip(&found) {
                assert!((average - found).abs() <= 2f32.powi(-11) * average.abs() + 1e-7);
            }
        }
    }
    let resumed = run(&small, CheckpointKind::Small, [4, 8], Some(&small));
    assert_eq!(resumed.step, 12);
    let tensors = |folder: &Path| {
        let bytes = fs::read(folder.join(LAST)).expect("a checkpoint");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
        let lengths = file
            .tensors()
            .into_iter()
            .map(|(_, view)| view.data().len());
        lengths.sum::<usize>()
    };
    // Of 1,279 parameters 112 are frozen: weights 4, average 2, instead of 4, 4 and 8 bytes each.
    assert!(tensors(&small) < tensors(&exact) * 2 / 5);
}
