//! The whole network.

use dino_ir::model::dinov2::{fit, normalize};
use dino_ir::model::{DinoIrConfig, GuidanceConfig};
use dino_ir_tests::{check, our_name};

use super::guidance::dinov2_config;
use super::restormer::restormer_config;
use super::{NETWORK, flag, number, numbers};

#[test]
fn dino_ir() {
    check(&["dino_ir"], NETWORK, |case| {
        let config = case.config();
        let restormer = restormer_config(&config["restormer"]);
        let guidance = GuidanceConfig {
            backbone: dinov2_config(&config["backbone"]),
            depths: numbers(config, "blocks"),
            fused: number(config, "fused"),
            gate_hidden: number(config, "hidden"),
            stages: numbers::<4>(config, "stages").to_vec(),
            pixel_mean: flag(config, "pixel_mean"),
        };
        let config = DinoIrConfig {
            restormer,
            guidance: Some(guidance),
        };
        config.validate().expect("a possible model");
        let model = case.fill(config.init(case.device()), our_name);
        let x = case.input::<4>("input");
        let y = model.forward(x.clone());
        case.compare("output", y.clone());
        if let Some(mut gradients) = case.backward(y) {
            // Frozen, the backbone still passes the gradient on to the image.
            case.compare_gradient("input", &x, &gradients);
            let found = case.compare_parameter_gradients(&model, our_name, &mut gradients);
            let of_backbone = found.iter().any(|name| name.contains("backbone"));
            assert!(!of_backbone, "the backbone is frozen");
            assert!(found.iter().any(|name| name.contains("psf")));
        }

        let guidance = model.guidance.as_ref().expect("guidance");
        case.compare("dino_input", normalize(fit(x.clone())));
        let features = guidance.backbone.features(x.clone(), &[1, 2, 3]);
        for i in 0..3 {
            case.compare(&format!("features.{i}"), features.map(i));
        }
        let fused = guidance.fuse(x.clone());
        case.compare("scores", fused.scores());
        case.compare("fused", fused.features);

        // The same with features that are constants.
        let fused = guidance.fuse(x.clone().detach()).features;
        let y = model
            .restormer
            .forward_guided(x.clone(), |stage, features| {
                guidance.dr_fusion[stage - 1].forward(fused.clone(), features)
            });
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            let found = x.grad(&gradients).expect("a gradient of the image");
            case.compare_within("grad.input_detached", found, NETWORK.gradients);
        }
    });
}
