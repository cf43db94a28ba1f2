//! Vectors of plain Rust.

use super::Simd;

/// Vectors for every processor; the compiler turns the loops into what there is.
#[cfg_attr(
    all(target_arch = "wasm32", target_feature = "simd128"),
    allow(
        dead_code,
        reason = "there the processor's own vectors are always there"
    )
)]
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Lanes of [`Portable`]: two 128-bit registers on NEON, SSE2 and WebAssembly.
const WIDTH: usize = 8;

macro_rules! lanewise {
    ($i:ident => $e:expr) => {{
        let mut out = [0.0f32; WIDTH];
        for $i in 0..WIDTH {
            out[$i] = $e;
        }
        out
    }};
}

impl Simd for Portable {
    type V = [f32; WIDTH];
    const LANES: usize = WIDTH;
    const PANEL: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; WIDTH]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: as many floats are readable, as the caller promises; an array needs no more alignment than a float, and
        // `read_unaligned` not even that.
        unsafe { p.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::V {
        let mut out = [0.0; WIDTH];
        // SAFETY: `n` floats are readable, and `n < WIDTH`.
        unsafe { core::ptr::copy_nonoverlapping(p, out.as_mut_ptr(), n) };
        out
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: `WIDTH` floats are writable.
        unsafe { p.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: `n` floats are writable, and `n < WIDTH`.
        unsafe { core::ptr::copy_nonoverlapping(v.as_ptr(), p, n) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Without the instruction, `f32::mul_add` is a slow library call.
        if cfg!(target_arch = "aarch64") {
            lanewise!(i => a[i].mul_add(b[i], c[i]))
        } else {
            lanewise!(i => a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => a[i] / b[i])
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        lanewise!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, m: Self::V, k: Self::V) -> Self::V {
        lanewise!(i => m[i] * f32::from_bits(((k[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        lanewise!(i => a[i].sqrt())
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}
