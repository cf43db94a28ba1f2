//! The random numbers of `numpy.random.seed` and `numpy.random.randn`.
//!
//! Published figures for noise were measured on noise from NumPy's legacy generator. Making the same
//! noise, bit for bit before rounding to `f32`, takes the chance out of a comparison.

const SIZE: usize = 624;
const SHIFT: usize = 397;

/// MT19937 with NumPy's polar Gaussian (`numpy.random.RandomState`).
pub struct NumpyRandom {
    state: [u32; SIZE],
    next: usize,
    spare: Option<f64>,
}

impl NumpyRandom {
    /// As `numpy.random.seed(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; SIZE];
        for at in 1..SIZE {
            let last = state[at - 1];
            state[at] = 1_812_433_253u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(at as u32);
        }
        Self {
            state,
            next: SIZE,
            spare: None,
        }
    }

    /// As `numpy.random.rand()`: uniform in 0..1 with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// As `numpy.random.randn()`: Gaussian of mean 0 and deviation 1.
    pub fn gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(scale * x);
                return scale * y;
            }
        }
    }

    fn word(&mut self) -> u32 {
        if self.next == SIZE {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for at in 0..SIZE {
            let joined =
                (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % SIZE] & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + SHIFT) % SIZE] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // python -c "import numpy as np; np.random.seed(0); a = np.random.randn(2001); print(a[:5].tolist(), a[2000], np.random.rand())"
    #[test]
    fn continues_as_numpy_does() {
        let mut random = NumpyRandom::new(0);
        let values: Vec<f64> = (0..2001).map(|_| random.gaussian()).collect();
        let expected = [
            1.764052345967664,
            0.4001572083672233,
            0.9787379841057392,
            2.240893199201458,
            1.8675579901499675,
        ];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-14);
        }
        assert!((values[2000] - -1.5329210534301279).abs() < 1e-14);
        assert_eq!(random.uniform(), 0.10325322066597453);
    }
}
