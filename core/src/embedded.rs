//! The `nano` weights, compiled in, so that the first run needs no download.

/// A weights file for [`crate::weights::load`].
pub fn nano() -> &'static [u8] {
    include_bytes!("../weights/nano.safetensors")
}
