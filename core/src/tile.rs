//! How an image is cut into overlapping tiles: geometry only.
//!
//! All tiles of a plan have one size, so that a network prepares for only one size. They start at multiples of
//! [`Network::multiple`](crate::Network::multiple), so that the network's inner grids fall on the same pixels as without tiles.
//! Tiles at the right and bottom border may reach past the image, by less than the multiple; those pixels are reflected
//! ([`reflect`]). Nothing is added at the left and top border: with a single tile the network sees the image as it would
//! without tiling.

use std::ops::Range;

use crate::image::samples;
use crate::{Error, Result};

/// The smallest side, in pixels, that is chosen automatically: below it little but context is left.
const SMALLEST: usize = 64;
/// The automatic overlap is an eighth of the tile, within these bounds, in pixels.
const OVERLAP: Range<usize> = 16..64;
/// At most that many outermost pixels of an overlap, on either side, carry no weight: there the
/// network's own zero padding shows most.
const MARGIN: usize = 8;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Leftmost column.
    pub x: usize,
    /// Topmost row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// What a plan has to respect.
#[derive(Clone, Copy, Debug)]
pub struct TileRules {
    /// Both sides of a tile, and its position, are multiples of this; at least 1.
    pub multiple: usize,
    /// Side in pixels, rounded down to the multiple; `None`: the largest that fits `memory`.
    pub tile: Option<usize>,
    /// Least overlap of neighbours in pixels, rounded up to the multiple; `None`: from the tile.
    pub overlap: Option<usize>,
    /// What a restoration in such tiles may take, in bytes; `None`: no limit.
    pub memory: Option<u64>,
}

/// One tile of a [`TilePlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Position in reading order.
    pub index: usize,
    /// Position in its row of tiles.
    pub column: usize,
    /// Row of tiles.
    pub row: usize,
    /// What the network sees, context included; may reach past the right and bottom border.
    pub input: Area,
    /// The pixels that the tile contributes to; inside the image and inside `input`.
    pub output: Area,
}

/// The tiles of one image, checked: they cover it, and at most two of each axis meet in a pixel.
#[derive(Clone, Debug)]
pub struct TilePlan {
    columns: Axis,
    rows: Axis,
}

impl TilePlan {
    /// Plans an image. `bytes` is the memory that a restoration in tiles of that height and width takes, and must
    /// not fall with either.
    ///
    /// # Errors
    /// [`Error::InvalidImage`] on an empty or impossible size, [`Error::InvalidOption`] on a tile
    /// below the multiple or an overlap that leaves nothing of it, [`Error::OutOfMemory`] with the
    /// least memory that would do.
    pub fn new(
        width: usize,
        height: usize,
        rules: &TileRules,
        bytes: &dyn Fn(usize, usize) -> u64,
    ) -> Result<Self> {
        samples(width, height)?;
        let multiple = rules.multiple.max(1);
        let (across, down) = (width.div_ceil(multiple), height.div_ceil(multiple));
        let needs = |tile: usize| bytes(tile.min(down) * multiple, tile.min(across) * multiple);
        let overlap = rules.overlap.map(|overlap| overlap.div_ceil(multiple));

        let (tile, overlap) = match rules.tile {
            Some(side) => {
                let tile = side / multiple;
                let overlap = overlap.unwrap_or_else(|| default_overlap(tile, multiple));
                check_fixed(side, tile, overlap, multiple)?;
                check_memory(needs(tile), rules.memory, "this tile size")?;
                (tile, overlap)
            }
            None => {
                let most = across.max(down);
                let least = SMALLEST
                    .div_ceil(multiple)
                    .max(overlap.unwrap_or(0).saturating_mul(2))
                    .min(most);
                check_memory(needs(least), rules.memory, "the smallest tile")?;
                let tile = largest(least, most, |tile| {
                    rules.memory.is_none_or(|memory| needs(tile) <= memory)
                });
                (
                    tile,
                    overlap
                        .unwrap_or_else(|| default_overlap(tile, multiple))
                        .min(tile - 1),
                )
            }
        };

        let shrink = rules.tile.is_none();
        Ok(Self {
            columns: Axis::new(width, multiple, tile, overlap, shrink),
            rows: Axis::new(height, multiple, tile, overlap, shrink),
        })
    }

    /// The image's columns.
    pub fn width(&self) -> usize {
        self.columns.length
    }

    /// The image's rows.
    pub fn height(&self) -> usize {
        self.rows.length
    }

    /// The image.
    pub fn area(&self) -> Area {
        Area {
            x: 0,
            y: 0,
            width: self.width(),
            height: self.height(),
        }
    }

    /// Columns of every tile.
    pub fn tile_width(&self) -> usize {
        self.columns.tile
    }

    /// Rows of every tile.
    pub fn tile_height(&self) -> usize {
        self.rows.tile
    }

    /// The number of tiles, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.columns.starts.len() * self.rows.starts.len()
    }

    /// The tile at a position in reading order.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn tile(&self, index: usize) -> Tile {
        let (row, column) = (
            index / self.columns.starts.len(),
            index % self.columns.starts.len(),
        );
        let (across, down) = (self.columns.output(column), self.rows.output(row));
        Tile {
            index,
            column,
            row,
            input: Area {
                x: self.columns.starts[column],
                y: self.rows.starts[row],
                width: self.columns.tile,
                height: self.rows.tile,
            },
            output: Area {
                x: across.start,
                y: down.start,
                width: across.len(),
                height: down.len(),
            },
        }
    }

    /// All tiles in reading order.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        (0..self.len()).map(|index| self.tile(index))
    }

    /// The horizontal axis.
    pub fn columns(&self) -> &Axis {
        &self.columns
    }

    /// The vertical axis.
    pub fn rows(&self) -> &Axis {
        &self.rows
    }
}

/// One axis of a plan: tiles of one length, and the seams in which neighbours are blended.
#[derive(Clone, Debug)]
pub struct Axis {
    length: usize,
    tile: usize,
    starts: Vec<usize>,
    seams: Vec<Range<usize>>,
}

impl Axis {
    /// Tiles spread evenly; `tile` and `overlap < tile` count in multiples. `shrink`: take the least
    /// tile that does with as many of them.
    fn new(length: usize, multiple: usize, tile: usize, overlap: usize, shrink: bool) -> Self {
        let padded = length.div_ceil(multiple);
        if tile >= padded {
            return Self {
                length,
                tile: padded * multiple,
                starts: vec![0],
                seams: Vec::new(),
            };
        }
        let steps = (padded - tile).div_ceil(tile - overlap);
        let tile = if shrink {
            (padded + steps * overlap).div_ceil(steps + 1)
        } else {
            tile
        };
        let starts: Vec<_> = (0..=steps)
            .map(|step| step * (padded - tile) / steps * multiple)
            .collect();

        let tile = tile * multiple;
        let overlap = overlap * multiple;
        let step = starts
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .min()
            .unwrap_or(tile);
        // A seam no longer than a step cannot meet the next one.
        let seam = (overlap - 2 * (overlap / 4).min(MARGIN)).min(step);
        let seams = starts
            .windows(2)
            .map(|pair| {
                let shared = pair[0] + tile - pair[1];
                let start = pair[1] + (shared - seam) / 2;
                start..start + seam
            })
            .collect();
        Self {
            length,
            tile,
            starts,
            seams,
        }
    }

    /// The number of tiles.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The seam before tile `index`, none before the first; empty where one tile ends and the next
    /// begins.
    pub fn seam_before(&self, index: usize) -> Option<Range<usize>> {
        index.checked_sub(1).map(|seam| self.seams[seam].clone())
    }

    /// The seam after tile `index`, none after the last.
    pub fn seam_after(&self, index: usize) -> Option<Range<usize>> {
        self.seams.get(index).cloned()
    }

    /// The pixels that tile `index` contributes to.
    pub fn output(&self, index: usize) -> Range<usize> {
        let start = self.seam_before(index).map_or(0, |seam| seam.start);
        let end = self.seam_after(index).map_or(self.length, |seam| seam.end);
        start..end
    }
}

/// Folds any index into `0..length` by reflection about the border pixels, which are not repeated
/// (PyTorch's `reflect`), as often as it takes; `length` is at least 1.
pub fn reflect(index: usize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let folded = index % period;
    folded.min(period - folded)
}

fn default_overlap(tile: usize, multiple: usize) -> usize {
    let pixels = tile.saturating_mul(multiple) / 8;
    pixels
        .clamp(OVERLAP.start, OVERLAP.end)
        .div_ceil(multiple)
        .min(tile / 2)
}

fn check_fixed(side: usize, tile: usize, overlap: usize, multiple: usize) -> Result<()> {
    if tile == 0 {
        return Err(Error::InvalidOption(format!(
            "tile {side}: use at least {multiple}"
        )));
    }
    if overlap >= tile {
        return Err(Error::InvalidOption(format!(
            "overlap {} leaves nothing of tile {side}: use at most {}",
            overlap.saturating_mul(multiple),
            (tile - 1) * multiple
        )));
    }
    Ok(())
}

fn check_memory(needed: u64, memory: Option<u64>, what: &str) -> Result<()> {
    match memory {
        Some(memory) if needed > memory => Err(Error::OutOfMemory(format!(
            "{what} needs {needed} bytes ({} MiB), more than the {memory} allowed",
            needed.div_ceil(1 << 20)
        ))),
        _ => Ok(()),
    }
}

/// The largest of `least..=most` that fits, given that `least` does.
fn largest(mut least: usize, mut most: usize, fits: impl Fn(usize) -> bool) -> usize {
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        if fits(middle) {
            least = middle;
        } else {
            most = middle - 1;
        }
    }
    least
}

#[cfg(test)]
mod tests;
