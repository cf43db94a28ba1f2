//! Published networks through the command line: checkpoints written by the reference implementations, with random
//! values under the published names, must give what those implementations give.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dino_ir_tests::program::{stderr, succeed, trainer};
use dino_ir_tests::reference::python;
use safetensors::SafeTensors;
use serde_json::Value;

/// Files of `published.py` in a new folder.
fn generated(what: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    python("published.py", &[Path::new(what), folder.path()]);
    folder
}

fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let values = view.data().as_chunks::<4>().0.iter();
        let values = values.map(|&bytes| f32::from_le_bytes(bytes)).collect();
        (name, (view.shape().to_vec(), values))
    };
    file.tensors().into_iter().map(read).collect()
}

/// The largest difference, NaN if there is one.
fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    pairs.fold(0.0, |worst: f32, (a, b)| match (a - b).abs() {
        difference if difference.is_nan() || worst.is_nan() => f32::NAN,
        difference => worst.max(difference),
    })
}

fn info(at: &Path, file: &str) -> Value {
    serde_json::from_str(&succeed(&["info", file, "--json"], at)).expect("JSON")
}

#[test]
fn restormer_restores_as_the_authors_network_does() {
    let folder = generated("restormer");
    let at = folder.path();
    for (name, checkpoint, parameters) in [
        ("with-bias", "with-bias.pth", 26_126_644),
        ("bias-free", "bias-free.safetensors", 26_111_668),
    ] {
        let ours = format!("{name}.ours.safetensors");
        succeed(
            &["import", "--from", "restormer", checkpoint, "-o", &ours],
            at,
        );
        let info = info(at, &ours);
        assert_eq!(info["kind"], "restormer");
        assert_eq!(info["parameters"], parameters, "{name}");
        restores_alike(at, name, &ours);
    }
}

#[test]
fn baselines_restore_as_spandrels_do() {
    let folder = generated("baselines");
    let at = folder.path();
    for name in ["dncnn", "nafnet"] {
        let ours = format!("{name}.ours.safetensors");
        let checkpoint = format!("{name}.pth");
        succeed(&["import", "--from", name, &checkpoint, "-o", &ours], at);
        assert_eq!(info(at, &ours)["kind"], name);
        restores_alike(at, name, &ours);
    }
}

/// Restores the photos of a case through the command line, and compares.
fn restores_alike(at: &Path, name: &str, weights: &str) {
    for (size, (shape, expected)) in tensors(&at.join(format!("{name}.expected.safetensors"))) {
        let input = format!("{name}-{size}.tif");
        let output = format!("{name}-{size}.out.tif");
        succeed(
            &["restore", &input, "--weights", weights, "-o", &output],
            at,
        );
        // 16 bit: rounding is a thirteenth of the tolerance.
        let restored = image::open(at.join(output)).expect("a result").into_rgb16();
        let [_, height, width] = shape[..] else {
            panic!("a photo");
        };
        assert_eq!(restored.dimensions(), (width as u32, height as u32));
        let planar: Vec<f32> = (0..3)
            .flat_map(|c| {
                restored
                    .pixels()
                    .map(move |pixel| f32::from(pixel[c]) / 65535.0)
            })
            .collect();
        let worst = difference(&planar, &expected);
        println!("{name} {size} differs by {worst:.1e}, allowed 1e-4");
        assert!(worst <= 1e-4, "{name} {size} differs by {worst}");
    }
}

#[test]
fn dinov2_features_are_those_of_metas_code() {
    let folder = generated("dinov2");
    let at = folder.path();
    for (name, layers) in [
        ("small", "4,8,12"),
        ("small-reg4", "4,8,12"),
        ("base", "1,2"),
        ("large-reg4", "1,2"),
        ("giant", "1,2"),
    ] {
        let ours = format!("{name}.ours.safetensors");
        let checkpoint = format!("{name}.pth");
        succeed(
            &["import", "--from", "dinov2", &checkpoint, "-o", &ours],
            at,
        );
        assert_eq!(info(at, &ours)["kind"], "dinov2");
        let expected = tensors(&at.join(format!("{name}.expected.safetensors")));
        let mut sizes: Vec<&str> = expected
            .keys()
            .filter_map(|key| key.split('.').next())
            .collect();
        sizes.dedup();
        for size in sizes {
            let image = format!("{name}-{size}.png");
            let features = |norm: &[&str], out: &str| {
                let mut arguments = vec!["features", &image, "--weights", &ours, "-o", out];
                arguments.extend(norm);
                succeed(&arguments, at);
                tensors(&at.join(out))
            };
            let plain = features(&["--layers", layers], &format!("{name}-{size}.plain"));
            let normed = features(&["--norm"], &format!("{name}-{size}.norm"));
            assert_eq!((plain.len(), normed.len()), (layers.split(',').count(), 1));
            let named = plain.iter().map(|(layer, found)| (layer.as_str(), found));
            for (layer, (shape, found)) in named.chain(normed.values().map(|found| ("norm", found)))
            {
                let (their_shape, theirs) = &expected[&format!("{size}.{layer}")];
                assert_eq!(shape, their_shape, "{name} {size} {layer}");
                let largest = theirs
                    .iter()
                    .fold(0.0f32, |max, value| max.max(value.abs()));
                let worst = difference(found, theirs) / largest;
                println!("{name} {size} {layer} differs by {worst:.1e}, allowed 1e-3");
                assert!(worst <= 1e-3, "{name} {size} {layer} differs by {worst}");
            }
        }
    }
}

#[test]
fn checkpoints_that_mean_harm_cost_a_line() {
    let folder = generated("hostile");
    let at = folder.path();
    for (name, complaint) in [
        ("worm", "posix.system"),
        ("old", "before 1.6"),
        ("huge", "repeats values"),
        ("integers", "is missing"),
        ("tensor", "not a dictionary"),
        ("empty", "no tensors"),
        ("cycle", "no tensors"),
        ("missing", "patch_embed.proj.weight"),
        ("cut", "cut short"),
        ("text", "neither"),
    ] {
        let file = format!("{name}.pth");
        let output = trainer(&["import", "--from", "restormer", &file, "-o", "out"], at);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let line = stderr(&output);
        assert_eq!(line.lines().count(), 1, "{name}: {line}");
        assert!(line.contains(&file) && line.contains(complaint), "{line}");
    }
    assert!(!at.join("it-ran").exists(), "code in a pickle was run");
    assert!(!at.join("out").exists());
}

#[test]
fn where_the_official_files_are_is_said_with_their_licence() {
    for (name, licence) in [
        ("dinov2", "Apache License 2.0"),
        ("restormer", "academic use only"),
    ] {
        let said = succeed(&["import", "--from", name], Path::new("."));
        assert!(
            said.contains("https://github.com/") && said.contains(licence),
            "{said}"
        );
    }
}
