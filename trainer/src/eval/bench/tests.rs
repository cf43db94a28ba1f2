use super::*;

#[test]
fn stages_are_shares_of_the_whole() {
    let options = BenchOptions {
        weights: None,
        size: [64, 48],
        device: DeviceChoice::Cpu,
        runs: 2,
        train: 0,
        batches: &[],
        patch: 64,
        set: &[],
    };
    let report = bench(&options, |_| Ok(())).expect("measured");
    assert_eq!(report.size, [64, 48]);
    let share: f64 = report.stages.iter().map(|stage| stage.share).sum();
    assert!((share - 1.0).abs() < 1e-6, "{share}");
    assert!(report.stages.iter().any(|stage| stage.name == "latent"));
    assert!(report.image_ms.is_some_and(|ms| ms > 0.0) && report.gemm_gflops > 0.0);
    assert!(report.table().contains("latent"));
}

#[test]
fn a_backbone_alone_is_not_measured_on_another_device() {
    let config = Dinov2Config {
        width: 16,
        depth: 1,
        heads: 2,
        registers: 0,
        swiglu: false,
        grid: 4,
    };
    let backbone = config.init(&Device::flex());
    let dtype = dino_ir::weights::Dtype::F32;
    let provenance = serde_json::Value::Null;
    let bytes = dino_ir::weights::backbone_to_bytes(&backbone, &config, dtype, provenance);
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("backbone.safetensors");
    std::fs::write(&path, bytes.expect("a backbone")).expect("written");
    let options = |device| BenchOptions {
        weights: Some(&path),
        size: [28, 28],
        device,
        runs: 1,
        train: 0,
        batches: &[],
        patch: 64,
        set: &[],
    };
    let measure = |device| bench(&options(device), |_| Ok(()));
    let error = measure(DeviceChoice::Wgpu).expect_err("refused");
    assert!(error.to_string().contains("--device cpu"), "{error}");
    let report = measure(DeviceChoice::Auto).expect("measured");
    assert_eq!(report.device, "cpu");
}

#[test]
fn steps_of_one_batch_are_alike_however_they_are_computed() {
    let steps = |settings: &[&str], batches: &[usize]| {
        let set: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
        let options = BenchOptions {
            weights: None,
            size: [64, 64],
            device: DeviceChoice::Cpu,
            runs: 0,
            train: 1,
            batches,
            patch: 16,
            set: &set,
        };
        let mut seen = 0;
        let count = |report: &Report| {
            seen += 1;
            assert_eq!(report.train.len(), seen);
            Ok(())
        };
        let report = bench(&options, count).expect("measured");
        assert_eq!((report.image_ms, report.stages.len()), (None, 0));
        assert_eq!(seen + 1, batches.len());
        let steps = report.train.into_iter().map(|entry| entry.step);
        steps
            .map(|step| step.expect("no error"))
            .collect::<Vec<_>>()
    };
    let whole = steps(&["replicas=1"], &[2, 1]);
    assert!(whole[0].loss != whole[1].loss && whole[0].ms > 0.0);
    let [parts] = &steps(&["replicas=1", "accumulate=2", "loss.lambda=0"], &[2])[..] else {
        panic!("one size");
    };
    assert!(parts.loss < whole[0].loss, "without the contrastive loss");
    for (one, other) in steps(&["loss.lambda=0"], &[2])[0]
        .weights
        .iter()
        .zip(&parts.weights)
    {
        assert_eq!(one.name, other.name);
        assert!(
            (one.sum - other.sum).abs() < 1e-3 && one.moved > 0.0,
            "{one:?}, {other:?}"
        );
    }
}

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 9.0]), 3.0);
    assert_eq!(median(Vec::new()), 0.0);
}
