//! Which device a tensor is on, and which kernels support it.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Tensor};

/// Whether a kernel can take these tensors: f32, on the CPU backend, with something in them.
pub(crate) fn on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    computes_on_cpu(&x.device()) && x.dtype() == DType::F32 && x.shape().num_elements() > 0
}

/// Whether a tensor is where kernels with gradients are: f32, on the CPU or on a GPU, with something in it.
pub(super) fn has_kernel<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "gpu")]
    if super::gpu::is_differentiable(x) {
        return true;
    }
    on_cpu(x)
}

/// Whether a device is the CPU.
pub fn computes_on_cpu(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}
