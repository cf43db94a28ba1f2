//! Files that lack parts, or claim what they do not have.

use super::stored::{DEFLATE, LZW, PACK_BITS, Stored, ZSTD};
use super::*;

#[test]
fn parts_that_are_missing_are_damage_not_black() {
    for compression in [1, LZW, DEFLATE, PACK_BITS, ZSTD] {
        let stored = Stored {
            compression,
            ..Stored::plain(3, 2)
        };
        let whole = stored.to_bytes();
        let mut tags = Directory::parse(&whole).expect("tags");
        let sizes = tags.get(279).expect("sizes").numbers().expect("sizes");
        // The last strip ends early.
        let mut shorter = sizes.clone();
        *shorter.last_mut().expect("a strip") /= 2;
        let value = shorter.iter().flat_map(|size| size.to_le_bytes()).collect();
        tags.set(279, 4, value);
        let mut file = whole.clone();
        if file.len() % 2 == 1 {
            file.push(0);
        }
        let at = file.len() as u32;
        file[4..8].copy_from_slice(&at.to_le_bytes());
        tags.append(&mut file, 0);
        let error = Photo::decode(&file, 1 << 30).expect_err("half a strip");
        assert!(error.to_string().contains("cut short"), "{error:#}");
        for length in 0..whole.len() {
            let _ = Photo::decode(&whole[..length], 1 << 30);
        }
    }
}

#[test]
fn a_tile_that_claims_all_memory_is_refused_before_it_is_taken() {
    let stored = Stored {
        tile: Some((16, 16)),
        ..Stored::plain(3, 2)
    };
    let mut file = stored.to_bytes();
    for tag in [322u16, 323] {
        let entry = [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0]].concat();
        let at = file
            .windows(8)
            .position(|bytes| bytes == entry)
            .expect("a tag")
            + 8;
        file[at..at + 4].copy_from_slice(&0x4000_0000u32.to_le_bytes());
    }
    let error = Photo::decode(&file, 1 << 30)
        .expect_err("a bomb")
        .to_string();
    assert!(error.contains("memory"), "{error}");
}

#[test]
fn tiles_that_are_nearly_all_outside_are_refused_before_the_work() {
    const TILES: usize = 1875;
    let layout: [(u16, &[u16]); 9] = [
        (256, &[1]),
        (257, &[30_000]),
        (258, &[8]),
        (262, &[1]),
        (277, &[1]),
        (322, &[65_520]),
        (323, &[16]),
        (324, &[8; TILES]),
        (325, &[100; TILES]),
    ];
    let error = Photo::decode(&file(&layout, &[0; 100]), 1 << 30).expect_err("days of work");
    assert!(error.to_string().contains("tiles"), "{error:#}");
}
