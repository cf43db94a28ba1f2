//! Many matrices of a buffer made orthogonal, for Muon. Only GPUs have a kernel for it: there a launch costs as much as
//! many small matrices.

use burn::tensor::{Device, Tensor};
#[cfg(feature = "gpu")]
use burn::tensor::{Int, TensorData};

/// A matrix that lies row by row in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct MatrixPlace {
    /// The place of its first value.
    pub start: usize,
    pub rows: usize,
    pub columns: usize,
    /// What the result is multiplied by.
    pub reach: f32,
}

/// Where the matrices of a buffer lie.
#[derive(Clone, Debug)]
pub struct Matrices {
    #[cfg(feature = "gpu")]
    tables: Tables,
    /// Without GPUs there are none.
    #[cfg(not(feature = "gpu"))]
    none: core::convert::Infallible,
}

/// As the kernel reads it.
#[cfg(feature = "gpu")]
#[derive(Clone, Debug)]
struct Tables {
    reach: Tensor<1>,
    places: Tensor<1, Int>,
    squares: Tensor<1, Int>,
    products: Tensor<1, Int>,
    squared_values: usize,
}

impl Matrices {
    /// None if this device has no kernel for it.
    pub fn new(matrices: &[MatrixPlace], device: &Device) -> Option<Self> {
        #[cfg(feature = "gpu")]
        {
            let reach: Vec<f32> = matrices.iter().map(|matrix| matrix.reach).collect();
            let reach = Tensor::<1>::from_floats(reach.as_slice(), device);
            super::gpu::is_supported(&reach).then(|| Self {
                tables: Tables::new(matrices, reach, device),
            })
        }
        #[cfg(not(feature = "gpu"))]
        {
            let _ = (matrices, device);
            None
        }
    }

    /// Each matrix `X` of `buffer`, divided by its norm, after `steps` steps `a X + (b A + c A A) X` with `A = X X^T` (of a
    /// tall matrix `X^T X`), times its reach. What is between them is zero.
    ///
    /// # Shapes
    /// - buffer, output: `[values]`
    pub fn orthogonal(&self, buffer: Tensor<1>, coefficients: [f64; 3], steps: usize) -> Tensor<1> {
        #[cfg(feature = "gpu")]
        {
            let Tables {
                reach,
                places,
                squares,
                products,
                squared_values,
            } = self.tables.clone();
            let tables = [places, squares, products];
            let coefficients = coefficients.map(|coefficient| coefficient as f32);
            super::gpu::orthogonal(buffer, reach, tables, coefficients, steps, squared_values)
        }
        #[cfg(not(feature = "gpu"))]
        {
            let _ = (buffer, coefficients, steps);
            match self.none {}
        }
    }
}

#[cfg(feature = "gpu")]
impl Tables {
    fn new(matrices: &[MatrixPlace], reach: Tensor<1>, device: &Device) -> Self {
        use super::gpu::orthogonal::{NUMBERS, TILE};

        let (mut places, mut squares, mut products) = (Vec::new(), Vec::new(), Vec::new());
        let mut squared_values = 0;
        for (at, matrix) in matrices.iter().enumerate() {
            // Wide rather than tall: the squares are small.
            let (rows, columns, row_step, column_step) = match matrix.rows <= matrix.columns {
                true => (matrix.rows, matrix.columns, matrix.columns, 1),
                false => (matrix.columns, matrix.rows, 1, matrix.columns),
            };
            let place: [usize; NUMBERS] = [
                matrix.start,
                rows,
                columns,
                row_step,
                column_step,
                squared_values,
            ];
            places.extend(place);
            squared_values += rows * rows;
            for row in (0..rows).step_by(TILE) {
                let tile = |column| [at, row, column];
                squares.extend((0..rows).step_by(TILE).flat_map(tile));
                products.extend((0..columns).step_by(TILE).flat_map(tile));
            }
        }
        let numbers = |values: Vec<usize>| {
            let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        Self {
            reach,
            places: numbers(places),
            squares: numbers(squares),
            products: numbers(products),
            squared_values,
        }
    }
}
