//! TIFF directories as data: what EXIF is made of, and what a TIFF file keeps beside its pixels.

use std::collections::HashSet;

/// Directories that a tag of another one points to: EXIF, GPS, interoperability.
const CHILDREN: [u16; 3] = [0x8769, 0x8825, 0xA005];

/// BigTIFF's types for numbers and offsets of 64 bits.
const LONG8: u16 = 16;
const IFD8: u16 = 18;

/// The type of bytes that only their tag says something about.
const UNDEFINED: u16 = 7;
/// IPTC's place in TIFF.
pub const IPTC: u16 = 33723;

/// Values larger than this in sum are no metadata of a photo.
const MAX_BYTES: usize = 16 << 20;

/// No file of photos has more pages.
const MAX_PAGES: usize = 10_000;

/// One directory: plain entries, and directories below it by the tag that points there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// Entries in file order.
    pub entries: Vec<Entry>,
    /// Child directories.
    pub children: Vec<(u16, Directory)>,
    /// Tags, of this directory and those below, whose values are damaged, too large, or of a type
    /// that classic TIFF lacks.
    pub lost: Vec<u16>,
}

/// One value of a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it says.
    pub tag: u16,
    /// TIFF's number for the type of its elements.
    pub kind: u16,
    /// The elements, little-endian.
    pub value: Vec<u8>,
}

impl Directory {
    /// Reads the first directory of a TIFF structure (EXIF, or a TIFF or BigTIFF file); `None` when
    /// there is none at all.
    pub fn parse(bytes: &[u8]) -> Option<Directory> {
        let mut reader = Reader::new(bytes)?;
        reader.directory(reader.first()?, 0)
    }

    /// Reads the directory at an offset: one that another directory points to.
    pub fn parse_at(bytes: &[u8], at: usize) -> Option<Directory> {
        Reader::new(bytes)?.directory(at, 0)
    }

    /// Reads the directories that follow each other from the first on: the pages of a TIFF file.
    pub fn chain(bytes: &[u8]) -> Vec<Directory> {
        let mut directories = Vec::new();
        let mut seen = HashSet::new();
        let Some(mut reader) = Reader::new(bytes) else {
            return directories;
        };
        // No page is lost to what another one holds, and all of them hold no more than the file.
        let mut left = bytes.len();
        let mut next = reader.first();
        while let Some(at) = next
            && seen.insert(at)
            && directories.len() < MAX_PAGES
        {
            let page = MAX_BYTES.min(left);
            reader.left = page;
            let Some(directory) = reader.directory(at, 0) else {
                break;
            };
            left -= page - reader.left;
            directories.push(directory);
            next = reader.next(at).filter(|at| *at != 0);
        }
        directories
    }

    /// The entry called `tag`.
    pub fn get(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Puts a value in, in place of what there was.
    pub fn set(&mut self, tag: u16, kind: u16, value: Vec<u8>) {
        self.entries.retain(|entry| entry.tag != tag);
        self.entries.push(Entry { tag, kind, value });
    }

    /// Writes a little-endian TIFF structure that holds this directory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"II*\0\x08\0\0\0".to_vec();
        self.append(&mut out, 0);
        out
    }

    /// Appends the directory at the end of `out`, its values and children after it. The start of
    /// `out` will be at offset `base` of the file.
    pub(crate) fn append(&self, out: &mut Vec<u8>, base: u32) {
        enum Value<'a> {
            Plain(&'a Entry),
            Child(&'a Directory),
        }
        let mut items: Vec<(u16, Value)> = self
            .entries
            .iter()
            .map(|entry| (entry.tag, Value::Plain(entry)))
            .chain(
                self.children
                    .iter()
                    .map(|(tag, child)| (*tag, Value::Child(child))),
            )
            .collect();
        items.sort_by_key(|(tag, _)| *tag);

        let start = out.len();
        out.resize(start + 2 + 12 * items.len() + 4, 0);
        out[start..start + 2].copy_from_slice(&(items.len() as u16).to_le_bytes());
        for (index, (tag, value)) in items.iter().enumerate() {
            let at = start + 2 + 12 * index;
            let (kind, count) = match value {
                Value::Plain(entry) => (
                    entry.kind,
                    entry.value.len() / element_bytes(entry.kind).unwrap_or(1),
                ),
                Value::Child(_) => (4, 1),
            };
            out[at..at + 2].copy_from_slice(&tag.to_le_bytes());
            out[at + 2..at + 4].copy_from_slice(&kind.to_le_bytes());
            out[at + 4..at + 8].copy_from_slice(&(count as u32).to_le_bytes());
            match value {
                Value::Plain(entry) if entry.value.len() <= 4 => {
                    out[at + 8..at + 8 + entry.value.len()].copy_from_slice(&entry.value);
                }
                other => {
                    let offset = base + out.len() as u32;
                    out[at + 8..at + 12].copy_from_slice(&offset.to_le_bytes());
                    match other {
                        Value::Plain(entry) => out.extend_from_slice(&entry.value),
                        Value::Child(child) => child.append(out, base),
                    }
                    if out.len() % 2 == 1 {
                        out.push(0);
                    }
                }
            }
        }
    }
}

impl Entry {
    /// The first elements as whole numbers, when they are 16 or 32 bits wide.
    pub fn number(&self) -> Option<u32> {
        match (self.kind, self.value.as_slice()) {
            (3, &[a, b, ..]) => Some(u16::from_le_bytes([a, b]).into()),
            (4, &[a, b, c, d, ..]) => Some(u32::from_le_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// All elements as whole numbers, when they are ones of up to 32 bits.
    pub fn numbers(&self) -> Option<Vec<u32>> {
        let width = match self.kind {
            1 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            _ => return None,
        };
        let number = |element: &[u8]| {
            element
                .iter()
                .rev()
                .fold(0, |number, byte| (number << 8) | u32::from(*byte))
        };
        Some(self.value.chunks_exact(width).map(number).collect())
    }

    /// All elements as the quotients of fractions.
    pub fn fractions(&self) -> Option<Vec<f32>> {
        let number = |bytes: [u8; 4]| f64::from(u32::from_le_bytes(bytes));
        let quotient = |&[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            (number([a, b, c, d]) / number([e, f, g, h]).max(1.0)) as f32
        };
        (self.kind == 5).then(|| self.value.as_chunks().0.iter().map(quotient).collect())
    }

    /// The first element as a fraction.
    pub fn fraction(&self) -> Option<(u32, u32)> {
        match (self.kind, self.value.as_slice()) {
            (5, &[a, b, c, d, e, f, g, h, ..]) => Some((
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )),
            _ => None,
        }
    }
}

/// Bytes of one element of a TIFF type.
fn element_bytes(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | LONG8 | IFD8 => 8,
        _ => return None,
    })
}

/// Turns elements of a type from one byte order into the other, in place.
pub fn swap_bytes(kind: u16, value: &mut [u8]) {
    // A fraction is two 32-bit numbers.
    let width = match kind {
        5 | 10 => 4,
        _ => element_bytes(kind).unwrap_or(1),
    };
    for element in value.chunks_exact_mut(width) {
        element.reverse();
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// BigTIFF: counts and offsets of eight bytes.
    wide: bool,
    left: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, wide) = match bytes.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        Some(Reader {
            bytes,
            big_endian,
            wide,
            left: MAX_BYTES,
        })
    }

    /// Where the first directory is.
    fn first(&self) -> Option<usize> {
        self.offset(if self.wide { 8 } else { 4 })
    }

    /// Where the directory is that follows the one at `at`; 0 says that there is none.
    fn next(&self, at: usize) -> Option<usize> {
        let after = if self.wide {
            self.offset(at)?.checked_mul(20)?.checked_add(8)?
        } else {
            usize::from(self.u16(at)?) * 12 + 2
        };
        self.offset(at.checked_add(after)?)
    }

    /// A number of `N` bytes.
    fn number<const N: usize>(&self, at: usize) -> Option<u64> {
        let raw: [u8; N] = self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
        let fold = |number: u64, byte: u8| (number << 8) | u64::from(byte);
        Some(if self.big_endian {
            raw.into_iter().fold(0, fold)
        } else {
            raw.into_iter().rev().fold(0, fold)
        })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.number::<2>(at).map(|number| number as u16)
    }

    /// A count or an offset.
    fn offset(&self, at: usize) -> Option<usize> {
        let number = if self.wide {
            self.number::<8>(at)?
        } else {
            self.number::<4>(at)?
        };
        usize::try_from(number).ok()
    }

    fn directory(&mut self, at: usize, depth: usize) -> Option<Directory> {
        let (count, head, step) = if self.wide {
            (self.offset(at)?, 8, 20)
        } else {
            (self.u16(at)?.into(), 2, 12)
        };
        let mut directory = Directory::default();
        for index in 0..count {
            // No overflow: the loop ends with the file.
            let entry = at + head + step * index;
            let Some(tag) = self.u16(entry) else { break };
            if CHILDREN.contains(&tag) {
                // A file whose directories point at each other must end somewhere.
                let known = directory.children.iter().any(|(known, _)| *known == tag);
                let child = self.child(entry).filter(|_| depth < 2 && !known);
                match child.and_then(|at| self.directory(at, depth + 1)) {
                    Some(mut child) => {
                        directory.lost.append(&mut child.lost);
                        directory.children.push((tag, child));
                    }
                    None => directory.lost.push(tag),
                }
            } else {
                match self.entry(entry, tag) {
                    Some(entry) => directory.entries.push(entry),
                    None => directory.lost.push(tag),
                }
            }
        }
        Some(directory)
    }

    /// Where the directory is that an entry points to.
    fn child(&self, at: usize) -> Option<usize> {
        // BigTIFF allows pointers of four bytes too.
        match self.u16(at + 2)? {
            LONG8 | IFD8 if self.wide => self.offset(at + 12),
            _ if self.wide => usize::try_from(self.number::<4>(at + 12)?).ok(),
            _ => self.offset(at + 8),
        }
    }

    fn entry(&mut self, at: usize, tag: u16) -> Option<Entry> {
        let kind = self.u16(at + 2)?;
        let bytes = element_bytes(kind)?.checked_mul(self.offset(at + 4)?)?;
        let (field, inline) = if self.wide { (at + 12, 8) } else { (at + 8, 4) };
        let from = if bytes <= inline {
            field
        } else {
            self.offset(field)?
        };
        let value = self.bytes.get(from..from.checked_add(bytes)?)?;
        self.left = self.left.checked_sub(value.len())?;
        let mut value = value.to_vec();
        // IPTC is bytes, though most writers call them 32-bit numbers.
        let kind = if tag == IPTC { UNDEFINED } else { kind };
        if self.big_endian {
            swap_bytes(kind, &mut value);
        }
        match kind {
            LONG8 | IFD8 => Some(Entry {
                tag,
                kind: 4,
                value: narrowed(&value)?,
            }),
            _ => Some(Entry { tag, kind, value }),
        }
    }
}

/// Numbers of 64 bits as those of 32 that all writers know; `None` when one is too large.
fn narrowed(value: &[u8]) -> Option<Vec<u8>> {
    value.chunks_exact(8).try_fold(Vec::new(), |mut out, wide| {
        let (low, high) = wide.split_at(4);
        out.extend_from_slice(low);
        (high == [0; 4]).then_some(out)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory with each kind of thing in it.
    pub(crate) fn sample() -> Directory {
        let exposure = Entry {
            tag: 0x829A,
            kind: 5,
            value: [1u32.to_le_bytes(), 60u32.to_le_bytes()].concat(),
        };
        Directory {
            entries: vec![
                Entry {
                    tag: 0x010F,
                    kind: 2,
                    value: b"Maker\0".to_vec(),
                },
                Entry {
                    tag: 0x0112,
                    kind: 3,
                    value: 6u16.to_le_bytes().to_vec(),
                },
            ],
            children: vec![(
                0x8769,
                Directory {
                    entries: vec![exposure],
                    ..Directory::default()
                },
            )],
            lost: vec![],
        }
    }

    #[test]
    fn directories_survive() {
        let bytes = sample().to_bytes();
        assert_eq!(Directory::parse(&bytes), Some(sample()));
    }

    #[test]
    fn big_endian_reads_the_same() {
        let bytes = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let directory = Directory::parse(bytes).expect("a directory");
        assert_eq!(directory.get(0x0112).and_then(Entry::number), Some(6));
    }

    #[test]
    fn iptc_is_bytes_in_either_order() {
        // Two 32-bit numbers, as it is usually called: the bytes of a record, and of the next.
        let record = b"\x1c\x02\x5a\0\x03Rio";
        let mut bytes = b"MM\0*\0\0\0\x08\0\x01\x83\xbb\0\x04\0\0\0\x02\0\0\0\x1a\0\0\0\0".to_vec();
        bytes.extend(record);
        let directory = Directory::parse(&bytes).expect("a directory");
        let iptc = directory.get(IPTC).expect("IPTC");
        assert_eq!((iptc.kind, iptc.value.as_slice()), (UNDEFINED, &record[..]));
    }

    #[test]
    fn bigtiff_reads_the_same() {
        let big = b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10\
            \0\0\0\0\0\0\0\x01\x01\x12\0\x03\0\0\0\0\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let little = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\
            \x01\0\0\0\0\0\0\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0";
        for bytes in [big, little] {
            let directory = Directory::parse(bytes).expect("a directory");
            assert_eq!(directory.get(0x0112).and_then(Entry::number), Some(6));
            for length in 0..bytes.len() {
                let _ = Directory::parse(&bytes[..length]);
            }
            // Offsets and counts as large as they can be.
            for at in 8..bytes.len() - 7 {
                let mut bytes = bytes.to_vec();
                bytes[at..at + 8].fill(0xff);
                let _ = Directory::parse(&bytes);
            }
        }
    }

    #[test]
    fn cuts_and_loops_are_harmless() {
        let bytes = sample().to_bytes();
        for length in 0..bytes.len() {
            let _ = Directory::parse(&bytes[..length]);
        }
        // Its EXIF directory is the first directory again.
        let mut looped =
            b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0".to_vec();
        looped.resize(64, 0);
        assert!(Directory::parse(&looped).is_some());
    }
}
