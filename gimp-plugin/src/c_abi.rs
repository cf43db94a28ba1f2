//! The functions that C calls. None of them lets a panic through; all of them check their
//! arguments as far as that can be done.

mod failure;
mod faults;
mod image;
mod options;
mod removal;
mod restorers;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::ptr::{null, null_mut};

use dino_ir::ColourProfile;
use dino_ir::device::DeviceChoice;

use self::failure::{Failure, Status, guarded};
use self::faults::Faults;
use self::image::{Image, Input, Pair};
use self::options::{Options, check_struct};
use self::removal::Removal;
use self::restorers::Handle;
use crate::{system, weights};

/// The version of this interface. Programs made for another version must not use the library.
pub const DINO_IR_ABI_VERSION: u32 = 1;

/// Called at the beginning and after each run of the network, on the thread that restores; `done` of
/// `total` runs are over, one or two for each tile, 8 or 16 with `self_ensemble`.
/// Anything but 0 cancels. It must return (no longjmp, no C++ exception).
pub type Progress = Option<unsafe extern "C" fn(done: u32, total: u32, user: *mut c_void) -> c_int>;

/// The version of the interface that the library was built with; compare it with
/// DINO_IR_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn dino_ir_abi_version() -> u32 {
    DINO_IR_ABI_VERSION
}

/// Opens a weights file, or with NULL the weights inside the library, on a device: "auto", "cpu",
/// "wgpu", "cuda" or "cuda:N"; NULL is "auto". Returns NULL on an error.
///
/// # Safety
/// Both arguments are NULL or zero-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_open(
    weights_path: *const c_char,
    device: *const c_char,
) -> *mut Handle {
    let opened = guarded(|| {
        // SAFETY: NULL or strings, as the caller promises.
        let (path, device) = unsafe { (string(weights_path), string(device)) };
        let path = path.map(|path| system::path(path.to_bytes()));
        let device: DeviceChoice = match device {
            Some(name) => name.to_string_lossy().parse()?,
            None => DeviceChoice::Auto,
        };
        let opened = weights::open(path.as_deref(), device)?;
        let refused: Vec<_> = opened.refused.iter().map(ToString::to_string).collect();
        failure::leave(&refused.join("; "));
        Ok(restorers::register(opened.loaded))
    });
    opened.unwrap_or(null_mut())
}

/// Says in which colours the images are that are given to `restorer` from now on: in those of an ICC profile, `size` bytes,
/// of which the restorer keeps a copy. Values are then converted to sRGB for the network and back for the result. NULL and a
/// size of 0: in sRGB again. Returns a dino_ir_status; DINO_IR_STATUS_INVALID_IMAGE for a profile that is damaged or
/// cannot be inverted (tables instead of curves and a matrix, inks, high dynamic range): the colours are then those of
/// before. An image that the profile is not for, grey or in colours, is refused where it is given.
///
/// # Safety
/// `icc` is NULL or points to `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_set_profile(
    restorer: *mut Handle,
    icc: *const c_void,
    size: usize,
) -> c_int {
    let set = guarded(|| {
        let engine = restorers::find(restorer)?;
        let mut engine = restorers::lock(&engine)?;
        let invalid = |what| Err(Failure::new(Status::InvalidArgument, what));
        engine.profile = match (icc.is_null(), size) {
            (true, 0) => None,
            (true, _) => return invalid("icc is NULL, but its size is not 0"),
            (_, size) if isize::try_from(size).is_err() => {
                return invalid("size is more than this machine's memory");
            }
            (false, size) => {
                // SAFETY: as the caller promises.
                let icc = unsafe { std::slice::from_raw_parts(icc.cast::<u8>(), size) };
                Some(ColourProfile::from_icc(icc)?)
            }
        };
        Ok(())
    });
    set.err().unwrap_or(Status::Ok) as c_int
}

/// Restores `in` into `out`, which has the same width, height and channels and shares no memory
/// with it (crops of one buffer do, also side by side). Alpha is copied. `options` NULL: full strength, automatic tiles. `progress` may be NULL;
/// `user` is handed to it. Returns a dino_ir_status; unless that is OK, what `out` holds is undefined.
///
/// # Safety
/// The structures are as their documentation says, and nobody else writes to the pixels meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_restore(
    restorer: *mut Handle,
    r#in: *const Image,
    out: *mut Image,
    options: *const Options,
    progress: Progress,
    user: *mut c_void,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { dino_ir_restore_only(restorer, r#in, out, options, null(), progress, user) }
}

/// As dino_ir_restore, with as much of each fault removed as `removal` says; NULL: all of all of them. Weights that cannot
/// do that: DINO_IR_STATUS_INVALID_OPTION.
///
/// # Safety
/// As for dino_ir_restore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_restore_only(
    restorer: *mut Handle,
    r#in: *const Image,
    out: *mut Image,
    options: *const Options,
    removal: *const Removal,
    progress: Progress,
    user: *mut c_void,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { restored(restorer, r#in, out, None, options, removal, progress, user) }
}

/// As dino_ir_restore_only, and fills `map` with the expected absolute error of each pixel of the network's own result,
/// mean over red, green and blue, in the measure of samples: 0.02 as a float is 5 as uint8_t. `map` has the width and height of
/// `in`, one channel, and memory of its own; it is 0 where alpha hides the pixel. Neither `strength` nor `removal` changes the
/// map. With nothing to restore (a strength of 0, or nothing to be removed), or weights that cannot tell:
/// DINO_IR_STATUS_INVALID_OPTION. Unless the status is OK, what `map` holds is undefined, too.
///
/// # Safety
/// As for dino_ir_restore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_restore_with_uncertainty(
    restorer: *mut Handle,
    r#in: *const Image,
    out: *mut Image,
    map: *mut Image,
    options: *const Options,
    removal: *const Removal,
    progress: Progress,
    user: *mut c_void,
) -> c_int {
    let map = Some(map.cast_const());
    // SAFETY: as the caller promises.
    unsafe { restored(restorer, r#in, out, map, options, removal, progress, user) }
}

/// # Safety
/// As for dino_ir_restore.
#[expect(clippy::too_many_arguments, reason = "what C hands over")]
unsafe fn restored(
    restorer: *mut Handle,
    from: *const Image,
    to: *const Image,
    map: Option<*const Image>,
    options: *const Options,
    removal: *const Removal,
    progress: Progress,
    user: *mut c_void,
) -> c_int {
    let restored = guarded(|| {
        let engine = restorers::find(restorer)?;
        let engine = restorers::lock(&engine)?;
        // SAFETY: NULL or such structures, as the caller promises.
        let (mut pair, options, removal) = unsafe {
            let pair = Pair::new(from, to, engine.profile.as_ref())?;
            (
                match map {
                    Some(map) => pair.with_map(map)?,
                    None => pair,
                },
                options::read(options)?,
                removal::read(removal)?,
            )
        };
        let options = dino_ir::Options {
            removal,
            uncertainty: pair.has_map(),
            ..options
        };
        options.validate()?;
        let report = |done: usize, total: usize| {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            match progress {
                // SAFETY: the caller's own function with the caller's own argument.
                Some(call) if unsafe { call(count(done), count(total), user) } != 0 => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        };
        if options.changes_nothing() && pair.same_samples() {
            // Not even a float's bits may change.
            return match report(0, 1) {
                ControlFlow::Continue(()) => {
                    pair.copy();
                    // A cancel that comes with the last report comes too late for a copy.
                    let _ = report(1, 1);
                    Ok(())
                }
                ControlFlow::Break(()) => Err(dino_ir::Error::Cancelled.into()),
            };
        }
        let (source, mut sink) = pair.ends();
        engine
            .restorer
            .restore(&source, &mut sink, &options, &mut |progress| {
                report(progress.done, progress.total)
            })?;
        Ok(())
    });
    restored.err().unwrap_or(Status::Ok) as c_int
}

/// Says what is wrong with `image`, judged by a few windows of it; nothing is restored. Returns a
/// dino_ir_status; unless that is OK, `faults` is as before. Weights without a diagnosis:
/// DINO_IR_STATUS_WEIGHTS.
///
/// # Safety
/// The structures are as their documentation says, and nobody writes to the pixels meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dino_ir_diagnose(
    restorer: *mut Handle,
    image: *const Image,
    faults: *mut Faults,
) -> c_int {
    let diagnosed = guarded(|| {
        let engine = restorers::find(restorer)?;
        let engine = restorers::lock(&engine)?;
        // SAFETY: NULL or such structures, as the caller promises.
        let source = unsafe {
            check_struct(faults, "faults")?;
            Input::new(image, "image", engine.profile.as_ref())?
        };
        let found = Faults::from(engine.restorer.diagnose(&source)?);
        // SAFETY: as large and aligned as it should be, which was checked.
        unsafe { faults.write(found) };
        Ok(())
    });
    diagnosed.err().unwrap_or(Status::Ok) as c_int
}

/// What went wrong in the last call on this thread that failed: one line of UTF-8 that says what to
/// do, empty before any failure. After dino_ir_open succeeded: why faster devices were not taken for
/// "auto", else empty. Never NULL; valid until the next failure or dino_ir_open on this thread, or the
/// thread's end.
#[unsafe(no_mangle)]
pub extern "C" fn dino_ir_last_error() -> *const c_char {
    failure::last_error()
}

/// Closes a restorer; NULL and restorers that are closed already are left alone. A call that still
/// runs on another thread ends as usual.
#[unsafe(no_mangle)]
pub extern "C" fn dino_ir_close(restorer: *mut Handle) {
    // Nothing to report to: dropping weights does not fail.
    let _ = guarded(|| {
        restorers::forget(restorer);
        Ok(())
    });
}

/// # Safety
/// NULL or a zero-terminated string that outlives the result.
unsafe fn string<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: a string, as the caller promises.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

#[cfg(test)]
mod tests;
