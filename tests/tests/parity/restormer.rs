//! The restoration network and its blocks.

use dino_ir::model::restormer::block::Block;
use dino_ir::model::restormer::gdfn::Gdfn;
use dino_ir::model::restormer::layer_norm::ChannelLayerNorm;
use dino_ir::model::restormer::mdta::Mdta;
use dino_ir::model::restormer::resample::{Downsample, Upsample};
use dino_ir::model::restormer::{NormKind, RestormerConfig};
use dino_ir::ops;
use dino_ir_tests::{check, our_name};
use serde_json::Value;

use super::{BLOCKS, NETWORK, NORMS, PARTS, RESTORMERS, flag, number, numbers};

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

fn same(name: &str) -> String {
    name.to_string()
}

fn norm_kind(config: &Value) -> NormKind {
    if flag(config, "bias") {
        NormKind::WithBias
    } else {
        NormKind::BiasFree
    }
}

pub fn restormer_config(config: &Value) -> RestormerConfig {
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
