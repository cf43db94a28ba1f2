//! A JPEG file's pixels: Huffman-coded files of 8 bits, sequential and progressive, with any scans and sampling. The decoders
//! of image libraries decoded scans of single components wrongly, and did not report missing data.

use std::ops::Range;

use anyhow::{Result, ensure};

use super::block::{Block, ZIGZAG};
use super::fault::damaged;
use super::frame::Frame;
use super::huffman::{Bits, Huffman};
use super::idct;
use super::planes::{Colours, Plane, pixels};
use super::scan::{Codes, Scan, State};
use super::segments::{DHT, DQT, DRI, EOI, SOS, Segments};

/// Cameras leave up to this many unread bytes after a scan; lost or added data leave more.
const STRAY: usize = 64;
/// No encoder makes more scans; each of them can make a small file's decoder pass over the whole picture.
const MAX_SCANS: usize = 1000;

/// A file's pixels, grey or RGB unless other colours were asked for, and what the user should know about them.
#[derive(Debug)]
pub struct Decoded {
    /// Interleaved.
    pub samples: Vec<u8>,
    /// One line each.
    pub notes: Vec<String>,
}

/// Decodes the picture of a file.
///
/// # Errors
/// One line: damaged, cut short, or of a kind that is not supported.
pub fn decode(bytes: &[u8]) -> Result<Decoded> {
    let frame = Frame::read(bytes)?;
    let colours = Colours::of(bytes, &frame);
    decode_as(bytes, &frame, colours)
}

/// Decodes the picture of a file whose components stand for these colours, whatever it says itself.
///
/// # Errors
/// As [`decode`], and colours of another number of components.
pub fn decode_as(bytes: &[u8], frame: &Frame, colours: Colours) -> Result<Decoded> {
    ensure!(
        colours
            .components()
            .is_none_or(|count| count == frame.components.len()),
        damaged("its components are not those of its colours")
    );
    let mut decoder = Decoder::new(frame);
    let notes = decoder.read(bytes)?;
    let planes: Vec<Plane> = decoder.parts.into_iter().map(Part::into_plane).collect();
    Ok(Decoded {
        samples: pixels(frame, &planes, colours),
        notes,
    })
}

/// What is known of one component.
struct Part {
    /// Blocks across, as they are stored.
    across: usize,
    samples: Vec<u8>,
    /// Of a progressive file, until its last scan is read.
    blocks: Vec<Block>,
    /// The quantisation table, as it was at the component's first scan.
    table: Option<[u16; 64]>,
    /// Bits of the coefficients that a scan has brought, and of those that are complete.
    begun: u64,
    complete: u64,
}

impl Part {
    fn into_plane(mut self) -> Plane {
        let stride = 8 * self.across;
        let blocks = std::mem::take(&mut self.blocks);
        for (at, block) in blocks.iter().enumerate() {
            self.put(at, block);
        }
        Plane {
            samples: self.samples,
            stride,
        }
    }

    /// Writes the samples of the block `at`.
    fn put(&mut self, at: usize, block: &Block) {
        let stride = 8 * self.across;
        let corner = at / self.across * 8 * stride + at % self.across * 8;
        if let Some(table) = &self.table {
            idct::block(block, table, &mut self.samples[corner..], stride);
        }
    }
}

struct Decoder<'f> {
    frame: &'f Frame,
    parts: Vec<Part>,
    tables: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Units between restart markers; 0: there are none.
    interval: usize,
}

impl<'f> Decoder<'f> {
    fn new(frame: &'f Frame) -> Self {
        let parts = frame.components.iter().map(|component| {
            let blocks = component.stored.0 * component.stored.1;
            Part {
                across: component.stored.0,
                samples: vec![0; 64 * blocks],
                blocks: vec![[0; 64]; if frame.progressive { blocks } else { 0 }],
                table: None,
                begun: 0,
                complete: 0,
            }
        });
        Decoder {
            frame,
            parts: parts.collect(),
            tables: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            interval: 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| part.complete == u64::MAX)
    }

    /// Reads all scans; returns notes.
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<String>> {
        let mut segments = Segments::of(bytes);
        let (mut scans, mut stray, mut ended) = (0, 0, false);
        while !self.is_complete()
            && let Some((marker, data, rest)) = segments.next()
        {
            match marker {
                DQT => self.quantisation(data)?,
                DHT => self.codes(data)?,
                DRI => {
                    if let Some(&[high, low]) = data.first_chunk() {
                        self.interval = u16::from_be_bytes([high, low]).into();
                    }
                }
                SOS => {
                    scans += 1;
                    ensure!(scans <= MAX_SCANS, damaged("it has thousands of scans"));
                    let (end, unread) = self.scan(data, rest)?;
                    segments.rest = &rest[end..];
                    // After a complete picture without an end marker anything may follow.
                    if !self.is_complete() || rest[end..].starts_with(&[0xFF, EOI]) {
                        ensure!(
                            unread <= STRAY,
                            damaged("bytes are lost or added in its picture")
                        );
                        stray = stray.max(unread);
                    }
                }
                EOI => {
                    ended = true;
                    break;
                }
                _ => {}
            }
        }
        let mut notes = Vec::new();
        if self.is_complete() {
            ended = segments.next().is_some_and(|(marker, ..)| marker == EOI);
            if !ended {
                notes.push("the file's end marker is missing; its picture is complete".into());
            }
        } else {
            let first = self.parts.iter().all(|part| part.begun & 1 == 1);
            ensure!(
                ended && self.frame.progressive && first,
                damaged("the end of its picture is missing")
            );
            notes.push("its last scans are missing: it shows less detail than it once did".into());
        }
        if stray > 0 {
            notes.push(format!(
                "{stray} stray bytes stand behind its picture's data: look at the result"
            ));
        }
        Ok(notes)
    }

    fn quantisation(&mut self, mut data: &[u8]) -> Result<()> {
        while let [head, rest @ ..] = data {
            let wide = head >> 4 != 0;
            let length = if wide { 128 } else { 64 };
            ensure!(
                rest.len() >= length && head & 15 < 4,
                damaged("a quantisation table makes no sense")
            );
            let mut table = [0; 64];
            for (at, &place) in ZIGZAG.iter().enumerate() {
                table[usize::from(place)] = match wide {
                    true => u16::from_be_bytes([rest[2 * at], rest[2 * at + 1]]),
                    false => rest[at].into(),
                };
            }
            self.tables[usize::from(head & 15)] = Some(table);
            data = &rest[length..];
        }
        Ok(())
    }

    fn codes(&mut self, mut data: &[u8]) -> Result<()> {
        const NONSENSE: &str = "a Huffman table makes no sense";
        while let [head, rest @ ..] = data {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Err(damaged(NONSENSE));
            };
            let length = counts.iter().map(|&count| usize::from(count)).sum();
            let code = Huffman::new(counts, rest);
            let place = usize::from(head & 15);
            let (Some(code), true) = (code, place < 4) else {
                return Err(damaged(NONSENSE));
            };
            match head >> 4 {
                0 => self.dc[place] = Some(code),
                _ => self.ac[place] = Some(code),
            }
            data = &rest[length..];
        }
        Ok(())
    }

    /// Reads one scan; returns where the marker after its data stands, and how many bytes before it were not read.
    fn scan(&mut self, header: &[u8], data: &[u8]) -> Result<(usize, usize)> {
        let scan = Scan::read(header, self.frame)?;
        for &(part, ..) in &scan.parts {
            let table = self.tables[self.frame.components[part].table];
            let part = &mut self.parts[part];
            part.table = part.table.or(table);
            ensure!(
                part.table.is_some(),
                damaged("a quantisation table is missing")
            );
            let band = (u64::MAX >> (63 - scan.band.1)) & (u64::MAX << scan.band.0);
            part.begun |= band;
            if scan.low == 0 {
                part.complete |= band;
            }
        }
        let across = match scan.parts[..] {
            [(part, ..)] => self.frame.components[part].blocks,
            _ => self.frame.units(),
        };
        let units = across.0 * across.1;
        let interval = match self.interval {
            0 => units,
            interval => interval,
        };
        let (mut at, mut done, mut restarts) = (0, 0, 0);
        loop {
            let mut bits = Bits::of(&data[at..]);
            let next = units.min(done + interval);
            self.stretch(&scan, across.0, done..next, &mut bits)?;
            done = next;
            let (end, unread) = bits.end();
            at += end;
            if done == units {
                return Ok((at, unread));
            }
            ensure!(
                unread == 0 && data.get(at..at + 2) == Some(&[0xFF, 0xD0 + restarts]),
                damaged("bytes are lost or added between restart markers")
            );
            at += 2;
            restarts = (restarts + 1) % 8;
        }
    }

    /// Reads the units between two restart markers.
    fn stretch(
        &mut self,
        scan: &Scan,
        across: usize,
        units: Range<usize>,
        bits: &mut Bits<'_>,
    ) -> Result<()> {
        let codes = |part| scan.codes(part, &self.dc, &self.ac);
        let codes: Vec<Codes> = (0..scan.parts.len()).map(codes).collect::<Result<_>>()?;
        let mut state = State::default();
        for unit in units {
            let (x, y) = (unit % across, unit / across);
            for (index, (&(number, ..), codes)) in scan.parts.iter().zip(&codes).enumerate() {
                let (h, v) = match scan.parts.len() {
                    1 => (1, 1),
                    _ => self.frame.components[number].factors,
                };
                let part = &mut self.parts[number];
                for place in 0..h * v {
                    let at = (y * v + place / h) * part.across + x * h + place % h;
                    if self.frame.progressive {
                        scan.block(bits, codes, index, &mut state, &mut part.blocks[at])?;
                    } else {
                        let mut block = [0; 64];
                        scan.block(bits, codes, index, &mut state, &mut block)?;
                        part.put(at, &block);
                    }
                }
            }
        }
        Ok(())
    }
}
