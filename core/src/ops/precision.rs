//! How exactly matrix products are computed.

use core::sync::atomic::{AtomicBool, Ordering};

static TF32: AtomicBool = AtomicBool::new(false);

/// Whether a GPU's tensor cores may multiply f32 matrices, with factors rounded to TF32 (10 bits of mantissa) and sums in
/// f32, as PyTorch and cuDNN convolve unless told otherwise. For the whole process, off unless asked for; devices without
/// such units multiply in f32 all the same.
pub fn allow_tf32(allowed: bool) {
    TF32.store(allowed, Ordering::Relaxed);
}

/// Whether that was asked for.
#[cfg(feature = "gpu")]
pub(super) fn allows_tf32() -> bool {
    TF32.load(Ordering::Relaxed)
}
