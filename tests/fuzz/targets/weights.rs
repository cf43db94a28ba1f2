//! Weights files, as every command loads them.

#![no_main]

use burn::tensor::Device;
use dino_ir::weights::{Weights, load};
use dino_ir_fuzz::Limited;
use dino_ir_trainer::model::baselines;
use libfuzzer_sys::fuzz_target;

/// The nets of such small files take a few MB.
#[global_allocator]
static ALLOCATOR: Limited = Limited::to(256 << 20);

fuzz_target!(|bytes: &[u8]| {
    let cpu = Device::flex();
    if baselines::header(bytes).is_some() {
        let _ = baselines::load(bytes, &cpu);
        return;
    }
    if load(bytes, &cpu).is_ok() {
        return;
    }
    if let Ok(weights) = Weights::from_bytes(bytes) {
        let _ = weights.parameters();
        let _ = weights.backbone(&cpu);
    }
});
