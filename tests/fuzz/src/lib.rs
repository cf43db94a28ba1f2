//! What the targets share: an allocator with a limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, for so many bytes at a time. libFuzzer looks at the resident memory only
/// now and then, and not at what is reserved and never touched.
pub struct Limited {
    limit: usize,
    used: AtomicUsize,
}

impl Limited {
    /// Ends the process when more than `limit` bytes are in use.
    pub const fn to(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    fn count(&self, size: usize) {
        let used = self.used.fetch_add(size, Ordering::Relaxed);
        if used + size > self.limit {
            // Not `panic`: it would be caught, and it allocates.
            std::process::abort();
        }
    }
}

// SAFETY: every call goes to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.dealloc(place, layout) }
    }
}
