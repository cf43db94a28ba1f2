//! Half of the channels, through GELU, times the other half.

use super::activations::{gelu, normal};
use super::chunks::for_each_chunk;
use super::output::Output;
use super::simd::{Simd, simd_fn};

/// Elements of one task.
const CHUNK: usize = 1 << 14;

/// The gate of every sample; `half` is the number of elements of one output sample.
pub(crate) fn forward(x: &[f32], batch: usize, half: usize) -> Vec<f32> {
    assert_eq!(x.len(), batch * 2 * half);
    let mut y = Output::new(batch * half);
    let out = y.shared();
    for_each_chunk(batch, half, CHUNK, |sample, first, len| {
        let (gate, value) = x[sample * 2 * half..][..2 * half].split_at(half);
        let (gate, value) = (&gate[first..][..len], &value[first..][..len]);
        // SAFETY: `len` elements of the output that are this chunk's alone.
        unsafe { gate_chunk(gate, value, out.at(sample * half + first)) };
    });
    // SAFETY: the chunks cover all elements.
    unsafe { y.filled() }
}

/// The gradient with respect to both halves.
pub(crate) fn backward(x: &[f32], dy: &[f32], batch: usize, half: usize) -> Vec<f32> {
    assert_eq!(x.len(), batch * 2 * half);
    assert_eq!(dy.len(), batch * half);
    let mut dx = Output::new(x.len());
    let out = dx.shared();
    for_each_chunk(batch, half, CHUNK, |sample, first, len| {
        let (gate, value) = x[sample * 2 * half..][..2 * half].split_at(half);
        let (gate, value) = (&gate[first..][..len], &value[first..][..len]);
        let dy = &dy[sample * half + first..][..len];
        let start = sample * 2 * half + first;
        // SAFETY: `len` elements of both halves of the gradient that are this chunk's alone.
        unsafe { gate_chunk_backward(gate, value, dy, out.at(start), out.at(start + half)) };
    });
    // SAFETY: the chunks cover all elements of both halves.
    unsafe { dx.filled() }
}

simd_fn! {
    /// # Safety
    /// As many floats as `gate` has are writable at `y`.
    unsafe fn gate_chunk(gate: &[f32], value: &[f32], y: *mut f32) = gate_chunk_body
}

/// # Safety
/// As many floats as `gate` has are writable at `y`.
#[inline(always)]
unsafe fn gate_chunk_body<S: Simd>(s: S, gate: &[f32], value: &[f32], y: *mut f32) {
    assert_eq!(gate.len(), value.len());
    let mut i = 0;
    while i < gate.len() {
        let left = gate.len() - i;
        // SAFETY: `left` elements are left in all three.
        unsafe {
            let g = s.load_up_to(gate.as_ptr().add(i), left);
            let v = s.load_up_to(value.as_ptr().add(i), left);
            let product = s.mul(gelu(s, g), v);
            s.store_up_to(y.add(i), product, left);
        }
        i += S::LANES;
    }
}

simd_fn! {
    /// # Safety
    /// As many floats as `gate` has are writable at `dgate` and at `dvalue`.
    unsafe fn gate_chunk_backward(
        gate: &[f32], value: &[f32], dy: &[f32], dgate: *mut f32, dvalue: *mut f32,
    ) = gate_chunk_backward_body
}

/// # Safety
/// As many floats as `gate` has are writable at `dgate` and at `dvalue`.
#[inline(always)]
unsafe fn gate_chunk_backward_body<S: Simd>(
    s: S,
    gate: &[f32],
    value: &[f32],
    dy: &[f32],
    dgate: *mut f32,
    dvalue: *mut f32,
) {
    assert_eq!(gate.len(), value.len());
    assert_eq!(gate.len(), dy.len());
    let mut i = 0;
    while i < gate.len() {
        let left = gate.len() - i;
        // SAFETY: `left` elements are left in all five.
        unsafe {
            let g = s.load_up_to(gate.as_ptr().add(i), left);
            let v = s.load_up_to(value.as_ptr().add(i), left);
            let d = s.load_up_to(dy.as_ptr().add(i), left);
            // d/dg (g cdf(g)) = cdf(g) + g pdf(g)
            let (cdf, pdf) = normal(s, g);
            let slope = s.mul_add(g, pdf, cdf);
            s.store_up_to(dgate.add(i), s.mul(s.mul(d, v), slope), left);
            s.store_up_to(dvalue.add(i), s.mul(d, s.mul(g, cdf)), left);
        }
        i += S::LANES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::testing::at_every_level;

    /// The error function in f64, by its series near zero and its continued fraction far out.
    fn erf_f64(x: f64) -> f64 {
        let scale = 2.0 / std::f64::consts::PI.sqrt();
        if x.abs() < 3.0 {
            let (mut term, mut sum) = (x, x);
            for n in 1..80 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            scale * sum
        } else {
            let mut fraction = 0.0;
            for n in (1..60).rev() {
                fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
            }
            let rest = (-x * x).exp() / (std::f64::consts::PI.sqrt() * (x.abs() + fraction));
            (1.0 - rest) * x.signum()
        }
    }

    #[test]
    fn gelu_is_exact_within_a_millionth() {
        let gates: Vec<f32> = (-6000..=6000).map(|i| i as f32 * 1e-3).collect();
        let far = [
            -1e30, -1e4, -100.0, -20.0, -7.0, 7.0, 20.0, 100.0, 1e4, 1e30,
        ];
        at_every_level(|level| {
            let mut worst = 0.0f64;
            for &gate in gates.iter().chain(&far) {
                let y = forward(&[gate, 1.0], 1, 1)[0];
                let x = f64::from(gate);
                let expected = 0.5 * x * (1.0 + erf_f64(x / std::f64::consts::SQRT_2));
                // One unit in the last place of a large result is more than the tolerance.
                let error = (f64::from(y) - expected).abs() / x.max(1.0);
                worst = worst.max(error);
                assert!(
                    error < 1e-6,
                    "{level:?}: gelu({gate}) = {y}, not {expected}"
                );
            }
            println!("{level:?}: worst error of gelu {worst:e}");
        });
    }

    #[test]
    fn not_a_number_stays_one() {
        assert!(forward(&[f32::NAN, 1.0], 1, 1)[0].is_nan());
        assert!(forward(&[1.0, f32::NAN], 1, 1)[0].is_nan());
    }
}
