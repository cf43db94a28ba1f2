//! Which of a file's pages is the photo.

use anyhow::{Context, Result, bail};

use super::tags::*;
use crate::photo::exif::{Directory, Entry};

/// The photo's page, and what else the file holds.
pub struct Pages {
    /// The page with the photo.
    pub photo: Directory,
    /// The first page, where it is another one: a thumbnail, with the metadata of all.
    pub first: Option<Directory>,
    /// Pages that are pictures of their own, and are left out.
    pub left_out: usize,
    /// Whether there is a page that says which parts of the photo are to be seen.
    pub mask: bool,
}

impl Pages {
    /// Finds the photo: the first page that is no reduced copy of another one.
    ///
    /// # Errors
    /// Camera raw, and a file without pages.
    pub fn of(bytes: &[u8]) -> Result<Pages> {
        let mut pages = Directory::chain(bytes);
        let maker = pages.first().and_then(|page| page.get(0x010F)).cloned();
        let below: Vec<Vec<Directory>> = pages.iter().map(|page| sub_pages(page, bytes)).collect();
        if pages.iter().chain(below.iter().flatten()).any(is_raw) {
            bail!(crate::photo::foreign::raw(maker.as_ref()));
        }
        let mask = pages.iter().any(is_mask);
        let full = pages.iter().filter(|page| !is_reduced(page)).count();
        let damaged = "damaged: it has no picture; copy it again from where it came";
        let photo = match pages.iter().position(|page| !is_reduced(page)) {
            Some(0) => {
                return Ok(Pages {
                    photo: pages.swap_remove(0),
                    first: None,
                    left_out: full - 1,
                    mask,
                });
            }
            // A thumbnail comes first, and the photo below it or after it.
            at => below
                .into_iter()
                .next()
                .into_iter()
                .flatten()
                .find(|page| !is_reduced(page))
                .map(|page| (page, full))
                .or_else(|| at.map(|at| (pages[at].clone(), full - 1))),
        };
        match photo {
            Some((photo, left_out)) => Ok(Pages {
                photo,
                first: Some(pages.swap_remove(0)),
                left_out,
                mask,
            }),
            // All are called reduced: whatever of, the largest is what there is.
            None => {
                let largest =
                    (0..pages.len()).max_by_key(|&at| (area(&pages[at]), usize::MAX - at));
                let photo = pages.swap_remove(largest.context(damaged)?);
                Ok(Pages {
                    photo,
                    first: None,
                    left_out: 0,
                    mask: false,
                })
            }
        }
    }
}

/// The pages that a page points to: larger or smaller copies of it.
fn sub_pages(page: &Directory, bytes: &[u8]) -> Vec<Directory> {
    let offsets = page.get(SUB_PAGES).and_then(Entry::numbers);
    offsets
        .unwrap_or_default()
        .into_iter()
        .take(16)
        .filter_map(|at| Directory::parse_at(bytes, at as usize))
        .collect()
}

fn number(page: &Directory, tag: u16) -> Option<u32> {
    page.get(tag).and_then(Entry::number)
}

fn area(page: &Directory) -> u64 {
    let side = |tag| u64::from(number(page, tag).unwrap_or(0));
    side(WIDTH) * side(HEIGHT)
}

/// Whether a page is a smaller copy of another one, or a mask for it.
fn is_reduced(page: &Directory) -> bool {
    number(page, SUBFILE).is_some_and(|kind| kind & 1 != 0)
        || number(page, OLD_SUBFILE) == Some(2)
        || is_mask(page)
}

fn is_mask(page: &Directory) -> bool {
    number(page, SUBFILE).is_some_and(|kind| kind & 4 != 0)
}

/// Whether a page's samples are those of a camera's sensor.
fn is_raw(page: &Directory) -> bool {
    let sensor = matches!(number(page, PHOTOMETRIC), Some(32803 | 34892));
    // What only cameras' makers have: Nikon, Sony, Samsung, Pentax, Kodak.
    let packed = matches!(
        number(page, COMPRESSION),
        Some(34713 | 32767 | 32769 | 32770 | 32772 | 65535 | 65000)
    );
    sensor || packed || page.get(DNG_VERSION).is_some()
}
