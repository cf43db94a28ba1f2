//! Files that are whole, hostile and broken.

use burn::tensor::{Device, Distribution, Tensor};
use half::f16;

use super::named::collect;
use super::write::{serialize, to_json};
use super::*;
use crate::image::Image;
use crate::model::diagnosis::Fault;
use crate::model::global_statistics::GlobalStatistics;
use crate::model::layers::Conv;
use crate::restore::{Network, Options, Removal, Restorer};

fn tiny() -> (DinoIr, DinoIrConfig) {
    let mut config = DinoIrConfig::nano();
    config.restormer.dim = 8;
    (config.init(&Device::flex()), config)
}

fn bytes(dtype: Dtype) -> Vec<u8> {
    let (model, config) = tiny();
    to_bytes(&model, &config, dtype, serde_json::Value::Null).expect("valid model")
}

/// The file with its JSON part edited, and the length in front corrected.
fn edited(bytes: &[u8], edit: impl Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let json = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON");
    let json = edit(json);
    let mut edited = (json.len() as u64).to_le_bytes().to_vec();
    edited.extend_from_slice(json.as_bytes());
    edited.extend_from_slice(&bytes[8 + length..]);
    edited
}

fn error(bytes: &[u8]) -> String {
    let error = match load(bytes, &Device::flex()) {
        Err(error) => error,
        Ok(_) => panic!("hostile bytes were loaded"),
    };
    // All but the golden values is seen without loading.
    let checked = Weights::from_bytes(bytes).and_then(|weights| weights.check());
    match (&error, checked) {
        (Error::Golden(_), checked) => checked.expect("a whole file"),
        (error, checked) => {
            let found = checked.expect_err("hostile bytes were let through");
            assert_eq!(found.to_string(), error.to_string());
        }
    }
    error.to_string()
}

#[test]
fn a_model_comes_back_bit_for_bit() {
    let (model, config) = tiny();
    let bytes = to_bytes(&model, &config, Dtype::F32, serde_json::Value::Null).expect("valid");
    let loaded = load(&bytes, &Device::flex()).expect("loads");
    assert_eq!(collect(&model), collect(&loaded.model));
}

#[test]
fn half_formats_load_and_pass_their_golden_check() {
    for dtype in [Dtype::F16, Dtype::Bf16] {
        load(&bytes(dtype), &Device::flex()).expect("loads");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = bytes(Dtype::F16);
    for length in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(error(&bytes[..length]).contains("truncated"), "{length}");
    }
}

#[test]
fn the_first_wrong_tensor_is_named() {
    let bytes = bytes(Dtype::F16);
    let name = "restormer.output.weight";
    let renamed = edited(&bytes, |json| json.replace(name, "restormer.output.weighs"));
    assert!(error(&renamed).contains(&format!("{name:?} is missing")));
    let (model, mut config) = tiny();
    config.restormer.refinement = 0;
    let smaller = serialize(
        &collect(&model),
        Dtype::F16,
        &Header {
            format: FORMAT,
            kind: Kind::DinoIr,
            config: to_json(&config).expect("serialises"),
            diagnosis: None,
            steering: None,
            uncertainty: None,
            provenance: serde_json::Value::Null,
            golden: None,
        },
    )
    .expect("written");
    assert!(error(&smaller).contains("not part of the model"));
    config.restormer.refinement = 1;
    config.restormer.dim = 16;
    let wider = edited(&bytes, |json| {
        json.replace("\\\"dim\\\":8", "\\\"dim\\\":16")
    });
    assert!(error(&wider).contains("has shape"));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let mut bytes = bytes(Dtype::F16);
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&f16::NAN.to_le_bytes());
    assert!(error(&bytes).contains("not finite"));
}

#[test]
fn another_output_than_the_golden_one_is_refused() {
    let mut bytes = bytes(Dtype::F32);
    // The last tensor in the file, whichever it is, with other values.
    let end = bytes.len();
    for value in bytes[end - 4 * 64..].as_chunks_mut::<4>().0 {
        *value = 3.0f32.to_le_bytes();
    }
    assert!(error(&bytes).contains("golden"));
}

#[test]
fn a_backbone_has_golden_values_too() {
    let config = Dinov2Config {
        depth: 2,
        ..Dinov2Config::nano()
    };
    let cpu = Device::flex();
    let backbone = config.init(&cpu);
    let null = serde_json::Value::Null;
    let bytes = backbone_to_bytes(&backbone, &config, Dtype::F32, null).expect("valid");
    let loaded = load_backbone(&bytes, &cpu).expect("loads");
    assert_eq!(collect(&backbone), collect(&loaded));
    // As if the device had computed wrongly.
    let other = edited(&bytes, |json| {
        json.replace("\\\"seed\\\":2024", "\\\"seed\\\":2025")
    });
    let refused = load_backbone(&other, &cpu);
    assert!(matches!(refused, Err(Error::Golden(_))));
}

#[test]
fn other_formats_and_huge_configs_are_refused() {
    let bytes = bytes(Dtype::F16);
    let next = edited(&bytes, |json| {
        json.replace("\\\"format\\\":1", "\\\"format\\\":2")
    });
    assert!(error(&next).contains("format 2"));
    let huge = edited(&bytes, |json| {
        json.replace("\\\"dim\\\":8", "\\\"dim\\\":888888888")
    });
    assert!(error(&huge).contains("dim"));
    let long = edited(&bytes, |json| {
        let zeros = "0,".repeat(MAX_HEADER / 2);
        json.replace("\\\"dim\\\":8", &format!("\\\"dim\\\":[{zeros}0]"))
    });
    assert!(error(&long).contains("header has"));
    let mut list = (MAX_LAYOUT + 1).to_le_bytes().to_vec();
    list.resize(list.len() + MAX_LAYOUT as usize + 1, b' ');
    assert!(error(&list).contains("list of tensors"));
    let nothing = edited(&bytes, |json| {
        json.replace("\\\"expansion\\\":2.66", "\\\"expansion\\\":0.1")
    });
    assert!(error(&nothing).contains("expansion"));
    assert!(error(b"\x89PNG\r\n\x1a\n not weights").contains("not a readable"));
}

/// A head with values of its own, and the bytes of a net that has it.
fn with_head() -> (DiagnosisHead, Vec<u8>) {
    let (model, config) = tiny();
    let sizes = DiagnosisConfig {
        inputs: 200,
        hidden: 8,
    };
    let head = sizes.init(&Device::flex());
    let null = serde_json::Value::Null;
    let heads = Heads {
        diagnosis: Some(&head),
        ..Heads::default()
    };
    let bytes = with_heads_to_bytes(&model, &config, heads, Dtype::F32, null);
    (head, bytes.expect("valid"))
}

#[test]
fn a_diagnosis_comes_back_with_its_net_or_is_absent() {
    let (head, bytes) = with_head();
    let loaded = load(&bytes, &Device::flex()).expect("loads");
    let found = loaded.diagnosis.expect("a diagnosis");
    assert_eq!(collect(&found), collect(&head));
    let (model, config) = tiny();
    let null = serde_json::Value::Null;
    let plain = to_bytes(&model, &config, Dtype::F32, null).expect("valid");
    assert!(
        load(&plain, &Device::flex())
            .expect("loads")
            .diagnosis
            .is_none()
    );
}

#[test]
fn a_broken_diagnosis_is_refused() {
    let (_, bytes) = with_head();
    let renamed = edited(&bytes, |json| {
        json.replace("diagnosis.fc1.bias", "diagnosis.fc1.bios")
    });
    assert!(error(&renamed).contains("\"diagnosis.fc1.bias\" is missing"));
    let narrow = edited(&bytes, |json| {
        json.replace("\\\"hidden\\\":8", "\\\"hidden\\\":9")
    });
    assert!(error(&narrow).contains("has shape"));
    let none = edited(&bytes, |json| {
        json.replace("\\\"inputs\\\":200", "\\\"inputs\\\":2")
    });
    assert!(error(&none).contains("cannot be"));
}

/// A head beside [`tiny`] whose parts are not trivial.
fn steering(config: &DinoIrConfig) -> SteeringHead {
    let cpu = Device::flex();
    let sizes = SteeringConfig {
        features: config.last_features(),
        width: 8,
        layers: 1,
    };
    let head = sizes.init(&cpu);
    let [outputs, width, ..] = head.output.weight.dims();
    let output = Conv::pointwise(width, outputs, true, &cpu);
    SteeringHead { output, ..head }
}

fn steered_bytes(dtype: Dtype) -> Vec<u8> {
    let (model, config) = tiny();
    let head = steering(&config);
    let heads = Heads {
        steering: Some(&head),
        ..Heads::default()
    };
    with_heads_to_bytes(&model, &config, heads, dtype, serde_json::Value::Null).expect("valid")
}

#[test]
fn a_steering_head_comes_back_and_belongs_to_its_network() {
    let net = load(&steered_bytes(Dtype::F32), &Device::flex()).expect("loads");
    let head = net.steering.as_ref().expect("a head");
    let again = Heads::of(&net);
    let null = serde_json::Value::Null;
    let bytes = with_heads_to_bytes(&net.model, &net.config, again, Dtype::F32, null);
    let bytes = bytes.expect("valid");
    let second = load(&bytes, &Device::flex()).expect("loads");
    assert_eq!(collect(head), collect(&second.steering.expect("a head")));
    let bytes = steered_bytes(Dtype::F16);
    let other = edited(&bytes, |json| {
        json.replace("\\\"features\\\":16", "\\\"features\\\":18")
    });
    assert!(error(&other).contains("features"), "{}", error(&other));
    let name = "steering.output.weight";
    let renamed = edited(&bytes, |json| json.replace(name, "steering.output.weighs"));
    assert!(error(&renamed).contains(&format!("{name:?} is missing")));
}

/// Steered, the packed network gives what the plain one does, and what removes all gives what it always did.
#[test]
fn steering_is_the_same_packed_and_plain() {
    let cpu = Device::flex();
    let net = load(&steered_bytes(Dtype::F32), &cpu).expect("loads");
    let head = net.steering.as_ref().expect("a head");
    let x = Tensor::<4>::random([2, 3, 32, 40], Distribution::Uniform(0.0, 1.0), &cpu);
    let removal = Removal::only(&[Fault::Haze]).with(Fault::Noise, 0.3);
    let off = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();
    // With its own statistics, and with those of another image, computed by each of the two.
    let other = Tensor::<4>::random([2, 3, 24, 24], Distribution::Uniform(0.0, 1.0), &cpu);
    let mut recorded = GlobalStatistics::Recorded(Vec::new());
    net.model.forward_with_stats(other.clone(), &mut recorded);
    let recorded = GlobalStatistics::given(recorded.into_recorded());
    for (given, mut stats) in [
        (None, GlobalStatistics::Own),
        (Some(net.global_statistics(other)), recorded),
    ] {
        let [restored, features] = net.model.forward_with_features(x.clone(), &mut stats);
        let plain = head.steer(features, x.clone(), restored, removal.kept());
        let packed = net.forward_steered(x.clone(), given.clone(), &removal);
        let error = off(packed.clone(), plain);
        // As whole networks are allowed to differ.
        assert!(error < 1e-3, "{error}");
        let all = net.forward_steered(x.clone(), given.clone(), &Removal::ALL);
        let unsteered = match given {
            Some(given) => net.forward_with_stats(x.clone(), given),
            None => net.forward(x.clone()),
        };
        assert_eq!(off(all.clone(), unsteered), 0.0);
        assert!(off(all, packed) > 1e-4, "steering does something");
    }
}

fn uncertain_bytes(dtype: Dtype) -> Vec<u8> {
    let (model, config) = tiny();
    let cpu = Device::flex();
    let sizes = UncertaintyConfig {
        features: config.last_features(),
        hidden: 5,
    };
    let mut head = sizes.init(&cpu);
    head.output.weight = Conv::pointwise(5, 1, true, &cpu).weight;
    let heads = Heads {
        uncertainty: Some(&head),
        ..Heads::default()
    };
    with_heads_to_bytes(&model, &config, heads, dtype, serde_json::Value::Null).expect("valid")
}

#[test]
fn an_uncertainty_head_comes_back_and_belongs_to_its_network() {
    let net = load(&uncertain_bytes(Dtype::F32), &Device::flex()).expect("loads");
    let head = net.uncertainty.as_ref().expect("a head");
    let null = serde_json::Value::Null;
    let bytes = with_heads_to_bytes(&net.model, &net.config, Heads::of(&net), Dtype::F32, null);
    let bytes = bytes.expect("valid");
    let second = load(&bytes, &Device::flex()).expect("loads");
    assert_eq!(collect(head), collect(&second.uncertainty.expect("a head")));
    let bytes = uncertain_bytes(Dtype::F16);
    let other = edited(&bytes, |json| {
        json.replace("\\\"features\\\":16", "\\\"features\\\":18")
    });
    assert!(error(&other).contains("features"), "{}", error(&other));
    let name = "uncertainty.look.weight";
    let renamed = edited(&bytes, |json| json.replace(name, "uncertainty.look.weighs"));
    assert!(error(&renamed).contains(&format!("{name:?} is missing")));
    let without = load(&self::bytes(Dtype::F16), &Device::flex()).expect("loads");
    assert!(without.uncertainty.is_none() && !without.has_uncertainty());
}

/// The packed network's features give the errors that the plain one's do, and the restored image is what it always was.
#[test]
fn uncertainty_is_the_same_packed_and_plain() {
    let cpu = Device::flex();
    let net = load(&uncertain_bytes(Dtype::F32), &cpu).expect("loads");
    let head = net.uncertainty.as_ref().expect("a head");
    let x = Tensor::<4>::random([2, 3, 32, 40], Distribution::Uniform(0.0, 1.0), &cpu);
    let off = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();
    let [restored, features] = net
        .model
        .forward_with_features(x.clone(), &mut GlobalStatistics::Own);
    let plain = head.forward(features, x.clone(), restored);
    let [restored, packed] = net.forward_with_uncertainty(x.clone(), None, &Removal::ALL);
    assert_eq!(off(restored, net.forward(x.clone())), 0.0);
    assert!(off(packed.clone(), plain) < 1e-3);
    assert!((packed.clone().max() - packed.min()).into_scalar::<f32>() > 1e-3);
}

#[test]
fn weights_that_cannot_steer_say_so() {
    let image = Image::new(70, 50, vec![0.4; 70 * 50 * 3]).expect("an image");
    let removal = Removal::only(&[Fault::Rain]);
    let options = Options {
        removal,
        ..Options::default()
    };
    let cpu = Device::flex();
    let without = Restorer::new(load(&bytes(Dtype::F16), &cpu).expect("loads"), &cpu);
    let refused = without.restore_image(&image, &options);
    assert!(matches!(refused, Err(Error::InvalidOption(_))));
    let with = Restorer::new(load(&steered_bytes(Dtype::F16), &cpu).expect("loads"), &cpu);
    let restored = with.restore_image(&image, &options).expect("restored");
    let unsteered = with.restore_image(&image, &Options::default());
    assert_ne!(restored.pixels(), unsteered.expect("restored").pixels());
    // Nothing to remove is nothing to do, with any weights.
    let options = Options {
        removal: Removal::NONE,
        ..Options::default()
    };
    let same = without.restore_image(&image, &options).expect("copied");
    assert_eq!(same.pixels(), image.pixels());
}
