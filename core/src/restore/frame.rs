//! Frames: flat rows and columns around a photo, as slides, letterboxed pictures and pasted scans have them. However noisy
//! the photo is, its frame is not, and attention across channels, whose statistics are of the whole picture, would take that
//! for a sign that the photo is fine. So the network sees the photo mirrored there, and the frame stays as it is.

use super::part::whole;
use super::{Area, Source};
use crate::Result;

/// Rows looked at at a time.
const ROWS: usize = 32;
/// How far a sample of a frame may be from its colour: compression leaves as much.
const FLAT: f32 = 4.0 / 255.0;
/// How far at least the colour of a flat row beside a frame is from the frame's.
const STEP: f32 = 16.0 / 255.0;
/// Frames in frames, as a slide's in a scanner's.
const NESTED: usize = 3;
/// Thinner frames change the statistics little: a frame has at least one of so many pixels.
const LEAST_SHARE: usize = 16;
/// Pixels along each side of the smallest photo that is looked for in a frame.
const LEAST_SIDE: usize = 16;

/// Where in a picture the photo is; the rest is its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The whole picture if it has no frame.
    pub(super) inside: Area,
}

impl Frame {
    /// Looks for it. A hidden pixel may belong to any frame.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn of(source: &dyn Source) -> Result<Self> {
        let whole = whole(source);
        let mut inside = whole;
        for _ in 0..NESTED {
            let found = within(source, inside)?;
            // A picture of one colour has no photo.
            if found.width < LEAST_SIDE || found.height < LEAST_SIDE {
                return Ok(Self { inside: whole });
            }
            if found == inside {
                break;
            }
            inside = found;
        }
        let pixels = |area: Area| area.width as u64 * area.height as u64;
        let thin = (pixels(whole) - pixels(inside)) * (LEAST_SHARE as u64) < pixels(whole);
        Ok(Self {
            inside: if thin { whole } else { inside },
        })
    }

    /// Where the photo is in a part of the picture, seen from the part's corner. A part with nothing of the photo is all
    /// that its network can see, and counts as one.
    pub(super) fn inside_of(&self, part: Area) -> Area {
        let along = |start: usize, count: usize, from: usize, length: usize| {
            let first = start.max(from) - from;
            let end = (start + count).min(from + length).saturating_sub(from);
            (first, end.saturating_sub(first))
        };
        let inside = self.inside;
        let (x, width) = along(inside.x, inside.width, part.x, part.width);
        let (y, height) = along(inside.y, inside.height, part.y, part.height);
        if width == 0 || height == 0 {
            return Area { x: 0, y: 0, ..part };
        }
        Area {
            x,
            y,
            width,
            height,
        }
    }
}

/// What is left of an area without the flat rows and columns at its border; nothing if it is flat.
fn within(source: &dyn Source, area: Area) -> Result<Area> {
    let last = area.height - 1;
    let top = flat_rows(source, area, |from_edge| from_edge)?;
    if top == area.height {
        return Ok(Area { height: 0, ..area });
    }
    let bottom = flat_rows(source, area, |from_edge| last - from_edge)?;
    let area = Area {
        y: area.y + top,
        height: area.height - top - bottom,
        ..area
    };
    let [left, right] = flat_columns(source, area)?;
    Ok(Area {
        x: area.x + left,
        width: area.width.saturating_sub(left + right),
        ..area
    })
}

fn is_near(a: &[f32], b: &[f32], most: f32) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= most)
}

/// How many rows of an area are flat and of one colour, from an edge on: `at` gives the row at a distance from it. None if
/// flat rows of nearly that colour follow, as in a sky that grows darker.
fn flat_rows(source: &dyn Source, area: Area, at: impl Fn(usize) -> usize) -> Result<usize> {
    let mut colour = None;
    let mut row = vec![0.0; area.width * 3];
    for from_edge in 0..area.height {
        let row_area = Area {
            y: area.y + at(from_edge),
            height: 1,
            ..area
        };
        source.read(row_area, &mut row)?;
        if flat_pixels(row.chunks_exact(3), &mut colour) < area.width {
            let mut own = None;
            let is_flat = flat_pixels(row.chunks_exact(3), &mut own) == area.width;
            let goes_on = match (own, colour) {
                (Some(own), Some(colour)) => is_flat && is_near(&own, &colour, STEP),
                _ => false,
            };
            return Ok(if goes_on { 0 } else { from_edge });
        }
    }
    Ok(area.height)
}

/// How many columns of an area are flat and of one colour, from the left edge on and from the right one.
fn flat_columns(source: &dyn Source, area: Area) -> Result<[usize; 2]> {
    let [mut left, mut right] = [area.width; 2];
    let [mut left_colour, mut right_colour] = [None; 2];
    let mut rgb = vec![0.0; ROWS.min(area.height) * area.width * 3];
    for y in (0..area.height).step_by(ROWS) {
        let height = ROWS.min(area.height - y);
        let rows = &mut rgb[..height * area.width * 3];
        let rows_area = Area {
            y: area.y + y,
            height,
            ..area
        };
        source.read(rows_area, rows)?;
        for row in rows.chunks_exact(area.width * 3) {
            let pixels = row.chunks_exact(3);
            left = flat_pixels(pixels.clone().take(left), &mut left_colour);
            right = flat_pixels(pixels.rev().take(right), &mut right_colour);
        }
        if left + right == 0 {
            break;
        }
    }
    Ok([left, right])
}

/// How many pixels in a row have a colour; the first visible one decides which.
fn flat_pixels<'a>(
    pixels: impl Iterator<Item = &'a [f32]>,
    colour: &mut Option<[f32; 3]>,
) -> usize {
    pixels
        .take_while(|pixel| {
            let is_visible = pixel.iter().all(|sample| sample.is_finite());
            !is_visible || {
                let colour = colour.get_or_insert([pixel[0], pixel[1], pixel[2]]);
                is_near(colour, pixel, FLAT)
            }
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    const HIDDEN: [f32; 3] = [f32::NAN; 3];

    struct Picture {
        width: usize,
        height: usize,
        pixel: fn(usize, usize) -> [f32; 3],
    }

    impl Source for Picture {
        fn width(&self) -> usize {
            self.width
        }

        fn height(&self) -> usize {
            self.height
        }

        fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
            for (at, to) in rgb.chunks_exact_mut(3).enumerate() {
                let (x, y) = (area.x + at % area.width, area.y + at / area.width);
                to.copy_from_slice(&(self.pixel)(x, y));
            }
            Ok(())
        }
    }

    /// Neighbours differ by more than compression does.
    fn photo(x: usize, y: usize) -> [f32; 3] {
        [0.2, 0.5, 0.7].map(|v| v + (x * 31 + y * 17) as f32 % 7.0 / 30.0)
    }

    fn found(pixel: fn(usize, usize) -> [f32; 3]) -> [usize; 4] {
        let picture = Picture {
            width: 120,
            height: 90,
            pixel,
        };
        let Area {
            x,
            y,
            width,
            height,
        } = Frame::of(&picture).expect("pixels in memory").inside;
        [x, y, width, height]
    }

    #[test]
    fn a_photo_has_none() {
        assert_eq!(found(photo), [0, 0, 120, 90]);
    }

    #[test]
    fn frames_and_bars_are_found() {
        let frame = found(|x, y| match (x, y) {
            (12..100, 7..80) => photo(x, y),
            _ => [0.01, 0.0, (x + y) as f32 % 3.0 / 255.0],
        });
        assert_eq!(frame, [12, 7, 88, 73]);
        let bars = found(|x, y| match y {
            20..70 => photo(x, y),
            _ => [1.0; 3],
        });
        assert_eq!(bars, [0, 20, 120, 50]);
        let column = found(|x, y| if x < 90 { photo(x, y) } else { [0.3; 3] });
        assert_eq!(column, [0, 0, 90, 90]);
    }

    #[test]
    fn frames_may_be_nested_and_their_pixels_hidden() {
        let nested = found(|x, y| match (x, y) {
            (0..4, _) | (116.., _) | (_, 0..4) | (_, 86..) => [1.0; 3],
            (20..100, 15..75) => photo(x, y),
            _ => [0.0; 3],
        });
        assert_eq!(nested, [20, 15, 80, 60]);
        let hidden = found(|x, y| match (x, y) {
            (20..100, 15..75) => photo(x, y),
            (x, _) if x % 2 == 0 => HIDDEN,
            _ => [0.4; 3],
        });
        assert_eq!(hidden, [20, 15, 80, 60]);
    }

    #[test]
    fn what_is_thin_or_flat_all_over_is_none() {
        let thin = found(|x, y| if y < 3 { [0.0; 3] } else { photo(x, y) });
        assert_eq!(thin, [0, 0, 120, 90]);
        assert_eq!(found(|_, _| [0.5; 3]), [0, 0, 120, 90]);
        assert_eq!(found(|_, _| HIDDEN), [0, 0, 120, 90]);
        // A sky that grows darker is not a frame.
        let gradient = found(|_, y| [y as f32 / 90.0; 3]);
        assert_eq!(gradient, [0, 0, 120, 90]);
        let one = Image::new(1, 1, vec![0.5; 3]).expect("a good image");
        assert_eq!(Frame::of(&one).expect("read").inside.width, 1);
    }

    #[test]
    fn parts_see_their_share_of_the_photo() {
        let area = |x, y, width, height| Area {
            x,
            y,
            width,
            height,
        };
        let frame = Frame {
            inside: area(20, 15, 80, 60),
        };
        assert_eq!(frame.inside_of(area(0, 0, 120, 90)), area(20, 15, 80, 60));
        assert_eq!(frame.inside_of(area(30, 10, 20, 20)), area(0, 5, 20, 15));
        assert_eq!(frame.inside_of(area(90, 70, 30, 20)), area(0, 0, 10, 5));
        // Beyond the photo on one side or both.
        assert_eq!(frame.inside_of(area(100, 0, 20, 90)), area(0, 0, 20, 90));
        assert_eq!(frame.inside_of(area(0, 0, 20, 15)), area(0, 0, 20, 15));
    }
}
