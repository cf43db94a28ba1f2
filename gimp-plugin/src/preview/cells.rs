//! What is known of a layer's pixels, in square cells: a view that moves asks only for those that are new to it.

use std::collections::HashMap;
use std::ops::Range;

use dino_ir::restore::Area;

/// Side of a cell: small enough that little is restored beyond what is seen, and a multiple of the network's own.
const SIDE: usize = 32;
/// Cells that are kept, three times what the largest view shows: some 90 MiB.
const KEPT: usize = 3072;

/// The pixels of a cell, row by row.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Red, green and blue; what alpha hides is NaN.
    pub original: Vec<f32>,
    /// Of each pixel, nothing where the layer has none.
    pub alpha: Vec<f32>,
    /// How much each pixel is selected, 0..=1.
    pub selected: Vec<f32>,
    /// As original, at full strength; nothing before it is restored.
    pub restored: Vec<f32>,
    /// Whether the restored pixels go by the whole layer, not only by what is around them.
    pub is_final: bool,
    /// Whether they are shown only until others come: something else is to be removed.
    is_outdated: bool,
}

/// Pixels as the layer has them.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// `[height, width, 3]`: red, green and blue; what alpha hides is NaN.
    pub rgb: Vec<f32>,
    /// `[height, width]`, nothing where the layer has none.
    pub alpha: Vec<f32>,
    /// How much each is selected, `[height, width]`.
    pub selected: Vec<f32>,
}

impl Cell {
    /// Whether its original is this, bit by bit.
    pub fn has_pixels(&self, pixels: &Pixels) -> bool {
        let same = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        same(&self.original, &pixels.rgb)
            && same(&self.alpha, &pixels.alpha)
            && same(&self.selected, &pixels.selected)
    }
}

/// A layer's columns and rows, cut into cells; those at its right and lower end may be smaller.
#[derive(Clone, Copy, Debug)]
struct Grid {
    width: usize,
    height: usize,
}

/// The cells of a layer.
#[derive(Debug)]
pub struct Cells {
    grid: Grid,
    cells: HashMap<(usize, usize), Cell>,
}

impl Cells {
    /// Of a layer of that size; nothing is known yet.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            grid: Grid { width, height },
            cells: HashMap::new(),
        }
    }

    /// An area of cells that are seen and whose original is not known yet; there may be more.
    pub fn unread(&self, seen: Area) -> Option<Area> {
        self.first(seen, |cell| cell.is_none())
    }

    /// An area of cells that are seen and read, and are not restored yet; there may be more. `finally`: those that are
    /// not final count too.
    pub fn unrestored(&self, seen: Area, finally: bool) -> Option<Area> {
        self.first(seen, |cell| {
            cell.is_none_or(|cell| {
                cell.restored.is_empty() || cell.is_outdated || (finally && !cell.is_final)
            })
        })
    }

    /// Takes the original of cells.
    pub fn set_original(&mut self, area: Area, pixels: &Pixels) {
        let Pixels {
            rgb,
            alpha,
            selected,
        } = pixels;
        for (place, cell) in self.grid.cells(area) {
            let known = Cell {
                original: cut(rgb, area, cell, 3),
                alpha: cut(alpha, area, cell, usize::from(!alpha.is_empty())),
                selected: cut(selected, area, cell, 1),
                ..Cell::default()
            };
            self.cells.insert(place, known);
        }
    }

    /// Takes restored cells, `[height, width, 3]`. Those that were forgotten meanwhile, or are final already, stay as
    /// they are.
    pub fn set_restored(&mut self, area: Area, rgb: &[f32], is_final: bool) {
        for (place, cell) in self.grid.cells(area) {
            if let Some(known) = self.cells.get_mut(&place)
                && (is_final || !known.is_final)
            {
                known.restored = cut(rgb, area, cell, 3);
                known.is_final = is_final;
                known.is_outdated = false;
            }
        }
    }

    /// All that is restored is to be restored once more, and is shown until then.
    pub fn outdate(&mut self) {
        for cell in self.cells.values_mut() {
            cell.is_final = false;
            cell.is_outdated = true;
        }
    }

    /// Forgets what was restored: another model restores otherwise.
    pub fn forget_restored(&mut self) {
        for cell in self.cells.values_mut() {
            cell.restored = Vec::new();
            cell.is_final = false;
            cell.is_outdated = false;
        }
    }

    /// Forgets everything: the layer is another one.
    pub fn forget_all(&mut self) {
        self.cells.clear();
    }

    /// Forgets the cells farthest from what is seen, if there are too many.
    pub fn forget_far(&mut self, seen: Area) {
        if self.cells.len() <= KEPT {
            return;
        }
        let middle = |start: usize, count: usize| (start + count / 2) / SIDE;
        let (x, y) = (middle(seen.x, seen.width), middle(seen.y, seen.height));
        let distance = |place: &(usize, usize)| place.0.abs_diff(x).max(place.1.abs_diff(y));
        let mut distances: Vec<usize> = self.cells.keys().map(distance).collect();
        distances.sort_unstable();
        // Half of them go: it is not to be done again at the next step.
        let limit = distances[KEPT / 2];
        let (columns, rows) = (places(seen.x, seen.width), places(seen.y, seen.height));
        self.cells.retain(|place, _| {
            distance(place) < limit || (columns.contains(&place.0) && rows.contains(&place.1))
        });
    }

    /// The cells that are known of an area, each with where it is.
    pub fn known(&self, seen: Area) -> impl Iterator<Item = (Area, &Cell)> {
        self.grid
            .cells(seen)
            .filter_map(|(place, area)| Some((area, self.cells.get(&place)?)))
    }

    /// The largest area of cells that are wanted beginning with the first one, in reading order, as wide as they are
    /// there.
    fn first(&self, seen: Area, wanted: impl Fn(Option<&Cell>) -> bool) -> Option<Area> {
        let wanted = |column, row| wanted(self.cells.get(&(column, row)));
        let (columns, rows) = (places(seen.x, seen.width), places(seen.y, seen.height));
        let (column, row) = rows
            .clone()
            .flat_map(|row| columns.clone().map(move |column| (column, row)))
            .find(|(column, row)| wanted(*column, *row))?;
        let across = (column..columns.end)
            .take_while(|at| wanted(*at, row))
            .count();
        let down = (row..rows.end)
            .take_while(|at| (column..column + across).all(|column| wanted(column, *at)))
            .count();
        Some(self.grid.area(column..column + across, row..row + down))
    }
}

impl Grid {
    /// All cells that an area touches, and where they are.
    fn cells(self, area: Area) -> impl Iterator<Item = ((usize, usize), Area)> {
        let columns = places(area.x, area.width);
        let places = places(area.y, area.height)
            .flat_map(move |row| columns.clone().map(move |column| (column, row)));
        places.map(move |(column, row)| {
            let area = self.area(column..column + 1, row..row + 1);
            ((column, row), area)
        })
    }

    /// The pixels of cells.
    fn area(self, columns: Range<usize>, rows: Range<usize>) -> Area {
        let (x, y) = (columns.start * SIDE, rows.start * SIDE);
        Area {
            x,
            y,
            width: (columns.end * SIDE).min(self.width) - x,
            height: (rows.end * SIDE).min(self.height) - y,
        }
    }
}

/// The columns or rows of cells in which pixels lie.
fn places(start: usize, count: usize) -> Range<usize> {
    start / SIDE..(start + count).div_ceil(SIDE)
}

/// What of the samples of an area lies in a part of it.
fn cut(samples: &[f32], area: Area, part: Area, channels: usize) -> Vec<f32> {
    let left = (part.x - area.x) * channels;
    let rows = part.y - area.y..part.y - area.y + part.height;
    rows.flat_map(|row| {
        let start = row * area.width * channels + left;
        &samples[start..start + part.width * channels]
    })
    .copied()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: usize, y: usize, width: usize, height: usize) -> Area {
        Area {
            x,
            y,
            width,
            height,
        }
    }

    /// The number of each pixel of a layer of 1000 columns.
    fn numbers(area: Area, channels: usize) -> Vec<f32> {
        let rows = area.y..area.y + area.height;
        rows.flat_map(|y| {
            (area.x..area.x + area.width).flat_map(move |x| vec![(y * 1000 + x) as f32; channels])
        })
        .collect()
    }

    /// Reads and restores all that is asked for; gives how many pixels that were.
    fn complete(cells: &mut Cells, seen: Area, finally: bool) -> usize {
        while let Some(area) = cells.unread(seen) {
            let pixels = Pixels {
                rgb: numbers(area, 3),
                alpha: numbers(area, 1),
                selected: vec![1.0; area.width * area.height],
            };
            cells.set_original(area, &pixels);
        }
        let mut pixels = 0;
        while let Some(area) = cells.unrestored(seen, finally) {
            cells.set_restored(area, &numbers(area, 3), finally);
            pixels += area.width * area.height;
        }
        pixels
    }

    #[test]
    fn cells_hold_their_own_pixels() {
        let mut cells = Cells::new(1000, 90);
        let seen = area(50, 40, 200, 50);
        complete(&mut cells, seen, true);
        let mut pixels = 0;
        for (place, cell) in cells.known(seen) {
            assert_eq!(cell.original, numbers(place, 3));
            assert_eq!(cell.restored, numbers(place, 3));
            assert_eq!(cell.alpha, numbers(place, 1));
            assert!(place.y + place.height <= 90, "{place:?}");
            pixels += place.width * place.height;
        }
        // Columns 32 to 256, rows 32 to 90.
        assert_eq!(pixels, 224 * 58);
    }

    #[test]
    fn a_move_asks_only_for_what_is_new() {
        let mut cells = Cells::new(1000, 1000);
        assert_eq!(
            complete(&mut cells, area(320, 320, 320, 320), false),
            320 * 320
        );
        assert_eq!(complete(&mut cells, area(320, 320, 320, 320), false), 0);
        // A column of cells on the right, a row of them below.
        assert_eq!(
            complete(&mut cells, area(330, 330, 320, 320), false),
            2 * 32 * 320 + 32 * 32
        );
        assert_eq!(complete(&mut cells, area(320, 330, 320, 320), false), 0);
    }

    #[test]
    fn what_is_not_final_is_restored_once_more() {
        let mut cells = Cells::new(100, 100);
        let seen = area(0, 0, 100, 100);
        assert_eq!(complete(&mut cells, seen, false), 100 * 100);
        assert_eq!(complete(&mut cells, seen, true), 100 * 100);
        assert_eq!(cells.unrestored(seen, true), None);
        // What comes late does no harm.
        cells.set_restored(seen, &vec![-1.0; 100 * 100 * 3], false);
        assert!(
            cells
                .known(seen)
                .all(|(_, cell)| cell.is_final && cell.restored[0] >= 0.0)
        );
        cells.outdate();
        assert_eq!(complete(&mut cells, seen, true), 100 * 100);
        cells.outdate();
        assert!(cells.known(seen).all(|(_, cell)| cell.restored[0] >= 0.0));
        cells.forget_restored();
        assert_eq!(cells.unrestored(seen, false), Some(seen));
        assert_eq!(cells.unread(seen), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let mut cells = Cells::new(40_000, 400);
        for x in (0..39_000).step_by(300) {
            let seen = area(x, 0, 400, 400);
            while let Some(area) = cells.unread(seen) {
                let pixels = Pixels {
                    rgb: vec![0.0; area.width * area.height * 3],
                    alpha: Vec::new(),
                    selected: vec![1.0; area.width * area.height],
                };
                cells.set_original(area, &pixels);
            }
            cells.forget_far(seen);
            assert!(cells.cells.len() <= KEPT, "{}", cells.cells.len());
            assert_eq!(cells.unread(seen), None, "what is seen is kept");
        }
    }
}
