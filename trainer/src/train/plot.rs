//! Curves of a run as a PNG: the loss above, validation PSNR by task below.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::host::atomic::write_atomically;
use crate::train::log::Entry;

/// The plot's file name in the run's folder.
pub const CURVES: &str = "curves.png";

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 800;
/// Most log lines averaged into one point of the smooth loss curve.
const SMOOTHING: usize = 25;

type Points = Vec<(f64, f64)>;

/// Draws `entries` to `path`, replacing it in one go.
///
/// # Errors
/// Names the file.
pub fn write_curves(entries: &[Entry], path: &Path) -> Result<()> {
    write_plot(path, (WIDTH, HEIGHT), |root| draw(entries, root))
}

/// Where plots are drawn.
pub type Drawing<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws a plot of that size in pixels to `path`, replacing it in one go.
///
/// # Errors
/// Names the file.
pub fn write_plot(
    path: &Path,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Drawing<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<()> {
    register_fonts();
    let mut pixels = vec![0; (width * height * 3) as usize];
    let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        draw(&root)?;
        Ok(root.present()?)
    };
    drawn().map_err(|error| anyhow!("{}: cannot be drawn: {error}", path.display()))?;
    drop(root);
    let picture = image::RgbImage::from_raw(width, height, pixels)
        .context("the plot's buffer has the wrong size")?;
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png)?;
    write_atomically(path, png.get_ref())
        .with_context(|| format!("{}: cannot write the plot", path.display()))
}

/// Plotters without system fonts knows none; ours is compiled in.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let font = epaint_default_fonts::HACK_REGULAR;
        // It fails only for a broken font file; text would then be an error when drawn.
        let _ = register_font("sans-serif", FontStyle::Normal, font);
    });
}

fn draw(entries: &[Entry], root: &Drawing<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let mut loss = Points::new();
    let mut mean = Points::new();
    let mut tasks: BTreeMap<&str, Points> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Train {
                step, loss: value, ..
            } => loss.push((*step as f64, *value)),
            Entry::Validation {
                step,
                psnr,
                tasks: by_task,
                ..
            } => {
                mean.push((*step as f64, *psnr));
                for (task, psnr) in by_task {
                    tasks.entry(task).or_default().push((*step as f64, *psnr));
                }
            }
        }
    }
    let steps = 0.0..entries.iter().map(Entry::step).max().unwrap_or(1).max(1) as f64;

    let (upper, lower) = root.split_vertically(HEIGHT / 2);

    let mut chart = ChartBuilder::on(&upper)
        .caption("loss", ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(steps.clone(), value_range(loss.iter()))?;
    chart
        .configure_mesh()
        .y_label_formatter(&|value| format!("{value:.4}"))
        .draw()?;
    chart.draw_series(LineSeries::new(loss.iter().copied(), BLUE.mix(0.25)))?;
    chart.draw_series(LineSeries::new(smooth(&loss), BLUE.stroke_width(2)))?;

    let all = mean.iter().chain(tasks.values().flatten());
    let mut chart = ChartBuilder::on(&lower)
        .caption(
            "validation PSNR (dB), by task; black: mean",
            ("sans-serif", 20),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(steps, value_range(all))?;
    chart.configure_mesh().x_desc("step").draw()?;
    for (index, (task, points)) in tasks.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(
                LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(2),
            )?
            .label(*task)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .draw_series(LineSeries::new(mean.iter().copied(), BLACK.stroke_width(2)).point_size(2))?;
    if !tasks.is_empty() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
    }
    Ok(())
}

/// The values' range with a margin; never empty, as an empty axis cannot be drawn.
fn value_range<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for &(_, value) in points.filter(|point| point.1.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * 0.05).max(low.abs() * 1e-3).max(1e-9);
    low - margin..high + margin
}

/// Trailing mean, over at most a tenth of the curve.
fn smooth(points: &[(f64, f64)]) -> Points {
    let window = (points.len() / 10).clamp(1, SMOOTHING);
    let mut result = Points::with_capacity(points.len());
    for end in 1..=points.len() {
        let part = &points[end.saturating_sub(window)..end];
        let sum: f64 = part.iter().map(|point| point.1).sum();
        result.push((points[end - 1].0, sum / part.len() as f64));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_empty_and_full_logs() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(CURVES);
        write_curves(&[], &path).expect("an empty log");

        let mut entries = Vec::new();
        for step in 1..200u64 {
            entries.push(Entry::Train {
                step,
                loss: 1.0 / step as f64,
                psnr: 20.0,
                lr: 1e-3,
                samples_per_s: 1.0,
                grad_norm: 1.0,
                seconds: step as f64,
                by_clock: None,
            });
            if step.is_multiple_of(50) {
                let psnr = 20.0 + step as f64 * 0.01;
                let tasks: BTreeMap<_, _> = [
                    ("rain".to_owned(), psnr - 1.0),
                    ("haze".to_owned(), psnr + 1.0),
                ]
                .into();
                let input = tasks.clone();
                entries.push(Entry::Validation {
                    step,
                    psnr,
                    tasks,
                    input,
                    seconds: 1.0,
                });
            }
        }
        write_curves(&entries, &path).expect("a full log");
        let picture = image::open(&path).expect("a PNG").to_rgb8();
        assert_eq!(picture.dimensions(), (WIDTH, HEIGHT));
        let dark = picture
            .pixels()
            .filter(|pixel| pixel.0.iter().all(|&value| value < 80))
            .count();
        assert!(dark > 1000, "text and axes are drawn: {dark}");
    }
}
