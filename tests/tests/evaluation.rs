//! `trainer eval` against scikit-image and NumPy on the same files, and its files.

use std::fs;

use dino_ir_tests::program::{stderr, succeed, trainer};
use dino_ir_tests::reference::python;
use serde_json::Value;

#[test]
fn the_three_protocols_are_those_of_scikit_image_and_numpy() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let expected: Value = serde_json::from_str(&python("metrics.py", &[at])).expect("JSON");
    let mut compared = 0;
    for (suite, protocols) in expected.as_object().expect("suites") {
        for (protocol, scores) in protocols.as_object().expect("protocols") {
            let mut arguments = vec!["eval", "--suite", suite, "--protocol", protocol, "--json"];
            match suite.as_str() {
                "pairs" => arguments.extend(["--data", "."]),
                "denoise" => arguments.extend(["--data", "target", "--sigma", "25"]),
                _ => arguments.extend(["--data", "target", "--sigma", "2"]),
            }
            let report: Value = serde_json::from_str(&succeed(&arguments, at)).expect("JSON");
            assert_eq!(
                (&report["images"], &report["rows"][0]["name"]),
                (&3.into(), &"input".into())
            );
            let of = |value: &Value| value.as_f64().expect("a number");
            let psnr = of(&report["rows"][1]["input_psnr"]) - of(&scores[0]);
            let ssim = of(&report["rows"][1]["input_ssim"]) - of(&scores[1]);
            // Blur is rounded to 8 bit after sums in single precision: a few pixels fall to the other level.
            let limit = if suite == "blur" { 2e-3 } else { 1e-4 };
            println!("{suite} {protocol} differs by {psnr:.1e} dB and {ssim:.1e}");
            assert!(psnr.abs() <= limit, "{suite} {protocol}: {psnr} dB");
            assert!(
                ssim.abs() <= 1e-5 * limit / 1e-4,
                "{suite} {protocol}: {ssim}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn a_table_has_its_rows_files_strips_and_chart() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    python("metrics.py", &[at]);
    fs::create_dir_all(at.join("sets/SOTS/outdoor")).expect("made");
    fs::rename(at.join("input"), at.join("sets/SOTS/outdoor/hazy")).expect("moved");
    fs::create_dir_all(at.join("sets/SOTS/outdoor/gt")).expect("made");
    fs::create_dir_all(at.join("sets/BSD68")).expect("made");
    for name in ["0.png", "1.png", "2.png"] {
        let truth = at.join("target").join(name);
        fs::copy(&truth, at.join("sets/SOTS/outdoor/gt").join(name)).expect("copied");
        fs::copy(&truth, at.join("sets/BSD68").join(name)).expect("copied");
    }
    let text = succeed(
        &[
            "eval", "--suite", "table1", "--data", "sets", "--limit", "1", "--json", "t.json",
            "--csv", "t.csv", "--chart", "t.png", "--save", "strips",
        ],
        at,
    );
    assert!(
        text.contains("left out: rain H") && text.contains("DINO-IR (paper)"),
        "{text}"
    );
    let json: Value =
        serde_json::from_slice(&fs::read(at.join("t.json")).expect("JSON")).expect("JSON");
    assert_eq!(
        (&json["suite"], &json["rows"][0]["name"]),
        (&"table1".into(), &"input".into())
    );
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(7));
    let csv = fs::read_to_string(at.join("t.csv")).expect("CSV");
    assert!(
        csv.contains("\nours,noise 25,") && csv.contains("\nPromptIR (paper),haze,29.52,"),
        "{csv}"
    );
    let images = fs::read_to_string(at.join("t.images.csv")).expect("CSV");
    assert_eq!(images.lines().count(), 1 + 3 + 3 + 1);
    let strip = image::open(at.join("strips/haze/pairs/0.png.png")).expect("a strip");
    assert_eq!((strip.width(), strip.height()), (4 * 80, 48));
    assert!(image::open(at.join("t.png")).expect("a chart").width() >= 700);

    let missing = trainer(&["eval", "--suite", "table4", "--data", "target"], at);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("rain100l"),
        "{}",
        stderr(&missing)
    );
    let both = trainer(
        &[
            "eval", "--suite", "table1", "--data", "sets", "--sigma", "15",
        ],
        at,
    );
    assert_eq!(both.status.code(), Some(2));
    assert!(stderr(&both).contains("--sigma"), "{}", stderr(&both));
    assert!(both.stdout.is_empty(), "nothing was measured");
}

#[test]
fn ablations_are_trained_and_put_beside_the_papers() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    python("metrics.py", &[at]);
    fs::create_dir_all(at.join("sets/rain100l")).expect("made");
    for name in ["input", "target"] {
        fs::create_dir_all(at.join("sets/rain100l").join(name)).expect("made");
        fs::copy(
            at.join(name).join("0.png"),
            at.join("sets/rain100l").join(name).join("0.png"),
        )
        .expect("copied");
    }
    fs::create_dir_all(at.join("sets/bsd68")).expect("made");
    fs::copy(at.join("target/0.png"), at.join("sets/bsd68/0.png")).expect("copied");
    for (table, variants, paper) in [
        ("table3", 4, "33.85"),
        ("table5", 4, "37.09"),
        ("table6", 8, "32.24"),
    ] {
        let photos = "data.clean=[\"target\"]";
        let command = [
            "reproduce",
            table,
            "--scale",
            "smoke",
            "--data",
            "sets",
            "--set",
            photos,
            "-o",
            table,
            "--quiet",
        ];
        let text = succeed(&command, at);
        assert!(text.contains(paper), "{text}");
        let json: Value =
            serde_json::from_slice(&fs::read(at.join(table).join("table.json")).expect("JSON"))
                .expect("JSON");
        let found = json["variants"].as_array().expect("variants");
        assert_eq!(found.len(), variants, "{table}");
        let psnr = |variant: &Value| {
            variant["report"]["rows"][1]["psnr"]
                .as_f64()
                .expect("a number")
        };
        let scores: Vec<f64> = found.iter().map(psnr).collect();
        assert!(
            scores.iter().any(|score| *score != scores[0]),
            "{table}: variants are alike {scores:?}"
        );
        // Finished variants are measured again, not trained again.
        assert_eq!(succeed(&command, at), text);
    }
}
