//! Between burn's CPU tensors and slices.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use core::marker::PhantomData;

/// The tensor itself if its elements already lie in order, else a copy that does.
///
/// Gradients arrive as broadcast views, activations as slices of larger tensors.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The elements of a [`contiguous`] f32 tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .expect("kernels take contiguous f32 tensors")
}

/// A tensor of these elements.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    assert_eq!(values.len(), shape.num_elements(), "one value per element");
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// `[batch, channels, height, width]`.
pub(super) fn dims(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape().dims()
}

/// A buffer that a kernel fills, never read before it is written: clearing it first would cost as
/// much as many of the kernels.
pub(super) struct Output {
    data: Vec<f32>,
    len: usize,
}

impl Output {
    pub(super) fn new(len: usize) -> Self {
        Self {
            data: Vec::with_capacity(len),
            len,
        }
    }

    /// The place to write to, to be shared between threads.
    pub(super) fn shared(&mut self) -> Shared<'_> {
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
    pub(super) unsafe fn filled(mut self) -> Vec<f32> {
        // SAFETY: the capacity is `len`, and the caller wrote all of it.
        unsafe { self.data.set_len(self.len) };
        self.data
    }
}

/// Where several threads write, each its own elements.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    _buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: only an address; whoever writes through it (unsafe) answers for disjoint elements.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    /// The address of element `index`.
    pub(super) fn at(self, index: usize) -> *mut f32 {
        assert!(index <= self.len, "inside the buffer");
        // SAFETY: inside the allocation or one past it.
        unsafe { self.start.add(index) }
    }
}
