//! Between burn's CPU tensors and slices.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

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
