//! A run that goes on where another ended, and a folder that holds one already.

use super::*;

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));
    let config = config([5, 3]);
    let stop = AtomicBool::new(false);
    train(
        Tiny::new(&device()),
        &Synthetic::new(&stop),
        &config,
        &options(&straight, None, &stop),
    )
    .expect("8 steps");
    let expected = Checkpoint::load(&straight).expect("8 steps");
    assert_eq!(expected.state.step, 8);
    assert_eq!(expected.ema.len(), 4, "the frozen backbone has no average");
    assert_eq!(
        expected.first.len(),
        4,
        "the frozen backbone has no moments"
    );

    // The same configuration cut short by a stop in step 4's batch, as Ctrl-C would.
    let mut source = Synthetic::new(&stop);
    source.stop_at = 4;
    let mut cut = config.clone();
    cut.prefetch = 0;
    let outcome = train(
        Tiny::new(&device()),
        &source,
        &cut,
        &options(&halves, None, &stop),
    )
    .expect("stopped");
    assert!(
        outcome.stopped && outcome.step < 8 && outcome.step >= 3,
        "step {}",
        outcome.step
    );

    // Lines of steps that will be done again, and one that a crash cut short.
    let mut log = Log::open(&halves, Some(&halves), u64::MAX).expect("the log");
    log.append(&Entry::Train {
        step: 6,
        loss: 9.0,
        psnr: 9.0,
        lr: 9.0,
        samples_per_s: 9.0,
        grad_norm: 9.0,
        seconds: 9.0,
        by_clock: None,
    })
    .expect("a line");
    let path = halves.join(LOG);
    let text = fs::read_to_string(&path).expect("the log") + "{\"kind\":\"tr";
    fs::write(&path, text).expect("the log");

    stop.store(false, Ordering::Relaxed);
    let other_start = Tiny::new(&device());
    let other_start =
        crate::train::parameters::map_flat(other_start, |_, _, tensor| Some(tensor.zeros_like()));
    train(
        other_start,
        &Synthetic::new(&stop),
        &config,
        &options(&halves, Some(&halves), &stop),
    )
    .expect("the rest");
    assert_same(&expected, &Checkpoint::load(&halves).expect("the rest"));
    assert_eq!(
        expected
            .averaged_weights()
            .get("backbone.weight")
            .map(|data| data.shape().clone()),
        Some([4, 3, 3, 3].into())
    );
    for name in [LAST, PREVIOUS, BEST, LOG, CURVES] {
        assert!(halves.join(name).exists(), "{name}");
    }
    assert!(!halves.join("last.safetensors.tmp").exists());
    assert_eq!(timeless(&straight), timeless(&halves));
}

#[test]
fn four_and_four_steps_equal_eight() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    train(
        Tiny::new(&device()),
        &source,
        &config([4, 4]),
        &options(&straight, None, &stop),
    )
    .expect("8 steps");
    let mut half = config([4, 4]);
    half.stages.truncate(1);
    train(
        Tiny::new(&device()),
        &source,
        &half,
        &options(&halves, None, &stop),
    )
    .expect("4 steps");
    assert_eq!(Checkpoint::load(&halves).expect("half").state.step, 4);
    let resumed = train(
        Tiny::new(&device()),
        &source,
        &config([4, 4]),
        &options(&halves, Some(&halves), &stop),
    )
    .expect("4 more");
    assert_eq!(resumed.step, 8);
    let expected = Checkpoint::load(&straight).expect("straight");
    assert_same(&expected, &Checkpoint::load(&halves).expect("halves"));
    assert_eq!(timeless(&straight), timeless(&halves));
    assert_eq!(
        bits(&expected.averaged_weights()),
        bits(&named_tensors(&resumed.averaged))
    );

    // Broken newest file: the one before serves.
    fs::write(halves.join(LAST), b"short").expect("write");
    assert_eq!(Checkpoint::load(&halves).expect("previous").state.step, 4);
}

#[test]
fn another_run_is_not_overwritten_and_another_model_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stop = AtomicBool::new(false);
    let source = Synthetic::new(&stop);
    let out = folder.path();
    let config = config([2, 1]);
    let outcome = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, None, &stop),
    );
    outcome.expect("3 steps");
    let again = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, None, &stop),
    );
    assert!(complaint(again).contains("--resume"));

    let mut checkpoint = Checkpoint::load(out).expect("3 steps");
    let weight = checkpoint.weights.remove("first.bias").expect("there");
    checkpoint.weights.insert("third.bias".to_owned(), weight);
    for tensors in [
        &mut checkpoint.ema,
        &mut checkpoint.first,
        &mut checkpoint.second,
    ] {
        tensors.remove("first.bias");
    }
    checkpoint.save_last(out).expect("written");
    let refused = train(
        Tiny::new(&device()),
        &source,
        &config,
        &options(out, Some(out), &stop),
    );
    assert!(complaint(refused).contains("first.bias"));
}

#[test]
fn a_run_goes_on_in_an_empty_folder_with_its_best_but_not_over_another_run() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [one, other, empty, typo] =
        ["one", "other", "empty", "typo"].map(|name| folder.path().join(name));
    let stop = AtomicBool::new(false);
    let config = config([2, 1]);
    let run = |out: &Path, resume: Option<&Path>| {
        let model = Tiny::new(&device());
        let options = options(out, resume, &stop);
        train(model, &Synthetic::new(&stop), &config, &options)
    };
    run(&one, None).expect("3 steps");
    run(&other, None).expect("3 steps");
    let before = fs::read(other.join(LAST)).expect("a checkpoint");
    for from in [one.clone(), one.join(LAST)] {
        assert!(complaint(run(&other, Some(&from))).contains("holds another run"));
    }
    assert_eq!(fs::read(other.join(LAST)).expect("a checkpoint"), before);

    // All steps are done: nothing here can be better.
    run(&empty, Some(&one)).expect("no step");
    let best = |folder: &Path| fs::read(folder.join(BEST)).expect("the best");
    assert_eq!(best(&empty), best(&one));
    run(&one.join("../one"), Some(&one)).expect("the same folder");

    assert!(complaint(run(&typo, Some(&typo))).contains("typo"));
    assert!(!typo.exists());
}
