//! A bar chart of several weights side by side.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::report::Row;
use crate::train::plot::{Drawing, write_plot};

/// The rows of one evaluation.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Name of the weights.
    pub name: String,
    /// What was measured; the first row, the input, is left out.
    pub rows: Vec<Row>,
}

/// Draws PSNR over settings: the input and each of the weights, to a PNG.
///
/// # Errors
/// Names the file.
pub fn write_chart(runs: &[Bars], title: &str, path: &Path) -> Result<()> {
    let Some(first) = runs.first() else {
        return Ok(());
    };
    let settings: Vec<String> = first
        .rows
        .iter()
        .skip(1)
        .map(|row| row.name.clone())
        .collect();
    let of = |rows: &[Row], value: fn(&Row) -> f64| -> Vec<f64> {
        rows.iter().skip(1).map(value).collect()
    };
    let mut series = vec![("input".to_owned(), of(&first.rows, |row| row.input_psnr))];
    series.extend(
        runs.iter()
            .map(|run| (run.name.clone(), of(&run.rows, |row| row.psnr))),
    );
    let width = (200 + 45 * settings.len() as u32 * (series.len() as u32 + 1)).clamp(700, 3000);
    write_plot(path, (width, 500), |root| {
        grouped(root, title, "dB", &settings, &series)
    })
}

/// Bars in groups: `series` has a value for each of `groups`. Values over their bars.
///
/// # Errors
/// Those of the drawing.
pub fn grouped(
    root: &Drawing<'_>,
    title: &str,
    unit: &str,
    groups: &[String],
    series: &[(String, Vec<f64>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let values = || series.iter().flat_map(|(_, values)| values.iter().copied());
    let finite = || values().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
    let margin = (high - low).max(1e-6) * 0.12;
    let low = if low < 0.0 { low - margin } else { low };
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..groups.len() as f64, low..high + 2.5 * margin)?;
    // A label stands in the middle of its group.
    let name = |at: &f64| {
        let index = (at - 0.5).round();
        match (at - 0.5 - index).abs() < 1e-6 && index >= 0.0 {
            true => groups.get(index as usize).cloned().unwrap_or_default(),
            false => String::new(),
        }
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * groups.len() + 1)
        .x_label_formatter(&name)
        .y_desc(unit)
        .draw()?;
    let bar = 0.84 / series.len().max(1) as f64;
    for (index, (label, values)) in series.iter().enumerate() {
        let color = match index {
            0 => RGBAColor(150, 150, 150, 1.0),
            _ => Palette99::pick(index - 1).to_rgba(),
        };
        let left = |group: usize| group as f64 + 0.08 + bar * index as f64;
        chart
            .draw_series(values.iter().enumerate().map(|(group, &value)| {
                let corners = [(left(group), 0.0), (left(group) + 0.94 * bar, value)];
                Rectangle::new(corners, color.filled())
            }))?
            .label(label.as_str())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], color.filled()));
        let style = ("sans-serif", 12).into_font().color(&BLACK);
        chart.draw_series(values.iter().enumerate().map(|(group, &value)| {
            let place = (left(group), value.max(0.0) + 0.45 * margin);
            Text::new(format!("{value:.1}"), place, style.clone())
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}
