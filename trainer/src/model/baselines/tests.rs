use super::*;
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
