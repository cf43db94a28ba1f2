//! What of the faults is removed, as C gives it.

use super::failure::Failure;
use super::options::check_struct;

/// How much of each fault to remove, each 0, it stays, to 1. Set `struct_size`, and all others.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// sizeof(dino_ir_removal).
    pub struct_size: usize,
    /// Of the noise.
    pub noise: f32,
    /// Of the blur.
    pub blur: f32,
    /// Of the rain.
    pub rain: f32,
    /// Of the haze.
    pub haze: f32,
    /// Of the traces of JPEG compression.
    pub jpeg: f32,
}

/// The core's removal for NULL or a structure.
///
/// # Safety
/// `removal` is NULL or points to such a structure, at least its first member.
pub unsafe fn read(removal: *const Removal) -> Result<dino_ir::Removal, Failure> {
    if removal.is_null() {
        return Ok(dino_ir::Removal::ALL);
    }
    // SAFETY: as the caller promises; the rest is read only once the size is right.
    let Removal {
        noise,
        blur,
        rain,
        haze,
        jpeg,
        ..
    } = unsafe {
        check_struct(removal, "removal")?;
        *removal
    };
    let removal = dino_ir::Removal {
        noise,
        blur,
        rain,
        haze,
        jpeg,
    };
    removal.validate()?;
    Ok(removal)
}
