//! The procedure's own arguments: what scripts and tooltips call them.

use std::ffi::CStr;

/// 0..=1.
pub const STRENGTH: &CStr = c"strength";
/// A file.
pub const WEIGHTS: &CStr = c"weights";
/// Pixels.
pub const TILE_SIZE: &CStr = c"tile-size";
/// One of [`crate::settings::Output::CHOICES`].
pub const OUTPUT: &CStr = c"output";
/// One of [`crate::settings::Device::CHOICES`].
pub const DEVICE: &CStr = c"device";

/// Of [`STRENGTH`].
pub const STRENGTH_TIP: &CStr = c"0 keeps the original, 1 restores as much as the model can";
/// Of [`WEIGHTS`].
pub const WEIGHTS_TIP: &CStr =
    c"A weights file (.safetensors); with none, the model inside the plug-in";
/// Of [`TILE_SIZE`].
pub const TILE_SIZE_TIP: &CStr =
    c"Side of the tiles in pixels; 0: as large as 1 GiB of memory allows";
/// Of [`OUTPUT`].
pub const OUTPUT_TIP: &CStr = c"Where the result goes";
/// Of [`DEVICE`].
pub const DEVICE_TIP: &CStr = c"What computes; Automatic takes a GPU if one works";
