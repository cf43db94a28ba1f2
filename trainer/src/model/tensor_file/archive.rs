//! The container of PyTorch's checkpoints: a zip archive whose entries are stored as they are.
//!
//! `torch.save` never compresses, and what is not compressed cannot be larger than the file: that
//! bounds the memory of everything that follows. Nothing is unpacked to disk.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const ENTRY: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
/// Stands for "see the 64-bit field".
const MAX32: u64 = u32::MAX as u64;
/// The end record, and the longest comment after it.
const TAIL: usize = 22 + u16::MAX as usize;

/// Entries of an archive by path.
#[derive(Debug)]
pub struct Archive<'bytes> {
    entries: BTreeMap<&'bytes str, &'bytes [u8]>,
}

impl<'bytes> Archive<'bytes> {
    /// Whether these bytes begin as a zip archive does.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&LOCAL.to_le_bytes())
    }

    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// Where the file is cut short, damaged, compressed, or names paths outside itself.
    pub fn from_bytes(bytes: &'bytes [u8]) -> Result<Self> {
        let Directory { start, count } = Directory::find(bytes)?;
        let mut entries = BTreeMap::new();
        let mut at = start;
        for _ in 0..count {
            let header = Reader { bytes, at };
            let (name, data, next) = header.entry().context("damaged zip archive")?;
            ensure!(
                entries.insert(name, data).is_none(),
                "{name:?} is in the archive twice"
            );
            at = next;
        }
        Ok(Self { entries })
    }

    /// The one path that ends in `/name` or is `name`, without `name`.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn folder_of(&self, name: &str) -> Result<&'bytes str> {
        let mut folders = self.entries.keys().filter_map(|path| {
            let folder = path.strip_suffix(name)?;
            (folder.is_empty() || folder.ends_with('/')).then_some(folder)
        });
        let folder = folders
            .next()
            .with_context(|| format!("no {name} in the archive: not a PyTorch checkpoint"))?;
        ensure!(
            folders.next().is_none(),
            "more than one {name} in the archive"
        );
        Ok(folder)
    }

    /// The bytes of an entry.
    pub fn get(&self, path: &str) -> Option<&'bytes [u8]> {
        self.entries.get(path).copied()
    }
}

/// Where the list of entries is.
struct Directory {
    start: usize,
    count: u64,
}

impl Directory {
    fn find(bytes: &[u8]) -> Result<Self> {
        const CUT: &str = "the zip archive has no end: the file is cut short";
        let from = bytes.len().saturating_sub(TAIL);
        let found = bytes[from..]
            .windows(4)
            .rposition(|window| window == END.to_le_bytes());
        let end = from + found.context(CUT)?;
        let reader = Reader { bytes, at: end };
        let comment = usize::from(reader.u16(20).context(CUT)?);
        ensure!(end + 22 + comment == bytes.len(), CUT);
        let count = u64::from(reader.u16(10).context(CUT)?);
        let start = u64::from(reader.u32(16).context(CUT)?);
        if count != u64::from(u16::MAX) && start != MAX32 {
            return Ok(Self {
                start: usize::try_from(start)?,
                count,
            });
        }
        let locator = Reader {
            bytes,
            at: end.checked_sub(20).context(CUT)?,
        };
        ensure!(locator.u32(0).context(CUT)? == END64_LOCATOR, CUT);
        let at = usize::try_from(locator.u64(8).context(CUT)?)?;
        let end = Reader { bytes, at };
        ensure!(end.u32(0).context(CUT)? == END64, CUT);
        Ok(Self {
            count: end.u64(32).context(CUT)?,
            start: usize::try_from(end.u64(48).context(CUT)?)?,
        })
    }
}

/// Little-endian numbers at offsets from a place; `None` outside the file.
#[derive(Clone, Copy)]
struct Reader<'bytes> {
    bytes: &'bytes [u8],
    at: usize,
}

impl<'bytes> Reader<'bytes> {
    fn slice(&self, offset: usize, length: usize) -> Option<&'bytes [u8]> {
        let start = self.at.checked_add(offset)?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.slice(offset, 2)?.try_into().ok()?))
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.slice(offset, 4)?.try_into().ok()?))
    }

    fn u64(&self, offset: usize) -> Option<u64> {
        Some(u64::from_le_bytes(self.slice(offset, 8)?.try_into().ok()?))
    }

    /// An entry of the directory: its path, its bytes, and where the next one begins.
    fn entry(&self) -> Result<(&'bytes str, &'bytes [u8], usize)> {
        const CUT: &str = "an entry reaches beyond the file";
        ensure!(self.u32(0).context(CUT)? == ENTRY, "an entry is missing");
        let field = |offset| self.u16(offset).map(usize::from).context(CUT);
        let (name_length, extra_length, comment_length) = (field(28)?, field(30)?, field(32)?);
        let name = self.slice(46, name_length).context(CUT)?;
        let name = std::str::from_utf8(name).context("a path is not UTF-8")?;
        let outside = name.starts_with('/')
            || name.contains(['\\', ':'])
            || name.split('/').any(|part| part == "..");
        ensure!(!outside, "{name:?} points outside the archive");
        ensure!(
            field(10)? == 0 && field(8)? & 1 == 0,
            "{name:?} is compressed or encrypted, which torch.save never does"
        );
        let extra = self.slice(46 + name_length, extra_length).context(CUT)?;
        let [packed, size, local] = self.places(extra).context(CUT)?;
        ensure!(packed == size, "{name:?} has two sizes");

        let local = Reader {
            bytes: self.bytes,
            at: usize::try_from(local)?,
        };
        ensure!(
            local.u32(0).context(CUT)? == LOCAL,
            "{name:?} is not where the archive says"
        );
        let skipped = [26, 28].map(|offset| local.u16(offset).map(usize::from));
        let [Some(name_skipped), Some(extra_skipped)] = skipped else {
            bail!(CUT);
        };
        let data = local
            .slice(30 + name_skipped + extra_skipped, usize::try_from(size)?)
            .with_context(|| format!("{name:?} reaches beyond the end: the file is cut short"))?;
        let next = self.at + 46 + name_length + extra_length + comment_length;
        Ok((name, data, next))
    }

    /// Packed size, size and place of an entry; those over 32 bits are in the extra field 1.
    fn places(&self, extra: &[u8]) -> Option<[u64; 3]> {
        let mut places = [20, 24, 42].map(|offset| self.u32(offset).map(u64::from));
        let wide = wide_field(extra).unwrap_or_default();
        let mut at = 0;
        // They come in the order size, packed size, place, each only where it is needed.
        for place in [1, 0, 2] {
            if places[place]? == MAX32 {
                let value = wide.get(at..at + 8)?;
                places[place] = Some(u64::from_le_bytes(value.try_into().ok()?));
                at += 8;
            }
        }
        Some([places[0]?, places[1]?, places[2]?])
    }
}

/// The body of extra field 1.
fn wide_field(extra: &[u8]) -> Option<&[u8]> {
    let mut rest = extra;
    loop {
        let (&header, after) = rest.split_first_chunk::<4>()?;
        let [k0, k1, l0, l1] = header;
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        let body = after.get(..length)?;
        if u16::from_le_bytes([k0, k1]) == 1 {
            return Some(body);
        }
        rest = &after[length..];
    }
}
