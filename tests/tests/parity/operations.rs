//! The operations of the restoration network.

use dino_ir::ops;
use dino_ir_tests::check;

use super::{CONVOLUTIONS, PARTS};

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
