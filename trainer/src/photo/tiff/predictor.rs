//! Differences between neighbours in a row back to samples.

/// Adds up a row of whole numbers of `bytes` bytes in the machine's order. Each sample was stored as
/// its difference from that of the same kind in the pixel before it; a pixel has `samples` of them.
pub fn add_up(row: &mut [u8], bytes: usize, samples: usize) {
    let step = bytes * samples;
    match bytes {
        1 => {
            for at in step..row.len() {
                row[at] = row[at].wrapping_add(row[at - step]);
            }
        }
        _ => {
            for at in (step..row.len()).step_by(bytes) {
                let sum = number(&row[at - step..], bytes).wrapping_add(number(&row[at..], bytes));
                put(&mut row[at..at + bytes], sum);
            }
        }
    }
}

/// Floating-point numbers of `bytes` bytes, in the machine's order, from how predictor 3 stores a
/// row: all first bytes, then all second ones and so on, each the difference from the one before it.
pub fn join_floats(row: &mut [u8], bytes: usize, samples: usize) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
    let planes = row.to_vec();
    let count = row.len() / bytes;
    for (index, number) in row.chunks_exact_mut(bytes).enumerate() {
        for (place, byte) in number.iter_mut().enumerate() {
            *byte = planes[place * count + index];
        }
        if cfg!(target_endian = "little") {
            number.reverse();
        }
    }
}

/// The differences that [`add_up`] adds up.
pub fn subtract(row: &mut [u8], bytes: usize, samples: usize) {
    let step = bytes * samples;
    for at in (step..row.len()).step_by(bytes).rev() {
        let difference = number(&row[at..], bytes).wrapping_sub(number(&row[at - step..], bytes));
        put(&mut row[at..at + bytes], difference);
    }
}

fn number(from: &[u8], bytes: usize) -> u64 {
    let mut wide = [0; 8];
    if cfg!(target_endian = "little") {
        wide[..bytes].copy_from_slice(&from[..bytes]);
    } else {
        wide[8 - bytes..].copy_from_slice(&from[..bytes]);
    }
    u64::from_ne_bytes(wide)
}

fn put(to: &mut [u8], number: u64) {
    let bytes = to.len();
    let wide = number.to_ne_bytes();
    if cfg!(target_endian = "little") {
        to.copy_from_slice(&wide[..bytes]);
    } else {
        to.copy_from_slice(&wide[8 - bytes..]);
    }
}
