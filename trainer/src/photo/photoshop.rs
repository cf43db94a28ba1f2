//! Photoshop's resources: blocks of a number, a name and data.

/// Small pictures of the photo as it was, in two encodings.
const THUMBNAILS: [u16; 2] = [1033, 1036];

/// The resources without thumbnails. What cannot be read stays as it is.
pub fn without_thumbnails(resources: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = resources;
    while let Some((number, length)) = block(rest) {
        let (block, after) = rest.split_at(length);
        if !THUMBNAILS.contains(&number) {
            kept.extend_from_slice(block);
        }
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}

/// The number and length of the first block.
fn block(bytes: &[u8]) -> Option<(u16, usize)> {
    if !bytes.starts_with(b"8BIM") {
        return None;
    }
    let number = u16::from_be_bytes(bytes.get(4..6)?.try_into().ok()?);
    // The name, its length in front, and the data are filled up to whole pairs.
    let data = 6 + (usize::from(*bytes.get(6)?) + 1).next_multiple_of(2);
    let size = u32::from_be_bytes(bytes.get(data..data + 4)?.try_into().ok()?);
    let end = (data + 4).checked_add(size as usize)?;
    (end <= bytes.len()).then(|| (number, end.next_multiple_of(2).min(bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_thumbnails_go() {
        let resource = |number: u16, name: &[u8], data: &[u8]| {
            let mut block = b"8BIM".to_vec();
            block.extend(number.to_be_bytes());
            block.push(name.len() as u8);
            block.extend(name);
            block.resize(block.len().next_multiple_of(2), 0);
            block.extend((data.len() as u32).to_be_bytes());
            block.extend(data);
            block.resize(block.len().next_multiple_of(2), 0);
            block
        };
        let dots = resource(1005, b"", &[1; 16]);
        let thumbnail = resource(1036, b"", &[2; 33]);
        let names = resource(1006, b"mask", &[3; 5]);
        let all = [dots.clone(), thumbnail, names.clone()].concat();
        assert_eq!(without_thumbnails(&all), [dots, names].concat());
        for length in 0..all.len() {
            let _ = without_thumbnails(&all[..length]);
        }
        assert_eq!(without_thumbnails(b"something else"), b"something else");
    }
}
