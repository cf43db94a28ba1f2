//! The arithmetic for the CPU, on plain slices and addresses: no tensors, no graph, no model. Training
//! ([`crate::ops`]) and inference ([`crate::infer`]) are built on it.
//!
//! | file | what |
//! |---|---|
//! | `simd` | vectors of AVX-512, AVX2, WebAssembly and plain Rust; the best is chosen when the program runs |
//! | `activations` | the exact GELU with its derivative, the exponential |
//! | `gemm` | products of matrices that change from call to call |
//! | `matrix` | packed weights times columns of pixels |
//! | `columns`, `rows` | norms and activations of columns, depthwise convolution of rows |
//! | `sweep` | an image from top to bottom in bands of rows, in parts for threads |
//! | `pool`, `output` | buffers that are used again, results that several threads write |
//!
//! Kernels write through raw pointers, because threads fill interleaved parts of one map. Who calls an
//! `unsafe` function here says that nobody else touches what it writes; sizes are asserted where
//! slices become addresses.

pub(crate) mod activations;
pub(crate) mod columns;
pub(crate) mod gemm;
pub(crate) mod matrix;
pub(crate) mod output;
pub(crate) mod pool;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod sweep;
