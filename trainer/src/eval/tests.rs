use super::setting::add_noise;
use super::*;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for sub in ["clean", "pairs/input", "pairs/target"] {
        std::fs::create_dir_all(folder.path().join(sub)).expect("temporary folder");
    }
    let photo = |seed: usize| {
        Rgb::from_fn(40, 33, |x, y| {
            let v = ((x * (3 + seed) + y * 5) % 200) as f32 / 255.0;
            [v, 0.5, 0.8 - v]
        })
    };
    for seed in 0..3 {
        let name = format!("{seed}.png");
        photo(seed)
            .save_png(&folder.path().join("clean").join(&name))
            .expect("written");
        photo(seed)
            .save_png(&folder.path().join("pairs/target").join(&name))
            .expect("written");
        let dim = Rgb {
            pixels: photo(seed).pixels.iter().map(|v| v * 0.9).collect(),
            ..photo(seed)
        };
        dim.save_png(&folder.path().join("pairs/input").join(&name))
            .expect("written");
    }
    folder
}

fn options(suite: Suite, data: PathBuf) -> EvalOptions {
    EvalOptions {
        suite,
        data,
        protocol: Protocol::Airnet,
        sigmas: None,
        limit: None,
        reserved: false,
        save: None,
        weights: "none".to_owned(),
    }
}

fn run(options: &EvalOptions, network: &dyn Fn(&Rgb) -> Result<Rgb>) -> Report {
    evaluate(options, network, &mut |_| ControlFlow::Continue(()))
        .expect("measurable")
        .expect("not cancelled")
}

fn untouched(image: &Rgb) -> Result<Rgb> {
    Ok(image.clone())
}

#[test]
fn faults_of_real_photos_are_made_alike_each_time() {
    let folder = folder();
    let options = options(Suite::Faults, folder.path().join("clean"));
    let report = run(&options, &untouched);
    assert_eq!(report.rows.len(), 10);
    assert!(
        report
            .rows
            .iter()
            .all(|row| row.psnr == row.input_psnr && row.psnr < 45.0)
    );
    let limited = EvalOptions {
        limit: Some(1),
        ..options
    };
    let first = run(&limited, &untouched);
    assert_eq!(first.images_scores[0], report.images_scores[0]);
}

#[test]
fn a_good_photo_is_its_own_truth_and_the_worst_is_named() {
    let folder = folder();
    let options = options(Suite::Untouched, folder.path().join("clean"));
    let report = run(&options, &untouched);
    assert!(report.rows.iter().all(|row| row.psnr == 100.0));
    // A network that spoils one photo.
    let truth = Rgb::load(&folder.path().join("clean/1.png")).expect("readable");
    let truth = options.protocol.crop(truth).expect("large enough");
    let spoil = |photo: &Rgb| {
        let mut photo = photo.clone();
        let shift = if photo == truth { 0.1 } else { 0.001 };
        photo
            .pixels
            .iter_mut()
            .for_each(|v| *v = (*v - shift).abs());
        Ok(photo)
    };
    let report = run(&options, &spoil);
    let spread = report.rows[1].spread.as_ref().expect("of photos");
    assert_eq!(
        (spread.worst.image.as_str(), spread.worse_than_input),
        ("1.png", 3)
    );
    assert!(spread.worst.psnr < 25.0 && spread.median_psnr > 50.0);
    assert!(report.to_string().contains("1.png"));
    assert!(report.to_json().expect("JSON").contains("\"median_psnr\""));
}

#[test]
fn only_photos_kept_for_measuring_are_measured_if_asked() {
    let folder = folder();
    let clean = folder.path().join("clean");
    for number in 10..30 {
        std::fs::copy(clean.join("0.png"), clean.join(format!("{number}.png"))).expect("copied");
    }
    let all = list(&options(Suite::Untouched, clean.clone())).expect("listed");
    let kept = list(&EvalOptions {
        reserved: true,
        ..options(Suite::Untouched, clean)
    })
    .expect("listed");
    assert!(!kept.is_empty() && kept.len() < all.len() / 2);
    assert!(kept.iter().all(|file| reserved(&file.clean)));
}

#[test]
fn a_network_that_does_nothing_scores_as_its_input() {
    let folder = folder();
    for suite in [Suite::Denoise, Suite::Blur] {
        let report = run(&options(suite, folder.path().join("clean")), &untouched);
        assert_eq!(report.images, 3);
        assert_eq!(report.rows.len(), 5);
        assert_eq!(report.rows[0].name, "input");
        assert!(report.failures.is_empty());
        for row in &report.rows {
            assert_eq!((row.psnr, row.ssim), (row.input_psnr, row.input_ssim));
        }
        assert!(report.rows[1].psnr > report.rows[3].psnr);
    }
}

#[test]
fn sigma_alone_or_among_others_gives_the_same_noise() {
    let folder = folder();
    let mut options = options(Suite::Denoise, folder.path().join("clean"));
    let all = run(&options, &untouched);
    options.sigmas = Some(vec![25.0]);
    let one = run(&options, &untouched);
    assert_eq!(one.rows[1], all.rows[2]);
    assert_eq!(one.rows.len(), 2);
    // Sigma 25 is 20.2 dB before clipping.
    assert!(
        (one.rows[1].psnr - 20.4).abs() < 0.5,
        "{}",
        one.rows[1].psnr
    );
}

#[test]
fn pairs_report_has_the_documented_json_and_csv() {
    let folder = folder();
    let brighten = |image: &Rgb| {
        Ok(Rgb {
            pixels: image.pixels.iter().map(|v| v / 0.9).collect(),
            ..image.clone()
        })
    };
    let mut options = options(Suite::Pairs, folder.path().join("pairs"));
    options.save = Some(folder.path().join("strips"));
    let report = run(&options, &brighten);
    assert!(report.rows[1].psnr > report.rows[1].input_psnr + 20.0);
    let json: serde_json::Value =
        serde_json::from_str(&report.to_json().expect("JSON")).expect("JSON");
    let mut keys: Vec<&str> = json
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["checksum", "images", "protocol", "rows", "suite", "weights"]
    );
    assert_eq!(json["rows"][0]["name"], "input");
    assert_eq!(
        (&json["suite"], &json["protocol"]),
        (&"pairs".into(), &"airnet".into())
    );
    assert_eq!(report.to_csv().lines().count(), 4);
    let strip = Rgb::load(&folder.path().join("strips/pairs/0.png.png")).expect("saved");
    assert_eq!((strip.width, strip.height), (4 * 32, 32));
}

#[test]
fn limit_and_files_change_the_checksum() {
    let folder = folder();
    let mut options = options(Suite::Pairs, folder.path().join("pairs"));
    let all = run(&options, &untouched);
    assert_eq!(all.checksum, run(&options, &untouched).checksum);
    options.limit = Some(2);
    let two = run(&options, &untouched);
    assert_eq!((all.images, two.images), (3, 2));
    assert_ne!(all.checksum, two.checksum);
    std::fs::rename(
        folder.path().join("pairs/target/0.png"),
        folder.path().join("pairs/target/0.PNG"),
    )
    .expect("renamed");
    assert_ne!(two.checksum, run(&options, &untouched).checksum);
}

#[test]
fn failures_are_named_and_the_rest_is_done() {
    let folder = folder();
    std::fs::write(folder.path().join("clean/1.png"), b"broken").expect("written");
    let mut options = options(Suite::Denoise, folder.path().join("clean"));
    options.sigmas = Some(vec![15.0]);
    let report = run(&options, &untouched);
    assert_eq!((report.failures.len(), report.images_scores.len()), (1, 2));
    assert_eq!(report.images, 2, "measured");
    assert!(report.failures[0].contains("1.png"));
    // The checksum is that of what was measured.
    std::fs::remove_file(folder.path().join("clean/1.png")).expect("removed");
    assert_eq!(report.checksum, run(&options, &untouched).checksum);
    std::fs::write(folder.path().join("clean/1.png"), b"broken").expect("written");
    let wrong_size = |image: &Rgb| Ok(image.crop(0, 0, 16, 16));
    assert_eq!(run(&options, &wrong_size).failures.len(), 3);
}

#[test]
fn progress_can_cancel() {
    let folder = folder();
    let options = options(Suite::Blur, folder.path().join("clean"));
    let result = evaluate(&options, &untouched, &mut |progress| {
        assert_eq!(progress.total, 9);
        if progress.done == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(result.expect("no error").is_none());
}

// np.random.seed(0); np.clip(np.full((16, 16, 3), 100.0) + np.random.randn(16, 16, 3) * 25, 0, 255).astype(np.uint8)[0, :2]
#[test]
fn airnet_noise_is_truncated_and_runs_on() {
    let grey = Rgb::from_fn(16, 16, |_, _| [100.0 / 255.0; 3]);
    let mut random = NumpyRandom::new(0);
    let first = add_noise(&grey, 25.0, Protocol::Airnet, &mut random).to_u8();
    assert_eq!(first[..6], [144, 110, 124, 156, 146, 75]);
    assert_ne!(
        first,
        add_noise(&grey, 25.0, Protocol::Airnet, &mut random).to_u8()
    );
    let float = add_noise(&grey, 25.0, Protocol::Restormer, &mut random);
    assert_eq!(
        float,
        add_noise(&grey, 25.0, Protocol::Restormer, &mut random)
    );
    assert!((float.pixels[0] - (100.0 + 25.0 * 1.764_052_3) / 255.0).abs() < 1e-6);
}

#[test]
fn senseless_options_are_refused() {
    let folder = folder();
    let clean = folder.path().join("clean");
    let refuse = |options: &EvalOptions| {
        evaluate(options, &untouched, &mut |_| ControlFlow::Continue(())).is_err()
    };
    let base = options(Suite::Denoise, clean.clone());
    assert!(refuse(&EvalOptions {
        sigmas: Some(vec![-1.0]),
        ..base.clone()
    }));
    assert!(refuse(&EvalOptions {
        sigmas: Some(vec![]),
        ..base.clone()
    }));
    assert!(refuse(&EvalOptions {
        limit: Some(0),
        ..base.clone()
    }));
    assert!(refuse(&EvalOptions {
        data: clean.join("nowhere"),
        ..base.clone()
    }));
    assert!(refuse(&EvalOptions {
        suite: Suite::Pairs,
        ..base
    }));
}

#[test]
fn a_table_is_measured_on_the_sets_that_are_there() {
    let folder = folder();
    let root = folder.path().join("sets");
    std::fs::create_dir_all(root.join("SOTS")).expect("temporary folder");
    std::fs::rename(folder.path().join("clean"), root.join("CBSD68")).expect("moved");
    std::fs::create_dir_all(root.join("SOTS/outdoor")).expect("temporary folder");
    let pairs = folder.path().join("pairs");
    std::fs::rename(pairs.join("input"), root.join("SOTS/outdoor/hazy")).expect("moved");
    std::fs::rename(pairs.join("target"), root.join("SOTS/outdoor/gt")).expect("moved");
    let options = TableOptions {
        table: &table::TABLE1,
        root: root.clone(),
        protocol: Protocol::Airnet,
        limit: None,
        save: None,
        weights: "none".to_owned(),
    };
    let go_on = &mut |_: EvalProgress| ControlFlow::Continue(());
    let report = evaluate_table(&options, &untouched, go_on)
        .expect("measurable")
        .expect("not stopped");
    let names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "input", "noise 15", "noise 25", "noise 50", "blur", "haze", "average"
        ]
    );
    let missing: Vec<&str> = report.missing.iter().map(|set| set.column).collect();
    assert_eq!(missing, ["rain H", "rain M"]);
    let mean = report.rows[1..6].iter().map(|row| row.psnr).sum::<f64>() / 5.0;
    assert!((report.rows[6].psnr - mean).abs() < 1e-9);
    // The paper's average is taken over the same columns.
    let dino_ir = report.paper.last().expect("the paper's own row");
    let expected = (33.85 + 31.26 + 28.04 + 32.11 + 29.86) / 5.0;
    assert!((dino_ir.average_psnr.expect("all there") - expected).abs() < 1e-9);
    let text = report.to_string();
    assert!(
        text.contains("left out: rain H") && text.contains("DINO-IR (paper)"),
        "{text}"
    );
    assert_eq!(report.to_csv().lines().count(), 1 + 6 + 6 + 9 * 5);
    assert_eq!(report.images_csv.lines().count(), 1 + 3 * (3 + 3 + 1));

    // Alone, a column gives what its suite gives.
    let mut alone = self::options(Suite::Denoise, root.join("CBSD68"));
    alone.sigmas = Some(vec![25.0]);
    assert_eq!(report.rows[2].psnr, run(&alone, &untouched).rows[1].psnr);

    let failing = |_: &Rgb| anyhow::bail!("no result");
    let failed = evaluate_table(&options, &failing, go_on)
        .expect("measurable")
        .expect("not stopped");
    assert!(failed.to_string().contains("0 images") && failed.to_csv().starts_with("method,"));

    // A set that fails takes its column along, and the paper's figures for it.
    for seed in 0..3 {
        let hazy = root.join(format!("SOTS/outdoor/hazy/{seed}.png"));
        std::fs::write(hazy, b"broken").expect("written");
    }
    let partly = evaluate_table(&options, &untouched, go_on)
        .expect("measurable")
        .expect("not stopped");
    assert_eq!(
        (partly.failed.as_slice(), partly.images),
        (&["haze"][..], 3)
    );
    assert_eq!((partly.rows.len(), partly.sets.len()), (6, 4));
    assert_eq!(partly.paper[0].psnr.len(), 4);
    assert!(partly.to_string().contains("left out: haze"));

    let nothing = TableOptions {
        table: &table::TABLE4,
        root: root.join("SOTS"),
        ..options
    };
    let error = evaluate_table(&nothing, &untouched, go_on).expect_err("no set");
    assert!(format!("{error:#}").contains("rain100l"));
}

#[test]
fn charts_are_drawn() {
    let folder = folder();
    let report = run(
        &options(Suite::Blur, folder.path().join("clean")),
        &untouched,
    );
    let bars = |name: &str| chart::Bars {
        name: name.to_owned(),
        rows: report.rows.clone(),
    };
    let path = folder.path().join("chart.png");
    chart::write_chart(&[bars("a"), bars("b")], "PSNR", &path).expect("drawn");
    let picture = image::open(&path).expect("a PNG").to_rgb8();
    let colours: std::collections::HashSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(
        colours.len() > 20,
        "bars and text: {} colours",
        colours.len()
    );
}
