//! The procedures' own arguments: what scripts and tooltips call them.

use std::ffi::CStr;

use crate::language::msgid;

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
/// Yes or no.
pub const UNCERTAINTY: &CStr = c"uncertainty";

/// What the dialog calls [`STRENGTH`]; the letter after `_` is its key.
pub const STRENGTH_LABEL: &str = msgid("Stren_gth");
/// And [`WEIGHTS`].
pub const WEIGHTS_LABEL: &str = msgid("_Model file");
/// And [`TILE_SIZE`].
pub const TILE_SIZE_LABEL: &str = msgid("_Tile size");
/// And [`OUTPUT`].
pub const OUTPUT_LABEL: &str = msgid("Out_put");
/// And [`DEVICE`].
pub const DEVICE_LABEL: &str = msgid("_Device");
/// And [`UNCERTAINTY`].
pub const UNCERTAINTY_LABEL: &str = msgid("_Uncertainty as a layer");

/// And the group of [`crate::settings::FAULTS`].
pub const REMOVE_LABEL: &str = msgid("R_emove");

/// Of [`STRENGTH`].
pub const STRENGTH_TIP: &str = msgid("0 keeps the original, 1 restores as much as the model can");
/// Of [`WEIGHTS`].
pub const WEIGHTS_TIP: &str =
    msgid("A weights file (.safetensors); with none, the model inside the plug-in");
/// Of [`TILE_SIZE`].
pub const TILE_SIZE_TIP: &str =
    msgid("Side of the tiles in pixels; 0: as large as 1 GiB of memory allows");
/// Of [`OUTPUT`].
pub const OUTPUT_TIP: &str = msgid("Where the result goes");
/// Of [`DEVICE`].
pub const DEVICE_TIP: &str = msgid("What computes; Automatic takes a GPU if one works");
/// Of [`UNCERTAINTY`].
pub const UNCERTAINTY_TIP: &str = msgid(
    "A hidden layer above that shows how far off each pixel may be: black is right, white is off by 32 levels of 255 or more",
);
/// Of each of [`crate::settings::FAULTS`].
pub const REMOVE_TIP: &str =
    msgid("How much of it is removed: 0 leaves it as it is, 1 takes away all that the model finds");
