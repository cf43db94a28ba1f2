//! Our network against the reference in PyTorch: `tests/reference/README.md` says what is recorded
//! and how near we have to be.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use dino_ir::loss::perception_contrastive::Triplet;
use dino_ir::loss::{PerceptionContrastive, l1};
use dino_ir::model::dinov2::pos_embed::resize_pos_embed;
use dino_ir::model::dinov2::{Dinov2Config, fit, normalize};
use dino_ir::model::dr_fusion::DrFusion;
use dino_ir::model::psf::Psf;
use dino_ir::model::resize::{Axis, resize};
use dino_ir::model::restormer::block::Block;
use dino_ir::model::restormer::gdfn::Gdfn;
use dino_ir::model::restormer::layer_norm::ChannelLayerNorm;
use dino_ir::model::restormer::mdta::Mdta;
use dino_ir::model::restormer::resample::{Downsample, Upsample};
use dino_ir::model::restormer::{NormKind, RestormerConfig};
use dino_ir::model::{DinoIrConfig, GuidanceConfig};
use dino_ir::ops;
use dino_ir_tests::{Fixture, Limits, check, fixtures, our_name};
use serde_json::Value;

const PARTS: Limits = Limits {
    values: 5e-6,
    gradients: 1e-5,
};
/// Where the recorded gradients are small.
const LOSSES: Limits = Limits {
    values: 5e-6,
    gradients: 5e-7,
};
const MATRIX: f32 = 1e-6;
const BACKBONE: Limits = Limits {
    values: 1e-5,
    gradients: 1e-5,
};
const NETWORK: Limits = Limits {
    values: 2e-5,
    gradients: 4e-5,
};

const CONVOLUTIONS: [&str; 3] = ["conv3x3", "depthwise3x3", "pointwise"];
const NORMS: [&str; 2] = ["channel_layer_norm", "channel_layer_norm_bias_free"];
const BLOCKS: [&str; 2] = ["restormer_block", "restormer_block_bias_free"];
const RESTORMERS: [&str; 3] = ["restormer", "restormer_published", "restormer_unshuffled"];
const DINO_RESIZES: [&str; 5] = [
    "dino_resize",
    "dino_resize_same",
    "dino_resize_shrink",
    "dino_resize_ties",
    "dino_resize_tiny",
];
const BILINEAR: [&str; 3] = ["bilinear", "bilinear_shrink", "bilinear_single"];
const POSITIONS: [&str; 2] = ["position_plain", "position_registers"];
const DINOV2: [&str; 5] = [
    "dinov2_registers",
    "dinov2_square",
    "dinov2_strip",
    "dinov2_swiglu",
    "dinov2_wide",
];
const DR_FUSIONS: [&str; 3] = ["dr_fusion", "dr_fusion_literal", "dr_fusion_ratio"];
const SINGLE: [&str; 10] = [
    "channel_attention",
    "dino_ir",
    "downsample",
    "dpc",
    "gated_gelu",
    "gdfn",
    "l1",
    "mdta",
    "psf",
    "upsample",
];

#[test]
fn every_fixture_is_a_case() {
    let cases: Vec<&str> = [
        &CONVOLUTIONS[..],
        &NORMS,
        &BLOCKS,
        &RESTORMERS,
        &DINO_RESIZES,
        &BILINEAR,
        &POSITIONS,
        &DINOV2,
        &DR_FUSIONS,
        &SINGLE,
    ]
    .concat();
    assert_eq!(cases.len(), 38);
    let cases: BTreeSet<String> = cases.into_iter().map(String::from).collect();
    assert_eq!(cases, fixtures());
}

fn same(name: &str) -> String {
    name.to_string()
}

fn number(config: &Value, key: &str) -> usize {
    config[key].as_u64().expect("a whole number") as usize
}

fn numbers<const N: usize>(config: &Value, key: &str) -> [usize; N] {
    let numbers: Vec<usize> = serde_json::from_value(config[key].clone()).expect("whole numbers");
    let count = numbers.len();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("{key}: {count} numbers, not {N}"))
}

fn flag(config: &Value, key: &str) -> bool {
    config[key].as_bool().expect("a truth value")
}

fn norm_kind(config: &Value) -> NormKind {
    if flag(config, "bias") {
        NormKind::WithBias
    } else {
        NormKind::BiasFree
    }
}

fn restormer_config(config: &Value) -> RestormerConfig {
    RestormerConfig {
        dim: number(config, "dim"),
        widths: None,
        blocks: numbers(config, "blocks"),
        heads: numbers(config, "heads"),
        refinement: number(config, "refinement"),
        expansion: config["expansion"].as_f64().expect("a number"),
        norm: norm_kind(config),
        unshuffle: config
            .get("unshuffle")
            .map_or(1, |_| number(config, "unshuffle")),
    }
}

fn dinov2_config(config: &Value) -> Dinov2Config {
    Dinov2Config {
        width: number(config, "dim"),
        depth: number(config, "depth"),
        heads: number(config, "heads"),
        registers: number(config, "registers"),
        swiglu: flag(config, "swiglu"),
        grid: config.get("grid").map_or(37, |_| number(config, "grid")),
    }
}

#[test]
fn convolutions() {
    check(&CONVOLUTIONS, PARTS, |case| {
        let (x, weight) = (case.input::<4>("input"), case.input::<4>("weight"));
        let convolve = match weight.dims() {
            [_, _, 1, 1] => ops::pointwise,
            [_, 1, 3, 3] => ops::depthwise3x3,
            _ => ops::conv3x3,
        };
        let y = convolve(x.clone(), weight.clone());
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            case.compare_gradient("input", &x, &gradients);
            case.compare_gradient("weight", &weight, &gradients);
        }
    });
}

#[test]
fn gated_gelu() {
    check(&["gated_gelu"], PARTS, |case| {
        let x = case.input::<4>("input");
        let y = ops::gated_gelu(x.clone());
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            case.compare_gradient("input", &x, &gradients);
        }
    });
}

#[test]
fn channel_attention() {
    check(&["channel_attention"], PARTS, |case| {
        let qkv = case.input::<4>("qkv");
        let temperature = case.input::<3>("temperature");
        let y = ops::mdta(qkv.clone(), temperature.clone());
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            case.compare_gradient("qkv", &qkv, &gradients);
            case.compare_gradient("temperature", &temperature, &gradients);
        }
    });
}

/// Fills a module that takes `input` to `output`, compares these and all recorded gradients.
macro_rules! compare_module {
    ($case:expr, $module:expr, $rename:expr) => {{
        let module = $case.fill($module, $rename);
        let x = $case.input::<4>("input");
        let y = module.forward(x.clone());
        $case.compare("output", y.clone());
        if $case.records("grad.input")
            && let Some(mut gradients) = $case.backward(y)
        {
            $case.compare_gradient("input", &x, &gradients);
            $case.compare_parameter_gradients(&module, $rename, &mut gradients);
        }
        module
    }};
}

#[test]
fn channel_layer_norm() {
    check(&NORMS, PARTS, |case| {
        let config = case.config();
        let channels = number(config, "channels");
        let norm = ChannelLayerNorm::new(channels, norm_kind(config), case.device());
        compare_module!(case, norm, same);
    });
}

#[test]
fn mdta() {
    check(&["mdta"], PARTS, |case| {
        let config = case.config();
        let (channels, heads) = (number(config, "channels"), number(config, "heads"));
        let mdta = compare_module!(case, Mdta::new(channels, heads, case.device()), same);
        let qkv = mdta.qkv.forward(case.input("input"));
        let qkv = mdta.qkv_dwconv.forward(qkv);
        case.compare("qkv", qkv.clone());
        case.compare("attended", ops::mdta(qkv, mdta.temperature.val()));
    });
}

#[test]
fn gdfn() {
    check(&["gdfn"], PARTS, |case| {
        let channels = number(case.config(), "channels");
        compare_module!(case, Gdfn::new(channels, 2.66, case.device()), same);
    });
}

#[test]
fn restormer_blocks() {
    check(&BLOCKS, PARTS, |case| {
        let config = case.config();
        let (channels, heads) = (number(config, "channels"), number(config, "heads"));
        let norm = norm_kind(config);
        let block = Block::new(channels, heads, 2.66, norm, case.device());
        compare_module!(case, block, same);
    });
}

#[test]
fn resampling() {
    let conv = |name: &str| format!("conv.{name}");
    check(&["downsample"], PARTS, |case| {
        let channels = number(case.config(), "channels");
        compare_module!(
            case,
            Downsample::new(channels, 2 * channels, case.device()),
            conv
        );
    });
    check(&["upsample"], PARTS, |case| {
        let channels = number(case.config(), "channels");
        compare_module!(
            case,
            Upsample::new(channels, channels / 2, case.device()),
            conv
        );
    });
}

#[test]
fn restormers() {
    check(&RESTORMERS, NETWORK, |case| {
        let restormer = restormer_config(case.config()).init(case.device());
        compare_module!(case, restormer, our_name);
    });
}

/// The matrix of an axis: what becomes of the unit matrix.
fn matrix(case: &Fixture, axis: Axis, from: usize) -> Tensor<2> {
    let unit = Tensor::<2>::eye(from, case.device()).reshape([1, 1, from, from]);
    let columns = Axis::bilinear(from, from);
    resize(unit, axis, columns).squeeze_dims(&[0, 1])
}

#[test]
fn dino_resize() {
    check(&DINO_RESIZES, PARTS, |case| {
        let x = case.input::<4>("input");
        let resized = fit(x.clone());
        case.compare("resized", resized.clone());
        let y = normalize(resized);
        case.compare("output", y.clone());
        if case.records("grad.input")
            && let Some(gradients) = case.backward(y)
        {
            case.compare_gradient("input", &x, &gradients);
        }
        let (from, to) = (numbers(case.config(), "from"), numbers(case.config(), "to"));
        compare_matrices(case, from, to, Axis::bilinear_antialias);
    });
}

#[test]
fn bilinear() {
    check(&BILINEAR, PARTS, |case| {
        let (from, to) = (numbers(case.config(), "from"), numbers(case.config(), "to"));
        let x = case.input::<4>("input");
        let [rows, columns] = [0, 1].map(|side| Axis::bilinear(from[side], to[side]));
        let y = resize(x.clone(), rows, columns);
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            case.compare_gradient("input", &x, &gradients);
        }
        compare_matrices(case, from, to, Axis::bilinear);
    });
}

fn compare_matrices(
    case: &Fixture,
    from: [usize; 2],
    to: [usize; 2],
    axis: impl Fn(usize, usize) -> Axis,
) {
    for (side, name) in ["matrix.height", "matrix.width"].into_iter().enumerate() {
        let found = matrix(case, axis(from[side], to[side]), from[side]);
        case.compare_within(name, found, MATRIX);
    }
}

#[test]
fn positions() {
    check(&POSITIONS, PARTS, |case| {
        let (grid, registers) = (37, flag(case.config(), "registers"));
        let class = |width: usize| Tensor::<3>::ones([1, 1, width], case.device());
        let map = case.input::<4>("input").reshape([1, grid * grid, 1]);
        let embedding = Tensor::cat(vec![class(1), map], 1);
        let sizes: Vec<[usize; 2]> =
            serde_json::from_value(case.config()["sizes"].clone()).expect("sizes");
        assert_eq!(sizes.len(), 5);
        for &[rows, columns] in &sizes {
            let found = resize_pos_embed(embedding.clone(), rows, columns, registers);
            let found = found.narrow(1, 1, rows * columns);
            let name = format!("output.{rows}x{columns}");
            case.compare(&name, found.reshape([1, 1, rows, columns]));
        }
        // Grids whose k-th channel is 1 in row k: resized to one column, they are the matrix.
        let unit = Tensor::<2>::eye(grid, case.device()).reshape([1, grid, 1, grid]);
        let rows = unit.expand([1, grid, grid, grid]);
        let rows = rows.reshape([1, grid * grid, grid]);
        let embedding = Tensor::cat(vec![class(grid), rows], 1);
        let sides: BTreeSet<usize> = sizes.into_iter().flatten().collect();
        for side in sides {
            let found = resize_pos_embed(embedding.clone(), side, 1, registers);
            let found = found.narrow(1, 1, side).squeeze_dim::<2>(0);
            case.compare_within(&format!("matrix.{side}"), found, MATRIX);
        }
    });
}

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
        case.compare("scores", found.scores);
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
        case.compare("scores", fused.scores);
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
