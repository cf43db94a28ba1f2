//! The segments that a JPEG file is made of.

pub const DHT: u8 = 0xC4;
pub const EOI: u8 = 0xD9;
pub const SOS: u8 = 0xDA;
pub const DQT: u8 = 0xDB;
pub const DRI: u8 = 0xDD;
pub const APP0: u8 = 0xE0;
pub const APP1: u8 = 0xE1;
pub const APP2: u8 = 0xE2;
pub const APP13: u8 = 0xED;
pub const APP14: u8 = 0xEE;
pub const COMMENT: u8 = 0xFE;

/// The segments of a file: marker, contents, and what follows; entropy-coded data is skipped.
pub struct Segments<'a> {
    /// What is not read yet.
    pub rest: &'a [u8],
}

impl<'a> Segments<'a> {
    /// Those of a whole file.
    pub fn of(bytes: &'a [u8]) -> Self {
        Segments {
            rest: bytes.get(2..).unwrap_or_default(),
        }
    }

    /// Those before the picture: metadata, tables, the frame's header.
    pub fn before_scans(bytes: &'a [u8]) -> impl Iterator<Item = (u8, &'a [u8])> {
        Segments::of(bytes)
            .map(|(marker, data, _)| (marker, data))
            .take_while(|(marker, _)| !matches!(*marker, SOS | EOI))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Between segments may be fill bytes, and after a scan's header its data, in which a
            // zero or a restart number follows each 0xFF.
            let at = self.rest.iter().position(|&byte| byte == 0xFF)?;
            let marker = *self.rest.get(at + 1)?;
            self.rest = &self.rest[at + 1..];
            match marker {
                0xFF => continue,
                0x00 | 0x01 | 0xD0..=0xD8 => self.rest = &self.rest[1..],
                EOI => {
                    self.rest = &self.rest[1..];
                    return Some((EOI, &[], self.rest));
                }
                _ => {
                    let length = self.rest.get(1..3)?;
                    let end = 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                    let data = self.rest.get(3..end)?;
                    self.rest = &self.rest[end..];
                    return Some((marker, data, self.rest));
                }
            }
        }
    }
}
