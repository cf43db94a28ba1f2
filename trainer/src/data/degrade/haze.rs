//! Haze by the scattering model `I = J t + A (1 - t)`, `t = exp(-beta d)`.
//!
//! Training photos have no depth, so a smooth one is made up: it grows towards the top, as ground and sky do, waves
//! slowly, and follows the brightness of the picture a little, so that it also steps at the edges of things.

use crate::data::rgb::Rgb;
use rand::Rng;

/// Where a patch lies in its photo, as fractions of the photo's width and height. Depth is a property of the photo:
/// a patch from the top is far, and a small patch sees little of the depth's slope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Left edge, 0..1.
    pub left: f32,
    /// Upper edge, 0..1.
    pub top: f32,
    /// Width of the patch.
    pub width: f32,
    /// Height of the patch.
    pub height: f32,
}

impl Frame {
    /// The whole photo.
    pub const WHOLE: Self = Self {
        left: 0.0,
        top: 0.0,
        width: 1.0,
        height: 1.0,
    };
}

/// Nothing is hidden completely: below this share of its own light a pixel cannot be told from noise.
const THINNEST: f32 = 0.08;

/// Haze drawn at random; clipped and rounded to 8 bit.
pub fn degrade(clean: &Rgb, frame: Frame, rng: &mut impl Rng) -> Rgb {
    degrade_with_thickness(clean, frame, rng).0
}

/// The same, and how thick it is: one minus the mean share of its own light that reaches us from a pixel.
pub fn degrade_with_thickness(clean: &Rgb, frame: Frame, rng: &mut impl Rng) -> (Rgb, f32) {
    let beta = rng.random_range(0.4..1.9);
    let air = air(rng);
    let depth = depth(clean, frame, rng);
    let mut hazy = clean.clone();
    let mut sum = 0.0;
    for (pixel, depth) in hazy.pixels.chunks_exact_mut(3).zip(&depth) {
        let through = (-beta * depth).exp().max(THINNEST);
        sum += f64::from(through);
        for (v, air) in pixel.iter_mut().zip(air) {
            *v = *v * through + air * (1.0 - through);
        }
    }
    let thickness = 1.0 - sum / depth.len() as f64;
    (hazy.quantised(), thickness as f32)
}

/// Light of the air: from the white of made haze to the mid grey (0.5) of photos exposed for it, a little blue or
/// yellow as sky and dust are.
fn air(rng: &mut impl Rng) -> [f32; 3] {
    let grey = rng.random_range(0.48..1.0f32);
    let blue = rng.random_range(-0.03..0.05);
    [-blue, 0.0, blue].map(|tint| f32::min(grey + tint + rng.random_range(-0.02..0.02), 1.0))
}

/// Depth of each pixel, about 0.1 (near) to 1.8 (far).
fn depth(clean: &Rgb, frame: Frame, rng: &mut impl Rng) -> Vec<f32> {
    let near = rng.random_range(0.15..0.6);
    let far = rng.random_range(0.6..1.5f32).max(near);
    let bend = rng.random_range(0.7..2.5);
    let waves = Waves::draw(rng);
    let swing = rng.random_range(0.1..0.4);
    let follow = rng.random_range(-0.1..0.35f32);
    let shade = smooth_luma(clean);
    let mut depth = Vec::with_capacity(shade.len());
    for y in 0..clean.height {
        let v = frame.top + frame.height * (y as f32 + 0.5) / clean.height as f32;
        let slope = near + (far - near) * (1.0 - v).clamp(0.0, 1.0).powf(bend);
        for x in 0..clean.width {
            let u = frame.left + frame.width * (x as f32 + 0.5) / clean.width as f32;
            let followed = follow * (shade[y * clean.width + x] - 0.5);
            depth.push((slope + swing * waves.at(u, v) + followed).max(0.05));
        }
    }
    depth
}

/// Luma averaged over 7 x 7 pixels, so that depth steps at edges but does not copy texture.
fn smooth_luma(image: &Rgb) -> Vec<f32> {
    const RADIUS: usize = 3;
    let (width, height) = (image.width, image.height);
    let luma: Vec<f32> = image
        .pixels
        .chunks_exact(3)
        .map(|p| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2])
        .collect();
    let mut rows = vec![0.0; luma.len()];
    for y in 0..height {
        let line = &luma[y * width..(y + 1) * width];
        for x in 0..width {
            let window = &line[x.saturating_sub(RADIUS)..(x + RADIUS + 1).min(width)];
            rows[y * width + x] = window.iter().sum::<f32>() / window.len() as f32;
        }
    }
    let mut smooth = vec![0.0; luma.len()];
    for y in 0..height {
        let window = y.saturating_sub(RADIUS)..(y + RADIUS + 1).min(height);
        let share = 1.0 / window.len() as f32;
        for from in window {
            for x in 0..width {
                smooth[y * width + x] += share * rows[from * width + x];
            }
        }
    }
    smooth
}

/// Smooth noise in about -1..1: random values on two coarse grids over the photo, smoothly interpolated.
struct Waves {
    coarse: [[f32; GRID]; GRID],
    fine: [[f32; GRID]; GRID],
    cells: f32,
}

const GRID: usize = 9;

impl Waves {
    fn draw(rng: &mut impl Rng) -> Self {
        let mut grid =
            || std::array::from_fn(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0)));
        let (coarse, fine) = (grid(), grid());
        Self {
            coarse,
            fine,
            cells: rng.random_range(1.5..4.0),
        }
    }

    fn at(&self, u: f32, v: f32) -> f32 {
        0.75 * interpolate(&self.coarse, u * self.cells, v * self.cells)
            + 0.25 * interpolate(&self.fine, u * 2.0 * self.cells, v * 2.0 * self.cells)
    }
}

fn interpolate(grid: &[[f32; GRID]; GRID], x: f32, y: f32) -> f32 {
    let last = (GRID - 1) as f32 - 1e-3;
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (column, row) = (x as usize, y as usize);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(x.fract()), ease(y.fract()));
    let mix = |a: f32, b: f32, s: f32| a + (b - a) * s;
    let upper = mix(grid[row][column], grid[row][column + 1], s);
    let lower = mix(grid[row + 1][column], grid[row + 1][column + 1], s);
    mix(upper, lower, t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn lifts_black_and_is_denser_at_the_top_on_average() {
        let black = Rgb::from_fn(32, 32, |_, _| [0.0; 3]);
        let (mut upper, mut lower) = (0.0, 0.0);
        for seed in 0..100 {
            let hazy = degrade(&black, Frame::WHOLE, &mut StdRng::seed_from_u64(seed));
            assert!(hazy.pixels.iter().all(|v| (0.0..=1.0).contains(v)));
            let half = hazy.pixels.len() / 2;
            upper += hazy.pixels[..half].iter().sum::<f32>();
            lower += hazy.pixels[half..].iter().sum::<f32>();
        }
        assert!(upper > 1.1 * lower && lower > 0.0);
    }

    #[test]
    fn a_patch_sees_less_depth_than_its_photo() {
        let grey = Rgb::from_fn(64, 64, |_, _| [0.5; 3]);
        let range = |frame| {
            let depth = depth(&grey, frame, &mut StdRng::seed_from_u64(9));
            depth.iter().copied().fold(f32::MIN, f32::max)
                - depth.iter().copied().fold(f32::MAX, f32::min)
        };
        assert!(
            range(Frame {
                left: 0.4,
                top: 0.4,
                width: 0.1,
                height: 0.1
            }) < range(Frame::WHOLE)
        );
    }
}
