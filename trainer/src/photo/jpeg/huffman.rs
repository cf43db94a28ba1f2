//! Huffman codes, and the bits that they are read from.

/// Bits that are looked up at once.
const QUICK: u32 = 9;

/// Bits that are no code, or one that leads out of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCode;

/// A code of the file.
#[derive(Clone, Debug)]
pub struct Huffman {
    /// By the next [`QUICK`] bits: length (0: a longer one) and value.
    quick: Vec<(u8, u8)>,
    /// By length: the first code beyond it, aligned to 16 bits, and what to add to a code for its value's place.
    ends: [(u32, i32); 17],
    values: Vec<u8>,
}

impl Huffman {
    /// A code from the number of codes of each length, and their values; `None` if that is none.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Option<Huffman> {
        let mut quick = vec![(0, 0); 1 << QUICK];
        let mut ends = [(0, 0); 17];
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            ends[length as usize].1 = place as i32 - code as i32;
            for &value in values.get(place..place + count)? {
                if code >> length != 0 {
                    return None;
                }
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    quick[first..first + (1 << (QUICK - length))].fill((length as u8, value));
                }
                code += 1;
            }
            place += count;
            ends[length as usize].0 = code << (16 - length);
            code <<= 1;
        }
        Some(Huffman {
            quick,
            ends,
            values: values[..place].to_vec(),
        })
    }

    /// Reads one value.
    pub fn read(&self, bits: &mut Bits<'_>) -> Result<u8, BadCode> {
        let next = bits.peek();
        let (length, value) = self.quick[(next >> (16 - QUICK)) as usize];
        if length > 0 {
            bits.skip(length.into());
            return Ok(value);
        }
        for length in QUICK as usize + 1..=16 {
            let (end, shift) = self.ends[length];
            if next < end {
                bits.skip(length as u32);
                let place = (next >> (16 - length)) as i32 + shift;
                return self.values.get(place as usize).copied().ok_or(BadCode);
            }
        }
        Err(BadCode)
    }
}

/// The bits of entropy-coded data up to its next marker; zeros after them.
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
    /// How many of those held are not the file's.
    invented: u32,
}

impl<'a> Bits<'a> {
    /// From the first byte of `data` on.
    pub fn of(data: &'a [u8]) -> Self {
        Bits {
            data,
            at: 0,
            held: 0,
            count: 0,
            invented: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                // Fill bytes may stand before a marker.
                (Some(0xFF), Some(0xFF)) => {
                    self.at += 1;
                    continue;
                }
                (None, _) | (Some(0xFF), _) => {
                    self.invented += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next 16 bits.
    fn peek(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        (self.held >> 48) as u32
    }

    fn skip(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// The next `count` bits, 16 at most.
    pub fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        let value = self.peek() >> (16 - count);
        self.skip(count);
        value as i32
    }

    /// A signed number of `count` bits.
    pub fn signed(&mut self, count: u32) -> i32 {
        let value = self.take(count);
        match count {
            0 => 0,
            _ if value < 1 << (count - 1) => value - (1 << count) + 1,
            _ => value,
        }
    }

    /// Whether more was read than there is.
    pub fn is_overdrawn(&self) -> bool {
        self.count < self.invented
    }

    /// Where the marker after the data stands, or the end of the file, and how many bytes before it were not
    /// read; zeros and fill bytes are none.
    pub fn end(&self) -> (usize, usize) {
        let rest = &self.data[self.at..];
        let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF);
        let more = rest.windows(2).position(is_marker).unwrap_or(rest.len());
        let held = (self.count.saturating_sub(self.invented) / 8) as usize;
        let unread = &self.data[self.at.saturating_sub(held)..self.at + more];
        let padding = unread
            .iter()
            .rev()
            .take_while(|&&byte| matches!(byte, 0 | 0xFF));
        (self.at + more, unread.len() - padding.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_lengths_are_read() {
        // One code of each length: 0, 10, 110, ...
        let values: Vec<u8> = (1..=16).collect();
        let code = Huffman::new(&[1; 16], &values).expect("a code");
        for length in 1..=16u32 {
            let word = ((1u32 << length) - 2) << (32 - length);
            let stuffed: Vec<u8> = word
                .to_be_bytes()
                .iter()
                .flat_map(|&byte| {
                    if byte == 0xFF {
                        vec![byte, 0]
                    } else {
                        vec![byte]
                    }
                })
                .collect();
            assert_eq!(code.read(&mut Bits::of(&stuffed)), Ok(length as u8));
        }
        let ones = [0xFF, 0, 0xFF, 0, 0xFF, 0];
        assert_eq!(code.read(&mut Bits::of(&ones)), Err(BadCode));
        assert!(Huffman::new(&[3; 16], &[0; 48]).is_none());
    }

    #[test]
    fn what_is_not_there_is_noticed() {
        let data = [0b1010_0000, 0xFF, 0xD9];
        let mut bits = Bits::of(&data);
        assert_eq!((bits.take(3), bits.is_overdrawn()), (5, false));
        assert_eq!(bits.end(), (1, 0));
        bits.take(5);
        assert!(!bits.is_overdrawn());
        bits.take(1);
        assert!(bits.is_overdrawn());
        assert_eq!(Bits::of(&[1, 2, 3, 0, 0, 0xFF, 0xD9]).end(), (5, 3));
    }
}
