//! The backbone and what brings its features into the restoration network.

use burn::tensor::Tensor;
use dino_ir::model::dinov2::Dinov2Config;
use dino_ir::model::dr_fusion::DrFusion;
use dino_ir::model::psf::Psf;
use dino_ir_tests::{check, our_name};
use serde_json::Value;

use super::{BACKBONE, DINOV2, DR_FUSIONS, PARTS, flag, number};

#[test]
fn dinov2() {
    check(&DINOV2, BACKBONE, |case| {
        let config = dinov2_config(case.config());
        let backbone = case.fill(config.init(case.device()), our_name);
        let x = case.input::<4>("input");
        let compare = |name: &str, tokens: Tensor<3>| {
            case.compare(name, tokens.squeeze_dim::<2>(0));
        };
        compare("tokens", backbone.embed(x.clone()));
        let layers = backbone.tokens(x.clone(), &[1, 2, 3]);
        assert_eq!(layers.len(), config.depth);
        for (number, tokens) in (1..).zip(&layers) {
            compare(&format!("layer.{number}"), tokens.clone());
            // Alone it is the same: what follows is not run, what comes before is.
            let alone = backbone.tokens(x.clone(), &[number]);
            compare(&format!("layer.{number}"), alone[0].clone());
        }
        compare("norm", backbone.norm.forward(layers[2].clone()));
    });
}

#[test]
fn psf() {
    check(&["psf"], PARTS, |case| {
        let config = case.config();
        let [width, hidden, fused] = ["dim", "hidden", "fused"].map(|key| number(config, key));
        let psf = case.fill(Psf::new(width, hidden, fused, case.device()), our_name);
        let depths = [0, 1, 2].map(|depth| case.input::<4>(&format!("input.{depth}")));
        let found = psf.forward(depths.clone());
        case.compare("output", found.features.clone());
        case.compare("scores", found.scores());
        if let Some(mut gradients) = case.backward(found.features) {
            for (depth, input) in depths.iter().enumerate() {
                case.compare_gradient(&format!("input.{depth}"), input, &gradients);
            }
            case.compare_parameter_gradients(&psf, our_name, &mut gradients);
        }
    });
}

#[test]
fn dr_fusion() {
    check(&DR_FUSIONS, PARTS, |case| {
        let config = case.config();
        let [fused, channels] = ["fused", "channels"].map(|key| number(config, key));
        let pixel_mean = flag(config, "pixel_mean");
        let fusion = DrFusion::new(fused, channels, pixel_mean, case.device());
        let fusion = case.fill(fusion, our_name);
        let (fused, x) = (case.input::<4>("fused"), case.input::<4>("input"));
        case.compare("map", fusion.map(fused.clone(), x.clone()));
        let y = fusion.forward(fused.clone(), x.clone());
        case.compare("output", y.clone());
        if let Some(mut gradients) = case.backward(y) {
            case.compare_gradient("fused", &fused, &gradients);
            case.compare_gradient("input", &x, &gradients);
            case.compare_parameter_gradients(&fusion, our_name, &mut gradients);
        }
    });
}

pub fn dinov2_config(config: &Value) -> Dinov2Config {
    Dinov2Config {
        width: number(config, "dim"),
        depth: number(config, "depth"),
        heads: number(config, "heads"),
        registers: number(config, "registers"),
        swiglu: flag(config, "swiglu"),
        grid: config.get("grid").map_or(37, |_| number(config, "grid")),
    }
}
