//! The input of a run of the network: a tile of the source, reflected at the image's border, transformed for one pass, finite.

use std::sync::Arc;

use super::calibration::Calibration;
use super::dihedral::Dihedral;
use super::frame::Frame;
use super::{Area, Removal, Source, hidden};
use crate::Result;
use crate::tile::reflect;

/// The input of a run of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct TileInput {
    /// Rows, a multiple of what the network asks for.
    pub height: usize,
    /// Columns, likewise.
    pub width: usize,
    /// `[3, height, width]`, RGB, sRGB-encoded, nominally 0..=1, finite.
    pub planar: Vec<f32>,
    /// What the network has to compute.
    pub purpose: Purpose,
    /// How much of each fault is to be removed; ignored by the calibration pass.
    pub removal: Removal,
    /// Whether the expected errors are wanted too; never in the calibration pass.
    pub uncertainty: bool,
}

/// What a run of the network is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// [`Network::forward`](super::Network::forward).
    Restore,
    /// [`Network::global_statistics`](super::Network::global_statistics), for the calibration pass.
    Calibrate,
    /// [`Network::forward_with_stats`](super::Network::forward_with_stats) with these statistics.
    RestoreWithStats(Arc<Vec<f32>>),
}

/// The input of a run of the calibration pass; the passes of a tile follow each other.
pub(super) fn calibration_input(
    calibration: &Calibration,
    run: usize,
    passes: usize,
    source: &dyn Source,
    frame: Frame,
) -> Result<TileInput> {
    let area = calibration.tile(run).input;
    let input = read_reflected(source, area, frame.inside)?;
    let pass = run % passes;
    Ok(network_input(&input, area, pass, Purpose::Calibrate))
}

pub(super) fn purpose(calibration: &Calibration, pass: usize) -> Purpose {
    calibration
        .mean(pass)
        .map_or(Purpose::Restore, Purpose::RestoreWithStats)
}

/// `input`, `[3, area.height, area.width]`, transformed for one pass; every sample is finite and not too large for the layers.
pub(super) fn network_input(input: &[f32], area: Area, pass: usize, purpose: Purpose) -> TileInput {
    let transform = Dihedral::new(pass);
    let Area { width, height, .. } = area;
    let mut planar = Vec::with_capacity(input.len());
    for plane in input.chunks_exact(height * width) {
        // One bad sample must not spread over a tile through attention.
        let turned = transform.indices(height, width);
        planar.extend(turned.map(|at| sanitize(plane[at])));
    }
    let (height, width) = transform.size(height, width);
    TileInput {
        height,
        width,
        planar,
        purpose,
        removal: Removal::ALL,
        uncertainty: false,
    }
}

/// `area` as `[3, height, width]`, hidden pixels filled. All is of `inside`, the photo in the source, reflected at its border.
pub(super) fn read_reflected(source: &dyn Source, area: Area, inside: Area) -> Result<Vec<f32>> {
    let fold = |start: usize, count: usize, inside: usize, length: usize| {
        let at: Vec<_> = (start..start + count)
            .map(|index| inside + reflect(index.abs_diff(inside), length))
            .collect();
        let first = at.iter().copied().min().unwrap_or(0);
        let last = at.iter().copied().max().unwrap_or(0);
        (
            first,
            last - first + 1,
            at.iter().map(|at| at - first).collect::<Vec<_>>(),
        )
    };
    let (x, width, columns) = fold(area.x, area.width, inside.x, inside.width);
    let (y, height, rows) = fold(area.y, area.height, inside.y, inside.height);
    let mut rgb = vec![0.0; height * width * 3];
    source.read(
        Area {
            x,
            y,
            width,
            height,
        },
        &mut rgb,
    )?;
    hidden::fill(&mut rgb, width);

    let mut planar = Vec::with_capacity(area.height * area.width * 3);
    for channel in 0..3 {
        for row in &rows {
            let row = &rgb[row * width * 3..][..width * 3];
            planar.extend(columns.iter().map(|column| row[column * 3 + channel]));
        }
    }
    Ok(planar)
}

/// A number that the network can compute with: samples of floating point files may be infinite or NaN.
pub(super) fn sanitize(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1e3, 1e3)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::restore::part::whole;

    /// Walks the border back and forth, a pixel at a time.
    fn naive_row(row: &[f32], count: usize) -> Vec<f32> {
        let mut padded = row.to_vec();
        while padded.len() < count {
            if row.len() == 1 {
                padded.push(row[0]);
            } else {
                padded.extend(row[..row.len() - 1].iter().rev());
                padded.extend(&row[1..]);
            }
        }
        padded.truncate(count);
        padded
    }

    #[test]
    fn reads_as_naive_padding_does() {
        for (width, height, area) in [
            (
                1,
                1,
                Area {
                    x: 0,
                    y: 0,
                    width: 8,
                    height: 8,
                },
            ),
            (
                1,
                7,
                Area {
                    x: 0,
                    y: 0,
                    width: 8,
                    height: 8,
                },
            ),
            (
                3,
                2,
                Area {
                    x: 0,
                    y: 0,
                    width: 16,
                    height: 8,
                },
            ),
            (
                9,
                13,
                Area {
                    x: 8,
                    y: 8,
                    width: 8,
                    height: 8,
                },
            ),
            (
                20,
                20,
                Area {
                    x: 4,
                    y: 2,
                    width: 5,
                    height: 6,
                },
            ),
        ] {
            let pixels: Vec<_> = (0..width * height * 3).map(|at| at as f32).collect();
            let image = Image::new(width, height, pixels.clone()).expect("a good image");
            let planar = read_reflected(&image, area, whole(&image)).expect("read");
            for channel in 0..3 {
                let plane: Vec<Vec<f32>> = (0..height)
                    .map(|y| {
                        let row: Vec<_> = (0..width)
                            .map(|x| pixels[(y * width + x) * 3 + channel])
                            .collect();
                        naive_row(&row, area.x + area.width)
                    })
                    .collect();
                for x in 0..area.width {
                    let column: Vec<_> = plane.iter().map(|row| row[area.x + x]).collect();
                    let column = naive_row(&column, area.y + area.height);
                    for y in 0..area.height {
                        let at = (channel * area.height + y) * area.width + x;
                        assert_eq!(planar[at], column[area.y + y], "{width}x{height} {x} {y}");
                    }
                }
            }
        }
    }
}
