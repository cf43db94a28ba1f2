//! Our network against the reference in PyTorch: `tests/reference/README.md` says what is recorded
//! and how near we have to be.

mod guidance;
mod losses;
mod network;
mod operations;
mod resizing;
mod restormer;

use std::collections::BTreeSet;

use dino_ir_tests::{Limits, fixtures};
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
