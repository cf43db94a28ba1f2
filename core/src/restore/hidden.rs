//! Colours for hidden pixels, whose alpha is 0. The colours that an editor left there do not belong to the photo, and the
//! network would spread them to visible pixels. So the colours around fill the hidden pixels.

/// Red, green and blue times how much of it is known, and how much that is, 0..=1.
type Known = [f32; 4];

/// The grey for images in which nothing is visible.
const NOTHING_VISIBLE: f32 = 0.5;

/// A level of a pyramid of means.
struct Level {
    width: usize,
    height: usize,
    pixels: Vec<Known>,
}

/// Gives hidden pixels, those with a sample that is not finite, colours that continue the visible ones smoothly: from
/// means over squares of 2, 4, 8... pixels, the smallest that hold something visible. `rgb` is `[height, width, 3]`.
pub(super) fn fill(rgb: &mut [f32], width: usize) {
    if rgb.iter().all(|sample| sample.is_finite()) {
        return;
    }
    let mut levels = vec![Level::of(rgb, width)];
    while let Some(last) = levels.last()
        && last.pixels.len() > 1
        && last.pixels.iter().any(|pixel| pixel[3] < 1.0)
    {
        levels.push(last.halved());
    }
    let top = levels.pop().map(Level::completed);
    let filled = levels.into_iter().rev().fold(top, |coarse, mut level| {
        level.complete(&coarse?);
        Some(level)
    });
    let Some(filled) = filled else { return };
    for (to, from) in rgb.chunks_exact_mut(3).zip(filled.pixels) {
        if to.iter().any(|sample| !sample.is_finite()) {
            to.copy_from_slice(&from[..3]);
        }
    }
}

impl Level {
    fn of(rgb: &[f32], width: usize) -> Self {
        let known = |pixel: &[f32]| {
            if pixel.iter().all(|sample| sample.is_finite()) {
                [pixel[0], pixel[1], pixel[2], 1.0]
            } else {
                [0.0; 4]
            }
        };
        let pixels: Vec<Known> = rgb.chunks_exact(3).map(known).collect();
        let height = pixels.len() / width;
        Self {
            width,
            height,
            pixels,
        }
    }

    /// The means of squares of two by two pixels. A square with at least one whole pixel counts as known in full.
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut pixels = vec![[0.0; 4]; width * height];
        for (row, y) in self.pixels.chunks_exact(self.width).zip(0..) {
            for (from, x) in row.iter().zip(0..) {
                let to: &mut Known = &mut pixels[y / 2 * width + x / 2];
                for (to, from) in to.iter_mut().zip(from) {
                    *to += from;
                }
            }
        }
        for pixel in &mut pixels {
            let known = pixel[3].max(1.0);
            *pixel = pixel.map(|value| value / known);
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// The smallest level, which is known in full or is one pixel.
    fn completed(mut self) -> Self {
        for pixel in &mut self.pixels {
            let known = pixel[3];
            *pixel = if known > 0.0 {
                pixel.map(|value| value / known)
            } else {
                [NOTHING_VISIBLE, NOTHING_VISIBLE, NOTHING_VISIBLE, 1.0]
            };
        }
        self
    }

    /// Fills the unknown part of each pixel from a level of half the size.
    fn complete(&mut self, coarse: &Level) {
        let rows = self.pixels.chunks_exact_mut(self.width);
        for (row, y) in rows.zip(0..) {
            for (pixel, x) in row.iter_mut().zip(0..) {
                let unknown = 1.0 - pixel[3];
                if unknown > 0.0 {
                    let around = coarse.between(x, y);
                    for (value, around) in pixel.iter_mut().zip(around) {
                        *value += unknown * around;
                    }
                }
            }
        }
    }

    /// At a pixel of a level of twice the size, between this level's pixels.
    fn between(&self, x: usize, y: usize) -> Known {
        // The nearest pixel has three quarters, its neighbour on the other side of the finer one a quarter.
        let neighbours = |at: usize, length: usize| {
            let near = at / 2;
            let far = if at.is_multiple_of(2) {
                near.saturating_sub(1)
            } else {
                near + 1
            };
            [(near, 0.75), (far.min(length - 1), 0.25)]
        };
        let mut mean = [0.0; 4];
        for (y, down) in neighbours(y, self.height) {
            for (x, across) in neighbours(x, self.width) {
                let pixel = self.pixels[y * self.width + x];
                for (mean, value) in mean.iter_mut().zip(pixel) {
                    *mean += down * across * value;
                }
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: [f32; 3] = [f32::NAN; 3];

    #[test]
    fn what_is_visible_stays() {
        let rgb: Vec<f32> = (0..35 * 21 * 3).map(|at| (at % 97) as f32 / 97.0).collect();
        let mut whole = rgb.clone();
        fill(&mut whole, 35);
        assert_eq!(whole, rgb);

        let mut holes = rgb.clone();
        for pixel in holes.chunks_exact_mut(3).step_by(5) {
            pixel.copy_from_slice(&HIDDEN);
        }
        let hidden: Vec<bool> = holes.iter().map(|sample| sample.is_nan()).collect();
        fill(&mut holes, 35);
        for ((hidden, filled), before) in hidden.iter().zip(&holes).zip(&rgb) {
            assert!(*hidden || filled == before);
            assert!((0.0..=1.0).contains(filled));
        }
    }

    #[test]
    fn nearby_colours_are_continued() {
        // Left red, right blue, hidden between and above.
        let (width, height) = (61, 47);
        let (red, blue) = ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]);
        let mut rgb: Vec<f32> = (0..width * height)
            .flat_map(|at| match (at % width, at / width) {
                (_, 0..20) => HIDDEN,
                (0..20, _) => red,
                (40.., _) => blue,
                _ => HIDDEN,
            })
            .collect();
        fill(&mut rgb, width);
        let at = |x: usize, y: usize| &rgb[(y * width + x) * 3..][..3];
        assert!(
            at(20, 40)[0] > 0.85 && at(39, 40)[2] > 0.85,
            "{:?} {:?}",
            at(20, 40),
            at(39, 40)
        );
        assert!((0.3..0.7).contains(&at(30, 40)[0]), "{:?}", at(30, 40));
        assert!(at(2, 18)[0] > 0.9 && at(58, 18)[2] > 0.9);
        for pixel in rgb.chunks_exact(3) {
            assert!(
                (pixel[0] + pixel[2] - 1.0).abs() < 1e-5 && pixel[1] == 0.0,
                "{pixel:?}"
            );
        }
        // Without a step between hidden neighbours.
        for x in 20..39 {
            assert!((at(x, 40)[0] - at(x + 1, 40)[0]).abs() < 0.2);
        }
    }

    #[test]
    fn one_visible_pixel_gives_all_their_colour() {
        for (width, height, visible) in [(7, 5, 17), (64, 64, 0), (1, 9, 8), (33, 1, 32)] {
            let mut rgb = HIDDEN.repeat(width * height);
            rgb[visible * 3..][..3].copy_from_slice(&[0.25, 0.5, 1.0]);
            fill(&mut rgb, width);
            for pixel in rgb.chunks_exact(3) {
                for (value, expected) in pixel.iter().zip([0.25, 0.5, 1.0]) {
                    assert!(
                        (value - expected).abs() < 1e-6,
                        "{width}x{height}: {pixel:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn where_nothing_is_visible_it_is_grey() {
        for (width, height) in [(1, 1), (5, 3), (64, 32)] {
            let mut rgb = HIDDEN.repeat(width * height);
            fill(&mut rgb, width);
            assert!(rgb.iter().all(|sample| *sample == NOTHING_VISIBLE));
        }
    }
}
