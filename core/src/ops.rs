//! The network's hot operations as functions of tensors, with kernels of our own and their gradients.
//!
//! Every function takes and returns ordinary tensors (NCHW) on any device, with or without
//! autodiff. On burn's CPU backend (Flex) with f32 tensors it runs the kernels of `crate::cpu`, on a GPU those of
//! `gpu`. Everywhere else it is a composition of burn operations (`plain` in each file), which is also what the tests
//! compare the kernels with.
//!
//! Each file has the same order: the tensor function, the plain composition, the declaration of the operation
//! (`operation`), its forward pass and gradients for each backend, the tests. Gradients are summed in a fixed order, so
//! that a training run can be repeated bit for bit.

mod absolute_errors;
mod attention_half;
mod block;
mod channel_layer_norm;
mod conv3x3;
mod depthwise;
mod feed_forward;
mod flat;
mod flex;
mod gated_gelu;
mod gated_sum;
#[cfg(feature = "gpu")]
mod gpu;
mod mdta;
mod mix;
mod operation;
mod orthogonal;
mod placement;
mod plain;
mod pointwise;
mod precision;
mod read;
#[cfg(test)]
mod testing;

pub use absolute_errors::absolute_errors;
pub use attention_half::{Attention, add_attention, add_attention_with_stats};
pub use block::block;
pub use channel_layer_norm::{ChannelNorm, channel_layer_norm};
pub use conv3x3::conv3x3;
pub use depthwise::depthwise3x3;
pub use feed_forward::{FeedForward, add_feed_forward};
pub use flat::{blend, gather, view};
pub use gated_gelu::gated_gelu;
pub use gated_sum::gated_sum;
pub use mdta::{mdta, mdta_statistics, mdta_with_stats};
pub use mix::mix;
pub use orthogonal::{Matrices, MatrixPlace};
pub use placement::computes_on_cpu;
pub(crate) use placement::on_cpu;
pub use plain::{add_linear, attention, gelu, gelu_linear, layer_norm, linear, matmul, matmul_nt};
pub use pointwise::{pointwise, pointwise_with_bias};
pub use precision::allow_tf32;
pub(crate) use read::{values, values_async};

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Tensor};

    #[test]
    fn other_types_and_empty_tensors_take_the_plain_path() {
        let device = Device::flex();
        let x = Tensor::<4>::ones([1, 2, 3, 5], &device);
        assert!(on_cpu(&x));
        assert!(on_cpu(&Tensor::<4>::ones(
            [1, 2, 3, 5],
            &device.clone().autodiff()
        )));
        assert!(!on_cpu(&Tensor::<4>::ones([0, 2, 3, 5], &device)));
        let half = x.cast(DType::F16);
        assert!(!on_cpu(&half));
        let y = gated_gelu(half);
        assert_eq!((y.dtype(), y.dims()), (DType::F16, [1, 1, 3, 5]));
    }

    #[test]
    fn views_are_made_contiguous() {
        let device = Device::flex();
        let x = testing::random([2, 6, 5, 7], 1);
        let x = Tensor::<4>::from_data(x, &device);
        let view = x.clone().swap_dims(2, 3).narrow(1, 1, 4);
        let copy = Tensor::<4>::from_data(view.clone().into_data(), &device);
        let error = testing::error(&gated_gelu(view).into_data(), &gated_gelu(copy).into_data());
        assert_eq!(error, 0.0);
    }
}
