//! `trainer import`: the first byte says from where, the rest is the checkpoint.

#![no_main]

use dino_ir::weights::Dtype;
use dino_ir_fuzz::Limited;
use dino_ir_trainer::model::import::{ImportOptions, Published, convert};
use libfuzzer_sys::fuzz_target;

/// The nets of such small files take a few MB.
#[global_allocator]
static ALLOCATOR: Limited = Limited::to(256 << 20);

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, file)) = bytes.split_first() else {
        return;
    };
    let (from, heads) = match first % 6 {
        0 => (Published::Dncnn, None),
        1 => (Published::Nafnet, None),
        2 => (Published::Restormer, None),
        3 => (Published::Dinov2, None),
        4 => (Published::Dinov2, Some(1)),
        _ => (Published::Dinov2, Some(first.into())),
    };
    let options = ImportOptions {
        from,
        heads,
        dtype: Dtype::F16,
        force: false,
    };
    let _ = convert(file, &options);
});
