//! The compressed bytes of a strip or tile to the bytes they stand for.

use std::io::{ErrorKind, Read};

use anyhow::{Context, Result, ensure};
use flate2::read::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;
use weezl::{BitOrder, LzwStatus, decode::Configuration, decode::Decoder};

const SHORT: &str = "damaged or cut short; copy it again from where it came";

/// Fills `out` from what a compression without knowledge of pixels has stored.
///
/// # Errors
/// Damaged data, and less of it than `out` takes.
pub fn unpack(compression: u32, stored: &[u8], out: &mut [u8]) -> Result<()> {
    match compression {
        5 => lzw(stored, out),
        8 | 32946 => deflate(stored, out),
        32773 => pack_bits(stored, out),
        50000 => {
            let mut decoder = StreamingDecoder::new(stored).ok().context(SHORT)?;
            decoder.read_exact(out).ok().context(SHORT)
        }
        _ => {
            out.copy_from_slice(stored.get(..out.len()).context(SHORT)?);
            Ok(())
        }
    }
}

fn lzw(stored: &[u8], out: &mut [u8]) -> Result<()> {
    // Before 1990 codes started with their lowest bit; the code that every stream starts with tells.
    let mut decoder = match stored {
        [0, second, ..] if second & 1 == 1 => Decoder::new(BitOrder::Lsb, 8),
        _ => Configuration::with_tiff_size_switch(BitOrder::Msb, 8).build(),
    };
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let step = decoder.decode_bytes(&stored[from..], &mut out[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        let moved = step.consumed_in > 0 || step.consumed_out > 0;
        ensure!(
            to == out.len() || moved && matches!(step.status, Ok(LzwStatus::Ok)),
            SHORT
        );
    }
    Ok(())
}

fn deflate(stored: &[u8], out: &mut [u8]) -> Result<()> {
    let mut decoder = ZlibDecoder::new(stored);
    decoder.read_exact(out).ok().context(SHORT)?;
    // The checksum comes after the last byte; some writers leave it out.
    match decoder.read(&mut [0]) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => anyhow::bail!(SHORT),
        _ => Ok(()),
    }
}

/// Counts of bytes to copy, or of times to repeat the next one.
fn pack_bits(mut stored: &[u8], out: &mut [u8]) -> Result<()> {
    let mut to = 0;
    while to < out.len() {
        let (&count, rest) = stored.split_first().context(SHORT)?;
        stored = rest;
        let count = count as i8;
        if count == -128 {
            continue;
        }
        let run = usize::from(count.unsigned_abs()) + 1;
        // Runs may go past what is asked for.
        let part = run.min(out.len() - to);
        if count >= 0 {
            out[to..to + part].copy_from_slice(stored.get(..part).context(SHORT)?);
            stored = stored.get(run..).unwrap_or_default();
        } else {
            let (&byte, rest) = stored.split_first().context(SHORT)?;
            out[to..to + part].fill(byte);
            stored = rest;
        }
        to += part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bits_are_runs_and_copies() {
        let stored = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0x80, 0xfd, 0xaa];
        let mut out = [0; 10];
        pack_bits(&stored, &mut out).expect("unpacks");
        let whole = [0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa];
        assert_eq!(out, whole);
        for length in 0..stored.len() {
            assert!(pack_bits(&stored[..length], &mut out).is_err());
        }
    }

    #[test]
    fn lzw_of_the_old_kind_is_read() {
        let data: Vec<u8> = (0..5000u32).map(|i| (i * i / 97) as u8).collect();
        let mut old = Vec::new();
        weezl::encode::Encoder::new(BitOrder::Lsb, 8)
            .into_stream(&mut old)
            .encode_all(&data[..])
            .status
            .expect("encodes");
        assert_eq!((old[0], old[1] & 1), (0, 1));
        let mut out = vec![0; data.len()];
        lzw(&old, &mut out).expect("unpacks");
        assert!(out == data);
    }

    #[test]
    fn a_wrong_checksum_is_damage() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[7; 100]).expect("a stream");
        let mut stored = encoder.finish().expect("a stream");
        let mut out = [0; 100];
        deflate(&stored, &mut out).expect("unpacks");
        let end = stored.len();
        deflate(&stored[..end - 4], &mut out).expect("unpacks without its checksum");
        stored[end - 1] ^= 1;
        assert!(deflate(&stored, &mut out).is_err());
    }
}
