//! Black and white as fax machines send it (ITU-T T.4 and T.6).

use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

const DAMAGED: &str = "damaged or cut short; copy it again from where it came";

/// An end of line, eleven zeros and a one, is the only code of more than seven zeros.
const ZEROS: u8 = 9;

/// Fills rows of `row_bytes` with one bit for each of `width` pixels: 1 is black.
///
/// # Errors
/// Damaged data, fewer rows than `out` takes, rows of another length.
pub fn unpack(
    compression: u32,
    options: u32,
    stored: &[u8],
    width: usize,
    row_bytes: usize,
    out: &mut [u8],
) -> Result<()> {
    // Codes are looked up in whole bytes, and the last one may have none after it.
    let bytes = stored.iter().copied().chain([0; 3]);
    let Ok(bits) = ByteReader::new(bytes.map(Ok::<u8, Infallible>));
    let mut lines = Lines {
        bits,
        width,
        edges: vec![],
    };
    for row in out.chunks_exact_mut(row_bytes) {
        match compression {
            2 => {
                lines.one_dimension()?;
                lines.skip_to_byte();
            }
            3 => {
                lines.skip_end_of_line();
                // A bit says whether the line stands for itself.
                if options & 1 == 1 && lines.take(1)? == 0 {
                    lines.two_dimensions()?;
                } else {
                    lines.one_dimension()?;
                }
            }
            _ => lines.two_dimensions()?,
        }
        paint(row, &lines.edges, width);
    }
    Ok(())
}

struct Lines<R> {
    bits: ByteReader<R>,
    width: usize,
    /// Where the colour changes in the last line, from white at its start.
    edges: Vec<usize>,
}

impl<R: Iterator<Item = Result<u8, Infallible>>> Lines<R> {
    fn take(&mut self, bits: u8) -> Result<u16> {
        let value = self.bits.peek(bits).context(DAMAGED)?;
        self.bits.consume(bits).ok().context(DAMAGED)?;
        Ok(value)
    }

    fn skip_to_byte(&mut self) {
        let bits = self.bits.bits_to_byte_boundary();
        let _ = self.bits.consume(bits);
    }

    /// Passes an end of line, and the zeros that fill up before it, where there is one.
    fn skip_end_of_line(&mut self) {
        while self.bits.peek(ZEROS) == Some(0) {
            while self.bits.peek(1) == Some(0) {
                let _ = self.bits.consume(1);
            }
            let _ = self.bits.consume(1);
        }
    }

    /// A run of one colour: codes of multiples of 64, and one of less.
    fn run(&mut self, is_black: bool) -> Result<usize> {
        let mut sum = 0;
        loop {
            let code = if is_black {
                black::decode(&mut self.bits)
            } else {
                white::decode(&mut self.bits)
            };
            let length = usize::from(code.context(DAMAGED)?);
            sum += length;
            ensure!(sum <= self.width, DAMAGED);
            if length < 64 {
                return Ok(sum);
            }
        }
    }

    /// A line of runs.
    fn one_dimension(&mut self) -> Result<()> {
        self.edges.clear();
        let (mut at, mut is_black) = (0, false);
        while at < self.width {
            at += self.run(is_black)?;
            ensure!(at <= self.width, DAMAGED);
            self.edges.push(at);
            is_black = !is_black;
        }
        Ok(())
    }

    /// A line of differences from the line above.
    fn two_dimensions(&mut self) -> Result<()> {
        let above = std::mem::take(&mut self.edges);
        let (mut at, mut is_black, mut started) = (0, false, false);
        let mut past = 0;
        while at < self.width {
            // The first change above, past `at`, to the colour that this line would change to.
            while above
                .get(past)
                .is_some_and(|edge| *edge < at || started && *edge == at)
            {
                past += 1;
            }
            let from = past + usize::from((past % 2 == 1) != is_black);
            let edge = |index: usize| above.get(index).copied().unwrap_or(self.width);
            let (first, second) = (edge(from), edge(from + 1));
            started = true;
            match mode::decode(&mut self.bits).context(DAMAGED)? {
                Mode::Pass => at = second,
                Mode::Vertical(by) => {
                    let edge = first.checked_add_signed(by.into()).context(DAMAGED)?;
                    ensure!(edge >= at && edge <= self.width, DAMAGED);
                    self.edges.push(edge);
                    at = edge;
                    is_black = !is_black;
                }
                Mode::Horizontal => {
                    for colour in [is_black, !is_black] {
                        at += self.run(colour)?;
                        ensure!(at <= self.width, DAMAGED);
                        self.edges.push(at);
                    }
                }
                Mode::Extension | Mode::EOF => anyhow::bail!(DAMAGED),
            }
        }
        Ok(())
    }
}

/// Sets the bits of what is black between changes.
fn paint(row: &mut [u8], edges: &[usize], width: usize) {
    row.fill(0);
    for pair in edges.chunks(2) {
        let end = pair.get(1).copied().unwrap_or(width);
        for x in pair[0]..end.min(width) {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    }
}
