use std::sync::atomic::AtomicBool;

use super::*;
use crate::train::{BatchRequest, BatchSource, RunOptions, train};
use crate::trainee::Photos;
use burn::tensor::TensorData;

fn small() -> [BaselineConfig; 3] {
    let mut promptir = PromptIrConfig {
        prompts: 3,
        side: 4,
        ..PromptIrConfig::default()
    };
    promptir.restormer.dim = 8;
    promptir.restormer.blocks = [1, 1, 1, 1];
    promptir.restormer.refinement = 1;
    [
        BaselineConfig::DnCnn(DnCnnConfig { width: 8, depth: 4 }),
        BaselineConfig::NafNet(NafNetConfig {
            width: 8,
            encoder: vec![1, 1],
            middle: 1,
            decoder: vec![1, 1],
        }),
        BaselineConfig::PromptIr(promptir),
    ]
}

#[test]
fn a_file_comes_back_as_the_same_net() {
    let device = Device::flex();
    for config in small() {
        let net = config.init(&device);
        let bytes = to_bytes(&net, &config, Value::Null).expect("written");
        let loaded = load(&bytes, &device).expect("loads");
        assert_eq!(loaded.config, config);
        assert_eq!(named::collect(&loaded.net), named::collect(&net));
        let values: Vec<f32> = (0..3 * 16 * 24).map(|i| (i % 97) as f32 / 97.0).collect();
        let image = Tensor::<4>::from_data(TensorData::new(values, [1, 3, 16, 24]), &device);
        let output = loaded.net.forward(image);
        assert_eq!(output.dims(), [1, 3, 16, 24]);
        assert!(load(&bytes[..bytes.len() - 1], &device).is_err());
    }
    assert!(header(dino_ir::embedded::nano()).is_none());
}

#[test]
fn published_sizes_have_the_published_numbers_of_parameters() {
    let device = Device::flex();
    let count = |config: BaselineConfig| {
        let shapes = named::shapes(&config.init(&device));
        shapes
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum::<usize>()
    };
    // 20 convolutions of 64 channels with biases, three colours in and out.
    assert_eq!(
        count(BaselineConfig::DnCnn(DnCnnConfig::default())),
        668_227
    );
    let nafnet = count(BaselineConfig::NafNet(NafNetConfig::default()));
    assert!(
        (29.0e6..29.4e6).contains(&(nafnet as f64)),
        "{nafnet}: the paper has 29.16 M"
    );
}

#[test]
fn baselines_are_trained_by_the_same_loop() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let photo = crate::rgb::Rgb::from_fn(64, 48, |x, y| {
        [
            x as f32 / 64.0,
            y as f32 / 48.0,
            ((x + y) % 16) as f32 / 16.0,
        ]
    });
    for name in ["a.png", "b.png", "c.png"] {
        photo.save_png(&folder.path().join(name)).expect("written");
    }
    let text = format!(
        "[model]\nbaseline = \"nafnet\"\nwidth = 8\nencoder = [1]\nmiddle = 1\ndecoder = [1]\n\
         [data]\nclean = [{:?}]\nvalidation = 0\ntasks = {{ noise = 1.0, blur = 0.0, rain = 0.0, haze = 0.0, clean = 0.0 }}\n\
         [[stage]]\nsteps = 30\nbatch = 2\npatch = 32\nlr = 3e-3\n[validation]\nsamples = 0\n",
        folder.path().display().to_string()
    );
    let config = TrainConfig::parse(&text, &[]).expect("valid");
    let sizes = BaselineConfig::of_run(&config)
        .expect("valid")
        .expect("a baseline");
    let trainee = BaselineTrainee::new(&sizes, 1, &Device::flex().autodiff());
    let photos = Photos::load(&config).expect("photos");
    let stop = AtomicBool::new(false);
    let options = RunOptions {
        out: folder.path().join("run"),
        resume: None,
        stop: &stop,
        others: Vec::new(),
        time: None,
        quiet: true,
    };
    let request = BatchRequest {
        step: 99,
        count: 4,
        patch: 32,
    };
    let batch = photos.batch(request).expect("made");
    let loss = |net: &Baseline| {
        let device = Device::flex();
        let tensor = |values: &[f32]| {
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), [4, 3, 32, 32]), &device)
        };
        let loss = l1(net.forward(tensor(&batch.degraded)), tensor(&batch.clean));
        loss.into_scalar::<f32>()
    };
    // Its residual blocks begin as nothing: before training it is nearly the input.
    let before = loss(&sizes.init(&Device::flex()));
    let outcome = train(trainee, &photos, &config, &options).expect("trained");
    let after = loss(&outcome.averaged.net);
    assert!(after < 0.9 * before, "{after} after, {before} before");

    let checkpoint = Checkpoint::load(&options.out).expect("a checkpoint");
    let again = BaselineTrainee::from_checkpoint(&checkpoint, &sizes).expect("the same net");
    assert_eq!(
        named::collect(&again),
        named::collect(&outcome.averaged.net)
    );

    let wrong = text
        .replace("patch = 32", "patch = 8")
        .replace("encoder = [1]", "encoder = [1, 1]");
    let config = TrainConfig::parse(&wrong, &[]).expect("valid");
    assert!(BaselineConfig::of_run(&config).is_err(), "levels differ");
}
