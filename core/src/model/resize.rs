//! Separable image resizing as products with small matrices, PyTorch's `interpolate` with
//! `align_corners=False`. As products they are differentiable on every device, and their
//! transposes are the adjoints that D-R fusion needs.

use burn::tensor::{Device, Tensor};

use crate::ops;

/// How one axis is resampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    from: usize,
    to: usize,
    /// Source step per output sample.
    step: f64,
    filter: Filter,
    antialias: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Filter {
    Bilinear,
    Bicubic,
}

impl Axis {
    /// Bilinear, without antialiasing.
    pub fn bilinear(from: usize, to: usize) -> Self {
        Self::new(from, to, Filter::Bilinear, false)
    }

    /// Bilinear; the filter widens when the axis shrinks.
    pub fn bilinear_antialias(from: usize, to: usize) -> Self {
        Self::new(from, to, Filter::Bilinear, true)
    }

    /// Bicubic; the filter widens when the axis shrinks and `antialias` is set.
    pub fn bicubic(from: usize, to: usize, antialias: bool) -> Self {
        Self::new(from, to, Filter::Bicubic, antialias)
    }

    /// Replaces the step `from / to` by `1 / scale`, as PyTorch does when a scale factor is given.
    pub fn with_scale(self, scale: f64) -> Self {
        Self {
            step: 1.0 / scale,
            ..self
        }
    }

    fn new(from: usize, to: usize, filter: Filter, antialias: bool) -> Self {
        let step = from as f64 / to as f64;
        Self {
            from,
            to,
            step,
            filter,
            antialias,
        }
    }

    fn is_identity(&self) -> bool {
        self.from == self.to && self.step == 1.0
    }

    /// For each output sample the first source sample that it is made of, and the weights of that and
    /// the following.
    pub(crate) fn taps(&self) -> Vec<(usize, Vec<f32>)> {
        let taps = (0..self.to).map(|i| {
            let (first, weights) = match self.antialias {
                true => self.antialiased(i),
                false => self.plain(i),
            };
            let zeros = weights.iter().take_while(|&&w| w == 0.0).count();
            let zeros = zeros.min(weights.len() - 1);
            let last = weights.iter().rposition(|&w| w != 0.0).unwrap_or(zeros);
            (first + zeros, weights[zeros..=last].to_vec())
        });
        taps.collect()
    }

    /// Row-major `[to, from]`; each row sums to one.
    pub(crate) fn weights(&self) -> Vec<f32> {
        let mut rows = vec![0.0; self.to * self.from];
        let taps = self.taps();
        for (row, (first, weights)) in rows.chunks_exact_mut(self.from).zip(&taps) {
            row[*first..][..weights.len()].copy_from_slice(weights);
        }
        rows
    }

    /// Taps around the source position; those outside repeat the border.
    fn plain(&self, i: usize) -> (usize, Vec<f32>) {
        let last = self.from as isize - 1;
        let position = self.step * (i as f64 + 0.5) - 0.5;
        let (position, reach) = match self.filter {
            Filter::Bilinear => (position.max(0.0), 1),
            Filter::Bicubic => (position, 2),
        };
        let floor = position.floor();
        let source = |tap: isize| (floor as isize + tap).clamp(0, last) as usize;
        let first = source(1 - reach);
        let mut weights = vec![0.0; source(reach) - first + 1];
        for tap in 1 - reach..=reach {
            weights[source(tap) - first] +=
                self.filter.at(floor + tap as f64 - position, -0.75) as f32;
        }
        (first, weights)
    }

    fn antialiased(&self, i: usize) -> (usize, Vec<f32>) {
        let stretch = self.step.max(1.0);
        let support = stretch * self.filter.support();
        let center = self.step * (i as f64 + 0.5);
        let start = ((center - support + 0.5) as isize).max(0) as usize;
        let end = ((center + support + 0.5) as usize).min(self.from);
        let at = |source: usize| {
            let distance = (source as f64 - center + 0.5) / stretch;
            self.filter.at(distance, -0.5)
        };
        let total: f64 = (start..end).map(at).sum();
        let weights = (start..end).map(|source| (at(source) / total) as f32);
        (start, weights.collect())
    }
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The kernel at `distance`; `a` is the cubic's free parameter.
    fn at(self, distance: f64, a: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
            Self::Bicubic => 0.0,
        }
    }
}

/// Resizes both axes.
///
/// # Shapes
/// - `x`: `[batch, channels, rows.from, columns.from]`
/// - output: `[batch, channels, rows.to, columns.to]`
pub fn resize(x: Tensor<4>, rows: Axis, columns: Axis) -> Tensor<4> {
    let device = x.device();
    let x = if columns.is_identity() {
        x
    } else {
        times_columns(x, transposed(columns, &device))
    };
    if rows.is_identity() {
        x
    } else {
        times_rows(x, matrix(rows, &device))
    }
}

/// The adjoint of [`resize`], times `factor`: carries a map on the large grid back to the small one.
///
/// # Shapes
/// - `x`: `[batch, channels, rows.to, columns.to]`
/// - output: `[batch, channels, rows.from, columns.from]`
pub fn resize_adjoint(x: Tensor<4>, rows: Axis, columns: Axis, factor: f64) -> Tensor<4> {
    let device = x.device();
    let weights = columns.weights().into_iter();
    let weights = weights.map(|weight| (f64::from(weight) * factor) as f32);
    let matrix = upload(weights.collect(), [columns.to, columns.from], &device);
    times_rows(times_columns(x, matrix), transposed(rows, &device))
}

fn matrix(axis: Axis, device: &Device) -> Tensor<2> {
    upload(axis.weights(), [axis.to, axis.from], device)
}

/// The same with rows and columns exchanged, where it is made.
fn transposed(axis: Axis, device: &Device) -> Tensor<2> {
    let weights = axis.weights();
    let value = |at: usize| weights[at % axis.to * axis.from + at / axis.to];
    let values = (0..weights.len()).map(value).collect();
    upload(values, [axis.from, axis.to], device)
}

/// A matrix from its rows. It goes to the device as one row: CUDA leaves gaps between the rows of a matrix, and
/// products would first copy it without them.
fn upload(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

fn times_columns(x: Tensor<4>, matrix: Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [_, columns] = matrix.dims();
    let x = x.reshape([1, batch * channels * height, width]);
    ops::matmul(x, matrix.unsqueeze()).reshape([batch, channels, height, columns])
}

fn times_rows(x: Tensor<4>, matrix: Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [rows, _] = matrix.dims();
    let x = x.reshape([batch * channels, height, width]);
    ops::matmul(matrix.unsqueeze(), x).reshape([batch, channels, rows, width])
}
