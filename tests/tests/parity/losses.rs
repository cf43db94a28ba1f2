//! The losses.

use dino_ir::loss::perception_contrastive::Triplet;
use dino_ir::loss::{PerceptionContrastive, l1};
use dino_ir_tests::{check, our_name};

use super::guidance::dinov2_config;
use super::{LOSSES, numbers};

#[test]
fn reconstruction_loss() {
    check(&["l1"], LOSSES, |case| {
        let (restored, clean) = (case.input::<4>("restored"), case.input::<4>("clean"));
        let loss = l1(restored.clone(), clean);
        case.compare("output", loss.clone());
        if let Some(gradients) = case.backward(loss) {
            case.compare_gradient("restored", &restored, &gradients);
        }
    });
}

#[test]
fn perception_contrastive_loss() {
    check(&["dpc"], LOSSES, |case| {
        let backbone = dinov2_config(&case.config()["backbone"]).init(case.device());
        let backbone = case.fill(backbone, our_name);
        let triplet = Triplet {
            restored: case.input("restored"),
            clean: case.input("clean"),
            degraded: case.input("degraded"),
        };
        let blocks: [usize; 2] = numbers(case.config(), "blocks");
        let weights: [f64; 2] =
            serde_json::from_value(case.config()["weights"].clone()).expect("weights");
        let equal = PerceptionContrastive::new(blocks.to_vec());
        let weighted = equal.clone().with_weights(weights.to_vec());
        let loss = weighted.forward(&backbone, triplet.clone());
        case.compare("output", loss.clone());
        let total = loss.clone() + l1(triplet.restored.clone(), triplet.clean.clone());
        case.compare("total", total);
        if let Some(gradients) = case.backward(loss) {
            case.compare_gradient("restored", &triplet.restored, &gradients);
            assert!(triplet.clean.grad(&gradients).is_none(), "clean is fixed");
            let degraded = triplet.degraded.grad(&gradients);
            assert!(degraded.is_none(), "degraded is fixed");
        }
        let halves = equal.clone().with_weights(vec![0.5, 0.5]);
        let [equal, halves] = [equal, halves].map(|loss| {
            let loss = loss.forward(&backbone, triplet.clone()).into_data();
            loss.as_slice::<f32>().expect("f32")[0]
        });
        assert!((equal - halves).abs() < 1e-6, "{equal} {halves}");
    });
}
