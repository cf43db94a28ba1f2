use super::*;
use crate::data::dataset::Photo;

fn photo(seed: u64, width: usize, height: usize) -> Arc<Photo> {
    let mut rng = StdRng::seed_from_u64(seed);
    let samples = (0..width * height * 3).map(|_| rng.random()).collect();
    Arc::new(Photo {
        name: format!("{seed}.png"),
        width,
        height,
        samples,
    })
}

fn sampler(seed: u64) -> Sampler {
    let clean = Split {
        train: (0..6).map(|s| photo(s, 50, 40)).collect(),
        held_out: vec![photo(9, 70, 90)],
    };
    let pair = Pair {
        degraded: photo(20, 60, 60),
        clean: photo(21, 60, 60),
    };
    let rain = Split {
        train: vec![pair],
        held_out: vec![],
    };
    let data = Dataset {
        clean,
        rain,
        haze: Split::none(),
        pairs: Split::none(),
    };
    let config = DataConfig {
        tasks: TaskWeights {
            noise: 2.0,
            clean: 1.0,
            ..TaskWeights::default()
        },
        ..DataConfig::default()
    };
    Sampler::from_dataset(Arc::new(data), &config, seed).expect("valid")
}

#[test]
fn a_sample_is_made_again_from_seed_and_index() {
    let (one, two) = (sampler(7), sampler(7));
    let at = |sampler: &Sampler, index| sampler.sample(index, 32).expect("made");
    let _ = at(&one, 3);
    let eleventh = at(&one, 11);
    assert_eq!(eleventh, at(&two, 11));
    assert_ne!(eleventh.clean, at(&sampler(8), 11).clean);
    let samples = one.samples(2, 5, 32).expect("made");
    assert_eq!((samples.len(), &samples[1]), (5, &eleventh));
    assert_eq!(eleventh.degraded.len(), 3 * 32 * 32);
}

#[test]
fn tasks_come_in_their_shares() {
    let samples = sampler(1).samples(0, 600, 8).expect("made");
    let count = |task| samples.iter().filter(|sample| sample.task == task).count();
    assert!(
        (197..=203).contains(&count(Task::Noise)),
        "{}",
        count(Task::Noise)
    );
    assert!((97..=103).contains(&count(Task::Blur)));
    assert_eq!(count(Task::Pair), 0);
    let real = samples
        .iter()
        .filter(|sample| sample.name == "20.png")
        .count();
    assert!((30..=70).contains(&real), "{real}");
    assert!(
        samples
            .iter()
            .all(|s| s.task != Task::Clean || s.clean == s.degraded)
    );
}

/// Pale crops are those of the palest photo; haze is laid on any.
#[test]
fn crops_that_look_hazy_are_preferred() {
    let pale = Photo {
        name: "pale".to_owned(),
        width: 40,
        height: 40,
        samples: vec![200; 4800],
    };
    let photos = (0..3).map(|s| photo(s, 50, 40));
    let data = Arc::new(Dataset::of_clean(photos.chain([Arc::new(pale)])));
    let share = |pale_share, task| {
        let config = DataConfig {
            pale_share,
            ..DataConfig::default()
        };
        let sampler = Sampler::from_dataset(Arc::clone(&data), &config, 5).expect("valid");
        let samples = sampler.samples(0, 400, 16).expect("made");
        let of_task = samples.iter().filter(|sample| sample.task == task);
        let pale = of_task.clone().filter(|sample| sample.name == "pale");
        pale.count() as f32 / of_task.count() as f32
    };
    assert!(share(1.0, Task::Noise) > 0.8);
    assert!((0.1..0.4).contains(&share(0.0, Task::Noise)));
    assert!((0.1..0.4).contains(&share(1.0, Task::Haze)));
}

#[test]
fn photos_smaller_than_the_patch_are_no_trouble() {
    for sample in sampler(2).samples(0, 24, 160).expect("made") {
        assert_eq!(
            (sample.clean.len(), sample.degraded.len()),
            (3 * 160 * 160, 3 * 160 * 160)
        );
        assert!(sample.degraded.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}

#[test]
fn validation_uses_held_out_photos_and_ignores_the_seed() {
    let samples = sampler(1).validation(10, 24).expect("made");
    assert_eq!(samples, sampler(99).validation(10, 24).expect("made"));
    assert!(samples.iter().all(|sample| sample.name == "9.png"));
    let tasks: Vec<Task> = samples[..5].iter().map(|sample| sample.task).collect();
    assert_eq!(
        tasks,
        [Task::Noise, Task::Blur, Task::Rain, Task::Haze, Task::Clean]
    );
}

/// Every fault is in the patch alone, whatever reaches beyond it, and is one.
#[test]
fn every_task_makes_patches_of_the_right_size() {
    let data = Arc::clone(sampler(1).dataset());
    let config = DataConfig {
        tasks: TaskWeights {
            grain: 1.0,
            camera: 1.0,
            jpeg: 1.0,
            lens: 1.0,
            mixed: 1.0,
            clean: 1.0,
            ..TaskWeights::default()
        },
        halved_share: 0.5,
        compressed_share: 0.5,
        ..DataConfig::default()
    };
    let sampler = Sampler::from_dataset(data, &config, 3).expect("valid");
    let samples = sampler.samples(0, 120, 16).expect("made");
    for task in Task::ALL.into_iter().filter(|&task| task != Task::Pair) {
        let mut of_task = samples
            .iter()
            .filter(|sample| sample.task == task)
            .peekable();
        assert!(of_task.peek().is_some(), "{task}");
        for sample in of_task {
            assert_eq!((sample.clean.len(), sample.degraded.len()), (768, 768));
            assert_eq!(
                sample.clean == sample.degraded,
                task == Task::Clean,
                "{task}"
            );
        }
    }
}

#[test]
fn impossible_settings_are_refused() {
    let data = Arc::clone(sampler(1).dataset());
    let with = |tasks| {
        Sampler::from_dataset(
            Arc::clone(&data),
            &DataConfig {
                tasks,
                ..DataConfig::default()
            },
            1,
        )
    };
    let none = TaskWeights {
        noise: 0.0,
        blur: 0.0,
        rain: 0.0,
        haze: 0.0,
        clean: 0.0,
        pairs: 1.0,
        ..TaskWeights::default()
    };
    assert!(with(none).is_err());
    assert!(
        with(TaskWeights {
            noise: -1.0,
            ..none
        })
        .is_err()
    );
    assert!(
        with(TaskWeights {
            noise: f32::NAN,
            ..none
        })
        .is_err()
    );
}
