//! The picture that a view shows: before on the left, after on the right, the line between them.

use super::cells::{Cell, Cells};
use super::view::View;

/// Sides of the squares that shine through a transparent layer, and their two greys.
const CHECK: usize = 8;
const GREYS: [u32; 2] = [0x66, 0x99];
/// Of the window where there is no layer.
const BACKGROUND: u32 = 0x0030_3030;
/// The line is light and dark, to be seen on anything.
const LINE: [u32; 2] = [0x00ff_ffff, 0x0020_2020];

/// Draws what is seen, in words of 0x00RRGGBB, as wide and high as the view. What is not restored yet is shown as it is.
/// Nothing here runs the network: another strength is another mixture of what is known.
pub fn draw(view: &View, cells: &Cells, strength: f32) -> Vec<u32> {
    let seen = view.area();
    let (width, height) = view.size();
    let (left, top) = view.margin();
    let zoom = view.zoom();
    let split = view.split();
    // The layer's column from which on it is restored.
    let before = split.saturating_sub(left).div_ceil(zoom);

    let mut rgb = vec![0.0; seen.width * seen.height * 3];
    let mut alpha = vec![1.0; seen.width * seen.height];
    for (place, cell) in cells.known(seen) {
        for y in place.y.max(seen.y)..(place.y + place.height).min(seen.y + seen.height) {
            for x in place.x.max(seen.x)..(place.x + place.width).min(seen.x + seen.width) {
                let from = (y - place.y) * place.width + x - place.x;
                let to = (y - seen.y) * seen.width + x - seen.x;
                let restored = if x - seen.x < before { 0.0 } else { strength };
                rgb[to * 3..][..3].copy_from_slice(&mixed(cell, from, restored));
                if let Some(known) = cell.alpha.get(from) {
                    alpha[to] = *known;
                }
            }
        }
    }
    // The cast saturates.
    let bytes: Vec<u8> = rgb.iter().map(|v| (v * 255.0).round() as u8).collect();

    let mut picture = vec![BACKGROUND; width * height];
    let rows = picture.chunks_exact_mut(width).skip(top).enumerate();
    for (y, row) in rows.take(seen.height * zoom) {
        let start = y / zoom * seen.width;
        for (x, to) in row[left..].iter_mut().take(seen.width * zoom).enumerate() {
            let at = start + x / zoom;
            let square = (x / CHECK + y / CHECK) % 2;
            *to = over(&bytes[at * 3..][..3], alpha[at], GREYS[square]);
        }
    }
    if (1..width).contains(&split) {
        for row in picture.chunks_exact_mut(width) {
            row[split - 1..=split].copy_from_slice(&LINE);
        }
    }
    picture
}

/// A pixel of a cell at a strength, as far as it is selected; hidden ones have no colour.
fn mixed(cell: &Cell, at: usize, strength: f32) -> [f32; 3] {
    let strength = strength * cell.selected[at];
    let original = |channel| cell.original[at * 3 + channel];
    let mixed = |channel| match cell.restored.get(at * 3 + channel) {
        Some(restored) if strength == 1.0 => *restored,
        Some(restored) => original(channel) + strength * (restored - original(channel)),
        None => original(channel),
    };
    if cell.original[at * 3].is_nan() {
        return [0.0; 3];
    }
    [mixed(0), mixed(1), mixed(2)]
}

/// A colour over grey.
fn over(rgb: &[u8], alpha: f32, grey: u32) -> u32 {
    let alpha = alpha.clamp(0.0, 1.0);
    let channel = |value: u8| {
        let value = f32::from(value);
        (value * alpha + grey as f32 * (1.0 - alpha)).round() as u32
    };
    channel(rgb[0]) << 16 | channel(rgb[1]) << 8 | channel(rgb[2])
}

#[cfg(test)]
mod tests {
    use dino_ir::restore::Area;

    use super::super::cells::Pixels;
    use super::*;

    const ALL: Area = Area {
        x: 0,
        y: 0,
        width: 40,
        height: 20,
    };

    /// All 0.2, and selected.
    fn pixels() -> Pixels {
        Pixels {
            rgb: vec![0.2; 40 * 20 * 3],
            alpha: Vec::new(),
            selected: vec![1.0; 40 * 20],
        }
    }

    /// Original 0.2, restored 0.6.
    fn cells() -> Cells {
        let mut cells = Cells::new(40, 20);
        cells.set_original(ALL, &pixels());
        cells.set_restored(ALL, &[0.6; 40 * 20 * 3], true);
        cells
    }

    fn grey(value: f32) -> u32 {
        (value * 255.0).round() as u32 * 0x0001_0101
    }

    #[test]
    fn before_and_after_meet_at_the_line() {
        let view = View::new((40, 20), (60, 30), ALL);
        let picture = draw(&view, &cells(), 1.0);
        let at = |x: usize, y: usize| picture[y * 60 + x];
        // The layer begins at 10, 5; the line is at 30.
        assert_eq!(at(9, 15), BACKGROUND);
        assert_eq!(at(20, 4), BACKGROUND);
        assert_eq!((at(10, 5), at(28, 24)), (grey(0.2), grey(0.2)));
        assert_eq!([at(29, 15), at(30, 15)], LINE);
        assert_eq!((at(31, 5), at(49, 24)), (grey(0.6), grey(0.6)));
        assert_eq!(at(50, 15), BACKGROUND);
    }

    #[test]
    fn strength_mixes_and_a_press_shows_the_original() {
        let mut view = View::new((40, 20), (40, 20), ALL);
        let at = |view: &View, strength: f32, x: usize| draw(view, &cells(), strength)[x];
        assert_eq!(at(&view, 0.25, 39), grey(0.3));
        assert_eq!(at(&view, 0.0, 39), grey(0.2));
        view.press(2.0, 2.0);
        assert_eq!(at(&view, 1.0, 39), grey(0.2));
        assert_eq!(at(&view, 1.0, 20), grey(0.2), "no line");
    }

    #[test]
    fn only_what_is_selected_is_restored() {
        let view = View::new((40, 20), (40, 20), ALL);
        let mut cells = Cells::new(40, 20);
        let mut pixels = pixels();
        pixels.selected[30] = 0.0;
        pixels.selected[31] = 0.5;
        cells.set_original(ALL, &pixels);
        cells.set_restored(ALL, &[0.6; 40 * 20 * 3], true);
        let picture = draw(&view, &cells, 1.0);
        let found = [picture[30], picture[31], picture[32]];
        assert_eq!(found, [grey(0.2), grey(0.4), grey(0.6)]);
        assert_eq!(draw(&view, &cells, 0.5)[31], grey(0.3));
    }

    #[test]
    fn zoomed_pixels_are_squares() {
        let mut view = View::new((40, 20), (40, 20), ALL);
        let mut cells = cells();
        let mut rgb = vec![0.6; 40 * 20 * 3];
        rgb[(10 * 40 + 33) * 3..][..3].fill(1.0);
        cells.set_restored(ALL, &rgb, true);
        view.zoom_at(39.0, 10.0, true);
        let seen = view.area();
        let picture = draw(&view, &cells, 1.0);
        let (x, y) = ((33 - seen.x) * 2, (10 - seen.y) * 2);
        let white = picture.iter().filter(|word| **word == grey(1.0)).count();
        assert_eq!(white, 4 + 20, "and the line");
        for (x, y) in [(x, y), (x + 1, y + 1)] {
            assert_eq!(picture[y * 40 + x], grey(1.0));
        }
    }

    #[test]
    fn what_is_hidden_shows_the_squares_behind() {
        let view = View::new((40, 20), (40, 20), ALL);
        let mut cells = Cells::new(40, 20);
        let mut pixels = pixels();
        pixels.alpha = vec![1.0; 40 * 20];
        pixels.rgb[..3].fill(f32::NAN);
        (pixels.alpha[0], pixels.alpha[1]) = (0.0, 0.5);
        cells.set_original(ALL, &pixels);
        let picture = draw(&view, &cells, 1.0);
        assert_eq!(picture[0], 0x0066_6666);
        assert_eq!(
            picture[1],
            ((0x66 + 51) as f32 / 2.0).round() as u32 * 0x0001_0101
        );
        assert_eq!(picture[2], grey(0.2));
    }
}
