//! Kernels for GPUs (Vulkan, Metal, DirectX 12, WebGPU, CUDA), for f32 tensors; those of the restoration net have
//! gradients (`gradients`).
//!
//! Burn's own kernels are made for large matrices and stage them in shared memory. This network's are
//! narrow (tens to hundreds of channels) and long (an image's pixels): here each thread keeps a block
//! of results in registers and no thread waits for another. That is fewer launches, less to compile,
//! and many times faster where barriers are slow.
//!
//! | file | what |
//! |---|---|
//! | `product` | matrix x matrix: 1x1 convolution, attention's map x values |
//! | `dots` | rows with rows: linear layers, attention's products |
//! | `conv`, `depthwise` | 3x3 convolutions |
//! | `norm` | layer norms over channels and over rows |
//! | `gelu`, `mdta`, `attention` | what stands between them |
//! | `row_sums` | sums over pixels: gradients of weights |
//! | `gradients` | how the kernels are recorded on devices with autodiff |

mod attention;
mod conv;
mod depthwise;
mod dots;
mod gelu;
mod gradients;
mod launch;
mod mdta;
mod norm;
mod product;
mod row_sums;

use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use gradients::TrainedOps;

/// The most elements that these kernels are made for: they count in 32 bits, and a result may be three times as large. (A batch
/// of 128 crops has maps of 2^28 and more, which burn's compositions would compute five times slower.)
const LARGEST: usize = 1 << 30;

/// Whether a kernel without gradients can take it: f32, on a GPU without autodiff, something in it, and not too much.
pub(super) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Cube(_)) && fits(x)
}

/// Whether a kernel with gradients can take it: as [`takes`], with or without autodiff.
pub(super) fn trains<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Cube(_)) && fits(x)
}

fn fits<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && (1..=LARGEST).contains(&x.shape().num_elements())
}

/// Whether the kernels' 32-bit indices reach all of a map that is made on the way.
pub(super) fn indexed(shape: &[usize]) -> bool {
    shape.iter().map(|&side| side as u64).product::<u64>() <= 1 << 31
}

/// Products that sum over more than this are left to burn's kernels: staging in shared memory pays there.
const WIDEST: usize = 512;

/// Whether the kernels of this module are made for a sum over so many.
pub(super) fn narrow(inner: usize) -> bool {
    inner <= WIDEST
}

pub(super) fn depthwise3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as TrainedOps>::depthwise3x3(x, weight))
}

pub(super) fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as TrainedOps>::conv3x3(x, weight))
}

pub(super) fn gated_gelu(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as TrainedOps>::gated_gelu(x.into_dispatch()))
}

pub(super) fn channel_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Option<Tensor<1>>) -> Tensor<4> {
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(match beta {
        Some(beta) => <Dispatch as TrainedOps>::channel_norm(x, gamma, beta.into_dispatch()),
        None => <Dispatch as TrainedOps>::bias_free_norm(x, gamma),
    })
}

pub(super) fn mdta(qkv: Tensor<4>, temperature: Tensor<3>) -> Tensor<4> {
    let (qkv, temperature) = (qkv.into_dispatch(), temperature.into_dispatch());
    Tensor::from_dispatch(<Dispatch as TrainedOps>::mdta(qkv, temperature))
}

pub(super) fn mdta_sums(qkv: Tensor<4>, heads: usize) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as GpuOps>::mdta_sums(qkv.into_dispatch(), heads))
}

pub(super) fn mdta_by(qkv: Tensor<4>, sums: Tensor<2>, temperature: Tensor<3>) -> Tensor<4> {
    let (qkv, sums) = (qkv.into_dispatch(), sums.into_dispatch());
    let temperature = temperature.into_dispatch();
    Tensor::from_dispatch(<Dispatch as GpuOps>::mdta_by(qkv, sums, temperature))
}

pub(super) fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as GpuOps>::linear(
        x,
        weight,
        bias.into_dispatch(),
    ))
}

pub(super) fn row_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(<Dispatch as GpuOps>::row_norm(
        x,
        gamma,
        beta.into_dispatch(),
        epsilon as f32,
    ))
}

pub(super) fn attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as GpuOps>::attention(qkv.into_dispatch(), heads))
}

pub(super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GpuOps>::gelu(x.into_dispatch()))
}

pub(super) fn matmul(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let (a, b) = (a.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(<Dispatch as TrainedOps>::matmul(a, b))
}

/// The operations without gradients; each is described where the tensor function is.
#[backend_extension(Cube)]
trait GpuOps: Backend {
    fn mdta_sums(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;
    fn mdta_by(
        qkv: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn row_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    fn attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl GpuOps for CubeBackend {
    fn mdta_sums(qkv: CubeTensor, heads: usize) -> CubeTensor {
        mdta::sums(qkv, heads)
    }

    fn mdta_by(qkv: CubeTensor, sums: CubeTensor, temperature: CubeTensor) -> CubeTensor {
        mdta::by(qkv, sums, temperature)
    }

    fn linear(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        dots::linear(x, weight, bias)
    }

    fn row_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
        norm::row_norm(x, gamma, beta, epsilon)
    }

    fn attention(qkv: CubeTensor, heads: usize) -> CubeTensor {
        attention::attention(qkv, heads)
    }

    fn gelu(x: CubeTensor) -> CubeTensor {
        gelu::gelu(x)
    }
}
