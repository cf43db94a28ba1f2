//! Small views of photos.

use crate::Result;
use crate::image::Image;
use crate::restore::peak_memory::ROWS;
use crate::restore::tile_input::sanitize;
use crate::restore::{Area, Source, hidden};

/// An area of a source made so small that its longer side has at most that many pixels: each is the mean of what it covers.
/// Hidden pixels are filled.
///
/// # Errors
/// The source's own.
pub(super) fn view(source: &dyn Source, area: Area, side: usize) -> Result<Image> {
    let longer = area.width.max(area.height);
    let side = side.min(longer);
    let small = |length: usize| ((length * side + longer / 2) / longer).max(1);
    let (width, height) = (small(area.width), small(area.height));
    let columns = shares(area.width, width);
    let rows = shares(area.height, height);
    // Red, green and blue times how much of it is visible, and how much that is.
    let mut sums = vec![[0.0f32; 4]; width * height];
    let mut rgb = vec![0.0; ROWS.min(area.height) * area.width * 3];
    let mut line = vec![[0.0f32; 4]; width];
    for y in (0..area.height).step_by(ROWS) {
        let strip = Area {
            y: area.y + y,
            height: ROWS.min(area.height - y),
            ..area
        };
        let rgb = &mut rgb[..strip.height * area.width * 3];
        source.read(strip, rgb)?;
        for (row, &(first, shares)) in rgb.chunks_exact(area.width * 3).zip(&rows[y..]) {
            line.fill([0.0; 4]);
            for (pixel, &(first, shares)) in row.chunks_exact(3).zip(&columns) {
                if pixel.iter().all(|sample| sample.is_finite()) {
                    let [red, green, blue] = [0, 1, 2].map(|at| sanitize(pixel[at]));
                    add(&mut line, first, shares, [red, green, blue, 1.0]);
                }
            }
            for (column, &sum) in line.iter().enumerate() {
                for (row, share) in (first..height).zip(shares) {
                    let to = &mut sums[row * width + column];
                    to.iter_mut()
                        .zip(sum)
                        .for_each(|(to, sum)| *to += share * sum);
                }
            }
        }
    }
    let mut pixels: Vec<f32> = sums
        .iter()
        .flat_map(|[red, green, blue, visible]| {
            // Nothing visible: not a number.
            [red / visible, green / visible, blue / visible]
        })
        .collect();
    hidden::fill(&mut pixels, width);
    Image::new(width, height, pixels)
}

fn add(line: &mut [[f32; 4]], first: usize, shares: [f32; 2], pixel: [f32; 4]) {
    for (to, share) in line[first..].iter_mut().zip(shares) {
        to.iter_mut()
            .zip(pixel)
            .for_each(|(to, value)| *to += share * value);
    }
}

/// Of each of `length` pixels the first of the `cells` that it lies in, and how much of it lies in that and in the next.
fn shares(length: usize, cells: usize) -> Vec<(usize, [f32; 2])> {
    (0..length)
        .map(|at| {
            let first = at * cells / length;
            // In parts of which a pixel has `cells`.
            let inside = ((first + 1) * length - at * cells).min(cells);
            let share = inside as f32 / cells as f32;
            (first, [share, 1.0 - share])
        })
        .collect()
}

/// Means over squares of `2 * radius + 1` pixels, as far as they are inside.
pub(super) fn means(values: &[f64], width: usize, radius: usize) -> Vec<f64> {
    let height = values.len() / width;
    let mut across = vec![0.0; values.len()];
    for (from, to) in values
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        mean_line(|at| from[at], |at, mean| to[at] = mean, width, radius);
    }
    let mut means = vec![0.0; values.len()];
    for x in 0..width {
        mean_line(
            |at| across[at * width + x],
            |at, mean| means[at * width + x] = mean,
            height,
            radius,
        );
    }
    means
}

fn mean_line(
    from: impl Fn(usize) -> f64,
    mut to: impl FnMut(usize, f64),
    length: usize,
    radius: usize,
) {
    let mut sum: f64 = (0..radius.min(length)).map(&from).sum();
    for at in 0..length {
        if at + radius < length {
            sum += from(at + radius);
        }
        if at > radius {
            sum -= from(at - radius - 1);
        }
        let first = at.saturating_sub(radius);
        let end = (at + radius + 1).min(length);
        to(at, sum / (end - first) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_means_of_what_its_pixels_cover() {
        // Three pixels become two: each is one and a half wide.
        let row = [0.0, 0.3, 0.9];
        let pixels = (0..3).flat_map(|_| row.iter().flat_map(|&v| [v, 0.5 * v, 1.0]));
        let image = Image::new(3, 3, pixels.collect()).expect("a good image");
        let area = |width, height| Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        let small = view(&image, area(3, 3), 2).expect("read");
        assert_eq!((small.width(), small.height()), (2, 2));
        for pixel in small.pixels().chunks_exact(6) {
            let wanted = [0.1, 0.05, 1.0, 0.7, 0.35, 1.0];
            for (found, wanted) in pixel.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
            }
        }
        assert_eq!(view(&image, area(3, 3), 5).expect("read"), image);
        let line = view(&image, area(3, 1), 2).expect("read");
        assert_eq!((line.width(), line.height()), (2, 1));
    }

    #[test]
    fn hidden_pixels_count_for_nothing() {
        struct Hidden;
        impl Source for Hidden {
            fn width(&self) -> usize {
                40
            }
            fn height(&self) -> usize {
                20
            }
            fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
                for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
                    let x = area.x + at % area.width;
                    pixel.fill(if x.is_multiple_of(2) || x > 30 {
                        f32::NAN
                    } else {
                        0.25
                    });
                }
                Ok(())
            }
        }
        let area = Area {
            x: 0,
            y: 0,
            width: 40,
            height: 20,
        };
        let small = view(&Hidden, area, 10).expect("read");
        assert_eq!((small.width(), small.height()), (10, 5));
        assert!(small.pixels().iter().all(|v| (v - 0.25).abs() < 1e-6));
    }

    #[test]
    fn means_are_those_of_squares() {
        let (width, height, radius) = (9, 7, 2);
        let values: Vec<f64> = (0..width * height)
            .map(|at| (at * 37 % 23) as f64)
            .collect();
        let found = means(&values, width, radius);
        for (at, found) in found.iter().enumerate() {
            let (x, y) = (at % width, at / width);
            let near = |a: usize, b: usize| a.abs_diff(b) <= radius;
            let inside: Vec<f64> = (0..values.len())
                .filter(|other| near(other % width, x) && near(other / width, y))
                .map(|other| values[other])
                .collect();
            let mean = inside.iter().sum::<f64>() / inside.len() as f64;
            assert!((found - mean).abs() < 1e-9, "{x} {y}");
        }
    }
}
