//! One scan: which coefficients of which components it brings, and how their bits are read.

use anyhow::{Result, ensure};

use super::block::{self, Block};
use super::fault::{damaged, unsupported};
use super::frame::Frame;
use super::huffman::{BadCode, Bits, Huffman};

/// What a scan's header says.
#[derive(Debug)]
pub struct Scan {
    /// Each component's number, and those of its tables for means and for other coefficients.
    pub parts: Vec<(usize, usize, usize)>,
    /// The coefficients.
    pub band: (usize, usize),
    /// The lowest bit that it brings.
    pub low: u32,
    pass: Pass,
}

/// The kinds of scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Of a sequential file.
    Whole,
    FirstMeans,
    MoreMeans,
    FirstBand,
    MoreBand,
}

/// What a scan remembers from block to block, until the next restart marker.
#[derive(Default)]
pub struct State {
    /// The last mean of each of the scan's components.
    means: [i32; 4],
    /// Blocks from here on that are empty.
    run: u32,
}

impl Scan {
    /// Reads a scan's header.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn read(header: &[u8], frame: &Frame) -> Result<Scan> {
        const NONSENSE: &str = "the header of a scan makes no sense";
        let count = usize::from(header.first().copied().unwrap_or_default());
        let Some(&[from, to, bits]) = header.get(1 + 2 * count..).and_then(<[u8]>::first_chunk)
        else {
            return Err(damaged(NONSENSE));
        };
        let mut parts = Vec::new();
        for pair in header[1..=2 * count].chunks_exact(2) {
            let known = frame.components.iter().position(|part| part.id == pair[0]);
            let (dc, ac) = (usize::from(pair[1] >> 4), usize::from(pair[1] & 15));
            match known {
                Some(known) if dc < 4 && ac < 4 => parts.push((known, dc, ac)),
                _ => return Err(damaged(NONSENSE)),
            }
        }
        let numbers = |at: usize| parts[at + 1..].iter().any(|part| part.0 == parts[at].0);
        ensure!(
            !parts.is_empty() && !(0..parts.len()).any(numbers),
            damaged(NONSENSE)
        );
        if !frame.progressive {
            // Other values than these mean nothing there.
            return Ok(Scan {
                parts,
                band: (0, 63),
                low: 0,
                pass: Pass::Whole,
            });
        }
        let (high, low) = (bits >> 4, bits & 15);
        let sensible = match from {
            0 => to == 0,
            _ => from <= to && to < 64 && parts.len() == 1,
        };
        ensure!(sensible && low < 14, damaged(NONSENSE));
        Ok(Scan {
            parts,
            band: (from.into(), to.into()),
            low: low.into(),
            pass: match (from, high) {
                (0, 0) => Pass::FirstMeans,
                (0, _) => Pass::MoreMeans,
                (_, 0) => Pass::FirstBand,
                _ => Pass::MoreBand,
            },
        })
    }

    /// The codes of the component that is number `part` of the scan's; a code that no block of it needs may be missing.
    ///
    /// # Errors
    /// A code that is needed and missing.
    pub fn codes<'c>(
        &self,
        part: usize,
        means: &'c [Option<Huffman>; 4],
        others: &'c [Option<Huffman>; 4],
    ) -> Result<Codes<'c>> {
        let (_, dc, ac) = self.parts[part];
        let (dc, ac) = (means[dc].as_ref(), others[ac].as_ref());
        match (self.pass, dc, ac) {
            (Pass::Whole, Some(dc), Some(ac)) => Ok(Codes::Both(dc, ac)),
            (Pass::FirstMeans, Some(code), _)
            | (Pass::FirstBand | Pass::MoreBand, _, Some(code)) => Ok(Codes::One(code)),
            (Pass::MoreMeans, ..) => Ok(Codes::None),
            _ => Err(unsupported("JPEG without Huffman tables of its own")),
        }
    }

    /// Reads the next block.
    ///
    /// # Errors
    /// Data that is missing or makes no sense.
    pub fn block(
        &self,
        bits: &mut Bits<'_>,
        codes: &Codes<'_>,
        part: usize,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        let mean = &mut state.means[part];
        let run = &mut state.run;
        let done = match (*codes, self.pass) {
            (Codes::Both(dc, ac), _) => block::whole(bits, (dc, ac), mean, block),
            (Codes::One(code), Pass::FirstMeans) => {
                block::first_dc(bits, code, mean, self.low, block)
            }
            (Codes::One(code), Pass::FirstBand) => {
                block::first_ac(bits, code, self.band, self.low, run, block)
            }
            (Codes::One(code), _) => block::more_ac(bits, code, self.band, self.low, run, block),
            (Codes::None, _) => {
                block::more_dc(bits, self.low, block);
                Ok(())
            }
        };
        ensure!(
            !bits.is_overdrawn(),
            damaged("a part of its picture's data is missing")
        );
        done.map_err(|BadCode| damaged("a part of its picture's data makes no sense"))
    }
}

/// The codes that a component's blocks need.
#[derive(Clone, Copy)]
pub enum Codes<'c> {
    None,
    One(&'c Huffman),
    Both(&'c Huffman, &'c Huffman),
}
