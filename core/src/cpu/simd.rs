//! A small vector abstraction: the same kernel body compiled for AVX-512, for AVX2 with FMA and
//! for plain Rust, the best of the three chosen when the program runs.
//!
//! A kernel is an `#[inline(always)]` function generic over [`Simd`], entered through
//! [`simd_fn!`](simd_fn). Its first argument is a token whose existence proves that the processor
//! has the instructions, which is what makes the arithmetic below safe to call. Closures inside
//! such a function would not inherit the instruction set, so kernels use loops.

#[cfg(any(target_arch = "x86_64", test))]
mod level;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use level::Level;
#[cfg(test)]
pub(crate) use level::testing;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// What kernels are entered with where the processor leaves no choice.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::Simd128 as Baseline;

/// What kernels are entered with where the processor leaves no choice.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use portable::Portable as Baseline;

/// Most lanes that any [`Simd`] has; the size of scratch rows and accumulators.
pub(crate) const MAX_LANES: usize = 16;

/// 1.5 * 2^23: a float of this size has no bits for a fraction.
const SHIFT: f32 = 12_582_912.0;

/// A proof that the processor supports an instruction set, and the vector operations it offers.
pub(crate) trait Simd: Copy {
    /// A vector of [`LANES`](Self::LANES) floats.
    type V: Copy;
    /// Floats in one vector.
    const LANES: usize;
    /// Vectors in the row panel of a matrix product: what the register file holds beside six rows.
    const PANEL: usize;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Lanes read from memory.
    ///
    /// # Safety
    /// `LANES` floats at `p` are readable.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// The first `n` lanes read from memory, the others zero.
    ///
    /// # Safety
    /// `n` floats at `p` are readable and `n < LANES`.
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::V;
    /// Writes all lanes.
    ///
    /// # Safety
    /// `LANES` floats at `p` are writable.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Writes the first `n` lanes.
    ///
    /// # Safety
    /// `n` floats at `p` are writable and `n < LANES`.
    unsafe fn store_partial(self, p: *mut f32, v: Self::V, n: usize);
    /// `a * b + c`, in one rounding where the processor has it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of `a` and `b`, `b` where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger of `a` and `b`, `b` where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `m * 2^k` for integral `k` in -126..=127.
    fn scale_by_power_of_two(self, m: Self::V, k: Self::V) -> Self::V;
    /// The square root of numbers from 0 up.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// Sum of the lanes.
    fn sum(self, a: Self::V) -> f32;
    /// `1 / a` within two units in the last place, for magnitudes in 1e-37..1e37.
    #[inline(always)]
    fn reciprocal(self, a: Self::V) -> Self::V {
        self.div(self.splat(1.0), a)
    }

    /// Reads `min(n, LANES)` lanes, the others zero.
    ///
    /// # Safety
    /// `min(n, LANES)` floats at `p` are readable.
    #[inline(always)]
    unsafe fn load_up_to(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: `min(n, LANES)` floats at `p` are readable.
        unsafe {
            if n >= Self::LANES {
                self.load(p)
            } else {
                self.load_partial(p, n)
            }
        }
    }

    /// Writes `min(n, LANES)` lanes.
    ///
    /// # Safety
    /// `min(n, LANES)` floats at `p` are writable.
    #[inline(always)]
    unsafe fn store_up_to(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: `min(n, LANES)` floats at `p` are writable.
        unsafe {
            if n >= Self::LANES {
                self.store(p, v)
            } else {
                self.store_partial(p, v, n)
            }
        }
    }

    /// The nearest integer, for magnitudes under 2^22.
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::V {
        let shift = self.splat(SHIFT);
        self.sub(self.add(a, shift), shift)
    }
}

/// The sum of `a[i] * b[i]`.
#[inline(always)]
pub(crate) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "as many factors on both sides");
    let mut sums = [s.splat(0.0); 4];
    let mut i = 0;
    while i < a.len() {
        for (v, sum) in sums.iter_mut().enumerate() {
            let at = i + v * S::LANES;
            if at < a.len() {
                // SAFETY: `a.len() - at` floats follow in both slices.
                let (x, y) = unsafe {
                    (
                        s.load_up_to(a.as_ptr().add(at), a.len() - at),
                        s.load_up_to(b.as_ptr().add(at), a.len() - at),
                    )
                };
                *sum = s.mul_add(x, y, *sum);
            }
        }
        i += 4 * S::LANES;
    }
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

/// Defines `$name(args)`, which runs the generic `$body(token, args)` with the best instruction
/// set of the processor. Write `unsafe fn` where the body is unsafe.
macro_rules! simd_fn {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($a:ident: $t:ty),* $(,)?) $(-> $r:ty)? = $body:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($a: $t),*) $(-> $r)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::cpu::simd::{Avx2, Avx512, Level};
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($a: $t),*) $(-> $r)? {
                    // SAFETY: this function is only entered at `Level::Avx512`.
                    $body(unsafe { Avx512::new() }, $($a),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($a: $t),*) $(-> $r)? {
                    // SAFETY: this function is only entered at `Level::Avx2`.
                    $body(unsafe { Avx2::new() }, $($a),*)
                }
                match Level::best() {
                    // SAFETY: the level says that the processor has the features.
                    Level::Avx512 => return unsafe { avx512($($a),*) },
                    // SAFETY: the level says that the processor has the features.
                    Level::Avx2 => return unsafe { avx2($($a),*) },
                    Level::Portable => {}
                }
            }
            #[cfg_attr(
                all(target_arch = "wasm32", feature = "relaxed-simd"),
                target_feature(enable = "relaxed-simd")
            )]
            #[cfg_attr(not(all(target_arch = "wasm32", feature = "relaxed-simd")), inline(always))]
            #[allow(clippy::too_many_arguments)]
            fn baseline($($a: $t),*) $(-> $r)? {
                $body($crate::cpu::simd::Baseline, $($a),*)
            }
            baseline($($a),*)
        }
    };
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident($($a:ident: $t:ty),* $(,)?) = $body:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name($($a: $t),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::cpu::simd::{Avx2, Avx512, Level};
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512($($a: $t),*) {
                    // SAFETY: only entered at `Level::Avx512`; the arguments are as the body asks.
                    unsafe { $body(Avx512::new(), $($a),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2($($a: $t),*) {
                    // SAFETY: only entered at `Level::Avx2`; the arguments are as the body asks.
                    unsafe { $body(Avx2::new(), $($a),*) }
                }
                match Level::best() {
                    // SAFETY: the level says that the processor has the features.
                    Level::Avx512 => return unsafe { avx512($($a),*) },
                    // SAFETY: the level says that the processor has the features.
                    Level::Avx2 => return unsafe { avx2($($a),*) },
                    Level::Portable => {}
                }
            }
            #[cfg_attr(
                all(target_arch = "wasm32", feature = "relaxed-simd"),
                target_feature(enable = "relaxed-simd")
            )]
            #[cfg_attr(not(all(target_arch = "wasm32", feature = "relaxed-simd")), inline(always))]
            #[allow(clippy::too_many_arguments)]
            unsafe fn baseline($($a: $t),*) {
                // SAFETY: this needs nothing of the processor that is not always there; the arguments are as the body asks.
                unsafe { $body($crate::cpu::simd::Baseline, $($a),*) }
            }
            // SAFETY: the arguments are as the body asks, as the caller promises.
            unsafe { baseline($($a),*) }
        }
    };
}
pub(crate) use simd_fn;

simd_fn! {
    /// The sum of the squares of all elements.
    pub(crate) fn sum_of_squares(x: &[f32]) -> f32 = sum_of_squares_body
}

#[inline(always)]
fn sum_of_squares_body<S: Simd>(s: S, x: &[f32]) -> f32 {
    dot(s, x, x)
}
