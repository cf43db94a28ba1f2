//! The instruction set that kernels are entered with.

/// Instruction sets a kernel can be entered with, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Level {
    /// [`Portable`](super::portable::Portable)
    Portable = 1,
    /// [`Avx2`](super::Avx2)
    #[cfg(target_arch = "x86_64")]
    Avx2 = 2,
    /// [`Avx512`](super::Avx512)
    #[cfg(target_arch = "x86_64")]
    Avx512 = 3,
}

impl Level {
    /// All levels this processor supports.
    pub(crate) fn available() -> Vec<Level> {
        #[allow(unused_mut)]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    levels.push(Level::Avx512);
                }
            }
        }
        levels
    }

    /// The best level of this processor.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn best() -> Level {
        use std::sync::OnceLock;
        static BEST: OnceLock<Level> = OnceLock::new();
        #[cfg(test)]
        if let Some(level) = testing::forced() {
            return level;
        }
        *BEST.get_or_init(|| Level::available().pop().unwrap_or(Level::Portable))
    }
}

/// Forcing a level in tests, so that one machine checks every code path.
#[cfg(test)]
pub(crate) mod testing {
    use super::Level;
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    };

    static FORCED: AtomicU8 = AtomicU8::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn forced() -> Option<Level> {
        match FORCED.load(Ordering::Relaxed) {
            1 => Some(Level::Portable),
            2 => Some(Level::Avx2),
            3 => Some(Level::Avx512),
            _ => None,
        }
    }

    /// Runs `test` once with each instruction set of this processor.
    pub(crate) fn at_every_level(mut test: impl FnMut(Level)) {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        for level in Level::available() {
            FORCED.store(level as u8, Ordering::Relaxed);
            test(level);
        }
        FORCED.store(0, Ordering::Relaxed);
    }
}
