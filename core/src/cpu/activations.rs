//! What activations are made of, vector by vector: the exact GELU with its derivative, and the exponential.

use super::simd::Simd;
use core::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// GELU: x times the share of a standard normal distribution below x.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::V) -> S::V {
    s.mul(x, normal(s, x).0)
}

/// The standard normal distribution function and density.
///
/// The tail is `t p(t) exp(-x^2 / 2)` with `t = 1 / (1 + c |x|)` (Abramowitz and Stegun 7.1.26, off
/// by at most 1e-7): unlike an approximation of erf it vanishes far out, where GELU multiplies its
/// error by x, and it shares its exponential with the density.
#[inline(always)]
pub(crate) fn normal<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let (zero, half, one) = (s.splat(0.0), s.splat(0.5), s.splat(1.0));
    let magnitude = s.max(x, s.sub(zero, x));
    let bell = exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
    let scale = s.splat(0.327_591_1 * FRAC_1_SQRT_2);
    let t = s.reciprocal(s.mul_add(magnitude, scale, one));
    // The coefficients for erfc, halved.
    let series = polynomial(
        s,
        t,
        &[
            0.530_702_7,
            -0.726_576_03,
            0.710_706_9,
            -0.142_248_37,
            0.127_414_8,
        ],
    );
    let tail = s.mul(s.mul(series, t), bell);
    let sign = s.max(s.min(s.mul(x, s.splat(1e30)), one), s.splat(-1.0));
    let cdf = s.mul_add(sign, s.sub(half, tail), half);
    (cdf, s.mul(bell, s.splat(0.398_942_3)))
}

/// The exponential of numbers up to 0, by `2^k e^r` and the Taylor series of `e^r`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(x, s.splat(-87.0));
    let k = s.round(s.mul(x, s.splat(LOG2_E)));
    // ln 2 in two parts; the product of the first with k is exact.
    let r = s.mul_add(k, s.splat(-0.693_145_75), x);
    let r = s.mul_add(k, s.splat(-1.428_606_8e-6), r);
    let series = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let power = polynomial(s, r, &series);
    s.scale_by_power_of_two(power, k)
}

/// A polynomial, its highest coefficient first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, coefficients: &[f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = s.mul_add(sum, x, s.splat(coefficient));
    }
    sum
}

/// Softmax of one row, in place.
pub(crate) fn softmax(row: &mut [f32]) {
    let largest = row.iter().fold(f32::NEG_INFINITY, |m, &value| m.max(value));
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in row {
        *value /= sum;
    }
}
