//! The GEGL operation `dino-ir:restore`: whole photos, restored by the embedded weights.
//!
//! In GIMP 3 it is a layer effect that can be edited and taken away again; in GIMP 2.10 it is under *Tools > GEGL
//! Operation*; the program `gegl` has it too. The network runs once for a photo: a change of `strength` only mixes anew.

// GEGL has operations on Unix only where symbols of the program are visible to what it opens.
#![cfg(unix)]

mod gegl;
mod operation;
mod photo;

use gegl::{GTypeModule, ModuleInfo};
use std::ffi::c_int;

/// GEGL's question which version of its interface the library was made for.
#[unsafe(no_mangle)]
pub extern "C" fn gegl_module_query(_module: *mut GTypeModule) -> *const ModuleInfo {
    static INFO: ModuleInfo = ModuleInfo {
        abi_version: gegl::MODULE_ABI_VERSION,
    };
    &raw const INFO
}

/// Makes the operation known.
///
/// # Safety
/// Called by GEGL, with its module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gegl_module_register(module: *mut GTypeModule) -> c_int {
    // SAFETY: GEGL's own module.
    c_int::from(unsafe { operation::register(module) })
}
