//! The header of a JPEG's frame: sizes, components, and the kinds of JPEG that are not read.

use anyhow::{Context, Result, ensure};

use super::fault::{damaged, unsupported};
use super::segments::Segments;

/// What the header says.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Whether scans bring coefficients in parts.
    pub progressive: bool,
    /// Grey; or Y, Cb, Cr, or R, G, B; or four inks.
    pub components: Vec<Component>,
    /// The largest sampling factors, across and down.
    pub most: (usize, usize),
}

/// One plane of samples.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name in the headers of scans.
    pub id: u8,
    /// Sampling factors: blocks of a unit that holds all components, across and down.
    pub factors: (usize, usize),
    /// Number of its quantisation table.
    pub table: usize,
    /// Samples, across and down.
    pub size: (usize, usize),
    /// Blocks that hold samples, across and down.
    pub blocks: (usize, usize),
    /// Blocks that are stored: whole units.
    pub stored: (usize, usize),
}

impl Frame {
    /// Reads the header.
    ///
    /// # Errors
    /// No header, one that makes no sense, and kinds that are not supported, by their names.
    pub fn read(bytes: &[u8]) -> Result<Frame> {
        let (marker, data) = header(bytes).context(damaged("it has no picture"))?;
        let kind = match marker {
            0xC3 => Some("lossless JPEG"),
            0xC5..=0xC7 | 0xDE => Some("hierarchical JPEG"),
            0xC9..=0xCB | 0xCD..=0xCF => Some("JPEG with arithmetic coding"),
            0xF7 => Some("JPEG-LS"),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(unsupported(kind));
        }
        let (bits, height, width, count, parts) = match data {
            [bits, h1, h0, w1, w0, count, parts @ ..] => (
                *bits,
                u16::from_be_bytes([*h1, *h0]).into(),
                usize::from(u16::from_be_bytes([*w1, *w0])),
                usize::from(*count),
                parts,
            ),
            _ => return Err(damaged("the header of its picture is cut short")),
        };
        if bits != 8 {
            return Err(unsupported(&format!("JPEG of {bits} bits a sample")));
        }
        if height == 0 {
            return Err(unsupported("JPEG that tells its height at its end (DNL)"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("JPEG of {count} components")));
        }
        ensure!(
            width > 0 && parts.len() >= 3 * count,
            damaged("the header of its picture makes no sense")
        );
        Frame::of_parts((width, height), marker == 0xC2, &parts[..3 * count])
    }

    fn of_parts(size: (usize, usize), progressive: bool, parts: &[u8]) -> Result<Frame> {
        let factors: Vec<(usize, usize)> = parts
            .chunks_exact(3)
            .map(|part| (usize::from(part[1] >> 4), usize::from(part[1] & 15)))
            .collect();
        let valid = |factor: usize| (1..=4).contains(&factor);
        let tables = parts.chunks_exact(3).all(|part| part[2] < 4);
        ensure!(
            tables && factors.iter().all(|&(h, v)| valid(h) && valid(v)),
            damaged("the header of its picture makes no sense")
        );
        let most = factors
            .iter()
            .fold((1, 1), |most, &(h, v)| (most.0.max(h), most.1.max(v)));
        if factors
            .iter()
            .any(|&(h, v)| most.0 % h != 0 || most.1 % v != 0)
        {
            return Err(unsupported(
                "JPEG with sampling factors that do not divide one another",
            ));
        }
        let units = (size.0.div_ceil(8 * most.0), size.1.div_ceil(8 * most.1));
        let components = parts
            .chunks_exact(3)
            .zip(factors)
            .map(|(part, (h, v))| {
                let size = ((size.0 * h).div_ceil(most.0), (size.1 * v).div_ceil(most.1));
                Component {
                    id: part[0],
                    factors: (h, v),
                    table: part[2].into(),
                    size,
                    blocks: (size.0.div_ceil(8), size.1.div_ceil(8)),
                    stored: (units.0 * h, units.1 * v),
                }
            })
            .collect();
        Ok(Frame {
            width: size.0,
            height: size.1,
            progressive,
            components,
            most,
        })
    }

    /// Units of a scan that brings several components, across and down.
    pub fn units(&self) -> (usize, usize) {
        (
            self.width.div_ceil(8 * self.most.0),
            self.height.div_ceil(8 * self.most.1),
        )
    }

    /// Samples of all components as they are stored.
    pub fn stored_samples(&self) -> u64 {
        let blocks = |component: &Component| component.stored.0 as u64 * component.stored.1 as u64;
        64 * self.components.iter().map(blocks).sum::<u64>()
    }
}

/// The marker and contents of the header of a frame.
pub fn header(bytes: &[u8]) -> Option<(u8, &[u8])> {
    Segments::before_scans(bytes).find(|(marker, _)| {
        matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xDE | 0xF7)
    })
}
