//! A small vector abstraction: the same kernel body compiled for AVX-512, for AVX2 with FMA and
//! for plain Rust, the best of the three chosen when the program runs.
//!
//! A kernel is an `#[inline(always)]` function generic over [`Simd`], entered through
//! [`simd_fn!`](simd_fn). Its first argument is a token whose existence proves that the processor
//! has the instructions, which is what makes the arithmetic below safe to call. Closures inside
//! such a function would not inherit the instruction set, so kernels use loops.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

/// Most lanes that any [`Simd`] has; the size of scratch rows and accumulators.
pub(crate) const MAX_LANES: usize = 16;

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
        // SAFETY: the caller's.
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
        // SAFETY: the caller's.
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
        // Adding 1.5 * 2^23 leaves no bits for the fraction.
        let shift = self.splat(12_582_912.0);
        self.sub(self.add(a, shift), shift)
    }
}

/// Vectors of plain Rust, for every processor; the compiler turns the loops into what there is.
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
        // SAFETY: the caller's; an array of floats needs no more alignment than a float, and
        // `read_unaligned` not even that.
        unsafe { p.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::V {
        let mut out = [0.0; WIDTH];
        // SAFETY: the caller's; `n < WIDTH`.
        unsafe { core::ptr::copy_nonoverlapping(p, out.as_mut_ptr(), n) };
        out
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's.
        unsafe { p.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: the caller's; `n < WIDTH`.
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

/// AVX2 with FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }

    /// All bits set in the first `n` lanes.
    #[inline(always)]
    fn mask(self, n: usize) -> __m256i {
        // SAFETY: the token proves AVX2.
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
        }
    }
}

/// AVX-512 (F, VL, DQ, BW).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, VL, DQ and BW.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

/// Safe methods that are one intrinsic each.
#[cfg(target_arch = "x86_64")]
macro_rules! intrinsics {
    ($($name:ident($($a:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($a: Self::V),*) -> Self::V {
            // SAFETY: the token proves that the processor has the instruction.
            unsafe { $intrinsic($($a),*) }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const PANEL: usize = 2;

    intrinsics! {
        mul_add(a, b, c) = _mm256_fmadd_ps;
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        min(a, b) = _mm256_min_ps;
        max(a, b) = _mm256_max_ps;
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the token proves AVX2; the address is the caller's.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: as above; masked lanes are not read.
        unsafe { _mm256_maskload_ps(p, self.mask(n)) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: the token proves AVX2; the address is the caller's.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: __m256, n: usize) {
        // SAFETY: as above; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(p, self.mask(n), v) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, m: __m256, k: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127));
            _mm256_mul_ps(m, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        // SAFETY: the token proves AVX2.
        unsafe {
            let s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let s = _mm_add_ps(s, _mm_movehl_ps(s, s));
            _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps::<1>(s, s)))
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const PANEL: usize = 4;

    intrinsics! {
        mul_add(a, b, c) = _mm512_fmadd_ps;
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        min(a, b) = _mm512_min_ps;
        max(a, b) = _mm512_max_ps;
        scale_by_power_of_two(m, k) = _mm512_scalef_ps;
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the token proves AVX-512; the address is the caller's.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: as above; masked lanes are not read.
        unsafe { _mm512_maskz_loadu_ps((1u16 << n) - 1, p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the token proves AVX-512; the address is the caller's.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, v: __m512, n: usize) {
        // SAFETY: as above; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(p, (1u16 << n) - 1, v) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn reciprocal(self, a: __m512) -> __m512 {
        // Sixteen quotients take as long as thirty products: an estimate of 14 bits and a step
        // of Newton's method take six.
        // SAFETY: the token proves AVX-512.
        let estimate = unsafe { _mm512_rcp14_ps(a) };
        let rest = self.sub(self.splat(2.0), self.mul(a, estimate));
        self.mul(estimate, rest)
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_reduce_add_ps(a) }
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

/// Instruction sets a kernel can be entered with, best last.
#[cfg(any(target_arch = "x86_64", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Level {
    /// [`Portable`]
    Portable = 1,
    /// [`Avx2`]
    #[cfg(target_arch = "x86_64")]
    Avx2 = 2,
    /// [`Avx512`]
    #[cfg(target_arch = "x86_64")]
    Avx512 = 3,
}

#[cfg(any(target_arch = "x86_64", test))]
impl Level {
    /// All levels this processor supports.
    pub(crate) fn available() -> Vec<Level> {
        #[allow(unused_mut)]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    levels.push(Level::Avx512);
                }
            }
        }
        levels
    }

    /// The best level of this processor.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn best() -> Level {
        use std::sync::OnceLock;
        static BEST: OnceLock<Level> = OnceLock::new();
        #[cfg(test)]
        if let Some(level) = testing::forced() {
            return level;
        }
        *BEST.get_or_init(|| Level::available().pop().unwrap_or(Level::Portable))
    }
}

/// Defines `$name(args)`, which runs the generic `$body(token, args)` with the best instruction
/// set of the processor. Write `unsafe fn` where the body is unsafe.
macro_rules! simd_fn {
    ($(#[$meta:meta])* fn $name:ident($($a:ident: $t:ty),* $(,)?) $(-> $r:ty)? = $body:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        fn $name($($a: $t),*) $(-> $r)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::simd::{Avx2, Avx512, Level};
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
            $body($crate::kernels::simd::Portable, $($a),*)
        }
    };
    ($(#[$meta:meta])* unsafe fn $name:ident($($a:ident: $t:ty),* $(,)?) = $body:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe fn $name($($a: $t),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::simd::{Avx2, Avx512, Level};
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512($($a: $t),*) {
                    // SAFETY: only entered at `Level::Avx512`; the rest is the caller's.
                    unsafe { $body(Avx512::new(), $($a),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2($($a: $t),*) {
                    // SAFETY: only entered at `Level::Avx2`; the rest is the caller's.
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
            // SAFETY: the caller's.
            unsafe { $body($crate::kernels::simd::Portable, $($a),*) }
        }
    };
}
pub(crate) use simd_fn;

/// Forcing a level in tests, so that one machine checks every code path.
#[cfg(test)]
pub(crate) mod testing {
    use super::Level;
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    };

    static FORCED: AtomicU8 = AtomicU8::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn forced() -> Option<Level> {
        match FORCED.load(Ordering::Relaxed) {
            1 => Some(Level::Portable),
            2 => Some(Level::Avx2),
            3 => Some(Level::Avx512),
            _ => None,
        }
    }

    /// Runs `test` once with each instruction set of this processor.
    pub(crate) fn at_every_level(mut test: impl FnMut(Level)) {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        for level in Level::available() {
            FORCED.store(level as u8, Ordering::Relaxed);
            test(level);
        }
        FORCED.store(0, Ordering::Relaxed);
    }
}
