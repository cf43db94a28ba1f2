//! Options as C gives them.

use super::failure::{Failure, Status};

/// How to restore. Set all of it to zero first, then `struct_size` and `strength`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// sizeof(dino_ir_options).
    pub struct_size: usize,
    /// Bytes that a restoration may allocate at its peak; 0: 1 GiB, but no limit for tiles of the side `tile`.
    /// Both images and the weights (a few MiB) come on top.
    pub memory: u64,
    /// 0 to 1: from the input, bit by bit, to the network's result.
    pub strength: f32,
    /// Side of the tiles in pixels; 0: the largest that fits the memory. Below 256 it is taken as 256,
    /// if that fits `memory`, unless `overlap` is given. For a photo in several tiles a calibration pass
    /// comes first; on the CPU it may use larger tiles within `memory`, 1 GiB if that is 0.
    pub tile: u32,
    /// Least overlap of neighbouring tiles in pixels; 0: an eighth of the tile, within 16..64.
    pub overlap: u32,
    /// Anything but 0: the mean over 8 flips and rotations; better, and 8 times slower.
    pub self_ensemble: u32,
}

/// The core's options for NULL or a structure.
///
/// # Safety
/// `options` is NULL or points to such a structure, at least its first member.
pub unsafe fn read(options: *const Options) -> Result<dino_ir::restore::Options, Failure> {
    if options.is_null() {
        return Ok(dino_ir::restore::Options::default());
    }
    // SAFETY: as the caller promises; the rest is read only once the size is right.
    let options = unsafe {
        check_struct(options, "options")?;
        *options
    };
    let given = |value: u32| (value != 0).then_some(value as usize);
    let options = dino_ir::restore::Options {
        strength: options.strength,
        tile: given(options.tile),
        overlap: given(options.overlap),
        memory: (options.memory != 0).then_some(options.memory),
        self_ensemble: options.self_ensemble != 0,
        removal: dino_ir::Removal::ALL,
        uncertainty: false,
    };
    options.validate()?;
    Ok(options)
}

/// Checks a structure that begins with its own size.
///
/// # Safety
/// `pointer` is NULL or points to at least a `usize`.
pub unsafe fn check_struct<T>(pointer: *const T, name: &str) -> Result<(), Failure> {
    let invalid = |message| Err(Failure::new(Status::InvalidArgument, message));
    if pointer.is_null() {
        return invalid(format!("{name} is NULL"));
    }
    if !pointer.is_aligned() {
        return invalid(format!("{name} is misaligned: no structure can be there"));
    }
    // SAFETY: aligned and readable, as the caller promises.
    let size = unsafe { *pointer.cast::<usize>() };
    if size != size_of::<T>() {
        return invalid(format!(
            "{name}.struct_size is {size}, not {}: set it to sizeof, and use the library's own header",
            size_of::<T>()
        ));
    }
    Ok(())
}
