//! Kernels for GPUs (Vulkan, Metal, DirectX 12, WebGPU, CUDA), for f32 tensors; those of the restoration net have
//! gradients (the operations in [`super`] say which).
//!
//! Burn's own kernels are made for large matrices and stage them in shared memory. This network's are
//! narrow (tens to hundreds of channels) and long (an image's pixels): here each thread keeps a block
//! of results in registers and no thread waits for another. That is fewer launches, less to compile,
//! and many times faster where barriers are slow.
//!
//! | file | what |
//! |---|---|
//! | `product` | matrix x matrix: 1x1 convolution, attention's map x values; D-R fusion's keys x queries |
//! | `matmul_nt` | rows with rows: linear layers, attention's products |
//! | `conv`, `depthwise` | 3x3 convolutions |
//! | `norm` | layer norms over channels and over rows |
//! | `gelu`, `attention` | what stands between them |
//! | `mdta`, `feed_forward`, `block` | the two halves of Restormer's block, and both |
//! | `pointwise` | 1x1 convolutions in those |
//! | `gated_sum` | pixel-semantic fusion's last step |
//! | `mix` | D-R fusion's last step |
//! | `absolute_errors` | the reconstruction loss |
//! | `flat` | buffers of many tensors |
//! | `orthogonal` | Muon's Newton-Schulz steps |
//! | `row_sums` | sums over pixels: gradients of weights |
//! | `tensor_cores` | what products and sums over pixels share where they run on tensor cores |

pub(super) mod absolute_errors;
mod attention;
mod beginning;
pub(super) mod block;
pub(super) mod conv;
pub(super) mod depthwise;
pub(super) mod feed_forward;
mod flat;
pub(super) mod gated_sum;
mod gelu;
mod launch;
mod matmul_nt;
pub(super) mod mdta;
pub(super) mod mix;
pub(super) mod norm;
pub(super) mod orthogonal;
pub(super) mod pointwise;
mod product;
mod row_sums;
mod tensor_cores;

pub(super) use gelu::gelu;
pub(super) use launch::contiguous;
pub(super) use product::{matmul, matmul_nt};

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// The most elements that these kernels are made for: they count in 32 bits, and a result may be three times as large. (A batch
/// of 128 crops has maps of 2^28 and more, which burn's compositions would compute five times slower.)
const LARGEST: usize = 1 << 30;

/// Whether kernels without gradients support it: f32, on a GPU without autodiff, something in it, and not too much.
pub(super) fn is_supported<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Cube(_)) && fits(x)
}

/// Whether kernels with gradients support it: as [`is_supported`], with or without autodiff.
pub(super) fn is_differentiable<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Cube(_)) && fits(x)
}

fn fits<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && (1..=LARGEST).contains(&x.shape().num_elements())
}

/// Whether a map of this shape, which is made on the way, is one that these kernels are made for.
pub(super) fn holds(shape: &[usize]) -> bool {
    shape.iter().product::<usize>() <= LARGEST
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

/// Declares functions on tensors that run kernels without gradients; each is described where it is called.
macro_rules! kernels {
    ($($name:ident($($x:ident: Tensor<$rank:tt>),+; $($option:ident: $type:ty),*)
       -> Tensor<$result:tt> = $kernel:path;)+) => {
        #[backend_extension(Cube)]
        #[allow(clippy::too_many_arguments, reason = "so many tensors are gathered at once")]
        trait GpuOps: Backend {
            $(fn $name($($x: FloatTensor<Self>,)+ $($option: $type),*) -> FloatTensor<Self>;)+
        }

        impl GpuOps for CubeBackend {
            $(fn $name($($x: CubeTensor,)+ $($option: $type),*) -> CubeTensor {
                $kernel($($x,)+ $($option),*)
            })+
        }

        $(#[allow(clippy::too_many_arguments, reason = "so many tensors are gathered at once")]
        pub(super) fn $name($($x: Tensor<$rank>,)+ $($option: $type),*)
            -> Tensor<$result>
        {
            Tensor::from_dispatch(<Dispatch as GpuOps>::$name($($x.into_dispatch(),)+ $($option),*))
        })+
    };
}

kernels! {
    mdta_statistics(qkv: Tensor<4>; heads: usize) -> Tensor<2> = mdta::sums;
    attend(x: Tensor<4>, qkv: Tensor<4>, sums: Tensor<2>, temperature: Tensor<3>, project_out: Tensor<4>;) -> Tensor<4>
        = mdta::attend;
    linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>;) -> Tensor<3> = matmul_nt::linear;
    gelu_linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>;) -> Tensor<3> = matmul_nt::gelu_linear;
    add_linear(x: Tensor<3>, input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, scale: Tensor<1>;) -> Tensor<3>
        = matmul_nt::add_linear;
    row_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>; epsilon: f32) -> Tensor<3> = norm::row_norm;
    attention(qkv: Tensor<3>; heads: usize) -> Tensor<3> = attention::attention;
    view(buffer: Tensor<1>; start: usize, length: usize) -> Tensor<1> = flat::view;
    blend(a: Tensor<1>, b: Tensor<1>, broken: Tensor<1>; alpha: f32, beta: f32) -> Tensor<1> = flat::blend;
    gather_parts(buffer: Tensor<1>, a: Tensor<1>, b: Tensor<1>, c: Tensor<1>, d: Tensor<1>, e: Tensor<1>,
        f: Tensor<1>, g: Tensor<1>, h: Tensor<1>, i: Tensor<1>, j: Tensor<1>, k: Tensor<1>, l: Tensor<1>,
        m: Tensor<1>, n: Tensor<1>, o: Tensor<1>, p: Tensor<1>, q: Tensor<1>, r: Tensor<1>, s: Tensor<1>,
        t: Tensor<1>, u: Tensor<1>, v: Tensor<1>, w: Tensor<1>, x: Tensor<1>, y: Tensor<1>, z: Tensor<1>; starts: [usize; flat::PARTS]) -> Tensor<1> = flat::gather;
}

/// `buffer` with parts written over it, each from its first place on.
pub(super) fn gather(buffer: Tensor<1>, parts: &[(usize, Tensor<1>)]) -> Tensor<1> {
    parts.chunks(flat::PARTS).fold(buffer, |buffer, parts| {
        // One that is missing is the first again, which changes nothing.
        let part = |at: usize| parts.get(at).unwrap_or(&parts[0]);
        let starts = core::array::from_fn(|at| part(at).0);
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            u,
            v,
            w,
            x,
            y,
            z,
        ] = core::array::from_fn(|at| part(at).1.clone());
        gather_parts(
            buffer, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z,
            starts,
        )
    })
}

#[backend_extension(Cube)]
#[allow(clippy::too_many_arguments, reason = "three tables")]
trait OrthogonalOps: Backend {
    fn orthogonal(
        buffer: FloatTensor<Self>,
        reach: FloatTensor<Self>,
        places: IntTensor<Self>,
        squares: IntTensor<Self>,
        products: IntTensor<Self>,
        coefficients: [f32; 3],
        steps: usize,
        squared_values: usize,
    ) -> FloatTensor<Self>;
}

impl OrthogonalOps for CubeBackend {
    fn orthogonal(
        buffer: CubeTensor,
        reach: CubeTensor,
        places: CubeTensor,
        squares: CubeTensor,
        products: CubeTensor,
        coefficients: [f32; 3],
        steps: usize,
        squared_values: usize,
    ) -> CubeTensor {
        let tables = [places, squares, products];
        orthogonal::orthogonal(buffer, reach, tables, coefficients, steps, squared_values)
    }
}

/// As [`orthogonal::orthogonal`], with its tables.
pub(super) fn orthogonal(
    buffer: Tensor<1>,
    reach: Tensor<1>,
    tables: [Tensor<1, Int>; 3],
    coefficients: [f32; 3],
    steps: usize,
    squared_values: usize,
) -> Tensor<1> {
    let [places, squares, products] = tables.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as OrthogonalOps>::orthogonal(
        buffer.into_dispatch(),
        reach.into_dispatch(),
        places,
        squares,
        products,
        coefficients,
        steps,
        squared_values,
    ))
}
