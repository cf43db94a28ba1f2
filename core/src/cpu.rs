//! The arithmetic for the CPU, on plain slices and addresses: no tensors, no graph, no model. Training
//! ([`crate::ops`]) and inference ([`crate::infer`]) are built on it.
//!
//! | file | what |
//! |---|---|
//! | `simd` | vectors of AVX-512, AVX2, WebAssembly and plain Rust; the best is chosen when the program runs |
//! | `activations` | the exact GELU with its derivative, the exponential, softmax |
//! | `matrix`, `matmul_nt` | packed weights times columns of pixels; products of rows with rows |
//! | `pointwise`, `conv3x3`, `winograd`, `depthwise` | convolutions; `arrange`: changes of level after them |
//! | `layer_norm`, `gate`, `channel_attention` | what stands between them |
//! | `rows`, `columns` | addresses of rows; what is done to panels of columns |
//! | `sweep` | an image from top to bottom in bands of rows, in parts for threads |
//! | `pool`, `output`, `chunks` | buffers that are used again, results that several threads write, work for threads |
//!
//! Inference computes bands of rows that stay in the cache, training whole tensors in the layout `[batch, channels, height,
//! width]`; where that makes two outer loops, the innermost one is the same.
//!
//! Kernels write through raw pointers, because threads fill interleaved parts of one map. Who calls an
//! `unsafe` function here says that nobody else touches what it writes; sizes are asserted where
//! slices become addresses.

pub(crate) mod activations;
pub(crate) mod arrange;
pub(crate) mod channel_attention;
mod chunks;
pub(crate) mod columns;
pub(crate) mod conv3x3;
pub(crate) mod depthwise;
pub(crate) mod filters;
pub(crate) mod gate;
pub(crate) mod layer_norm;
pub(crate) mod matmul_nt;
pub(crate) mod matrix;
mod output;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod sweep;
mod winograd;

/// `sum += part`
pub(crate) fn add(sum: &mut [f32], part: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(part) {
        *sum += value;
    }
}
