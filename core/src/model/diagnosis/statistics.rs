//! Statistics of the pixels of a window. Each one changes with one or two of the faults. They need no network, and are the same
//! on every device.

/// Side of a window in pixels: whole JPEG blocks, backbone patches and latent pixels.
pub const SIDE: usize = 224;

/// How many there are.
pub const COUNT: usize = NOISE + GRADIENTS + RIDGES + BLOCKS + TONES;

const NOISE: usize = 3 * 6 + 2 * 2 * 4;
const GRADIENTS: usize = 4 * 5;
const RIDGES: usize = 2 * 8 * 2;
const BLOCKS: usize = 2 + 7 + 2 * 3;
const TONES: usize = 22;

/// A window's statistics.
///
/// # Shapes
/// - `rgb`: `[3, SIDE, SIDE]`, sRGB-encoded, nominally 0..=1
/// - result: `[COUNT]`
pub fn of(rgb: &[f32]) -> Vec<f32> {
    assert_eq!(rgb.len(), 3 * SIDE * SIDE, "a window");
    let [luma, blue, red] = colours(rgb);
    let (luma2, blue2, red2) = (luma.halved(), blue.halved(), red.halved());
    let luma4 = luma2.halved();
    let luma8 = luma4.halved();

    let mut found = Vec::with_capacity(COUNT);
    for plane in [&luma, &luma2, &luma4] {
        noise(
            plane,
            plane,
            &[0.05, 0.15, 0.3, 0.5, 0.75, 0.95],
            &mut found,
        );
    }
    for (plane, light) in [
        (&blue, &luma),
        (&red, &luma),
        (&blue2, &luma2),
        (&red2, &luma2),
    ] {
        noise(plane, light, &[0.05, 0.2, 0.5, 0.9], &mut found);
    }
    for plane in [&luma, &luma2, &luma4, &luma8] {
        gradients(plane, &mut found);
    }
    for plane in [&luma, &luma2] {
        ridges(plane, &mut found);
    }
    blocks(&luma, &mut found);
    tones(rgb, &luma, &mut found);
    debug_assert_eq!(found.len(), COUNT);
    found
}

/// Values of one kind, in 8-bit units.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Plane {
    fn at(&self, x: usize, y: usize) -> f32 {
        self.values[y * self.width + x]
    }

    fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    /// Means of 2 x 2.
    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            let (upper, lower) = (self.row(2 * y), self.row(2 * y + 1));
            values.extend((0..width).map(|x| {
                (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]) / 4.0
            }));
        }
        Self {
            width,
            height,
            values,
        }
    }
}

/// Brightness, and how blue and how red: the planes of JPEG.
fn colours(rgb: &[f32]) -> [Plane; 3] {
    let (red, rest) = rgb.split_at(SIDE * SIDE);
    let (green, blue) = rest.split_at(SIDE * SIDE);
    let plane = |weights: [f32; 3]| {
        let pixels = red.iter().zip(green).zip(blue);
        Plane {
            width: SIDE,
            height: SIDE,
            values: pixels
                .map(|((r, g), b)| 255.0 * (weights[0] * r + weights[1] * g + weights[2] * b))
                .collect(),
        }
    };
    [
        plane([0.299, 0.587, 0.114]),
        plane([-0.168_736, -0.331_264, 0.5]),
        plane([0.5, -0.418_688, -0.081_312]),
    ]
}

/// The deviation of white noise in blocks of 8 x 8, by a filter that straight edges do not pass (Immerkaer, "Fast noise
/// variance estimation", 1996): its quantiles over the blocks. In the flattest of them there is little but noise. Blocks
/// of `light` that are black or white hide it and do not count.
fn noise(plane: &Plane, light: &Plane, quantiles: &[f32], found: &mut Vec<f32>) {
    const BLOCK: usize = 8;
    let scale = (std::f32::consts::PI / 2.0).sqrt() / 6.0;
    let (columns, rows) = ((plane.width - 2) / BLOCK, (plane.height - 2) / BLOCK);
    let (mut grey, mut all) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut brightness) = (0.0, 0.0);
            for y in row * BLOCK + 1..=(row + 1) * BLOCK {
                let [above, here, below] =
                    [y - 1, y, y + 1].map(|y| &plane.row(y)[column * BLOCK..]);
                for x in 1..=BLOCK {
                    let across = |line: &[f32]| line[x - 1] - 2.0 * line[x] + line[x + 1];
                    sum += (across(above) - 2.0 * across(here) + across(below)).abs();
                }
                brightness += light.row(y)[column * BLOCK + 1..][..BLOCK]
                    .iter()
                    .sum::<f32>();
            }
            let pixels = (BLOCK * BLOCK) as f32;
            let deviation = scale * sum / pixels;
            all.push(deviation);
            if (12.0..243.0).contains(&(brightness / pixels)) {
                grey.push(deviation);
            }
        }
    }
    let mut blocks = if 10 * grey.len() >= all.len() {
        grey
    } else {
        all
    };
    blocks.sort_unstable_by(f32::total_cmp);
    found.extend(quantiles.iter().map(|q| log(quantile(&blocks, *q), 0.2)));
}

/// How steep brightness is, at one scale: blur takes the steepest of the fine scales first.
fn gradients(plane: &Plane, found: &mut Vec<f32>) {
    let (mut across, mut down) = (0.0, 0.0);
    let mut steepness = Vec::with_capacity(plane.values.len());
    for y in 0..plane.height - 1 {
        let (here, below) = (plane.row(y), plane.row(y + 1));
        for x in 0..plane.width - 1 {
            let (dx, dy) = ((here[x + 1] - here[x]).abs(), (below[x] - here[x]).abs());
            across += dx;
            down += dy;
            steepness.push(dx + dy);
        }
    }
    let count = steepness.len() as f32;
    found.extend([across / count, down / count].map(|mean| log(mean, 0.2)));
    steepness.sort_unstable_by(f32::total_cmp);
    found.extend([0.5, 0.9, 0.99].map(|q| log(quantile(&steepness, q), 0.2)));
}

/// Steps along a line and across it, in eight directions.
const LINES: [[(isize, isize); 2]; 8] = [
    [(0, 1), (2, 0)],
    [(1, 2), (2, -1)],
    [(1, 1), (2, -2)],
    [(2, 1), (1, -2)],
    [(1, 0), (0, 2)],
    [(2, -1), (1, 2)],
    [(1, -1), (2, 2)],
    [(1, -2), (2, 1)],
];

/// Bright lines, and how much more of them than of dark ones: rain is bright lines that lie alike.
fn ridges(plane: &Plane, found: &mut Vec<f32>) {
    const MARGIN: usize = 6;
    let width = plane.width as isize;
    for [(along_x, along_y), (across_x, across_y)] in LINES {
        let along = along_y * width + along_x;
        let across = across_y * width + across_x;
        let mut smooth = vec![0.0; plane.values.len()];
        for y in 4..plane.height - 4 {
            for x in 4..plane.width - 4 {
                let at = (y * plane.width + x) as isize;
                let step = |steps: isize| plane.values[(at + steps * along) as usize];
                smooth[at as usize] = (step(-2) + step(-1) + step(0) + step(1) + step(2)) / 5.0;
            }
        }
        let (mut bright, mut dark, mut count) = (0.0, 0.0, 0.0);
        for y in MARGIN..plane.height - MARGIN {
            for x in MARGIN..plane.width - MARGIN {
                let at = (y * plane.width + x) as isize;
                let here = smooth[at as usize];
                let one = here - smooth[(at - across) as usize];
                let other = here - smooth[(at + across) as usize];
                bright += one.min(other).max(0.0).powi(2);
                dark += (-one.max(other)).max(0.0).powi(2);
                count += 1.0;
            }
        }
        let [bright, dark] = [bright, dark].map(|sum: f32| log((sum / count).sqrt(), 0.2));
        found.extend([bright, bright - dark]);
    }
}

/// Blocks of 8 x 8 as JPEG leaves them: steps at their borders, and coefficients that became zero.
fn blocks(luma: &Plane, found: &mut Vec<f32>) {
    let (x, steps_x) = phase(luma.width, luma.height, |at, line| luma.at(at, line));
    let (y, steps_y) = phase(luma.height, luma.width, |at, line| luma.at(line, at));
    found.extend([steps_x, steps_y]);
    let zones = dct_bands(luma, x, y);
    found.extend(zones.size);
    found.extend(zones.zeros);
    found.extend(dct_bands(luma, (x + 4) % 8, (y + 4) % 8).zeros);
}

/// Where blocks begin, and how much larger steps are there than elsewhere.
fn phase(length: usize, lines: usize, at: impl Fn(usize, usize) -> f32) -> (usize, f32) {
    let mut sums = [0.0f32; 8];
    for line in 0..lines {
        for x in 2..length - 1 {
            let step = |x: usize| (at(x, line) - at(x - 1, line)).abs();
            // Large steps are edges of things.
            sums[x % 8] += (step(x) - (step(x - 1) + step(x + 1)) / 2.0).clamp(-8.0, 8.0);
        }
    }
    let count = (lines * (length - 3) / 8) as f32;
    let (best, most) = (0..8)
        .map(|at| (at, sums[at]))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 0.0));
    let others = (sums.iter().sum::<f32>() - most) / 7.0;
    (best, log((most - others).max(0.0) / count, 0.02))
}

/// The coefficients of the cosine transform of blocks of 8 x 8 pixels, by the higher of both frequencies, 1 to 7.
struct DctBands {
    /// Mean sizes.
    size: [f32; 7],
    /// Shares of those that are nearly zero, of frequencies 1 and 2, 3 to 5, 6 and 7.
    zeros: [f32; 3],
}

fn dct_bands(luma: &Plane, x: usize, y: usize) -> DctBands {
    let cosines: [[f32; 8]; 8] = std::array::from_fn(|frequency| {
        std::array::from_fn(|at| {
            let scale = if frequency == 0 { 0.125f32.sqrt() } else { 0.5 };
            scale * ((2 * at + 1) as f32 * frequency as f32 * std::f32::consts::PI / 16.0).cos()
        })
    });
    let (mut sizes, mut counts) = ([0.0f32; 7], [0.0f32; 7]);
    let (mut zeros, mut all) = ([0.0f32; 3], [0.0f32; 3]);
    for top in (y..luma.height - 7).step_by(8) {
        for left in (x..luma.width - 7).step_by(8) {
            let mut rows = [[0.0f32; 8]; 8];
            for (row, sums) in rows.iter_mut().enumerate() {
                let line = &luma.row(top + row)[left..left + 8];
                for (sum, cosines) in sums.iter_mut().zip(&cosines) {
                    *sum = line.iter().zip(cosines).map(|(v, c)| v * c).sum();
                }
            }
            for (v, cosines) in cosines.iter().enumerate() {
                for u in 0..8 {
                    let zone = u.max(v);
                    if zone == 0 {
                        continue;
                    }
                    let pairs = rows.iter().zip(cosines);
                    let size = pairs.map(|(row, c)| row[u] * c).sum::<f32>().abs();
                    sizes[zone - 1] += size;
                    counts[zone - 1] += 1.0;
                    let band = [0, 0, 1, 1, 1, 2, 2][zone - 1];
                    zeros[band] += f32::from(size < 0.8);
                    all[band] += 1.0;
                }
            }
        }
    }
    DctBands {
        size: std::array::from_fn(|zone| log(sizes[zone] / counts[zone], 0.2)),
        zeros: std::array::from_fn(|band| zeros[band] / all[band]),
    }
}

/// Brightness, contrast and colour, which haze takes: dark things become bright, near things alike.
fn tones(rgb: &[f32], luma: &Plane, found: &mut Vec<f32>) {
    /// Pixels a side that become one, so that noise does not darken.
    const CELL: usize = 8;
    const CELLS: usize = SIDE / CELL;
    let cell = |channel: usize, at: usize| {
        let (top, left) = (at / CELLS * CELL, at % CELLS * CELL);
        let row = |y: usize| &rgb[(channel * SIDE + top + y) * SIDE + left..][..CELL];
        (0..CELL).flat_map(row).sum::<f32>() / (CELL * CELL) as f32
    };
    let means: Vec<[f32; 3]> = (0..CELLS * CELLS)
        .map(|at| [0, 1, 2].map(|channel| cell(channel, at)))
        .collect();
    let least: Vec<f32> = means.iter().map(|m| m[0].min(m[1]).min(m[2])).collect();
    let most: Vec<f32> = means.iter().map(|m| m[0].max(m[1]).max(m[2])).collect();
    // The dark channel (He et al., 2009): the least of a neighbourhood of 3 x 3 cells.
    let mut dark: Vec<f32> = (0..least.len())
        .map(|at| {
            let (x, y) = (at % CELLS, at / CELLS);
            let around = |at: usize| at.saturating_sub(1)..(at + 2).min(CELLS);
            around(y)
                .flat_map(|y| around(x).map(move |x| (x, y)))
                .map(|(x, y)| least[y * CELLS + x])
                .fold(f32::INFINITY, f32::min)
        })
        .collect();
    let count = dark.len() as f32;
    found.push(dark.iter().sum::<f32>() / count);
    dark.sort_unstable_by(f32::total_cmp);
    found.extend([0.05, 0.5, 0.95].map(|q| quantile(&dark, q)));
    let mut colour: Vec<f32> = least
        .iter()
        .zip(&most)
        .map(|(least, most)| (most - least) / most.max(0.02))
        .collect();
    found.push(colour.iter().sum::<f32>() / count);
    colour.sort_unstable_by(f32::total_cmp);
    found.extend([0.1, 0.5, 0.9].map(|q| quantile(&colour, q)));
    let mut light = luma.values.clone();
    light.sort_unstable_by(f32::total_cmp);
    found.extend([0.005, 0.1, 0.5, 0.9, 0.995].map(|q| quantile(&light, q) / 255.0));
    let mean = luma.values.iter().sum::<f32>() / luma.values.len() as f32;
    let square = |v: &f32| (v - mean).powi(2);
    let variance = luma.values.iter().map(square).sum::<f32>() / luma.values.len() as f32;
    found.push(log(variance.sqrt(), 1.0));
    // Contrast within 4 x 4 cells, relative to the light there.
    let mut contrasts = Vec::new();
    for top in (0..CELLS).step_by(4) {
        for left in (0..CELLS).step_by(4) {
            let cells = (0..16).map(|at| most[(top + at / 4) * CELLS + left + at % 4]);
            let (low, high) = cells.fold((f32::INFINITY, 0.0f32), |(low, high), v| {
                (low.min(v), high.max(v))
            });
            contrasts.push((high - low) / high.max(0.02));
        }
    }
    contrasts.sort_unstable_by(f32::total_cmp);
    found.extend([0.1, 0.5, 0.9].map(|q| quantile(&contrasts, q)));
    // Colour of the brightest dark places: the air's.
    let threshold = quantile(&dark, 0.95);
    let bright: Vec<&[f32; 3]> = means
        .iter()
        .zip(&least)
        .filter(|(_, least)| **least >= threshold)
        .map(|(mean, _)| mean)
        .collect();
    let air = |channel: usize| {
        bright.iter().map(|mean| mean[channel]).sum::<f32>() / bright.len().max(1) as f32
    };
    found.extend([air(0), air(1), air(2)]);
    // Shares of black and of white.
    let share = |within: fn(f32) -> bool| {
        luma.values.iter().filter(|v| within(**v)).count() as f32 / luma.values.len() as f32
    };
    found.extend([share(|v| v < 4.0), share(|v| v > 251.0)]);
}

/// Of sorted values.
fn quantile(sorted: &[f32], share: f32) -> f32 {
    sorted[(share * (sorted.len() - 1) as f32).round() as usize]
}

fn log(value: f32, floor: f32) -> f32 {
    (value + floor).ln()
}
