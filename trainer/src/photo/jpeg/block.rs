//! The coefficients of one block, as the kinds of scans bring them.

use super::huffman::{BadCode, Bits, Huffman};

/// Coefficients in rows of eight, not yet multiplied by their table.
pub type Block = [i16; 64];

/// Where the n-th coefficient of the file stands in a block.
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Reads the difference to the block before.
fn difference(bits: &mut Bits<'_>, dc: &Huffman) -> Result<i32, BadCode> {
    match dc.read(bits)? {
        size @ 0..=15 => Ok(bits.signed(size.into())),
        _ => Err(BadCode),
    }
}

/// A whole block of a sequential scan.
pub fn whole(
    bits: &mut Bits<'_>,
    (dc, ac): (&Huffman, &Huffman),
    last: &mut i32,
    block: &mut Block,
) -> Result<(), BadCode> {
    first_dc(bits, dc, last, 0, block)?;
    let mut run = 0;
    first_ac(bits, ac, (1, 63), 0, &mut run, block)?;
    // Runs of empty blocks are for progressive scans.
    if run > 0 { Err(BadCode) } else { Ok(()) }
}

/// The first bits of a block's mean.
pub fn first_dc(
    bits: &mut Bits<'_>,
    dc: &Huffman,
    last: &mut i32,
    low: u32,
    block: &mut Block,
) -> Result<(), BadCode> {
    *last = last.wrapping_add(difference(bits, dc)?);
    block[0] = (*last << low) as i16;
    Ok(())
}

/// One more bit of a block's mean.
pub fn more_dc(bits: &mut Bits<'_>, low: u32, block: &mut Block) {
    if bits.take(1) == 1 {
        block[0] |= 1 << low;
    }
}

/// The first bits of the coefficients of a band; `run` counts the blocks that are empty from here on.
pub fn first_ac(
    bits: &mut Bits<'_>,
    ac: &Huffman,
    (from, to): (usize, usize),
    low: u32,
    run: &mut u32,
    block: &mut Block,
) -> Result<(), BadCode> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let mut at = from;
    while at <= to {
        let code = ac.read(bits)?;
        let (zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if zeros < 15 {
                *run = (1 << zeros) - 1 + bits.take(zeros) as u32;
                break;
            }
            at += 16;
        } else {
            at += zeros as usize;
            if at > to {
                return Err(BadCode);
            }
            block[usize::from(ZIGZAG[at])] = (bits.signed(size) << low) as i16;
            at += 1;
        }
    }
    Ok(())
}

/// One more bit of the coefficients of a band.
pub fn more_ac(
    bits: &mut Bits<'_>,
    ac: &Huffman,
    (from, to): (usize, usize),
    low: u32,
    run: &mut u32,
    block: &mut Block,
) -> Result<(), BadCode> {
    let mut at = from;
    while *run == 0 && at <= to {
        let code = ac.read(bits)?;
        let (mut zeros, size) = (u32::from(code >> 4), code & 15);
        let new = match size {
            0 if zeros < 15 => {
                *run = (1 << zeros) + bits.take(zeros) as u32;
                break;
            }
            0 => 0,
            1 if bits.take(1) == 1 => 1 << low,
            1 => -1 << low,
            _ => return Err(BadCode),
        };
        // Those that are known already get their bit on the way to the new one.
        while at <= to {
            let known = &mut block[usize::from(ZIGZAG[at])];
            if *known != 0 {
                refine(bits, low, known);
            } else if zeros == 0 {
                *known = new;
                break;
            } else {
                zeros -= 1;
            }
            at += 1;
        }
        if new != 0 && at > to {
            return Err(BadCode);
        }
        at += 1;
    }
    if *run > 0 {
        for &place in ZIGZAG.get(at..=to).unwrap_or_default() {
            let known = &mut block[usize::from(place)];
            if *known != 0 {
                refine(bits, low, known);
            }
        }
        *run -= 1;
    }
    Ok(())
}

fn refine(bits: &mut Bits<'_>, low: u32, known: &mut i16) {
    let bit = 1 << low;
    if bits.take(1) == 1 && *known & bit == 0 {
        *known = known.wrapping_add(if *known < 0 { -bit } else { bit });
    }
}
