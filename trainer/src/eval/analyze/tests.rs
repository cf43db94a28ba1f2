use burn::tensor::Device;
use dino_ir::model::DinoIrConfig;

use super::*;

fn photo(seed: usize) -> (String, Rgb) {
    let picture = Rgb::from_fn(70, 56, |x, y| {
        let wave = |k: usize| 0.5 + 0.4 * ((x * (seed + k + 1) + y * (k + 2)) as f32 / 30.0).sin();
        [wave(0), wave(1), wave(2)]
    });
    (format!("{seed}.png"), picture)
}

fn small() -> dino_ir::model::DinoIr {
    let mut config = DinoIrConfig::nano();
    config.restormer.dim = 8;
    let device = Device::flex();
    device.seed(3);
    config.init(&device)
}

#[test]
fn noise_moves_the_image_as_theory_says() {
    let net = small();
    let backbone = &net.guidance.as_ref().expect("guided").backbone;
    let photos = [photo(0), photo(1)];
    let found = robustness::measure(backbone, &photos, &[5.0, 10.0, 20.0], &Device::flex());
    let found = found.expect("measured");
    for (psnr, sigma) in found.image.psnr.iter().zip([5.0f64, 10.0, 20.0]) {
        // Clipping and rounding leave a little.
        assert!(
            (psnr - 20.0 * (255.0 / sigma).log10()).abs() < 0.6,
            "{psnr} at {sigma}"
        );
    }
    let curves = [&found.image, &found.patch_embedding, &found.features];
    for curve in curves {
        assert!(curve.deviation.iter().sum::<f64>().abs() < 1e-9);
        let squares: f64 = curve.deviation.iter().map(|d| d * d).sum();
        assert!((curve.variance - squares / 3.0).abs() < 1e-9);
        assert!(curve.psnr[0] > curve.psnr[2], "more noise, less alike");
    }
    assert!(found.text().contains("36.85") && found.text().contains("0.61"));
    let folder = tempfile::tempdir().expect("temporary folder");
    found.plot(&folder.path().join("a.png")).expect("drawn");
    assert!(robustness::measure(backbone, &[], &[5.0], &Device::flex()).is_err());
}

#[test]
fn blocks_and_gate_are_read() {
    let net = small();
    let backbone = &net.guidance.as_ref().expect("guided").backbone;
    let photos = [photo(0), photo(1)];
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("temporary folder");

    let layers = layers::measure(backbone, &photos, &device).expect("measured");
    assert_eq!((layers.tasks.len(), layers.tasks[0].cosine.len()), (4, 6));
    let all = layers.tasks.iter().flat_map(|kept| &kept.cosine);
    assert!(
        all.clone()
            .all(|cosine| (-1.0..=1.0 + 1e-9).contains(cosine))
    );
    assert_eq!(layers.unrelated.len(), 6);
    layers
        .plot(&folder.path().join("layers.png"))
        .expect("drawn");

    let scores = gate::measure(&net, &photos, &device).expect("measured");
    assert_eq!(scores.tasks.len(), 5);
    for task in &scores.tasks {
        assert!(
            (task.mean.iter().sum::<f64>() - 1.0).abs() < 1e-5,
            "{task:?}"
        );
    }
    scores.plot(&folder.path().join("gate.png")).expect("drawn");
    let mut plain = net;
    plain.guidance = None;
    assert!(gate::measure(&plain, &photos, &device).is_err());
}

#[test]
fn maps_of_equal_pictures_are_equal() {
    let net = small();
    let backbone = &net.guidance.as_ref().expect("guided").backbone;
    let (_, picture) = photo(0);
    let device = Device::flex();
    let twice = vec![("clean", picture.clone()), ("again", picture.clone())];
    let (found, figure) = pca::measure(backbone, &twice, 6, &device).expect("measured");
    assert!((found.likeness[0].cosine - 1.0).abs() < 1e-9);
    assert_eq!((figure.width, figure.height), (2 * 70 + 6, 2 * 56 + 6));
    let (found, _) = pca::measure(backbone, &pca::rains(&picture), 2, &device).expect("measured");
    // More rain, less alike.
    assert!(
        found.likeness[0].cosine > found.likeness[1].cosine,
        "{found:?}"
    );
    assert!(pca::measure(backbone, &twice, 7, &device).is_err());
}
