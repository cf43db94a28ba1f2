//! WebAssembly's 128-bit vectors. The module states at compile time that it uses them, so that there is
//! no choice when it runs.

use core::arch::wasm32::*;

use super::{SHIFT, Simd};

/// SIMD128. Four lanes and not eight: two vectors beside six rows fill the sixteen registers of x86-64.
#[derive(Clone, Copy)]
pub(crate) struct Simd128;

/// Methods that are one instruction each.
macro_rules! instructions {
    ($($name:ident($($a:ident),*) = $instruction:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($a: v128),*) -> v128 {
            $instruction($($a),*)
        }
    )*};
}

impl Simd for Simd128 {
    type V = v128;
    const LANES: usize = 4;
    const PANEL: usize = 2;

    instructions! {
        add(a, b) = f32x4_add;
        sub(a, b) = f32x4_sub;
        mul(a, b) = f32x4_mul;
        div(a, b) = f32x4_div;
        sqrt(a) = f32x4_sqrt;
    }
    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> v128 {
        // SAFETY: `LANES` floats are readable; the instruction asks for no alignment.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> v128 {
        let mut lanes = [0.0f32; 4];
        // SAFETY: `n` floats are readable, and `n < LANES`; all four lanes of the copy are there to be read.
        unsafe {
            core::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            v128_load(lanes.as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: v128) {
        // SAFETY: `LANES` floats are writable; the instruction asks for no alignment.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: v128, n: usize) {
        let mut lanes = [0.0f32; 4];
        // SAFETY: `n` floats are writable, and `n < LANES`; the copy has room for all four lanes.
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), v);
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        #[cfg(feature = "relaxed-simd")]
        return f32x4_relaxed_madd(a, b, c);
        #[cfg(not(feature = "relaxed-simd"))]
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, m: v128, k: v128) -> v128 {
        // The lowest bits are those of k + 127. To convert k takes a browser seven instructions.
        let exponent = f32x4_add(k, f32x4_splat(SHIFT + 127.0));
        f32x4_mul(m, i32x4_shl(exponent, 23))
    }
    #[inline(always)]
    fn sum(self, a: v128) -> f32 {
        let pairs = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(pairs) + f32x4_extract_lane::<1>(pairs)
    }
}
