//! Results that several threads write.

use core::marker::PhantomData;

/// A buffer that a kernel fills, never read before it is written: clearing it first would cost as
/// much as many of the kernels.
pub(crate) struct Output {
    data: Vec<f32>,
    len: usize,
}

impl Output {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            data: Vec::with_capacity(len),
            len,
        }
    }

    /// The place to write to, to be shared between threads.
    pub(crate) fn shared(&mut self) -> Shared<'_> {
        Shared {
            start: self.data.as_mut_ptr(),
            len: self.len,
            _buffer: PhantomData,
        }
    }

    /// The filled buffer.
    ///
    /// # Safety
    /// Every element has been written.
    pub(crate) unsafe fn filled(mut self) -> Vec<f32> {
        // SAFETY: the capacity is `len`, and the caller wrote all of it.
        unsafe { self.data.set_len(self.len) };
        self.data
    }
}

/// Where several threads write, each its own elements.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    _buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: only an address; whoever writes through it (unsafe) answers for disjoint elements.
unsafe impl Send for Shared<'_> {}
// SAFETY: only an address; whoever writes through it (unsafe) answers for disjoint elements.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    /// The address of element `index`.
    pub(crate) fn at(self, index: usize) -> *mut f32 {
        assert!(index <= self.len, "inside the buffer");
        // SAFETY: inside the allocation or one past it.
        unsafe { self.start.add(index) }
    }
}
