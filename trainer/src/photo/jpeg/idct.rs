//! A block's coefficients to samples, in whole numbers as the reference implementation of JPEG does it: the
//! algorithm of Loeffler, Ligtenberg and Moschytz with 12 multiplications.

use super::block::Block;

/// Fraction bits of the constants.
const BITS: u32 = 13;
/// Fraction bits kept between the two passes.
const BETWEEN: u32 = 2;

/// Constants with [`BITS`] fraction bits.
const fn fixed(value: f64) -> i32 {
    (value * (1 << BITS) as f64 + 0.5) as i32
}

/// Writes the 8 x 8 samples of a block to `out`, rows `stride` apart.
pub fn block(coefficients: &Block, table: &[u16; 64], out: &mut [u8], stride: usize) {
    let mut values = [0i32; 64];
    for (value, (&coefficient, &factor)) in values.iter_mut().zip(coefficients.iter().zip(table)) {
        *value = i32::from(coefficient).wrapping_mul(factor.into());
    }
    if values[1..].iter().all(|&value| value == 0) {
        let level = sample(values[0].wrapping_add(4) >> 3);
        for row in out.chunks_mut(stride).take(8) {
            row[..8].fill(level);
        }
        return;
    }
    for x in 0..8 {
        let column = std::array::from_fn(|y| values[8 * y + x]);
        let column = transform(column, BITS - BETWEEN);
        for (y, value) in column.into_iter().enumerate() {
            values[8 * y + x] = value;
        }
    }
    for (row, out) in values.chunks_exact(8).zip(out.chunks_mut(stride)) {
        let row = transform(std::array::from_fn(|x| row[x]), BITS + BETWEEN + 3);
        for (value, out) in row.into_iter().zip(out) {
            *out = sample(value);
        }
    }
}

fn sample(value: i32) -> u8 {
    value.wrapping_add(128).clamp(0, 255) as u8
}

/// One dimension; the results lose `shift` bits, rounded. Sums of a hostile file may wrap.
fn transform(v: [i32; 8], shift: u32) -> [i32; 8] {
    let times = |value: i32, factor: f64| value.wrapping_mul(fixed_signed(factor));
    // Even part.
    let z = times(v[2].wrapping_add(v[6]), 0.541196100);
    let (low, high) = (
        z.wrapping_add(times(v[6], -1.847759065)),
        z.wrapping_add(times(v[2], 0.765366865)),
    );
    let sum = v[0].wrapping_add(v[4]).wrapping_shl(BITS);
    let difference = v[0].wrapping_sub(v[4]).wrapping_shl(BITS);
    let even = [
        sum.wrapping_add(high),
        difference.wrapping_add(low),
        difference.wrapping_sub(low),
        sum.wrapping_sub(high),
    ];
    // Odd part.
    let [a, b, c, d] = [v[7], v[5], v[3], v[1]];
    let z5 = times(
        a.wrapping_add(c).wrapping_add(b).wrapping_add(d),
        1.175875602,
    );
    let z1 = times(a.wrapping_add(d), -0.899976223);
    let z2 = times(b.wrapping_add(c), -2.562915447);
    let z3 = times(a.wrapping_add(c), -1.961570560).wrapping_add(z5);
    let z4 = times(b.wrapping_add(d), -0.390180644).wrapping_add(z5);
    let odd = [
        times(d, 1.501321110).wrapping_add(z1).wrapping_add(z4),
        times(c, 3.072711026).wrapping_add(z2).wrapping_add(z3),
        times(b, 2.053119869).wrapping_add(z2).wrapping_add(z4),
        times(a, 0.298631336).wrapping_add(z1).wrapping_add(z3),
    ];
    std::array::from_fn(|i| {
        let value = match i {
            0..4 => even[i].wrapping_add(odd[i]),
            _ => even[7 - i].wrapping_sub(odd[7 - i]),
        };
        value.wrapping_add(1 << (shift - 1)) >> shift
    })
}

const fn fixed_signed(value: f64) -> i32 {
    if value < 0.0 {
        -fixed(-value)
    } else {
        fixed(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in floats.
    fn slow(values: &Block) -> [f64; 64] {
        let wave = |position: usize, frequency: usize| {
            let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = (2 * position + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0;
            scale * angle.cos() / 2.0
        };
        std::array::from_fn(|at| {
            (0..64)
                .map(|of| f64::from(values[of]) * wave(at / 8, of / 8) * wave(at % 8, of % 8))
                .sum::<f64>()
        })
    }

    #[test]
    fn it_is_the_inverse_cosine_transform() {
        for seed in 1..20u32 {
            let mut state = seed;
            let values: Block = std::array::from_fn(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as i16 % 80 / (1 + at as i16 / 8)
            });
            let mut out = [0; 64];
            block(&values, &[1; 64], &mut out, 8);
            for (found, right) in out.iter().zip(slow(&values)) {
                let right = (right + 128.0).clamp(0.0, 255.0);
                assert!((f64::from(*found) - right).abs() < 0.6, "{found} {right}");
            }
        }
        let mut out = [0; 64];
        let mut flat = [0; 64];
        flat[0] = 81;
        block(&flat, &[2; 64], &mut out, 8);
        assert_eq!(out, [148; 64]);
    }
}
